package wire

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// ollamaChat is POST {base}/api/chat, Ollama's own protocol: one JSON object a line, and durations at the end that its
// OpenAI surface leaves out. It streams unless it is told not to.
func ollamaChat() *Protocol {
	return &Protocol{
		Name:       "ollama_chat",
		Framing:    NDJSON,
		Encode:     encodeOllama,
		NewDecoder: func() Decoder { return new(ollamaDecoder) },
	}
}

func encodeOllama(base *url.URL, call *Call) (*Encoded, error) {
	o := &call.Options
	want, err := o.format()
	if err != nil {
		return nil, err
	}
	body := map[string]any{"stream": call.Stream, "messages": call.Messages}
	put(body, "model", call.Model)
	options := map[string]any{}
	put(options, "num_predict", call.MaxOutputTokens)
	put(options, "temperature", o.Temperature)
	put(options, "top_p", o.TopP)
	put(options, "seed", o.Seed)
	putObject(body, "options", options)
	if o.Tools != nil { // the same shape as OpenAI's
		body["tools"] = o.Tools
	}
	switch want.Type {
	case "json_object":
		body["format"] = "json"
	case "json_schema":
		body["format"] = want.JSONSchema.Schema
	}
	switch effort := strings.ToLower(o.ReasoningEffort); effort { // as Ollama translates it on its OpenAI surface
	case "":
	case "none":
		body["think"] = false
	case "minimal":
		body["think"] = "low"
	case "xhigh", "ultra":
		body["think"] = "max"
	default:
		body["think"] = effort
	}
	return encodeJSON(base.JoinPath("api/chat"), NDJSON, call, body)
}

// ollamaDecoder reads answers of /api/chat. The last line has done:true and the counts; before it an error may come,
// as {"error":"..."} on a 200. A stream is complete with done:true. The reason "load" is that of a request without
// messages: the model was loaded, nothing was generated, and there are no counts.
type ollamaDecoder struct{}

// Decode implements Decoder.
func (d *ollamaDecoder) Decode(f Frame, ev *Event) error { return d.DecodeWhole(f.Data, ev) }

// DecodeWhole implements Decoder.
func (d *ollamaDecoder) DecodeWhole(body []byte, ev *Event) error {
	ev.Reset()
	c := cursor{b: body}
	if c.peek() != '{' || !utf8.Valid(body) {
		return malformed(body)
	}
	var reason []byte
	var nanoseconds struct{ total, load, prefill, decode int }
	var u Usage
	for c.enter('{'); c.key(); {
		switch string(c.name) {
		case "message":
			for in := c.enter('{'); in && c.key(); {
				switch string(c.name) {
				case "content":
					ev.Content = c.str()
				case "thinking":
					ev.Reasoning = c.str()
				case "tool_calls":
					for in := c.enter('['); in && c.elem(); {
						for in := c.enter('{'); in && c.key(); {
							if string(c.name) == "function" {
								openAIFunction(&c, ev)
							} else {
								c.skip()
							}
						}
					}
				default:
					c.skip()
				}
			}
		case "error":
			ev.Err = serverError(&c)
		case "done":
			ev.Done = c.yes()
		case "done_reason":
			reason = c.str()
		case "prompt_eval_count":
			c.atLeast(&u.PromptTokens)
		case "eval_count":
			c.atLeast(&u.OutputTokens)
		case "total_duration":
			c.atLeast(&nanoseconds.total)
		case "load_duration":
			c.atLeast(&nanoseconds.load)
		case "prompt_eval_duration":
			c.atLeast(&nanoseconds.prefill)
		case "eval_duration":
			c.atLeast(&nanoseconds.decode)
		default:
			c.skip()
		}
	}
	if !c.end() {
		return malformed(body)
	}
	if !ev.Done {
		return nil
	}
	ev.FinishReason = reason
	u.settle()
	ev.Usage = u
	if nanoseconds.total > 0 {
		t := &ev.Timing
		t.know()
		t.TotalSeconds = time.Duration(nanoseconds.total).Seconds()
		t.LoadSeconds = time.Duration(nanoseconds.load).Seconds()
		t.PrefillSeconds = spent(nanoseconds.prefill, u.PromptTokens)
		t.DecodeSeconds = spent(nanoseconds.decode, u.OutputTokens)
		t.GeneratedTokens = u.OutputTokens // the prompt's count has cached tokens in it: those computed are unknown
	}
	return nil
}

// spent is the time that tokens took, in seconds; -1 unknown. The server leaves zeros out, so where there are no tokens
// either it was no time; tokens in no time were not measured (a model that runs elsewhere).
func spent(nanoseconds, tokens int) float64 {
	if nanoseconds == 0 && tokens > 0 {
		return -1
	}
	return time.Duration(nanoseconds).Seconds()
}
