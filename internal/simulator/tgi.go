package simulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// tgi is Hugging Face's Text Generation Inference. A stream is always a 200, with its header at once: whatever is wrong is
// told in an event. Answers in one piece say in their header where their time went.
func tgi(s *Server) *dialect {
	info := func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{
			{"model_id", s.opts.Model}, {"model_dtype", "float16"}, {"model_device_type", "cuda"}, {"max_concurrent_requests", s.opts.MaxQueued},
			{"max_input_tokens", s.opts.MaxModelLen - 1}, {"max_total_tokens", s.opts.MaxModelLen}, {"version", tgiVersion},
		})
	}
	chat := &protocol{read: chatProtocol(tgiChat()), fail: tgiError, kind: eventStream, end: eventEnd, lends: true, ping: tgiPing, early: tgiChatEarly}
	completion := &protocol{read: completionProtocol(tgiCompletion()), fail: tgiError, kind: eventStream, end: eventEnd, lends: true, ping: tgiPing, early: tgiChatEarly}
	generate := func(stream bool) *protocol {
		return &protocol{
			read: func(_ *Server, _ *http.Request, body []byte) (*question, func(*answer) voice, error) {
				return readGenerate(body, stream)
			},
			fail: tgiError, kind: eventStream, end: eventEnd, ping: tgiPing, early: tgiEarly,
		}
	}
	return &dialect{
		asks: map[string]*protocol{
			"POST /v1/chat/completions": chat,
			"POST /v1/completions":      completion,
			"POST /generate":            generate(false),
			"POST /generate_stream":     generate(true),
		},
		pages: map[string]http.HandlerFunc{
			"GET /info":   info,
			"GET /health": s.serveHealth,
			"GET /ping":   s.serveHealth,
			"GET /v1/models": func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, http.StatusOK, object{{"object", "list"}, {"data", []object{{
					{"id", s.opts.Model}, {"object", "model"}, {"created", 0}, {"owned_by", s.opts.Model},
				}}}})
			},
		},
		unknown: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		page:    func(o *Options, now func() load) page { return newTGIPage(o, now) },
	}
}

const (
	tgiVersion = "3.3.6"
	tgiPrint   = tgiVersion + "-native"
	tgiPing    = 15 * time.Second // axum's default
	tgiCompute = "1-nvidia-a10g"
)

func tgiChat() chatStyle {
	return chatStyle{
		data:   "data:",
		head:   `{"object":"chat.completion.chunk","id":"","created":$created,"model":$model,"system_fingerprint":$print,"choices":[`,
		tail:   `]`,
		choice: `{"index":0,"delta":`,
		goOn:   `,"logprobs":null,"finish_reason":null`,
		last:   [2]string{`,"logprobs":null,"finish_reason":"`, `"`},

		each:        `"role":"assistant",`,
		text:        `"content":"`,
		noArguments: `","arguments":""}}]}`,
		print:       tgiPrint,

		unused: `,"usage":null`,
		usage:  func(v *chatVoice) object { return v.plainUsage() },
		whole: func(v *chatVoice, w *spoken) object {
			message := object{{"role", "assistant"}}
			if w.name == "" {
				message = message.with(true, "content", w.text)
			} else {
				message = message.with(true, "tool_calls", []object{v.call(w)})
			}
			return v.tgiWhole("chat.completion", object{{"index", 0}, {"message", message}, {"logprobs", nil}, {"finish_reason", v.why()}})
		},
		error:  tgiChatErrorBody,
		header: func(v *chatVoice, h http.Header) { v.tgiHeader(h) },
	}
}

func tgiCompletion() chatStyle {
	st := completionStyle(tgiChat())
	st.goOn = `,"logprobs":null,"finish_reason":""`
	st.lastUsage, st.unused = true, ""
	st.whole = func(v *chatVoice, w *spoken) object {
		return v.tgiWhole("text_completion", object{{"index", 0}, {"text", w.text}, {"logprobs", nil}, {"finish_reason", v.why()}})
	}
	return st
}

