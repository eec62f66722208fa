package workload

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/llmprober/llm_prober/prober/wire"
)

// The kinds of recorded requests, by the field that only they have.
const (
	kindOurs     = "requests"               // messages
	kindBatch    = "OpenAI batch"           // body
	kindShareGPT = "ShareGPT conversations" // conversations
)

const (
	cureMessages = `write {"messages": [{"role": "user", "content": "..."}]}`
	cureTurns    = `write {"conversations": [{"from": "human", "value": "..."}]}`
	maxWeight    = 1e9
)

// parse reads one object. The first one that it knows the kind of decides for all.
func (r *Recorded) parse(text []byte) ([]recordedRequest, *fault) {
	if !utf8.Valid(text) {
		return nil, &fault{"no UTF-8", "convert the file, or leave this out"}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, &fault{fmt.Sprintf("no JSON: %v", syntax), "have one whole object on each line, or one list of them"}
		}
		return nil, &fault{"no JSON object", cureMessages}
	}
	kind := ""
	for _, k := range []struct{ field, kind string }{
		{"messages", kindOurs}, {"body", kindBatch}, {"conversations", kindShareGPT},
	} {
		if _, ok := fields[k.field]; ok {
			kind = k.kind
		}
	}
	switch {
	case kind == "":
		return nil, &fault{`neither "messages" nor "body" nor "conversations"`, cureMessages}
	case r.kind == "":
		r.kind = kind
	case kind != r.kind:
		return nil, &fault{fmt.Sprintf("one of the kind %q in a file of %q", kind, r.kind), "let all of a file be of one kind"}
	}
	switch kind {
	case kindBatch:
		return one(parseBatch(fields["body"]))
	case kindShareGPT:
		return parseShareGPT(fields["conversations"])
	}
	return one(parseOurs(fields))
}

func one(q recordedRequest, f *fault) ([]recordedRequest, *fault) {
	if f != nil {
		return nil, f
	}
	return []recordedRequest{q}, nil
}

func parseOurs(fields map[string]json.RawMessage) (q recordedRequest, f *fault) {
	q.weight = 1
	for _, name := range slices.Sorted(maps.Keys(fields)) { // always the same first fault
		value := fields[name]
		switch name {
		case "messages":
			q.messages, f = parseMessages(value)
		case "max_output_tokens":
			q.maxOutputTokens, f = parseCap(name, value)
		case "weight":
			if json.Unmarshal(value, &q.weight) != nil || !(q.weight > 0 && q.weight <= maxWeight) {
				f = &fault{"weight is no number above 0", fmt.Sprintf("give one up to %.0e, or leave it out, which is 1", maxWeight)}
			}
		default:
			f = &fault{fmt.Sprintf("unknown field %.40q", name), `the fields are "messages", "max_output_tokens" and "weight"`}
		}
		if f != nil {
			return q, f
		}
	}
	return q, nil
}

func parseBatch(body json.RawMessage) (q recordedRequest, f *fault) {
	var b struct {
		Messages  json.RawMessage `json:"messages"`
		MaxTokens json.RawMessage `json:"max_tokens"`
		Max       json.RawMessage `json:"max_completion_tokens"` // the newer name
	}
	if json.Unmarshal(body, &b) != nil || b.Messages == nil {
		return q, &fault{"body has no messages", "only requests for /v1/chat/completions can be asked again: leave others out"}
	}
	q.weight = 1
	if q.messages, f = parseMessages(b.Messages); f != nil {
		return q, f
	}
	if q.maxOutputTokens, f = parseCap("max_completion_tokens", b.Max); f != nil || q.maxOutputTokens > 0 {
		return q, f
	}
	q.maxOutputTokens, f = parseCap("max_tokens", b.MaxTokens)
	return q, f
}

// parseCap reads a cap on output tokens; 0: there is none.
func parseCap(name string, value json.RawMessage) (int, *fault) {
	if value == nil || string(value) == "null" {
		return 0, nil
	}
	n := 0
	if json.Unmarshal(value, &n) != nil || n < 1 {
		return 0, &fault{name + " is no whole number above 0", "mend it, or leave it out"}
	}
	return n, nil
}

