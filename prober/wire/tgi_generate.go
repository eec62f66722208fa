package wire

import (
	"net/url"
	"unicode/utf8"
)

// tgiGenerate is POST {base}/generate_stream and {base}/generate, the protocol of Hugging Face's Text Generation
// Inference: a prompt is continued, no chat template is applied. It is the one protocol with exactly one token an event.
func tgiGenerate() *Protocol {
	return &Protocol{
		Name:       "tgi_generate",
		Framing:    SSE,
		Encode:     encodeTGI,
		NewDecoder: func() Decoder { return new(tgiDecoder) },
	}
}

func encodeTGI(base *url.URL, call *Call) (*Encoded, error) {
	o := &call.Options
	want, err := o.format()
	if err != nil {
		return nil, err
	}
	parameters := map[string]any{"details": true} // the finish reason and the counts
	put(parameters, "max_new_tokens", call.MaxOutputTokens)
	put(parameters, "seed", o.Seed)
	// The server refuses a temperature of 0 and a top_p of 1, and has its own words for what they mean.
	switch {
	case o.Temperature == nil:
	case *o.Temperature <= 0:
		parameters["do_sample"] = false
	default:
		parameters["do_sample"] = true
		parameters["temperature"] = *o.Temperature
	}
	if o.TopP != nil && *o.TopP < 1 && (o.Temperature == nil || *o.Temperature > 0) { // with a top_p it samples
		parameters["top_p"] = *o.TopP
	}
	if want.Type == "json_schema" { // there is no word for JSON of any shape
		parameters["grammar"] = map[string]any{"type": "json", "value": want.JSONSchema.Schema}
	}
	u := base.JoinPath("generate")
	if call.Stream {
		u = base.JoinPath("generate_stream")
	}
	return encodeJSON(u, SSE, call, map[string]any{"inputs": call.text(), "parameters": parameters})
}

// tgiDecoder reads answers of /generate_stream and /generate. An event is a token; the last one also has the whole
// text ("generated_text" is null before) and the details. Special tokens, such as the end of the sequence, are counted
// and not content. A stream is complete with the generated text; there is no [DONE]. Errors come on a 200.
type tgiDecoder struct {
	tokens int
	count  tokenCount
}

// Decode implements Decoder.
func (d *tgiDecoder) Decode(f Frame, ev *Event) error {
	full, err := d.document(f.Data, ev)
	ev.Done = full != nil
	return err
}

// DecodeWhole implements Decoder.
func (d *tgiDecoder) DecodeWhole(body []byte, ev *Event) error {
	full, err := d.document(body, ev)
	ev.Content, ev.Tokens, ev.Done = full, -1, err == nil
	return err
}

// document reads an event or a whole answer. It returns the whole text, which is not nil where there is one.
func (d *tgiDecoder) document(doc []byte, ev *Event) (full []byte, err error) {
	ev.Reset()
	c := cursor{b: doc}
	if c.peek() != '{' || !utf8.Valid(doc) {
		return nil, malformed(doc)
	}
	var said report
	for c.enter('{'); c.key(); {
		switch string(c.name) {
		case "token":
			d.token(&c, ev)
		case "generated_text":
			full = c.str()
		case "details":
			u := &ev.Usage
			for in := c.enter('{'); in && c.key(); {
				switch string(c.name) {
				case "finish_reason":
					ev.FinishReason = c.str()
				case "generated_tokens":
					c.atLeast(&u.OutputTokens)
				case "input_length": // in streams only
					c.atLeast(&u.PromptTokens)
				default:
					c.skip()
				}
			}
			u.settle()
		default:
			if !said.field(&c) {
				c.skip()
			}
		}
	}
	if !c.end() {
		return nil, malformed(doc)
	}
	if said.inner != nil {
		ev.Err = said.err()
	}
	return full, nil
}

func (d *tgiDecoder) token(c *cursor, ev *Event) {
	var text []byte
	special := false
	in := c.enter('{')
	if in {
		d.tokens++
	}
	for in && c.key() {
		switch string(c.name) {
		case "text":
			text = c.str()
		case "special":
			special = c.yes()
		default:
			c.skip()
		}
	}
	if !special {
		ev.Content = text
	}
	ev.Tokens = d.count.upTo(d.tokens, ev)
}
