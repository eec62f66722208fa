package simulator

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// chatRequest is the part of a chat completion request that matters here. As with vLLM, other fields are ignored.
type chatRequest struct {
	Model               *string         `json:"model"`
	Messages            []chatMessage   `json:"messages"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	MinTokens           int             `json:"min_tokens"`
	IgnoreEOS           bool            `json:"ignore_eos"`
	N                   *int            `json:"n"`
	Seed                *int64          `json:"seed"`
	Stream              bool            `json:"stream"`
	StreamOptions       *streamOptions  `json:"stream_options"`
	ReturnTokenIDs      bool            `json:"return_token_ids"`
	Tools               json.RawMessage `json:"tools"`
	ToolChoice          toolChoice      `json:"tool_choice"`
	ResponseFormat      *responseFormat `json:"response_format"`
	ReasoningEffort     string          `json:"reasoning_effort"`
	IncludeReasoning    *bool           `json:"include_reasoning"` // vLLM: false hides it
	RequestID           string          `json:"request_id"`
	Priority            int             `json:"priority"`
	CacheSalt           string          `json:"cache_salt"`
	ReturnMetaInfo      bool            `json:"return_meta_info"` // SGLang
	llamacppRequest

	StampEvents bool `json:"stamp_events"` // ours
}

type streamOptions struct {
	IncludeUsage         bool  `json:"include_usage"`
	ContinuousUsageStats bool  `json:"continuous_usage_stats"`
	IncludeObfuscation   *bool `json:"include_obfuscation"` // OpenAI
}

type chatMessage struct {
	Role    string      `json:"role"`
	Content messageText `json:"content"`
}

// messageText is a message's text: a string, null, or a list of parts of which the text ones count.
type messageText string

func (t *messageText) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err == nil {
		if s != nil {
			*t = messageText(*s)
		}
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return errors.New("content must be a string or a list of parts")
	}
	var all strings.Builder
	for _, p := range parts {
		switch p.Type {
		case "text", "input_text", "output_text":
			all.WriteString(p.Text)
		}
	}
	*t = messageText(all.String())
	return nil
}

// toolChoice is a word, or an object that names a function.
type toolChoice string

func (c *toolChoice) UnmarshalJSON(b []byte) error {
	var word *string
	if err := json.Unmarshal(b, &word); err == nil {
		if word != nil {
			*c = toolChoice(*word)
		}
		return nil
	}
	var named struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := json.Unmarshal(b, &named); err != nil {
		return errors.New("tool_choice must be a word or name a function")
	}
	*c = toolChoice(named.Name + named.Function.Name)
	return nil
}

// responseFormat is OpenAI's.
type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema *struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// format is what it asks for.
func (f *responseFormat) format() (format, error) {
	switch {
	case f == nil || f.Type == "text" || f.Type == "":
		return format{}, nil
	case f.Type == "json_object":
		return format{json: true}, nil
	case f.Type == "json_schema" && f.JSONSchema != nil && f.JSONSchema.Schema != nil:
		return format{json: true, schema: f.JSONSchema.Schema}, nil
	}
	return format{}, badRequest("response_format", "response_format must be text, json_object, or json_schema with a schema.")
}

// openAITools reads tools in the shape that most servers take.
func openAITools(raw json.RawMessage) ([]tool, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var list []struct {
		Type     string `json:"type"`
		Function *struct {
			Name       string          `json:"name"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"function"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, invalidBody(err)
	}
	var tools []tool
	for _, t := range list {
		if t.Type != "function" || t.Function == nil || t.Function.Name == "" {
			return nil, badRequest("tools", "each tool must have the type function and a function with a name.")
		}
		tools = append(tools, tool{t.Function.Name, t.Function.Parameters})
	}
	return tools, nil
}

// checkChoice says that the tool to be called is not there.
func (q *question) checkChoice() error {
	switch q.choice {
	case "", "auto", "none":
		return nil
	case "required", "any":
		if len(q.tools) > 0 {
			return nil
		}
		return badRequest("tool_choice", "tool_choice is %q, but there are no tools.", q.choice)
	}
	for _, t := range q.tools {
		if t.name == q.choice {
			return nil
		}
	}
	return badRequest("tool_choice", "tool %q is not among the tools.", q.choice)
}