func parseMessages(value json.RawMessage) ([]wire.Message, *fault) {
	var recorded []struct {
		Role         string          `json:"role"`
		Content      json.RawMessage `json:"content"`
		ToolCalls    []any           `json:"tool_calls"`
		FunctionCall any             `json:"function_call"`
	}
	if json.Unmarshal(value, &recorded) != nil || len(recorded) == 0 {
		return nil, &fault{"messages is no list of messages", cureMessages}
	}
	messages := make([]wire.Message, len(recorded))
	for i, m := range recorded {
		role := m.Role
		switch role {
		case "system", "user", "assistant":
		case "developer": // OpenAI's newer name
			role = "system"
		default:
			return nil, &fault{fmt.Sprintf("message %d is of the role %.40q", i+1, role), "only system, user and assistant can be asked again: leave this out"}
		}
		if len(m.ToolCalls) > 0 || m.FunctionCall != nil {
			return nil, &fault{fmt.Sprintf("message %d calls tools", i+1), "only text can be asked again: leave this out"}
		}
		content, f := parseContent(m.Content)
		if f != nil {
			f.what = fmt.Sprintf("message %d: %s", i+1, f.what)
			return nil, f
		}
		messages[i] = wire.Message{Role: role, Content: content}
	}
	if messages[len(messages)-1].Role != "user" {
		return nil, &fault{"the last message is not the user's: it asks nothing", "leave out what comes after the user's last message"}
	}
	return messages, nil
}

// parseContent reads a message's text, which may be in parts.
func parseContent(value json.RawMessage) (string, *fault) {
	var text string
	if json.Unmarshal(value, &text) != nil {
		var parts []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}
		if json.Unmarshal(value, &parts) != nil {
			return "", &fault{"content is no text", cureMessages}
		}
		var b strings.Builder
		for _, p := range parts {
			if p.Type != "text" {
				return "", &fault{fmt.Sprintf("content has a part of the type %.40q", p.Type), "only text can be asked again: leave this out"}
			}
			b.WriteString(p.Text)
		}
		text = b.String()
	}
	if text == "" {
		return "", &fault{"content is empty", "leave this out"}
	}
	return text, nil
}

func parseShareGPT(value json.RawMessage) ([]recordedRequest, *fault) {
	var turns []struct {
		From  string  `json:"from"`
		Value *string `json:"value"`
	}
	if json.Unmarshal(value, &turns) != nil {
		return nil, &fault{"conversations is no list of turns", cureTurns}
	}
	messages := make([]wire.Message, 0, len(turns))
	var requests []recordedRequest
	want := "user" // whose turn it is; "": nobody's, the rest is only looked through
	answer := ""   // the model's last turn, which is asked with if the user goes on
	for i, turn := range turns {
		role, ok := shareGPTRole(turn.From)
		switch {
		case !ok:
			return nil, &fault{fmt.Sprintf("turn %d is from %.40q", i+1, turn.From), "only human, gpt and system can be asked again: leave this out"}
		case turn.Value == nil:
			return nil, &fault{fmt.Sprintf("turn %d has no value", i+1), cureTurns}
		case want == "", *turn.Value == "" && role == "system":
		case role == "system" && i == 0:
			messages = append(messages, wire.Message{Role: role, Content: *turn.Value})
		case role == "assistant" && len(requests) == 0: // the end of another part of the conversation
		case role != want || *turn.Value == "":
			want = ""
		case role == "user":
			if len(requests) > 0 {
				messages = append(messages, wire.Message{Role: "assistant", Content: answer})
			}
			messages = append(messages, wire.Message{Role: role, Content: *turn.Value})
			requests = append(requests, recordedRequest{messages: messages[:len(messages):len(messages)], weight: 1})
			want = "assistant"
		default:
			answer, want = *turn.Value, "user"
		}
	}
	return requests, nil
}

// shareGPTRole is the role of who speaks, as the names are in the files that go round.
func shareGPTRole(from string) (role string, ok bool) {
	switch strings.ToLower(from) {
	case "human", "user":
		return "user", true
	case "gpt", "chatgpt", "bing", "bard", "assistant":
		return "assistant", true
	case "system":
		return "system", true
	}
	return "", false
}
