package simulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// llamacpp is llama.cpp's llama-server. Its header comes with the first event, which is the first token's or, where that was
// asked for, the first report on the reading of the prompt.
func llamacpp(s *Server) *dialect {
	ask := func(read func(*Server, *http.Request, []byte) (*question, func(*answer) voice, error)) *protocol {
		return &protocol{read: read, fail: llamacppError, kind: eventStream, end: eventEnd, lends: true, late: true, ping: 30 * time.Second}
	}
	chat, completion := ask(chatProtocol(llamacppChat())), ask(completionProtocol(llamacppCompletion()))
	models := func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{{"object", "list"}, {"data", []object{{
			{"id", s.opts.Model}, {"object", "model"}, {"created", s.created.Unix()}, {"owned_by", "llamacpp"},
			{"meta", object{{"n_ctx_train", s.opts.MaxModelLen}, {"n_vocab", s.tokens.vocabulary}}},
		}}}})
	}
	health := func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{{"status", "ok"}})
	}
	return &dialect{
		software: "llama.cpp",
		asks: map[string]*protocol{
			"POST /v1/chat/completions": chat,
			"POST /chat/completions":    chat,
			"POST /v1/completions":      completion,
		},
		pages: map[string]http.HandlerFunc{
			"GET /v1/models": models,
			"GET /models":    models,
			"GET /health":    health,
			"GET /v1/health": health,
			"GET /slots":     s.serveSlots,
			"POST /tokenize": func(w http.ResponseWriter, r *http.Request) {
				var req struct {
					Content string `json:"content"`
				}
				if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&req); err != nil {
					(&protocol{fail: llamacppError}).refuse(w, err)
					return
				}
				writeJSON(w, http.StatusOK, object{{"tokens", s.tokens.ids([]int{}, req.Content)}})
			},
		},
		unknown: func(w http.ResponseWriter, _ *http.Request) {
			(&protocol{fail: llamacppError}).refuse(w, &apiError{status: http.StatusNotFound, message: "File Not Found"})
		},
		page: func(o *Options, now func() load) page { return newLlamacppPage(o, now) },
	}
}

// serveSlots is GET /slots: what each of the slots does. With fail_on_no_slot it is 503 while all are busy.
func (s *Server) serveSlots(w http.ResponseWriter, r *http.Request) {
	busy := s.engine.load().running
	if r.URL.Query().Get("fail_on_no_slot") == "1" && busy >= s.opts.MaxRunning {
		(&protocol{fail: llamacppError}).refuse(w, &apiError{status: http.StatusServiceUnavailable, message: "no slot available"})
		return
	}
	slots := make([]object, s.opts.MaxRunning)
	for i := range slots {
		slots[i] = object{{"id", i}, {"n_ctx", s.opts.MaxModelLen}, {"is_processing", i < busy}}
	}
	writeJSON(w, http.StatusOK, slots)
}

const llamacppBuild = "b6500-0a1b2c3d"

func llamacppChat() chatStyle {
	return chatStyle{
		data:   "data: ",
		head:   `{"choices":[`,
		tail:   `],"created":$created,"id":$id,"model":$model,"system_fingerprint":$print,"object":"chat.completion.chunk"`,
		choice: `{"finish_reason":null,"index":0,"delta":`,
		finish: [2]string{`{"finish_reason":"`, `","index":0,"delta":{}}`},

		role:        `{"role":"assistant","content":null}`,
		text:        `"content":"`,
		thought:     `"reasoning_content":"`,
		noArguments: `","arguments":""}}]}`,
		print:       llamacppBuild,
		progress:    true,

		usage: func(v *chatVoice) object {
			return object{{"completion_tokens", v.made}, {"prompt_tokens", v.seq.prompt}, {"total_tokens", v.seq.prompt + v.made}}
		},
		extras: func(v *chatVoice) object { return object{{"timings", v.llamacppTimings()}} },
		timing: func(v *chatVoice) any {
			if !v.r.TimingsPerToken {
				return nil
			}
			return v.llamacppTimings()
		},
		whole: func(v *chatVoice, w *spoken) object {
			message := v.message(w).with(w.thought != "", "reasoning_content", w.thought).with(w.name != "", "tool_calls", []object{v.call(w)})
			return v.llamacppWhole("chat.completion", object{{"finish_reason", v.why()}, {"index", 0}, {"message", message}})
		},
		error: llamacppErrorEvent,
	}
}

