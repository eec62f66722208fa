package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// llamacpp is llama.cpp's llama-server, as it has been since it sends the header of a stream when it begins with the prompt
// (https://github.com/ggml-org/llama.cpp/pull/23884, of May 2026): a slot is free then, and nothing has been computed. A model
// that it does not have is refused, as by its router.
func llamacpp(s *Server) *dialect {
	ask := func(read func(*Server, *http.Request, []byte) (*question, func(*answer) voice, error)) *protocol {
		return &protocol{
			read: read, fail: llamacppError, kind: eventStream, end: eventEnd, ping: 30 * time.Second,
			heralds: true, shortens: true, lends: true,
		}
	}
	chat, completion := ask(chatProtocol(llamacppChat())), ask(completionProtocol(llamacppCompletion()))
	responses := ask(readLlamacppResponses)
	refuse := (&protocol{fail: llamacppError}).refuse
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
			"POST /v1/responses":        responses,
			"POST /responses":           responses,
			"POST /v1/messages":         ask(readLlamacppMessages),
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
					refuse(w, err)
					return
				}
				writeJSON(w, http.StatusOK, object{{"tokens", s.tokens.ids([]int{}, req.Content)}})
			},
			"POST /v1/messages/count_tokens": func(w http.ResponseWriter, r *http.Request) {
				var req anthropicRequest
				err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&req)
				var q *question
				if err == nil {
					q, err = req.llamacppQuestion()
				}
				if err != nil {
					refuse(w, err)
					return
				}
				writeJSON(w, http.StatusOK, object{{"input_tokens", q.prompt.tokens(s.tokens)}})
			},
		},
		unknown: func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, &apiError{status: http.StatusNotFound, message: "File Not Found"})
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

// llamacppRequest is what llama.cpp takes in all protocols but Anthropic's, beyond what is theirs.
type llamacppRequest struct {
	CachePrompt     *bool `json:"cache_prompt"` // false looks for nothing in the cache
	ReturnProgress  bool  `json:"return_progress"`
	TimingsPerToken bool  `json:"timings_per_token"`
	PingInterval    *int  `json:"sse_ping_interval"` // in seconds; below 1: none
}

// salted keeps the prompt apart from all others, where its prefix is not to be looked for.
func (r *llamacppRequest) salted(q *question) {
	if r.CachePrompt != nil && !*r.CachePrompt {
		q.salt = fmt.Sprint(rand.Uint64())
	}
}

// apply has the answer be as the request wants it.
func (r *llamacppRequest) apply(a *answer) {
	if r.ReturnProgress && a.q.stream {
		a.seq.watched, a.bulky = true, true
	}
	if r.PingInterval != nil {
		a.ping = time.Duration(max(*r.PingInterval, 0)) * time.Second
	}
}

const llamacppBuild = "b11549-0a1b2c3d4"

func llamacppChat() chatStyle {
	return chatStyle{
		data:   "data: ",
		head:   `{"choices":[`,
		tail:   `],"created":$created,"id":$id,"model":$model,"system_fingerprint":$print,"object":"chat.completion.chunk"`,
		choice: `{"finish_reason":null,"index":0,"delta":`,
		finish: [2]string{`{"finish_reason":"`, `","index":0,"delta":{}}`},

		role:     `{"role":"assistant","content":null}`,
		text:     `"content":"`,
		thought:  `"reasoning_content":"`,
		print:    llamacppBuild,
		llamacpp: true,

		usage:  func(v *chatVoice) object { return v.llamacppUsage() },
		extras: func(v *chatVoice) object { return object{{"timings", v.llamacppTimings()}} },
		timing: func(v *chatVoice) any {
			if !v.r.TimingsPerToken {
				return nil
			}
			return v.llamacppTimings()
		},
		whole: func(v *chatVoice, w *spoken) object {
			call := object{{"type", "function"}, {"function", object{{"name", w.name}, {"arguments", w.arguments}}}, {"id", v.callID("")}}
			message := object{{"role", "assistant"}, {"content", w.text}}.
				with(w.thought != "", "reasoning_content", w.thought).with(w.name != "", "tool_calls", []object{call})
			return v.llamacppWhole("chat.completion", object{{"finish_reason", v.why()}, {"index", 0}, {"message", message}})
		},
		error:  llamacppErrorEvent,
		header: func(v *chatVoice, h http.Header) { v.llamacppHeader(h) },
	}
}