// decodeChat reads a request's body and checks what needs no knowledge of the server.
func decodeChat(body []byte) (*chatRequest, error) {
	var r chatRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, invalidBody(err)
	}
	switch {
	case r.Messages == nil:
		return nil, missing("messages")
	case len(r.Messages) == 0:
		return nil, badRequest("messages", "messages must not be empty")
	}
	return &r, checkCommon(r.N, r.StreamOptions, r.Stream, r.cap(), r.MinTokens)
}

// checkCommon checks what chat and text completions have in common.
func checkCommon(n *int, o *streamOptions, stream bool, most *int, least int) error {
	switch {
	case n != nil && *n != 1:
		return badRequest("n", "n must be 1, got %d.", *n)
	case o != nil && !stream:
		return badRequest("stream_options", "Stream options can only be defined when `stream=True`.")
	case most != nil && *most < 1:
		return badRequest("max_tokens", "max_tokens must be at least 1, got %d.", *most)
	case least < 0:
		return badRequest("min_tokens", "min_tokens must be greater than or equal to 0, got %d.", least)
	case most != nil && least > *most:
		return badRequest("min_tokens", "min_tokens must be less than or equal to max_tokens=%d, got %d.", *most, least)
	}
	return nil
}

// question is what the request asks.
func (r *chatRequest) question() (*question, error) {
	q := &question{
		id: r.RequestID, model: r.Model, prompt: prompt{messages: r.Messages, tools: r.Tools},
		maximum: r.cap(), minTokens: r.MinTokens, ignoreEOS: r.IgnoreEOS, seed: r.Seed, stream: r.Stream, stamp: r.StampEvents,
		priority: r.Priority, salt: r.CacheSalt, effort: r.ReasoningEffort, choice: string(r.ToolChoice),
	}
	r.salted(q)
	var err error
	if q.tools, err = openAITools(r.Tools); err != nil {
		return nil, err
	}
	if q.format, err = r.ResponseFormat.format(); err != nil {
		return nil, err
	}
	return q, q.checkChoice()
}

// cap is the request's own cap on output tokens; nil: it has none.
func (r *chatRequest) cap() *int {
	if r.MaxCompletionTokens != nil {
		return r.MaxCompletionTokens
	}
	return r.MaxTokens
}

func (o *streamOptions) usage() bool      { return o != nil && o.IncludeUsage }
func (o *streamOptions) continuous() bool { return o.usage() && o.ContinuousUsageStats }
func (o *streamOptions) obfuscated() bool {
	return o == nil || o.IncludeObfuscation == nil || *o.IncludeObfuscation
}

// chatProtocol is a chat completion in the style of one server.
func chatProtocol(style chatStyle) func(*Server, *http.Request, []byte) (*question, func(*answer) voice, error) {
	return func(_ *Server, _ *http.Request, body []byte) (*question, func(*answer) voice, error) {
		r, err := decodeChat(body)
		if err != nil {
			return nil, nil, err
		}
		q, err := r.question()
		return q, func(a *answer) voice { return newChatVoice(a, &style, r) }, err
	}
}

// promptTokens is the number of tokens of a chat.
func (t tokenizer) promptTokens(messages []chatMessage, tools json.RawMessage) int {
	n := t.perChat + t.perMessage*len(messages)
	for _, m := range messages {
		n += t.count(string(m.Content))
	}
	if len(tools) > 0 && string(tools) != "null" {
		n += t.count(string(tools))
	}
	return n
}

// promptIDs is the same as ids. The template's tokens have ids above the vocabulary's, as special tokens do.
func (t tokenizer) promptIDs(messages []chatMessage, tools json.RawMessage) []int {
	var ids []int
	special := func(n int) {
		for i := range n {
			ids = append(ids, t.vocabulary+i)
		}
	}
	if len(tools) > 0 && string(tools) != "null" {
		ids = t.ids(ids, string(tools))
	}
	for _, m := range messages {
		special(t.perMessage)
		ids = t.ids(ids, string(m.Content))
	}
	special(t.perChat)
	return ids
}
