package simulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"time"
)

// anthropic is a hosted service that speaks as Anthropic's own. A stream begins, at once, with the usage of the prompt; its
// events are named, and padded; thoughts are shown. It has no metrics.
func anthropic(s *Server) *dialect {
	return &dialect{
		software: "cloudflare",
		asks: map[string]*protocol{
			"POST /v1/messages": {read: readAnthropic, fail: anthropicError, kind: utf8EventStream, end: eventEnd, ping: 15 * time.Second, lends: true},
		},
		pages: map[string]http.HandlerFunc{
			"GET /v1/models": func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, http.StatusOK, object{{"data", []object{{
					{"type", "model"}, {"id", s.opts.Model}, {"display_name", s.opts.Model}, {"created_at", s.created.UTC().Format(time.RFC3339)},
				}}}, {"has_more", false}, {"first_id", s.opts.Model}, {"last_id", s.opts.Model}})
			},
			"POST /v1/messages/count_tokens": func(w http.ResponseWriter, r *http.Request) {
				var req anthropicRequest
				err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&req)
				var q *question
				if err == nil {
					q, err = req.question()
				}
				if err != nil {
					(&protocol{fail: anthropicError}).refuse(w, err)
					return
				}
				writeJSON(w, http.StatusOK, object{{"input_tokens", q.prompt.tokens(s.tokens)}})
			},
		},
		unknown: func(w http.ResponseWriter, _ *http.Request) {
			(&protocol{fail: anthropicError}).refuse(w, &apiError{status: http.StatusNotFound, message: "Not found"})
		},
	}
}

// anthropicRequest is the part of a request of /v1/messages that matters here.
type anthropicRequest struct {
	Model      *string                     `json:"model"`
	MaxTokens  *int                        `json:"max_tokens"`
	System     messageText                 `json:"system"`
	Messages   []anthropicMessage          `json:"messages"`
	Stream     bool                        `json:"stream"`
	ToolChoice struct{ Type, Name string } `json:"tool_choice"`
	Tools      []struct {
		Name        string          `json:"name"`
		InputSchema json.RawMessage `json:"input_schema"`
	} `json:"tools"`
	Thinking struct {
		Type         string `json:"type"`
		BudgetTokens int    `json:"budget_tokens"`
	} `json:"thinking"`
	OutputConfig struct {
		Effort string `json:"effort"`
		Format *struct {
			Type   string          `json:"type"`
			Schema json.RawMessage `json:"schema"`
		} `json:"format"`
	} `json:"output_config"`
	StampEvents bool `json:"stamp_events"` // ours
}

// anthropicMessage is one turn: a text, or blocks.
type anthropicMessage struct{ chatMessage }

func (m *anthropicMessage) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &m.chatMessage); err != nil {
		return err
	}
	// What a tool has answered comes as a block of the user's.
	var blocks struct {
		Content []struct {
			Type    string      `json:"type"`
			Content messageText `json:"content"`
		} `json:"content"`
	}
	if json.Unmarshal(b, &blocks) == nil {
		for _, x := range blocks.Content {
			if x.Type == "tool_result" {
				m.Role, m.Content = "tool", m.Content+x.Content
			}
		}
	}
	return nil
}

func readAnthropic(_ *Server, _ *http.Request, body []byte) (*question, func(*answer) voice, error) {
	var r anthropicRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, nil, badRequest("", "The request body is not valid JSON: %v", err)
	}
	if r.MaxTokens == nil {
		return nil, nil, badRequest("max_tokens", "max_tokens: Field required")
	}
	if *r.MaxTokens < 1 {
		return nil, nil, badRequest("max_tokens", "max_tokens: Input should be greater than or equal to 1")
	}
	q, err := r.question()
	return q, func(a *answer) voice { return newAnthropicVoice(a) }, err
}

// question is what the request asks.
func (r *anthropicRequest) question() (*question, error) {
	if len(r.Messages) == 0 {
		return nil, badRequest("messages", "messages: at least one message is required")
	}
	q := &question{model: r.Model, maximum: r.MaxTokens, stream: r.Stream, stamp: r.StampEvents, effort: r.OutputConfig.Effort}
	if r.System != "" {
		q.prompt.messages = append(q.prompt.messages, chatMessage{"system", r.System})
	}
	for _, m := range r.Messages {
		q.prompt.messages = append(q.prompt.messages, m.chatMessage)
	}
	if len(r.Tools) > 0 {
		q.prompt.tools = appendJSON(nil, r.Tools)
	}
	for _, t := range r.Tools {
		q.tools = append(q.tools, tool{t.Name, t.InputSchema})
	}
	q.choice = r.ToolChoice.Type
	if r.ToolChoice.Type == "tool" {
		q.choice = r.ToolChoice.Name
	}
	switch r.Thinking.Type {
	case "enabled":
		q.budget = r.Thinking.BudgetTokens
		if q.budget < 1 || q.budget >= *r.MaxTokens {
			return q, badRequest("thinking", "thinking.budget_tokens: must be at least 1 and less than max_tokens")
		}
	case "disabled":
		q.effort = "none"
	}
	if f := r.OutputConfig.Format; f != nil && f.Type == "json_schema" {
		q.format = format{json: true, schema: f.Schema}
	}
	return q, q.checkChoice()
}

