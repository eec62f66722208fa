package wire

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// gemini is POST {base}/models/{model}:streamGenerateContent?alt=sse and :generateContent, the protocol of Google's
// Gemini API and of Vertex AI. The base URL holds the version: https://generativelanguage.googleapis.com/v1beta, or
// Vertex AI's .../v1/projects/PROJECT/locations/LOCATION/publishers/google.
func gemini() *Protocol {
	return &Protocol{
		Name:       "gemini",
		Framing:    SSE,
		Encode:     encodeGemini,
		NewDecoder: func() Decoder { return new(geminiDecoder) },
	}
}

func encodeGemini(base *url.URL, call *Call) (*Encoded, error) {
	o := &call.Options
	tools, err := o.functions()
	if err != nil {
		return nil, err
	}
	want, err := o.format()
	if err != nil {
		return nil, err
	}
	if call.Model == "" {
		return nil, errNoModel
	}
	type part struct {
		Text string `json:"text"`
	}
	type content struct {
		Role  string `json:"role,omitempty"`
		Parts []part `json:"parts"`
	}
	system, turns := call.split()
	contents := make([]content, len(turns))
	for i, m := range turns {
		role := m.Role
		if role == "assistant" {
			role = "model"
		}
		contents[i] = content{role, []part{{m.Content}}}
	}
	body := map[string]any{"contents": contents}
	if system != "" {
		body["systemInstruction"] = content{Parts: []part{{system}}}
	}

	config := map[string]any{}
	put(config, "maxOutputTokens", call.MaxOutputTokens)
	put(config, "temperature", o.Temperature)
	put(config, "topP", o.TopP)
	put(config, "seed", o.Seed)
	switch want.Type {
	case "json_object":
		config["responseMimeType"] = "application/json"
	case "json_schema":
		config["responseMimeType"] = "application/json"
		config["responseJsonSchema"] = want.JSONSchema.Schema
	}
	switch strings.ToLower(o.ReasoningEffort) { // levels are Gemini 3's; the budget, Gemini 2.5's, can be given in extra
	case "":
	case "none":
		config["thinkingConfig"] = map[string]any{"thinkingBudget": 0}
	default:
		config["thinkingConfig"] = map[string]any{"thinkingLevel": strings.ToUpper(o.ReasoningEffort)}
	}
	putObject(body, "generationConfig", config)

	if tools != nil {
		var list []map[string]any
		for _, f := range tools {
			declaration := map[string]any{"name": f.Name}
			put(declaration, "description", f.Description)
			if f.Parameters != nil {
				declaration["parametersJsonSchema"] = f.Parameters
			}
			list = append(list, declaration)
		}
		body["tools"] = []any{map[string]any{"functionDeclarations": list}}
	}
	if o.ToolChoice != "" {
		calling := map[string]any{}
		switch o.ToolChoice {
		case "auto", "none":
			calling["mode"] = strings.ToUpper(o.ToolChoice)
		case "required":
			calling["mode"] = "ANY"
		default:
			calling["mode"] = "ANY"
			calling["allowedFunctionNames"] = []string{o.ToolChoice}
		}
		body["toolConfig"] = map[string]any{"functionCallingConfig": calling}
	}

	// A model may be given with its collection: models/x, tunedModels/x, publishers/google/models/x.
	path := strings.Split(call.Model, "/")
	if len(path) == 1 {
		path = []string{"models", call.Model}
	}
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	method := ":generateContent"
	if call.Stream {
		method = ":streamGenerateContent"
	}
	u := base.JoinPath(strings.Join(path, "/") + method)
	if call.Stream {
		query := u.Query()
		query.Set("alt", "sse") // without it the stream is one JSON array, which nobody can read before its end
		u.RawQuery = query.Encode()
	}
	return encodeJSON(u, SSE, call, body)
}

