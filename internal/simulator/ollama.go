package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// ollama is Ollama: its own protocol, of one JSON object a line, with durations at the end, and its OpenAI surface, without.
// It has no metrics.
func ollama(s *Server) *dialect {
	tag := object{{"name", s.opts.Model}, {"model", s.opts.Model}, {"modified_at", s.created.UTC().Format(time.RFC3339Nano)}, {"size", 4920753328},
		{"details", object{{"format", "gguf"}, {"family", "sim"}, {"parameter_size", "8.0B"}, {"quantization_level", "Q4_K_M"}}}}
	models := func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{{"models", []object{tag}}})
	}
	return &dialect{
		asks: map[string]*protocol{
			"POST /api/chat":            {read: readOllama, fail: ollamaError, kind: lineStream, end: lineEnd, late: true, caps: true, lends: true},
			"POST /v1/chat/completions": {read: chatProtocol(ollamaChat()), fail: ollamaOpenAIError, kind: eventStream, end: eventEnd, late: true, caps: true, lends: true},
		},
		pages: map[string]http.HandlerFunc{
			"GET /api/tags": models,
			"GET /api/ps":   models,
			"GET /api/version": func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, http.StatusOK, object{{"version", "0.13.0"}})
			},
			"GET /{$}": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				w.Write([]byte("Ollama is running")) //nolint:errcheck // the client went away
			},
			"GET /v1/models": func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, http.StatusOK, object{{"object", "list"}, {"data", []object{{
					{"id", s.opts.Model}, {"object", "model"}, {"created", s.created.Unix()}, {"owned_by", "library"},
				}}}})
			},
		},
		unknown: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "404 page not found", http.StatusNotFound) },
	}
}

// ollamaRequest is a request of /api/chat. It streams unless it says that it does not.
type ollamaRequest struct {
	Model    *string         `json:"model"`
	Messages []chatMessage   `json:"messages"`
	Stream   *bool           `json:"stream"`
	Tools    json.RawMessage `json:"tools"`
	Format   json.RawMessage `json:"format"` // "json", or a schema
	Think    json.RawMessage `json:"think"`  // true, false, or an effort
	Options  struct {
		NumPredict *int   `json:"num_predict"` // below 1: no cap
		Seed       *int64 `json:"seed"`
	} `json:"options"`
	StampEvents bool `json:"stamp_events"` // ours
}

func readOllama(_ *Server, _ *http.Request, body []byte) (*question, func(*answer) voice, error) {
	var r ollamaRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, nil, &apiError{status: http.StatusBadRequest, message: err.Error()}
	}
	q := &question{
		model: r.Model, prompt: prompt{messages: r.Messages, tools: r.Tools}, seed: r.Options.Seed,
		stream: r.Stream == nil || *r.Stream, stamp: r.StampEvents,
	}
	if n := r.Options.NumPredict; n != nil && *n > 0 {
		q.maximum = n
	}
	switch think := string(r.Think); think {
	case "", "null", "false":
	case "true":
		q.effort = "medium"
	default:
		if err := json.Unmarshal(r.Think, &q.effort); err != nil {
			return q, nil, &apiError{status: http.StatusBadRequest, message: "think must be a boolean or a string"}
		}
	}
	switch want := string(r.Format); want {
	case "", "null", `""`:
	case `"json"`:
		q.format = format{json: true}
	default:
		q.format = format{json: true, schema: r.Format}
	}
	var err error
	q.tools, err = openAITools(r.Tools)
	return q, func(a *answer) voice { return newOllamaVoice(a) }, err
}

// ollamaVoice says an answer of /api/chat. A call comes in one piece.
type ollamaVoice struct {
	plainVoice
	before string // up to the moment
	held   spoken
	close  string
}

func newOllamaVoice(a *answer) *ollamaVoice {
	a.bulky = a.say.calls
	return &ollamaVoice{plainVoice: plainVoice{a}, before: `{"model":` + string(appendJSON(nil, a.s.opts.Model)) + `,"created_at":"`}
}

// message starts an object with the time at which it is made.
func (v *ollamaVoice) message(content string) {
	v.open(v.before)
	v.buf = time.Now().UTC().AppendFormat(v.buf, time.RFC3339Nano)
	v.put(`","message":{"role":"assistant",`)
	v.put(content)
}

// begin implements voice.
func (v *ollamaVoice) begin(k kind) bool {
	switch k {
	case kindText:
		v.message(`"content":"`)
		v.close = `"},"done":false`
	case kindThought:
		v.message(`"content":"","thinking":"`)
		v.close = `"},"done":false`
	case kindCalled:
		v.message(`"content":"","tool_calls":`)
		v.value([]object{v.call(&v.held)})
		v.close = `},"done":false`
	default:
		return false
	}
	return true
}