// anthropicVoice says a message: blocks of thoughts, of text, or of a tool's use, one after the other.
type anthropicVoice struct {
	plainVoice
	block   int  // index of the block under way
	within  kind // what it has: kindThought, kindText or kindName; kindSilent: there is none
	close   string
	inputs  bool // the first part of the tool's input was made
	pads    int
	started bool // the first event was made
}

func newAnthropicVoice(a *answer) *anthropicVoice {
	if a.s.opts.PrefixCache && a.q.stream { // what comes from the cache is known when it is admitted, and told at the beginning
		a.seq.watched, a.bulky = true, true
	}
	return &anthropicVoice{plainVoice: plainVoice{a}, block: -1}
}

// pad puts blanks at the end of an event, so that its size does not tell that of its text.
func (v *anthropicVoice) pad() {
	const blanks = "               "
	v.pads = (v.pads*5 + 7) % (len(blanks) + 1)
	v.put(blanks[:v.pads])
}

// header implements voice.
func (v *anthropicVoice) header(h http.Header) {
	h.Set("Request-Id", "req_"+v.answer.id)
	h.Set("Anthropic-Organization-Id", "00000000-0000-4000-8000-000000000000")
	now := time.Now()
	u := v.s.allowance.take(now, v.seq.prompt, v.seq.maximum)
	reset := now.Add(u.left).UTC().Format(time.RFC3339)
	for _, x := range []struct {
		name        string
		limit, left int
	}{
		{"Requests", allowedRequests, allowedRequests - u.requests},
		{"Tokens", allowedTokens, (allowedTokens - u.prompt - u.output) / 1000 * 1000},
		{"Input-Tokens", allowedTokens, (allowedTokens - u.prompt) / 1000 * 1000},
		{"Output-Tokens", allowedTokens, (allowedTokens - u.output) / 1000 * 1000},
	} {
		h.Set("Anthropic-Ratelimit-"+x.name+"-Limit", strconv.Itoa(x.limit))
		h.Set("Anthropic-Ratelimit-"+x.name+"-Remaining", strconv.Itoa(max(x.left, 0)))
		h.Set("Anthropic-Ratelimit-"+x.name+"-Reset", reset)
	}
}

// opening implements voice.
func (v *anthropicVoice) opening() {
	if !v.seq.watched {
		v.start()
	}
}

// reading implements reader.
func (v *anthropicVoice) reading(progress) {
	if !v.started {
		v.start()
	}
}

// start makes the events that start a message.
func (v *anthropicVoice) start() {
	v.started = true
	v.named("message_start")
	v.put(`,"message":`)
	v.value(v.message([]object{}, nil, 1))
	v.seal(v.due, time.Now())
	v.ping()
}

// message is the message: its content, why it ended, and how many tokens it has.
func (v *anthropicVoice) message(content []object, why any, made int) object {
	return object{
		{"id", "msg_" + v.answer.id}, {"type", "message"}, {"role", "assistant"}, {"model", v.s.opts.Model}, {"content", content},
		{"stop_reason", why}, {"stop_sequence", nil},
	}.with(!v.plan.noUsage, "usage", v.usage(made).with(true, "service_tier", "standard"))
}

// usage counts apart what was read from the cache of prompts.
func (v *anthropicVoice) usage(made int) object {
	cached := v.cached()
	return object{{"input_tokens", v.seq.prompt - cached}, {"cache_creation_input_tokens", 0}, {"cache_read_input_tokens", cached}, {"output_tokens", made}}.
		with(v.thoughts > 0, "output_tokens_details", object{{"thinking_tokens", v.thoughts}})
}

// ping implements voice.
func (v *anthropicVoice) ping() { v.line("event: ping\ndata: {\"type\": \"ping\"}\n\n") }

// begin implements voice.
func (v *anthropicVoice) begin(k kind) bool {
	switch k {
	case kindThought, kindText:
		if v.within != k {
			v.endBlock()
			v.startBlock(k)
			if k == kindThought {
				v.put(`{"type":"thinking","thinking":"","signature":""}`)
			} else {
				v.put(`{"type":"text","text":""}`)
			}
			v.pad()
			v.seal(v.due, time.Now())
		}
		v.delta()
		if k == kindThought {
			v.put(`{"type":"thinking_delta","thinking":"`)
		} else {
			v.put(`{"type":"text_delta","text":"`)
		}
		v.close = `"}`
	case kindName:
		v.endBlock()
		v.startBlock(k)
		v.put(`{"type":"tool_use","id":"`)
		v.put(v.callID("toolu_"))
		v.put(`","name":"`)
		v.close = `","input":{}}`
	case kindArguments:
		if !v.inputs {
			v.inputs = true
			v.delta()
			v.put(`{"type":"input_json_delta","partial_json":""}`)
			v.pad()
			v.seal(v.due, time.Now())
		}
		v.delta()
		v.put(`{"type":"input_json_delta","partial_json":"`)
		v.close = `"}`
	default:
		return false
	}
	return true
}