func llamacppCompletion() chatStyle {
	st := completionStyle(llamacppChat())
	st.id = "chatcmpl-"
	st.tail, st.rest = `],"created":$created,"model":$model,"system_fingerprint":$print,"object":"text_completion"`, `,"id":$id`
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

// llamacppHeader is what the header of a stream has, for the sake of proxies.
func (a *answer) llamacppHeader(h http.Header) {
	if a.q.stream {
		h.Set("X-Accel-Buffering", "no")
	}
}

func (a *answer) llamacppUsage() object {
	return object{
		{"completion_tokens", a.made}, {"prompt_tokens", a.seq.prompt}, {"total_tokens", a.seq.prompt + a.made},
		{"prompt_tokens_details", object{{"cached_tokens", a.cached()}}},
	}
}

// llamacppTimings is llama.cpp's timings after the tokens so far.
func (a *answer) llamacppTimings() object {
	t := a.seq.timeline()
	return timings(t.cached, a.seq.prompt-t.cached, milliseconds(t.scheduled, t.first), a.made, milliseconds(t.first, t.last))
}

// timings are llama.cpp's, in milliseconds. Their prompt is what was computed of it, and cached is the rest. The first token
// that is made comes with the prompt's end and costs nothing.
func timings(cached, prompt int, reading float64, made int, writing float64) object {
	each := func(total float64, n int) real {
		if n < 1 {
			return 0
		}
		return real(total / float64(n))
	}
	rate := func(total float64, n int) real {
		if total <= 0 || n < 1 {
			return 0
		}
		return real(float64(n) / total * 1e3)
	}
	return object{
		{"cache_n", cached},
		{"prompt_n", prompt}, {"prompt_ms", real(reading)}, {"prompt_per_token_ms", each(reading, prompt)}, {"prompt_per_second", rate(reading, prompt)},
		{"predicted_n", made}, {"predicted_ms", real(writing)}, {"predicted_per_token_ms", each(writing, made-1)}, {"predicted_per_second", rate(writing, made-1)},
	}
}

// real is a number that is written with a point, whole or not, as llama.cpp writes it.
type real float64

// MarshalJSON implements json.Marshaler.
func (x real) MarshalJSON() ([]byte, error) {
	b := strconv.AppendFloat(nil, float64(x), 'f', -1, 64)
	if !slices.Contains(b, '.') {
		b = append(b, ".0"...)
	}
	return b, nil
}

// reading makes a report on the reading of the prompt, where it was asked for.
func (v *chatVoice) reading(p progress) {
	if !v.r.ReturnProgress {
		return
	}
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
	v.put(v.rest)
	v.members(v.llamacppProgress(p, v.r.TimingsPerToken))
	v.seal(p.at, time.Now())
}

// llamacppProgress is what an event has that tells how far the prompt has been read.
func (a *answer) llamacppProgress(p progress, timed bool) object {
	t := a.seq.timeline()
	took := milliseconds(t.scheduled, p.at)
	return object{}.with(timed, "timings", timings(t.cached, p.tokens-t.cached, took, 0, 0)).
		with(true, "prompt_progress", object{{"total", a.seq.prompt}, {"cache", t.cached}, {"processed", p.tokens}, {"time_ms", int(took)}})
}

// llamacppErrorOf is an error by itself, without what it is wrapped in.
func llamacppErrorOf(e *apiError) object {
	kind := "server_error"
	switch {
	case e.context > 0:
		return object{
			{"code", e.status}, {"message", fmt.Sprintf("request (%d tokens) exceeds the available context size (%d tokens), try increasing it", e.prompt, e.context)},
			{"type", "exceed_context_size_error"}, {"n_prompt_tokens", e.prompt}, {"n_ctx", e.context},
		}
	case e.status == http.StatusUnauthorized:
		kind = "authentication_error"
	case e.status == http.StatusNotFound:
		kind = "not_found_error"
	case e.status == http.StatusServiceUnavailable:
		kind = "unavailable_error"
	case e.status < http.StatusInternalServerError:
		kind = "invalid_request_error"
	}
	return object{{"code", e.status}, {"message", e.message}, {"type", kind}}
}

func llamacppError(e *apiError, _ http.Header) (int, any) {
	return e.status, object{{"error", llamacppErrorOf(e)}}
}

// llamacppErrorEvent is an error in a stream.
func llamacppErrorEvent(e *apiError) string {
	return string(appendJSON(nil, object{{"error", llamacppErrorOf(e)}}))
}