func (v *chatVoice) tgiWhole(kind string, choice object) object {
	return object{
		{"object", kind}, {"id", ""}, {"created", v.created}, {"model", v.s.opts.Model}, {"system_fingerprint", tgiPrint}, {"choices", []object{choice}},
	}.with(!v.plan.noUsage, "usage", v.style.usage(v))
}

// plainUsage is the usage of most servers that count nothing else.
func (a *answer) plainUsage() object {
	return object{{"prompt_tokens", a.seq.prompt}, {"completion_tokens", a.made}, {"total_tokens", a.seq.prompt + a.made}}
}

// tgiHeader says where the time of an answer in one piece went, in whole milliseconds, cut off.
func (a *answer) tgiHeader(h http.Header) {
	if a.q.stream {
		return
	}
	t := a.seq.timeline()
	total := a.s.clock.now().sub(a.seq.arrival)
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	h.Set("X-Compute-Type", tgiCompute)
	h.Set("X-Compute-Time", strconv.FormatFloat(total.Seconds(), 'f', -1, 64))
	h.Set("X-Compute-Characters", strconv.Itoa(a.q.prompt.characters()))
	h.Set("X-Total-Time", ms(total))
	h.Set("X-Validation-Time", "0")
	h.Set("X-Queue-Time", ms(t.scheduled.sub(a.seq.arrival)))
	h.Set("X-Inference-Time", ms(t.last.sub(t.scheduled)))
	h.Set("X-Time-Per-Token", ms(t.last.sub(t.scheduled)/time.Duration(max(t.made, 1))))
	h.Set("X-Prompt-Tokens", strconv.Itoa(a.seq.prompt))
	h.Set("X-Generated-Tokens", strconv.Itoa(t.made))
}

// generateRequest is a request of TGI's own protocol.
type generateRequest struct {
	Inputs     string `json:"inputs"`
	Parameters struct {
		MaxNewTokens *int   `json:"max_new_tokens"`
		Seed         *int64 `json:"seed"`
		Details      bool   `json:"details"`
		Grammar      *struct {
			Type  string          `json:"type"`
			Value json.RawMessage `json:"value"`
		} `json:"grammar"`
	} `json:"parameters"`
	StampEvents bool `json:"stamp_events"` // ours
}

func readGenerate(body []byte, stream bool) (*question, func(*answer) voice, error) {
	var r generateRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, nil, &apiError{status: http.StatusUnprocessableEntity, message: "Failed to deserialize the JSON body into the target type: " + err.Error()}
	}
	p := r.Parameters
	q := &question{prompt: prompt{plain: true, text: r.Inputs}, maximum: p.MaxNewTokens, seed: p.Seed, stream: stream, stamp: r.StampEvents, effort: "none"}
	switch {
	case r.Inputs == "":
		return q, nil, &apiError{status: http.StatusUnprocessableEntity, message: "`inputs` cannot be empty"}
	case q.maximum == nil:
		q.maximum = new(100)
	case *q.maximum < 1:
		return q, nil, &apiError{status: http.StatusUnprocessableEntity, message: "`max_new_tokens` must be strictly positive"}
	}
	if p.Grammar != nil && (p.Grammar.Type == "json" || p.Grammar.Type == "json_object") {
		q.format = format{json: true, schema: p.Grammar.Value}
	}
	return q, func(a *answer) voice { return &generateVoice{plainVoice: plainVoice{a}, r: &r} }, nil
}

// generateVoice says a generation of TGI's own protocol: a token is an event, and the last one has the whole text too.
type generateVoice struct {
	plainVoice
	r    *generateRequest
	text []byte // all of it, as JSON
}

// header implements voice.
func (v *generateVoice) header(h http.Header) {
	if v.q.stream {
		h.Set("X-Compute-Type", tgiCompute)
		h.Set("X-Compute-Characters", strconv.Itoa(v.q.prompt.characters()))
	}
	v.tgiHeader(h)
}