// startBlock starts the event that starts a block, up to the block.
func (v *anthropicVoice) startBlock(k kind) {
	v.within = k
	v.block++
	v.named("content_block_start")
	v.put(`,"index":`)
	v.number(v.block)
	v.put(`,"content_block":`)
}

// delta starts the event that adds to a block, up to what it adds.
func (v *anthropicVoice) delta() {
	v.named("content_block_delta")
	v.put(`,"index":`)
	v.number(v.block)
	v.put(`,"delta":`)
}

// endBlock makes the events that end the block under way, if there is one.
func (v *anthropicVoice) endBlock() {
	if v.within == kindSilent {
		return
	}
	if v.within == kindThought {
		v.delta()
		v.put(`{"type":"signature_delta","signature":"`)
		v.put(v.signature())
		v.put(`"}`)
		v.seal(v.due, time.Now())
	}
	v.within = kindSilent
	v.named("content_block_stop")
	v.put(`,"index":`)
	v.number(v.block)
	v.pad()
	v.seal(v.due, time.Now())
}

// signature stands for that of thoughts: clients hand it back and look no further.
func (a *answer) signature() string {
	h := fnv.New128a()
	h.Write([]byte(a.id)) //nolint:errcheck // it cannot fail
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// tell implements voice.
func (v *anthropicVoice) tell(t token) {
	switch t.kind {
	case kindThought, kindText, kindName, kindArguments:
		v.put(t.json)
	}
}

// finish implements voice.
func (v *anthropicVoice) finish(bool) {
	v.put(v.close)
	v.pad()
}

// closing implements voice.
func (v *anthropicVoice) closing() {
	v.endBlock()
	if !v.plan.noFinish || !v.plan.noUsage {
		v.named("message_delta")
		v.put(`,"delta":`)
		v.value(object{}.with(!v.plan.noFinish, "stop_reason", v.reason()).with(true, "stop_sequence", nil))
		if !v.plan.noUsage {
			v.put(`,"usage":`)
			v.value(v.usage(v.made))
		}
		v.seal(v.due, time.Now())
	}
	if !v.plan.noDone {
		v.named("message_stop")
		v.pad()
		v.seal(v.due, time.Now())
	}
}

// reason is why it ended, in Anthropic's words.
func (v *anthropicVoice) reason() string {
	switch {
	case v.seq.reason == finishLength:
		return "max_tokens"
	case v.calls > 0:
		return "tool_use"
	}
	return "end_turn"
}

// failure implements voice.
func (v *anthropicVoice) failure(e *apiError) {
	v.named("error")
	v.members(anthropicErrorBody(e)[1:])
	v.seal(v.due, time.Now())
}

// whole implements voice.
func (v *anthropicVoice) whole(w *spoken) {
	content := v.blocks(w, v.signature(), "toolu_")
	var why any = v.reason()
	if v.plan.noFinish {
		why = nil
	}
	v.value(v.message(content, why, v.made))
}

// anthropicError is an error in Anthropic's shape.
func anthropicError(e *apiError, h http.Header) (int, any) {
	status := e.status
	if status == http.StatusServiceUnavailable {
		status = statusOverloaded
		h.Set("X-Should-Retry", "true")
	}
	return status, anthropicErrorBody(e)
}

// statusOverloaded is Anthropic's own.
const statusOverloaded = 529

func anthropicErrorBody(e *apiError) object {
	kind, message := "api_error", e.message
	switch e.status {
	case http.StatusBadRequest:
		kind = "invalid_request_error"
		if e.context > 0 {
			message = fmt.Sprintf("prompt is too long: %d tokens > %d maximum", e.prompt, e.context)
		}
	case http.StatusUnauthorized:
		kind, message = "authentication_error", "invalid x-api-key"
	case http.StatusNotFound:
		kind = "not_found_error"
	case http.StatusRequestEntityTooLarge:
		kind = "request_too_large"
	case http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case http.StatusServiceUnavailable:
		kind, message = "overloaded_error", "Overloaded"
	}
	return object{{"type", "error"}, {"error", object{{"type", kind}, {"message", message}}}}
}

// blocks are the content of a whole message. The signature is that of its thoughts, and the ids of calls begin with call.
func (a *answer) blocks(w *spoken, signature, call string) []object {
	content := []object{}
	if w.thought != "" {
		content = append(content, object{{"type", "thinking"}, {"thinking", w.thought}, {"signature", signature}})
	}
	if w.text != "" {
		content = append(content, object{{"type", "text"}, {"text", w.text}})
	}
	if w.name != "" {
		input := json.RawMessage("{}") // of a call that was broken off
		if w.called {
			input = json.RawMessage(w.arguments)
		}
		content = append(content, object{{"type", "tool_use"}, {"id", a.callID(call)}, {"name", w.name}, {"input", input}})
	}
	return content
}
