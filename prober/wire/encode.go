package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// put adds a field unless its value is the zero of its type: what the user did not ask for is not sent.
func put[T comparable](body map[string]any, key string, value T) {
	var zero T
	if value != zero {
		body[key] = value
	}
}

// putObject adds an object unless it has no members.
func putObject(body map[string]any, key string, object map[string]any) {
	if len(object) > 0 {
		body[key] = object
	}
}

// encodeJSON finishes a request whose body is one JSON object, streamed as framing has it.
// The user's extra fields win over ours.
func encodeJSON(u *url.URL, framing Framing, call *Call, body map[string]any) (*Encoded, error) {
	merge(body, call.Options.Extra)
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	switch {
	case !call.Stream:
		h.Set("Accept", "application/json")
	case framing == NDJSON:
		h.Set("Accept", "application/x-ndjson")
	default:
		h.Set("Accept", "text/event-stream")
	}
	return &Encoded{URL: u, Header: h, Body: b}, nil
}

// merge puts extra into ours. Objects that both have are merged in turn, so that one option can be added to those that
// a protocol keeps in an object of their own; null takes a member away.
func merge(ours map[string]any, extra map[string]json.RawMessage) {
	for key, value := range extra {
		object, both := ours[key].(map[string]any)
		var members map[string]json.RawMessage
		switch err := json.Unmarshal(value, &members); {
		case err == nil && members == nil:
			delete(ours, key)
		case err == nil && both:
			merge(object, members)
		default:
			ours[key] = value
		}
	}
}

// errNoModel is the mistake of a call whose protocol has the model in the URL.
var errNoModel = errors.New("no model given, but it is part of the URL: set the target's model")

// text is the conversation for protocols that know a prompt only: the messages' contents, one paragraph each.
func (c *Call) text() string {
	contents := make([]string, len(c.Messages))
	for i, m := range c.Messages {
		contents[i] = m.Content
	}
	return strings.Join(contents, "\n\n")
}

// split takes the system messages, joined, from the turns of the conversation. For protocols that know no other roles,
// what is neither from the user nor from the assistant counts as the user's.
func (c *Call) split() (system string, turns []Message) {
	var rules []string
	for _, m := range c.Messages {
		switch m.Role {
		case "system", "developer":
			rules = append(rules, m.Content)
		case "assistant":
			turns = append(turns, m)
		default:
			turns = append(turns, Message{Role: "user", Content: m.Content})
		}
	}
	return strings.Join(rules, "\n\n"), turns
}
