package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// gemini is a hosted service that speaks as Google's Gemini API: the model and the method are in the path, each chunk of a
// stream is of the shape of the whole answer and has the usage so far, and nothing marks the end. It has no metrics.
func gemini(s *Server) *dialect {
	ask := &protocol{read: readGemini, fail: geminiError, kind: eventStream, end: "\r\n\r\n", late: true, caps: true, lends: true}
	return &dialect{
		software: "scaffolding on HTTPServer2",
		asks: map[string]*protocol{
			"POST /v1beta/models/{call}": ask,
			"POST /v1/models/{call}":     ask,
		},
		pages: map[string]http.HandlerFunc{
			"GET /v1beta/models": func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, http.StatusOK, object{{"models", []object{{
					{"name", "models/" + s.opts.Model}, {"displayName", s.opts.Model}, {"inputTokenLimit", s.opts.MaxModelLen},
					{"outputTokenLimit", s.opts.MaxModelLen}, {"supportedGenerationMethods", []string{"generateContent", "countTokens"}},
				}}}})
			},
		},
		unknown: func(w http.ResponseWriter, _ *http.Request) {
			(&protocol{fail: geminiError}).refuse(w, &apiError{status: http.StatusNotFound, message: "Not Found"})
		},
	}
}

// geminiContent is one turn.
type geminiContent struct {
	Role  string `json:"role"`
	Parts []struct {
		Text             string          `json:"text"`
		FunctionResponse json.RawMessage `json:"functionResponse"`
	} `json:"parts"`
}

// message is the turn as a message.
func (c *geminiContent) message(role string) chatMessage {
	m := chatMessage{Role: role}
	for _, p := range c.Parts {
		m.Content += messageText(p.Text)
		if p.FunctionResponse != nil {
			m.Role, m.Content = "tool", m.Content+messageText(p.FunctionResponse)
		}
	}
	return m
}

// geminiRequest is the part of a request that matters here.
type geminiRequest struct {
	Contents          []geminiContent `json:"contents"`
	SystemInstruction *geminiContent  `json:"systemInstruction"`
	Tools             []struct {
		FunctionDeclarations []struct {
			Name                 string          `json:"name"`
			Parameters           json.RawMessage `json:"parameters"`
			ParametersJSONSchema json.RawMessage `json:"parametersJsonSchema"`
		} `json:"functionDeclarations"`
	} `json:"tools"`
	ToolConfig struct {
		FunctionCallingConfig struct {
			Mode                 string   `json:"mode"`
			AllowedFunctionNames []string `json:"allowedFunctionNames"`
		} `json:"functionCallingConfig"`
	} `json:"toolConfig"`
	GenerationConfig struct {
		MaxOutputTokens    *int            `json:"maxOutputTokens"`
		Seed               *int64          `json:"seed"`
		ResponseMIMEType   string          `json:"responseMimeType"`
		ResponseJSONSchema json.RawMessage `json:"responseJsonSchema"`
		ThinkingConfig     struct {
			IncludeThoughts bool   `json:"includeThoughts"`
			ThinkingBudget  *int   `json:"thinkingBudget"`
			ThinkingLevel   string `json:"thinkingLevel"`
		} `json:"thinkingConfig"`
	} `json:"generationConfig"`
	StampEvents bool `json:"stampEvents"` // ours
}