// geminiDecoder reads answers of generateContent; each event of a stream is one of the same shape. The text is in parts,
// those of the model's thinking are marked. The usage is cumulative: on every event from the Gemini API, on the last
// one from Vertex AI; what is zero is left out. A stream is complete with a finish reason, after which it just ends.
// A prompt that was blocked has no candidates, and is an error here.
type geminiDecoder struct {
	usage              Usage
	candidates         int // output tokens, thinking left out
	count              tokenCount
	content, reasoning joiner
}

// Decode implements Decoder.
func (d *geminiDecoder) Decode(f Frame, ev *Event) error { return d.document(f.Data, ev) }

// DecodeWhole implements Decoder.
func (d *geminiDecoder) DecodeWhole(body []byte, ev *Event) error {
	if err := d.document(body, ev); err != nil {
		return err
	}
	ev.Done = true
	return nil
}

func (d *geminiDecoder) document(doc []byte, ev *Event) error {
	ev.Reset()
	c := cursor{b: doc}
	if c.peek() != '{' || !utf8.Valid(doc) {
		return malformed(doc)
	}
	var blocked, why []byte
	for c.enter('{'); c.key(); {
		switch string(c.name) {
		case "candidates":
			for n, in := 0, c.enter('['); in && c.elem(); n++ {
				if n == 0 {
					d.candidate(&c, ev)
				} else {
					c.skip()
				}
			}
		case "usageMetadata":
			d.metadata(&c)
			ev.Usage = d.usage
		case "promptFeedback":
			for in := c.enter('{'); in && c.key(); {
				switch string(c.name) {
				case "blockReason":
					blocked = c.str()
				case "blockReasonMessage":
					why = c.str()
				default:
					c.skip()
				}
			}
		case "error":
			ev.Err = serverError(&c)
		default:
			c.skip()
		}
	}
	if !c.end() {
		return malformed(doc)
	}
	if len(blocked) > 0 && ev.Err == nil {
		message := "the prompt was blocked"
		if len(why) > 0 {
			message += ": " + unquoted(why)
		}
		ev.Err = newServerError(message, unquoted(blocked), 0)
	}
	ev.Tokens = d.count.upTo(d.usage.OutputTokens, ev)
	return nil
}

// metadata reads a usageMetadata; Vertex AI's may hold the kind of traffic only.
func (d *geminiDecoder) metadata(c *cursor) {
	u := &d.usage
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "promptTokenCount":
			c.atLeast(&u.PromptTokens)
		case "cachedContentTokenCount":
			c.atLeast(&u.CachedTokens)
		case "candidatesTokenCount":
			c.atLeast(&d.candidates)
		case "thoughtsTokenCount":
			c.atLeast(&u.ReasoningTokens)
		default:
			c.skip()
		}
	}
	u.OutputTokens = d.candidates + u.ReasoningTokens
	u.settle()
}

func (d *geminiDecoder) candidate(c *cursor, ev *Event) {
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "content":
			for in := c.enter('{'); in && c.key(); {
				if string(c.name) != "parts" {
					c.skip()
					continue
				}
				for in := c.enter('['); in && c.elem(); {
					d.part(c, ev)
				}
			}
		case "finishReason":
			ev.FinishReason = c.str()
		default:
			c.skip()
		}
	}
}

func (d *geminiDecoder) part(c *cursor, ev *Event) {
	var text []byte
	thought := false
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "text":
			text = c.str()
		case "thought":
			thought = c.yes()
		case "functionCall":
			for in := c.enter('{'); in && c.key(); {
				switch string(c.name) {
				case "name":
					if s := c.str(); len(s) > 0 {
						ev.ToolCall, ev.ToolName = true, s
					}
				case "args", "partialArgs":
					if s := c.raw(); len(s) > 2 { // more than {} or []
						ev.ToolCall = true
					}
				default:
					c.skip()
				}
			}
		default:
			c.skip()
		}
	}
	if thought {
		ev.Reasoning = d.reasoning.add(ev.Reasoning, text)
	} else {
		ev.Content = d.content.add(ev.Content, text)
	}
}
