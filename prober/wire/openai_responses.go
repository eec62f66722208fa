package wire

import (
	"net/url"
	"unicode/utf8"
)

// openAIResponses is POST {base}/responses as OpenAI defined it and as vLLM and llama.cpp speak it. It is asked not to
// store the answer: a prober leaves nothing behind.
func openAIResponses() *Protocol {
	return &Protocol{
		Name:       "openai_responses",
		Framing:    SSE,
		Encode:     encodeResponses,
		NewDecoder: func() Decoder { return new(responsesDecoder) },
	}
}

func encodeResponses(base *url.URL, call *Call) (*Encoded, error) {
	o := &call.Options
	tools, err := o.functions()
	if err != nil {
		return nil, err
	}
	want, err := o.format()
	if err != nil {
		return nil, err
	}
	input := make([]Message, len(call.Messages))
	for i, m := range call.Messages {
		if m.Role == "tool" { // the result of a tool has a shape of its own, with an id that a Message has not
			m.Role = "user"
		}
		input[i] = m
	}
	body := map[string]any{"stream": call.Stream, "store": false, "input": input}
	put(body, "model", call.Model)
	put(body, "max_output_tokens", call.MaxOutputTokens)
	put(body, "temperature", o.Temperature)
	put(body, "top_p", o.TopP)
	put(body, "seed", o.Seed)            // vLLM
	put(body, "ignore_eos", o.IgnoreEOS) // vLLM
	put(body, "cache_salt", o.CacheSalt) // vLLM
	if o.ReasoningEffort != "" {
		body["reasoning"] = map[string]any{"effort": o.ReasoningEffort}
	}
	if tools != nil {
		type tool struct {
			Type string `json:"type"`
			function
		}
		var list []tool
		for _, f := range tools {
			list = append(list, tool{"function", f})
		}
		body["tools"] = list
	}
	switch o.ToolChoice {
	case "":
	case "auto", "none", "required":
		body["tool_choice"] = o.ToolChoice
	default:
		body["tool_choice"] = map[string]any{"type": "function", "name": o.ToolChoice}
	}
	if want.Type != "" {
		shape := map[string]any{"type": want.Type}
		if want.Type == "json_schema" {
			shape["schema"] = want.JSONSchema.Schema
			put(shape, "name", want.JSONSchema.Name)
			put(shape, "description", want.JSONSchema.Description)
			put(shape, "strict", want.JSONSchema.Strict)
		}
		body["text"] = map[string]any{"format": shape}
	}
	return encodeJSON(base.JoinPath("responses"), SSE, call, body)
}

// responsesDecoder reads answers of /v1/responses. In a stream each event says what it is in "type", and the SSE event
// name repeats it. Text is in the deltas; the events that end a part, an item or the response say all of it again, and
// count for nothing but their usage. sequence_number is not asked for: llama.cpp has none. Its "timings" and
// "prompt_progress" stand beside the response, not in it.
//
//	response.created ... output_item.added, {output_text|reasoning_text|function_call_arguments}.delta*, *.done ... response.completed
//
// A stream is complete with response.completed or response.incomplete. There is no [DONE]; one that a gateway adds
// means nothing.
type responsesDecoder struct {
	timing             ServerTiming // all that was said of it so far
	content, reasoning joiner
}

// Decode implements Decoder.
func (d *responsesDecoder) Decode(f Frame, ev *Event) error {
	ev.Reset()
	if isDone(f.Data) {
		return nil
	}
	c := cursor{b: f.Data}
	if c.peek() != '{' || !utf8.Valid(f.Data) {
		return malformed(f.Data)
	}
	var kind, delta, name []byte
	var said report
	var r response
	cached := 0
	for c.enter('{'); c.key(); {
		switch string(c.name) {
		case "type":
			kind = c.str()
		case "delta":
			delta = c.str()
		case "item":
			for in := c.enter('{'); in && c.key(); {
				if string(c.name) == "name" {
					name = c.str()
				} else {
					c.skip()
				}
			}
		case "response":
			for in := c.enter('{'); in && c.key(); {
				if !r.field(&c, ev) {
					c.skip()
				}
			}
		case "metrics":
			vllmMetrics(&c, &ev.Timing)
		case "timings":
			cached = llamaTimings(&c, &ev.Timing)
		case "prompt_progress":
			promptProgress(&c, &ev.Timing)
		default:
			if !said.field(&c) {
				c.skip()
			}
		}
	}
	if !c.end() {
		return malformed(f.Data)
	}
	if ev.Usage.Known && ev.Usage.CachedTokens == 0 {
		ev.Usage.CachedTokens = cached
	}
	if ev.Timing.Known {
		d.timing.update(&ev.Timing)
		ev.Timing = d.timing
	}
	if len(kind) == 0 {
		kind = f.Name
	}
	switch string(kind) {
	case "response.output_text.delta", "response.refusal.delta":
		ev.Content = delta
	case "response.reasoning_text.delta", "response.reasoning_summary_text.delta":
		ev.Reasoning = delta
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta",
		"response.mcp_call_arguments.delta", "response.code_interpreter_call_code.delta":
		ev.ToolCall = len(delta) > 0
	case "response.output_item.added": // an item with a name is a call; the name was generated before its arguments
		ev.ToolCall, ev.ToolName = len(name) > 0, name
	case "response.completed", "response.incomplete":
		r.finish(ev)
		ev.Done = true
	case "response.failed", "response.cancelled":
		r.fail(ev)
	case "error":
		if ev.Err = said.err(); ev.Err == nil {
			ev.Err = newServerError("an error without a message", "error", 0)
		}
	}
	if ev.Err == nil {
		ev.Err = said.inner // {"error":{...}} of whatever type, or of none
	}
	return nil
}

