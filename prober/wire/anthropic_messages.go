package wire

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// anthropicVersion is the version of the API that is spoken here, sent as the header anthropic-version.
const anthropicVersion = "2023-06-01"

var errNoMaxTokens = errors.New("no cap on output tokens given, but this API demands one: set max_output_tokens")

// anthropicMessages is POST /v1/messages as Anthropic defined it and as llama.cpp, vLLM, SGLang, Ollama and gateways
// speak it. Anthropic's SDKs are given a base URL without /v1, the others' with it: both are taken.
func anthropicMessages() *Protocol {
	return &Protocol{
		Name:       "anthropic_messages",
		Framing:    SSE,
		Encode:     encodeAnthropic,
		NewDecoder: func() Decoder { return new(anthropicDecoder) },
	}
}

func encodeAnthropic(base *url.URL, call *Call) (*Encoded, error) {
	o := &call.Options
	tools, err := o.functions()
	if err != nil {
		return nil, err
	}
	want, err := o.format()
	if err != nil {
		return nil, err
	}
	if _, given := o.Extra["max_tokens"]; call.MaxOutputTokens <= 0 && !given {
		return nil, errNoMaxTokens
	}
	system, turns := call.split()
	body := map[string]any{"stream": call.Stream, "messages": turns}
	put(body, "model", call.Model)
	put(body, "system", system)
	put(body, "max_tokens", call.MaxOutputTokens)
	put(body, "temperature", o.Temperature)
	put(body, "top_p", o.TopP)
	if tools != nil {
		var list []map[string]any
		for _, f := range tools {
			tool := map[string]any{"name": f.Name, "input_schema": f.Parameters}
			if f.Parameters == nil {
				tool["input_schema"] = map[string]any{"type": "object"}
			}
			put(tool, "description", f.Description)
			put(tool, "strict", f.Strict)
			list = append(list, tool)
		}
		body["tools"] = list
	}
	switch o.ToolChoice {
	case "":
	case "auto", "none":
		body["tool_choice"] = map[string]any{"type": o.ToolChoice}
	case "required":
		body["tool_choice"] = map[string]any{"type": "any"}
	default:
		body["tool_choice"] = map[string]any{"type": "tool", "name": o.ToolChoice}
	}
	output := map[string]any{}
	switch effort := strings.ToLower(o.ReasoningEffort); effort {
	case "none": // a word of OpenAI's; the least effort here still thinks
		body["thinking"] = map[string]any{"type": "disabled"}
	case "minimal":
		output["effort"] = "low"
	default:
		put(output, "effort", effort)
	}
	if want.Type == "json_schema" { // there is no word for JSON of any shape
		output["format"] = map[string]any{"type": want.Type, "schema": want.JSONSchema.Schema}
	}
	putObject(body, "output_config", output)

	u := base.JoinPath("messages")
	if !strings.HasSuffix(strings.TrimSuffix(base.Path, "/"), "/v1") {
		u = base.JoinPath("v1/messages")
	}
	e, err := encodeJSON(u, SSE, call, body)
	if err != nil {
		return nil, err
	}
	e.Header.Set("Anthropic-Version", anthropicVersion)
	return e, nil
}

// anthropicDecoder reads answers of /v1/messages. The fields tell the deltas apart, so a kind of delta that is not
// known (a signature, a citation) carries nothing:
//
//	message_start, {content_block_start, content_block_delta*, content_block_stop}*, message_delta, message_stop
//
// ping may come anywhere, and so may an error event on a 200. The usage is cumulative and in two parts: the prompt's in
// message_start, the output's in message_delta; prompt tokens that were written to the cache or read from it are not in
// input_tokens. A stream is complete with a stop reason or message_stop.
type anthropicDecoder struct {
	usage              Usage
	fresh, wrote, read int // prompt tokens: neither, written to the cache, read from it

	content, reasoning joiner
}

// Decode implements Decoder.
func (d *anthropicDecoder) Decode(f Frame, ev *Event) error {
	kind, err := d.document(f.Data, f.Name, ev)
	if err != nil {
		return err
	}
	if len(kind) == 0 {
		kind = f.Name
	}
	ev.Done = string(kind) == "message_stop"
	return nil
}

// DecodeWhole implements Decoder.
func (d *anthropicDecoder) DecodeWhole(body []byte, ev *Event) error {
	if _, err := d.document(body, nil, ev); err != nil {
		return err
	}
	ev.Done = true
	return nil
}

// document reads an event, of which name is what its frame says, or a whole message: the latter has its content and its stop reason
// where an event has none.
func (d *anthropicDecoder) document(doc, name []byte, ev *Event) (kind []byte, err error) {
	ev.Reset()
	c := cursor{b: doc}
	if c.peek() != '{' || !utf8.Valid(doc) {
		return nil, malformed(doc)
	}
	var said report
	for c.enter('{'); c.key(); {
		switch string(c.name) {
		case "type":
			kind = c.str()
		case "delta", "content_block":
			d.block(&c, ev)
		case "content":
			for in := c.enter('['); in && c.elem(); {
				d.block(&c, ev)
			}
		case "message":
			if c.peek() != '{' {
				said.field(&c) // an error event of another make
				continue
			}
			for c.enter('{'); c.key(); {
				if string(c.name) == "usage" {
					d.count(&c, ev)
				} else {
					c.skip()
				}
			}
		case "usage":
			d.count(&c, ev)
		case "stop_reason":
			ev.FinishReason = c.str()
		default:
			if !said.field(&c) {
				c.skip()
			}
		}
	}
	if !c.end() {
		return nil, malformed(doc)
	}
	failed := string(kind) == "error"
	if !failed && string(name) == "error" { // llama.cpp: the type is the error's own
		failed, said.class = true, kind
	}
	if ev.Err = said.inner; ev.Err == nil && failed {
		if ev.Err = said.err(); ev.Err == nil {
			ev.Err = newServerError("an error without a message", "error", 0)
		}
	}
	return kind, nil
}

// block reads a content block, or what a delta adds to one.
func (d *anthropicDecoder) block(c *cursor, ev *Event) {
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "text":
			ev.Content = d.content.add(ev.Content, c.str())
		case "thinking":
			ev.Reasoning = d.reasoning.add(ev.Reasoning, c.str())
		case "partial_json":
			if len(c.str()) > 0 {
				ev.ToolCall = true
			}
		case "name": // of a tool_use block; text and thinking have none
			if s := c.str(); len(s) > 0 {
				ev.ToolCall, ev.ToolName = true, s
			}
		case "stop_reason":
			ev.FinishReason = c.str()
		default:
			c.skip()
		}
	}
}

// count reads a usage. Counts only rise: some servers fill one of the two places with zeros.
func (d *anthropicDecoder) count(c *cursor, ev *Event) {
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "input_tokens":
			c.atLeast(&d.fresh)
		case "cache_creation_input_tokens":
			c.atLeast(&d.wrote)
		case "cache_read_input_tokens":
			c.atLeast(&d.read)
		case "output_tokens":
			c.atLeast(&d.usage.OutputTokens)
		case "output_tokens_details":
			details(c, "thinking_tokens", &d.usage.ReasoningTokens)
		default:
			c.skip()
		}
	}
	d.usage.PromptTokens, d.usage.CachedTokens = d.fresh+d.wrote+d.read, d.read
	d.usage.settle()
	ev.Usage = d.usage
}
