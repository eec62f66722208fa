package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// version is the vLLM release whose wire and metrics are imitated.
const version = "0.31.0"

// vllm is vLLM's OpenAI-compatible server. It sends its header before the first token, and sets the keys that it passes,
// null included, and leaves out the others, in the order of its data model.
func vllm(s *Server) *dialect {
	return &dialect{
		software: "uvicorn",
		asks: map[string]*protocol{
			"POST /v1/chat/completions": {read: chatProtocol(vllmChat()), fail: vllmError, kind: utf8EventStream, end: eventEnd, lends: true},
			"POST /v1/completions":      {read: completionProtocol(vllmCompletion()), fail: vllmError, kind: utf8EventStream, end: eventEnd, lends: true},
			"POST /v1/responses":        responsesProtocol(responsesVLLM),
		},
		pages: map[string]http.HandlerFunc{
			"GET /v1/models": s.serveModels,
			"POST /tokenize": s.serveTokenize,
			"GET /health":    s.serveHealth,
			"GET /version": func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, http.StatusOK, object{{"version", version}})
			},
		},
		unknown: notFoundDetail,
		page:    func(o *Options, now func() load) page { return newVLLMPage(o, now) },
	}
}

func vllmChat() chatStyle {
	return chatStyle{
		data:   "data: ",
		head:   `{"id":$id,"object":"chat.completion.chunk","created":$created,"model":$model,"choices":[`,
		tail:   `]`,
		choice: `{"index":0,"delta":`,
		goOn:   `,"logprobs":null,"finish_reason":null`,
		last:   [2]string{`,"logprobs":null,"finish_reason":"`, `","stop_reason":null`},

		role:        `{"role":"assistant","content":""}`,
		text:        `"content":"`,
		thought:     `"reasoning":"`,
		noArguments: `"}}]}`,
		callID:      "chatcmpl-tool-",

		tokenIDs: true,
		soFar:    `,"completion_tokens_details":null}`,
		usage:    func(v *chatVoice) object { return v.vllmUsage() },
		extras: func(v *chatVoice) object {
			return object{{"system_fingerprint", v.s.fingerprint}}.with(v.s.opts.PerRequestMetrics, "metrics", v.vllmMetrics())
		},
		whole: vllmWhole,
		error: vllmErrorEvent,
		over:  doneEvent,
	}
}

func vllmCompletion() chatStyle {
	st := completionStyle(vllmChat())
	st.goOn = `,"logprobs":null,"finish_reason":null,"stop_reason":null`
	st.unused = `,"usage":null`
	whole := st.whole
	st.whole = func(v *chatVoice, w *spoken) object {
		return whole(v, w).with(true, "system_fingerprint", v.s.fingerprint).with(v.s.opts.PerRequestMetrics, "metrics", v.vllmMetrics())
	}
	return st
}

// vllmUsage is vLLM's UsageInfo.
func (a *answer) vllmUsage() object {
	return object{{"prompt_tokens", a.seq.prompt}, {"total_tokens", a.seq.prompt + a.made}, {"completion_tokens", a.made},
		{"prompt_tokens_details", object{{"cached_tokens", a.cached()}}}}.
		with(a.thoughts > 0, "completion_tokens_details", object{{"reasoning_tokens", a.thoughts}})
}

// vllmMetrics is vLLM's PerRequestMetrics, in milliseconds: the time to the first token counts from the scheduling and has
// no queue in it.
func (a *answer) vllmMetrics() object {
	t := a.seq.timeline()
	generation := milliseconds(t.first, t.last)
	m := object{
		{"time_to_first_token_ms", milliseconds(t.admitted, t.first)},
		{"generation_time_ms", generation},
		{"queue_time_ms", milliseconds(a.seq.arrival, t.admitted)},
	}
	m = m.with(t.made > 1, "mean_itl_ms", generation/float64(max(t.made-1, 1)))
	total := milliseconds(t.admitted, t.last)
	return m.with(total > 0, "tokens_per_second", float64(t.made)/total*1e3)
}

func milliseconds(from, to instant) float64 { return to.sub(from).Seconds() * 1e3 }

