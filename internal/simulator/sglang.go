package simulator

import (
	"net/http"
)

// sglang is SGLang's OpenAI-compatible server. Its generator is started before the header is sent, so the header comes with
// the first token; the end is a chunk of its own; and a stream is told of a full queue in an event, on a 200.
func sglang(s *Server) *dialect {
	ask := func(read func(*Server, *http.Request, []byte) (*question, func(*answer) voice, error)) *protocol {
		return &protocol{read: read, fail: sglangError, kind: utf8EventStream, end: eventEnd, lends: true, late: true, early: sglangEarly}
	}
	info := func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{{"model_path", s.opts.Model}, {"is_generation", true}, {"max_total_num_tokens", s.opts.KVTokens}})
	}
	return &dialect{
		software: "uvicorn",
		asks: map[string]*protocol{
			"POST /v1/chat/completions": ask(chatProtocol(sglangChat())),
			"POST /v1/completions":      ask(completionProtocol(sglangCompletion())),
		},
		pages: map[string]http.HandlerFunc{
			"GET /v1/models": func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, http.StatusOK, object{{"object", "list"}, {"data", []object{{
					{"id", s.opts.Model}, {"object", "model"}, {"created", s.created.Unix()}, {"owned_by", "sglang"},
					{"root", s.opts.Model}, {"parent", nil}, {"max_model_len", s.opts.MaxModelLen},
				}}}})
			},
			"GET /health":         s.serveHealth,
			"GET /get_model_info": info,
			"GET /model_info":     info,
		},
		unknown: notFoundDetail,
		page:    func(o *Options, now func() load) page { return newSGLangPage(o, now) },
	}
}

func sglangChat() chatStyle {
	return chatStyle{
		data:   "data: ",
		head:   `{"id":$id,"object":"chat.completion.chunk","created":$created,"model":$model,"choices":[`,
		tail:   `]`,
		choice: `{"index":0,"delta":`,
		goOn:   `,"logprobs":null,"finish_reason":null,"matched_stop":null`,
		finish: [2]string{`{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":"`, `","matched_stop":null}`},

		role:        `{"reasoning_content":null,"role":"assistant","content":""}`,
		text:        `"reasoning_content":null,"content":"`,
		thought:     `"reasoning_content":"`,
		noArguments: `","arguments":""}}]}`,
		callID:      "call_",

		soFar: `,"prompt_tokens_details":null,"reasoning_tokens":0}`,
		usage: func(v *chatVoice) object {
			return object{{"prompt_tokens", v.seq.prompt}, {"total_tokens", v.seq.prompt + v.made}, {"completion_tokens", v.made},
				{"prompt_tokens_details", object{{"cached_tokens", v.cached()}}}, {"reasoning_tokens", v.thoughts}}
		},
		whole: func(v *chatVoice, w *spoken) object {
			message := v.message(w).with(true, "reasoning_content", orNull(w.thought)).with(w.name != "", "tool_calls", []object{v.call(w)})
			choice := object{{"index", 0}, {"message", message}, {"logprobs", nil}, {"finish_reason", v.why()}, {"matched_stop", nil}}
			return v.completion("chat.completion", choice.with(v.r.ReturnMetaInfo, "meta_info", v.sglangMetaInfo()))
		},
		error: sglangErrorEvent,
		over:  doneEvent,
	}
}

func sglangCompletion() chatStyle {
	st := completionStyle(sglangChat())
	st.finish = [2]string{`{"index":0,"text":"","logprobs":null,"finish_reason":"`, `","matched_stop":null}`}
	return st
}

// sglangMetaInfo is what SGLang says of the times of a request, in seconds.
func (a *answer) sglangMetaInfo() object {
	t := a.seq.timeline()
	seconds := func(from, to instant) float64 { return to.sub(from).Seconds() }
	return object{
		{"id", a.id}, {"prompt_tokens", a.seq.prompt}, {"completion_tokens", t.made}, {"cached_tokens", t.cached},
		{"queue_time", seconds(a.seq.arrival, t.scheduled)},
		{"prefill_launch_latency", seconds(t.scheduled, t.first)},
		{"inference_time", seconds(t.scheduled, t.last)},
		{"e2e_latency", seconds(a.seq.arrival, t.last)},
	}
}

func sglangErrorBody(e *apiError) object {
	kind := e.kind
	if e.status == http.StatusServiceUnavailable {
		kind = "SERVICE_UNAVAILABLE"
		return object{{"object", "error"}, {"message", "The request queue is full."}, {"type", kind}, {"param", nil}, {"code", e.status}}
	}
	return object{{"object", "error"}, {"message", e.message}, {"type", kind}, {"param", orNull(e.param)}, {"code", e.status}}
}

func sglangError(e *apiError, _ http.Header) (int, any) {
	if e.status == http.StatusUnauthorized {
		return e.status, object{{"error", "Unauthorized"}}
	}
	return e.status, sglangErrorBody(e)
}

func sglangErrorEvent(e *apiError) string {
	return string(appendJSON(nil, object{{"error", sglangErrorBody(e)}}))
}

// sglangEarly tells a stream of an abort with a status, such as that of a full queue.
func sglangEarly(e *apiError) string {
	if e.status < http.StatusInternalServerError {
		return ""
	}
	return "data: " + sglangErrorEvent(e) + eventEnd + doneEvent
}

// notFoundDetail is what FastAPI says to a path that it does not know.
func notFoundDetail(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, object{{"detail", "Not Found"}})
}