// call is a complete call, whose arguments are an object.
func (v *ollamaVoice) call(w *spoken) object {
	return object{{"id", v.callID("call_")}, {"function", object{{"index", 0}, {"name", w.name}, {"arguments", json.RawMessage(w.arguments)}}}}
}

// tell implements voice.
func (v *ollamaVoice) tell(t token) {
	switch t.kind {
	case kindText, kindThought:
		v.put(t.json)
	default:
		v.held.tell(t)
	}
}

// finish implements voice.
func (v *ollamaVoice) finish(bool) { v.put(v.close) }

// closing implements voice.
func (v *ollamaVoice) closing() {
	if v.plan.noDone && v.plan.noFinish {
		return
	}
	v.message(`"content":""}`)
	v.put(`,"done":true`)
	v.ending()
	v.seal(v.due, time.Now())
}

// ending is what the last line has beside its message.
func (v *ollamaVoice) ending() {
	var o object
	o = o.with(!v.plan.noFinish, "done_reason", v.seq.reason)
	if !v.plan.noUsage {
		o = append(o, v.durations()...)
	}
	for _, m := range o {
		v.put(",")
		v.value(m.key)
		v.put(":")
		v.value(m.value)
	}
}

// durations says where the time went, in nanoseconds. What is zero is left out, as Ollama does. What is missing in the sum
// is the wait for a place.
func (v *ollamaVoice) durations() object {
	t := v.seq.timeline()
	var o object
	for _, m := range []struct {
		key string
		n   int64
	}{
		{"total_duration", int64(t.last.sub(v.seq.arrival))},
		{"load_duration", int64(t.loading)},
		{"prompt_eval_count", int64(v.seq.prompt)},
		{"prompt_eval_duration", int64(t.first.sub(t.scheduled))},
		{"eval_count", int64(v.made)},
		{"eval_duration", int64(t.last.sub(t.first))},
	} {
		o = o.with(m.n != 0, m.key, m.n)
	}
	return o
}

// failure implements voice.
func (v *ollamaVoice) failure(e *apiError) {
	v.line(string(appendJSON(nil, object{{"error", e.message}})) + lineEnd)
}

// whole implements voice.
func (v *ollamaVoice) whole(w *spoken) {
	v.message(`"content":`)
	v.value(w.text)
	if w.thought != "" {
		v.put(`,"thinking":`)
		v.value(w.thought)
	}
	if w.called {
		v.put(`,"tool_calls":`)
		v.value([]object{v.call(w)})
	}
	v.put(`},"done":true`)
	v.ending()
	v.put("}")
}

func ollamaError(e *apiError, _ http.Header) (int, any) {
	return e.status, object{{"error", ollamaWords(e)}}
}

func ollamaWords(e *apiError) string {
	switch {
	case e.status == http.StatusServiceUnavailable:
		return "server busy, please try again.  maximum pending requests exceeded"
	case e.status == http.StatusNotFound:
		return fmt.Sprintf("model %q not found", e.name)
	case e.status == http.StatusUnauthorized:
		return "unauthorized"
	}
	return e.message
}

func ollamaOpenAIError(e *apiError, _ http.Header) (int, any) {
	return e.status, object{{"error", object{{"message", ollamaWords(e)}, {"type", openAIKind(e)}, {"param", nil}, {"code", nil}}}}
}

// ollamaChat is Ollama's chat on its OpenAI surface: the first chunk has the role and the first token at once.
func ollamaChat() chatStyle {
	return chatStyle{
		data:   "data: ",
		head:   `{"id":$id,"object":"chat.completion.chunk","created":$created,"model":$model,"system_fingerprint":$print,"choices":[`,
		tail:   `]`,
		choice: `{"index":0,"delta":`,
		goOn:   `,"finish_reason":null`,
		finish: [2]string{`{"index":0,"delta":{},"finish_reason":"`, `"}`},

		first:      `"role":"assistant",`,
		text:       `"content":"`,
		thought:    `"content":"","reasoning":"`,
		wholeCalls: true,
		callID:     "call_",
		print:      "fp_ollama",

		usage: func(v *chatVoice) object { return v.plainUsage() },
		whole: func(v *chatVoice, w *spoken) object {
			message := object{{"role", "assistant"}, {"content", w.text}}.with(w.thought != "", "reasoning", w.thought).with(w.called, "tool_calls", []object{v.call(w)})
			return v.completion("chat.completion", object{{"index", 0}, {"message", message}, {"finish_reason", v.why()}})
		},
		error: func(e *apiError) string {
			return string(appendJSON(nil, object{{"error", object{{"message", e.message}, {"type", openAIKind(e)}, {"param", nil}, {"code", nil}}}}))
		},
	}
}