func vllmWhole(v *chatVoice, w *spoken) object {
	message := v.message(w)
	message = append(message, pair{"refusal", nil}, pair{"annotations", nil}, pair{"audio", nil}, pair{"function_call", nil})
	message = message.with(w.name != "", "tool_calls", []object{v.call(w)})
	var thought, ids, promptIDs any
	if w.thought != "" && (v.r.IncludeReasoning == nil || *v.r.IncludeReasoning) {
		thought = w.thought
	}
	if v.r.ReturnTokenIDs {
		ids, promptIDs = v.ids, v.q.prompt.ids(v.s.tokens)
	}
	return object{
		{"id", "chatcmpl-" + v.id}, {"object", "chat.completion"}, {"created", v.created}, {"model", v.s.opts.Model},
		{"choices", []object{{
			{"index", 0}, {"message", append(message, pair{"reasoning", thought})}, {"logprobs", nil},
			{"finish_reason", v.why()}, {"stop_reason", nil}, {"token_ids", ids},
		}}},
		{"service_tier", nil}, {"system_fingerprint", v.s.fingerprint},
	}.with(!v.plan.noUsage, "usage", v.vllmUsage()).with(true, "prompt_logprobs", nil).with(true, "prompt_token_ids", promptIDs).
		with(true, "prompt_text", nil).with(true, "kv_transfer_params", nil).with(v.s.opts.PerRequestMetrics, "metrics", v.vllmMetrics())
}

// vllmError is an error in vLLM's shape.
func vllmError(e *apiError, _ http.Header) (int, any) {
	if e.status == http.StatusUnauthorized {
		return e.status, object{{"error", "Unauthorized"}}
	}
	return e.status, vllmErrorBody(e)
}

func vllmErrorBody(e *apiError) any {
	return object{{"error", object{{"message", e.message}, {"type", e.kind}, {"param", orNull(e.param)}, {"code", e.status}}}}
}

// vllmErrorEvent is an error in a stream, with blanks after colons and commas, as Python writes it.
func vllmErrorEvent(e *apiError) string {
	return fmt.Sprintf(`{"error": {"message": %s, "type": %s, "param": %s, "code": %d}}`,
		appendJSON(nil, e.message), appendJSON(nil, e.kind), appendJSON(nil, orNull(e.param)), e.status)
}

// orNull is s, or null where it is empty.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-s.done:
		w.WriteHeader(http.StatusServiceUnavailable) // as when vLLM's engine is dead
	default:
		w.WriteHeader(http.StatusOK)
	}
}

func (s *Server) serveModels(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, object{{"object", "list"}, {"data", []object{{
		{"id", s.opts.Model}, {"object", "model"}, {"created", s.created.Unix()}, {"owned_by", "vllm"}, {"root", s.opts.Model},
		{"parent", nil}, {"max_model_len", s.opts.MaxModelLen}, {"permission", []any{}},
	}}}})
}

func (s *Server) serveTokenize(w http.ResponseWriter, r *http.Request) {
	refuse := (&protocol{fail: vllmError}).refuse
	var req struct {
		Model           *string         `json:"model"`
		Prompt          *string         `json:"prompt"`
		Messages        []chatMessage   `json:"messages"`
		Tools           json.RawMessage `json:"tools"`
		ReturnTokenStrs bool            `json:"return_token_strs"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&req); err != nil {
		refuse(w, invalidBody(err))
		return
	}
	if err := s.checkModel(req.Model); err != nil {
		refuse(w, err)
		return
	}
	ids := []int{}
	var texts []string
	switch {
	case req.Prompt != nil:
		ids = s.tokens.ids(ids, *req.Prompt)
		if req.ReturnTokenStrs {
			s.tokens.each(*req.Prompt, func(piece string) { texts = append(texts, piece) })
		}
	case req.Messages != nil:
		ids = s.tokens.promptIDs(req.Messages, req.Tools)
	default:
		refuse(w, missing("prompt"))
		return
	}
	writeJSON(w, http.StatusOK, object{{"count", len(ids)}, {"max_model_len", s.opts.MaxModelLen}, {"tokens", ids}, {"token_strs", texts}})
}