func readGemini(_ *Server, r *http.Request, body []byte) (*question, func(*answer) voice, error) {
	model, method, _ := strings.Cut(r.PathValue("call"), ":")
	if method != "generateContent" && method != "streamGenerateContent" {
		return nil, nil, &apiError{status: http.StatusNotFound, message: "Method " + method + " is not found."}
	}
	if method == "streamGenerateContent" && r.URL.Query().Get("alt") != "sse" {
		return nil, nil, badRequest("alt", "the stream as one JSON array is not simulated: ask for alt=sse")
	}
	var q geminiRequest
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, nil, badRequest("", "Invalid JSON payload received. %v", err)
	}
	if len(q.Contents) == 0 {
		return nil, nil, badRequest("contents", "* GenerateContentRequest.contents: contents is not specified")
	}
	c := &q.GenerationConfig
	out := &question{
		model: &model, maximum: c.MaxOutputTokens, seed: c.Seed, stream: method == "streamGenerateContent", stamp: q.StampEvents,
		effort: c.ThinkingConfig.ThinkingLevel, choice: "auto",
	}
	if out.maximum != nil && *out.maximum < 1 {
		return nil, nil, badRequest("maxOutputTokens", "max_output_tokens must be positive.")
	}
	if n := c.ThinkingConfig.ThinkingBudget; n != nil {
		switch {
		case *n == 0:
			out.effort = "none"
		case *n > 0:
			out.budget = *n
		}
	}
	if q.SystemInstruction != nil {
		out.prompt.messages = append(out.prompt.messages, q.SystemInstruction.message("system"))
	}
	for i := range q.Contents {
		out.prompt.messages = append(out.prompt.messages, q.Contents[i].message(q.Contents[i].Role))
	}
	for _, t := range q.Tools {
		for _, f := range t.FunctionDeclarations {
			schema := f.ParametersJSONSchema
			if schema == nil {
				schema = lowerTypes(f.Parameters)
			}
			out.tools = append(out.tools, tool{f.Name, schema})
		}
	}
	if len(out.tools) > 0 {
		out.prompt.tools = appendJSON(nil, q.Tools)
	}
	switch calling := &q.ToolConfig.FunctionCallingConfig; {
	case calling.Mode == "NONE":
		out.choice = "none"
	case len(calling.AllowedFunctionNames) > 0:
		out.choice = calling.AllowedFunctionNames[0]
	}
	if c.ResponseMIMEType == "application/json" {
		out.format = format{json: true, schema: c.ResponseJSONSchema}
	}
	shown := c.ThinkingConfig.IncludeThoughts
	return out, func(a *answer) voice { return newGeminiVoice(a, shown) }, out.checkChoice()
}

// lowerTypes takes a schema in Gemini's older dialect, which has its types in capitals.
func lowerTypes(schema json.RawMessage) json.RawMessage {
	for _, t := range []string{"OBJECT", "STRING", "INTEGER", "NUMBER", "BOOLEAN", "ARRAY", "NULL"} {
		schema = json.RawMessage(strings.ReplaceAll(string(schema), `"`+t+`"`, `"`+strings.ToLower(t)+`"`))
	}
	if len(schema) == 0 {
		return nil
	}
	return schema
}

// geminiVoice says an answer of generateContent. A call comes in one piece.
type geminiVoice struct {
	plainVoice
	shown bool   // thoughts are
	tail  string // what each chunk ends with
	held  spoken
	close string
}

func newGeminiVoice(a *answer, shown bool) *geminiVoice {
	a.bulky = a.say.calls
	return &geminiVoice{plainVoice: plainVoice{a}, shown: shown,
		tail: `,"modelVersion":` + string(appendJSON(nil, a.s.opts.Model)) + `,"responseId":` + string(appendJSON(nil, a.id))}
}

// part starts a chunk up to its part.
func (v *geminiVoice) part(part string) {
	v.open(`data: {"candidates":[{"content":{"parts":[{`)
	v.put(part)
}

// begin implements voice.
func (v *geminiVoice) begin(k kind) bool {
	switch {
	case k == kindText, k == kindStop:
		v.part(`"text":"`)
		v.close = `"`
	case k == kindThought && v.shown:
		v.part(`"text":"`)
		v.close = `","thought":true`
	case k == kindCalled:
		v.part(`"functionCall":`)
		v.value(v.call(&v.held))
		v.close = ""
	default:
		return false
	}
	return true
}

// call is a complete call.
func (v *geminiVoice) call(w *spoken) object {
	return object{{"name", w.name}, {"args", json.RawMessage(w.arguments)}}
}