// begin implements voice.
func (v *generateVoice) begin(k kind) bool {
	v.open(`data:{"index":`)
	v.number(v.made)
	v.put(`,"token":{"id":`)
	return true
}

// tell implements voice.
func (v *generateVoice) tell(t token) {
	if len(v.ids) == 1 { // several in one event are a fault: it has the id of the first
		v.number(t.id)
		v.put(`,"text":"`)
	}
	if t.kind == kindStop {
		v.put("</s>")
		return
	}
	v.put(t.json)
	v.text = append(v.text, t.json...)
}

// finish implements voice.
func (v *generateVoice) finish(last bool) {
	if v.seq.reason == finishStop && last {
		v.put(`","logprob":-0.5,"special":true},"generated_text":`)
	} else {
		v.put(`","logprob":-0.5,"special":false},"generated_text":`)
	}
	if !last || v.plan.noFinish {
		v.put(`null,"details":null`)
		return
	}
	v.put(`"`)
	v.buf = append(v.buf, v.text...)
	v.put(`","details":`)
	if !v.r.Parameters.Details || v.plan.noUsage {
		v.put("null")
		return
	}
	v.value(object{{"finish_reason", v.generateReason()}, {"generated_tokens", v.made}, {"seed", v.r.Parameters.Seed}, {"input_length", v.seq.prompt}})
}

// generateReason is why it ended, in TGI's words.
func (v *generateVoice) generateReason() string {
	if v.seq.reason == finishStop {
		return "eos_token"
	}
	return "length"
}

// closing implements voice: the last token's event was the end.
func (v *generateVoice) closing() {}

// failure implements voice.
func (v *generateVoice) failure(e *apiError) { v.line(tgiEarly(e)) }

// whole implements voice.
func (v *generateVoice) whole(w *spoken) {
	var details any
	if v.r.Parameters.Details && !v.plan.noUsage {
		tokens := []object{}
		for _, t := range w.tokens {
			tokens = append(tokens, object{{"id", t.id}, {"text", t.text}, {"logprob", -0.5}, {"special", t.kind == kindStop}})
		}
		var why any = v.generateReason()
		if v.plan.noFinish {
			why = nil
		}
		details = object{{"finish_reason", why}, {"generated_tokens", v.made}, {"seed", v.r.Parameters.Seed}, {"prefill", []any{}}, {"tokens", tokens}}
	}
	v.value(object{{"generated_text", w.text}}.with(details != nil, "details", details))
}

// tgiError is an error in TGI's shape.
func tgiError(e *apiError, _ http.Header) (int, any) {
	message, kind, status := tgiWords(e)
	return status, object{{"error", message}, {"error_type", kind}}
}

func tgiWords(e *apiError) (message, kind string, status int) {
	switch e.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "Model is overloaded", "overloaded", http.StatusTooManyRequests
	case http.StatusInternalServerError:
		return "Request failed during generation: " + e.message, "generation", http.StatusFailedDependency
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "Input validation error: " + e.message, "validation", http.StatusUnprocessableEntity
	}
	return e.message, "validation", e.status
}

// tgiEarly tells a stream of an error, at whatever time.
func tgiEarly(e *apiError) string {
	if e.status == http.StatusUnauthorized {
		return ""
	}
	message, kind, _ := tgiWords(e)
	return "data:" + string(appendJSON(nil, object{{"error", message}, {"error_type", kind}})) + eventEnd
}

// tgiChatErrorBody is an error on the OpenAI routes: the status in it is the same whatever went wrong.
func tgiChatErrorBody(e *apiError) string {
	message, _, _ := tgiWords(e)
	return string(appendJSON(nil, object{{"error", object{{"message", message}, {"http_status_code", http.StatusUnprocessableEntity}}}}))
}

func tgiChatEarly(e *apiError) string {
	if e.status == http.StatusUnauthorized {
		return ""
	}
	return "data:" + tgiChatErrorBody(e) + eventEnd
}