func llamacppCompletion() chatStyle {
	st := completionStyle(llamacppChat())
	st.choice, st.text = "{", `"text":"`
	st.goOn = `,"index":0,"logprobs":null,"finish_reason":null`
	st.finish = [2]string{`{"text":"","index":0,"logprobs":null,"finish_reason":"`, `"}`}
	st.lastUsage = true
	st.whole = func(v *chatVoice, w *spoken) object {
		return v.llamacppWhole("text_completion", object{{"text", w.text}, {"index", 0}, {"logprobs", nil}, {"finish_reason", v.why()}})
	}
	return st
}

func (v *chatVoice) llamacppWhole(kind string, choice object) object {
	return object{
		{"choices", []object{choice}}, {"created", v.created}, {"model", v.s.opts.Model}, {"system_fingerprint", llamacppBuild}, {"object", kind},
	}.with(!v.plan.noUsage, "usage", v.style.usage(v)).with(true, "id", v.reply()).with(true, "timings", v.llamacppTimings())
}

// llamacppTimings is llama.cpp's result_timings, in milliseconds. Its prompt is what was computed of it.
func (a *answer) llamacppTimings() object {
	t := a.seq.timeline()
	reading, writing := milliseconds(t.scheduled, t.first), milliseconds(t.first, t.last)
	each := func(total float64, n int) float64 { return total / float64(max(n, 1)) }
	rate := func(total float64, n int) float64 {
		if total <= 0 {
			return 0
		}
		return float64(n) / total * 1e3
	}
	computed := a.seq.prompt - t.cached
	return object{
		{"cache_n", t.cached},
		{"prompt_n", computed}, {"prompt_ms", reading}, {"prompt_per_token_ms", each(reading, computed)}, {"prompt_per_second", rate(reading, computed)},
		{"predicted_n", a.made}, {"predicted_ms", writing}, {"predicted_per_token_ms", each(writing, a.made)}, {"predicted_per_second", rate(writing, a.made)},
	}
}

// reading makes a report on the reading of the prompt.
func (v *chatVoice) reading(p progress) {
	v.open(v.before)
	v.put(v.style.choice)
	if v.style.plain {
		v.put(v.style.text)
		v.put(`"`)
	} else {
		v.put(v.style.role)
	}
	v.put(v.style.goOn)
	v.put("}")
	v.put(v.after)
	v.put(`,"prompt_progress":`)
	t := v.seq.timeline()
	v.value(object{{"total", v.seq.prompt}, {"cache", t.cached}, {"processed", p.tokens}, {"time_ms", int(milliseconds(t.scheduled, p.at))}})
	v.seal(p.at, time.Now())
}

func llamacppErrorBody(e *apiError) object {
	kind := "server_error"
	switch {
	case e.context > 0:
		return object{{"error", object{{"code", e.status}, {"message", "the request exceeds the available context size"},
			{"type", "exceed_context_size_error"}, {"n_prompt_tokens", e.prompt}, {"n_ctx", e.context}}}}
	case e.status == http.StatusUnauthorized:
		kind = "authentication_error"
	case e.status == http.StatusNotFound:
		kind = "not_found_error"
	case e.status == http.StatusServiceUnavailable:
		kind = "unavailable_error"
	case e.status < http.StatusInternalServerError:
		kind = "invalid_request_error"
	}
	return object{{"error", object{{"code", e.status}, {"message", e.message}, {"type", kind}}}}
}

func llamacppError(e *apiError, _ http.Header) (int, any) { return e.status, llamacppErrorBody(e) }

// llamacppErrorEvent is an error in a stream.
func llamacppErrorEvent(e *apiError) string { return string(appendJSON(nil, llamacppErrorBody(e))) }