// tell implements voice.
func (v *geminiVoice) tell(t token) {
	switch {
	case t.kind == kindText, t.kind == kindThought && v.shown:
		v.put(t.json)
	default:
		v.held.tell(t)
	}
}

// finish implements voice.
func (v *geminiVoice) finish(last bool) {
	v.put(v.close)
	v.put(`}],"role":"model"}`)
	if last && !v.plan.noFinish {
		v.put(`,"finishReason":"`)
		v.put(v.reason())
		v.put(`"`)
	}
	v.put(`,"index":0}]`)
	if !v.plan.noUsage {
		v.put(`,"usageMetadata":{"promptTokenCount":`)
		v.number(v.seq.prompt)
		if n := v.cached(); n > 0 { // zeros are left out
			v.put(`,"cachedContentTokenCount":`)
			v.number(n)
		}
		if n := v.made - v.thoughts; n > 0 {
			v.put(`,"candidatesTokenCount":`)
			v.number(n)
		}
		v.put(`,"totalTokenCount":`)
		v.number(v.seq.prompt + v.made)
		if v.thoughts > 0 {
			v.put(`,"thoughtsTokenCount":`)
			v.number(v.thoughts)
		}
		v.put(`}`)
	}
	v.put(v.tail)
}

// reason is why it ended, in Gemini's words.
func (v *geminiVoice) reason() string {
	if v.seq.reason == finishLength {
		return "MAX_TOKENS"
	}
	return "STOP"
}

// closing implements voice: where the last token has no chunk, one without text tells the end.
func (v *geminiVoice) closing() {
	if len(v.ids) == 0 {
		return
	}
	v.begin(kindStop)
	v.finish(true)
	v.seal(v.due, time.Now())
}

// failure implements voice.
func (v *geminiVoice) failure(e *apiError) {
	v.line("data: " + string(appendJSON(nil, geminiErrorBody(e))) + v.p.end)
}

// whole implements voice.
func (v *geminiVoice) whole(w *spoken) {
	parts := []object{}
	if w.thought != "" && v.shown {
		parts = append(parts, object{{"text", w.thought}, {"thought", true}})
	}
	if w.text != "" {
		parts = append(parts, object{{"text", w.text}})
	}
	if w.called {
		parts = append(parts, object{{"functionCall", v.call(w)}})
	}
	usage := object{{"promptTokenCount", v.seq.prompt}}.with(v.cached() > 0, "cachedContentTokenCount", v.cached()).with(v.made > v.thoughts, "candidatesTokenCount", v.made-v.thoughts).
		with(true, "totalTokenCount", v.seq.prompt+v.made).with(v.thoughts > 0, "thoughtsTokenCount", v.thoughts)
	v.value(object{
		{"candidates", []object{object{{"content", object{{"parts", parts}, {"role", "model"}}}}.
			with(!v.plan.noFinish, "finishReason", v.reason()).with(true, "index", 0)}},
	}.with(!v.plan.noUsage, "usageMetadata", usage).with(true, "modelVersion", v.s.opts.Model).with(true, "responseId", v.answer.id))
}

// geminiError is an error in Google's shape.
func geminiError(e *apiError, _ http.Header) (int, any) { return e.status, geminiErrorBody(e) }

func geminiErrorBody(e *apiError) object {
	kind, message := "INTERNAL", e.message
	switch e.status {
	case http.StatusBadRequest:
		kind = "INVALID_ARGUMENT"
		if e.context > 0 {
			message = fmt.Sprintf("The input token count (%d) exceeds the maximum number of tokens allowed (%d).", e.prompt, e.context)
		}
	case http.StatusUnauthorized:
		kind, message = "UNAUTHENTICATED", "API key not valid. Please pass a valid API key."
	case http.StatusNotFound:
		kind = "NOT_FOUND"
	case http.StatusTooManyRequests:
		kind, message = "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."
	case http.StatusServiceUnavailable:
		kind, message = "UNAVAILABLE", "The model is overloaded. Please try again later."
	}
	return object{{"error", object{{"code", e.status}, {"message", message}, {"status", kind}}}}
}