// DecodeWhole implements Decoder.
func (d *responsesDecoder) DecodeWhole(body []byte, ev *Event) error {
	ev.Reset()
	c := cursor{b: body}
	if c.peek() != '{' || !utf8.Valid(body) {
		return malformed(body)
	}
	var said report
	var r response
	for c.enter('{'); c.key(); {
		switch {
		case r.field(&c, ev):
		case string(c.name) == "output":
			for in := c.enter('['); in && c.elem(); {
				d.item(&c, ev)
			}
		case !said.field(&c):
			c.skip()
		}
	}
	if !c.end() {
		return malformed(body)
	}
	switch string(r.status) {
	case "failed", "cancelled":
		r.fail(ev)
	case "queued", "in_progress": // asked for in the background: not an answer yet
	default:
		r.finish(ev)
		ev.Done = true
	}
	if r.status == nil && r.failure == nil && said.message != nil { // {"object":"error","message":...}
		ev.Err = said.err()
	}
	return nil
}

// response is what the two ways of answering have in common.
type response struct {
	status  []byte // "completed", "incomplete", "failed", "cancelled", "in_progress" or "queued"
	reason  []byte // why it is incomplete: "max_output_tokens", "content_filter"
	failure *ServerError
}

// field takes the value of a key of the response, if it is one of those that count.
func (r *response) field(c *cursor, ev *Event) bool {
	switch string(c.name) {
	case "status":
		r.status = c.str()
	case "error":
		r.failure = serverError(c)
	case "incomplete_details":
		for in := c.enter('{'); in && c.key(); {
			if string(c.name) == "reason" {
				r.reason = c.str()
			} else {
				c.skip()
			}
		}
	case "usage":
		u := &ev.Usage
		for in := c.enter('{'); in && c.key(); {
			switch string(c.name) {
			case "input_tokens":
				c.atLeast(&u.PromptTokens)
			case "output_tokens":
				c.atLeast(&u.OutputTokens)
			case "input_tokens_details":
				details(c, "cached_tokens", &u.CachedTokens)
			case "output_tokens_details":
				details(c, "reasoning_tokens", &u.ReasoningTokens)
			default:
				c.skip()
			}
		}
		u.settle()
	case "metrics":
		vllmMetrics(c, &ev.Timing)
	default:
		return false
	}
	return true
}

// finish settles why the response ended: for an incomplete one the reason, for any other its status.
func (r *response) finish(ev *Event) {
	ev.FinishReason = r.status
	if len(r.reason) > 0 {
		ev.FinishReason = r.reason
	}
	ev.Err = r.failure
}

func (r *response) fail(ev *Event) {
	if ev.Err = r.failure; ev.Err == nil {
		ev.Err = newServerError("the response has the status \""+unquoted(r.status)+"\"", unquoted(r.status), 0)
	}
}

// item reads one element of a whole answer's output: a message, reasoning, or the call of a function.
func (d *responsesDecoder) item(c *cursor, ev *Event) {
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "content", "summary":
			for in := c.enter('['); in && c.elem(); {
				d.part(c, ev)
			}
		case "name":
			if s := c.str(); len(s) > 0 {
				ev.ToolCall, ev.ToolName = true, s
			}
		default:
			c.skip()
		}
	}
}

func (d *responsesDecoder) part(c *cursor, ev *Event) {
	var kind, text []byte
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "type":
			kind = c.str()
		case "text", "refusal":
			text = c.str()
		default:
			c.skip()
		}
	}
	switch string(kind) {
	case "output_text", "refusal":
		ev.Content = d.content.add(ev.Content, text)
	case "reasoning_text", "summary_text":
		ev.Reasoning = d.reasoning.add(ev.Reasoning, text)
	}
}
