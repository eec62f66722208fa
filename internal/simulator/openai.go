package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// openai is a hosted service that speaks as OpenAI's own: its header comes with the first token and says how long that took,
// and how much more may be asked for; keys that have nothing to say are null; chunks are padded; reasoning is hidden.
// It has no metrics.
func openai(s *Server) *dialect {
	return &dialect{
		software: "cloudflare",
		asks: map[string]*protocol{
			"POST /v1/chat/completions": {read: chatProtocol(openAIChat()), fail: openAIError, kind: utf8EventStream, end: eventEnd, late: true, lends: true},
			"POST /v1/completions":      {read: completionProtocol(openAICompletion()), fail: openAIError, kind: utf8EventStream, end: eventEnd, late: true, lends: true},
			"POST /v1/responses":        responsesProtocol(responsesHosted),
		},
		pages: map[string]http.HandlerFunc{
			"GET /v1/models": func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, http.StatusOK, object{{"object", "list"}, {"data", []object{{
					{"id", s.opts.Model}, {"object", "model"}, {"created", s.created.Unix()}, {"owned_by", "system"},
				}}}})
			},
		},
		unknown: func(w http.ResponseWriter, r *http.Request) {
			(&protocol{fail: openAIError}).refuse(w, &apiError{status: http.StatusNotFound, message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path)})
		},
	}
}

const hostedPrint = "fp_44709d6fcb"

func openAIChat() chatStyle {
	return chatStyle{
		data:   "data: ",
		head:   `{"id":$id,"object":"chat.completion.chunk","created":$created,"model":$model,"service_tier":"default","system_fingerprint":$print,"choices":[`,
		tail:   `]`,
		choice: `{"index":0,"delta":`,
		goOn:   `,"logprobs":null,"finish_reason":null`,
		finish: [2]string{`{"index":0,"delta":{},"logprobs":null,"finish_reason":"`, `"}`},

		role:        `{"role":"assistant","content":"","refusal":null}`,
		text:        `"content":"`,
		noArguments: `","arguments":""}}]}`,
		callID:      "call_",
		print:       hostedPrint,

		obfuscates: true,
		unused:     `,"usage":null`,
		usage:      func(v *chatVoice) object { return v.openAIUsage() },
		whole: func(v *chatVoice, w *spoken) object {
			message := v.message(w).with(w.name != "", "tool_calls", []object{v.call(w)}).with(true, "refusal", nil).with(true, "annotations", []any{})
			return v.completion("chat.completion", object{{"index", 0}, {"message", message}, {"logprobs", nil}, {"finish_reason", v.why()}}).
				with(true, "service_tier", "default").with(true, "system_fingerprint", hostedPrint)
		},
		error:  openAIErrorEvent,
		header: func(v *chatVoice, h http.Header) { v.openAIHeader(h) },
	}
}

func openAICompletion() chatStyle {
	st := completionStyle(openAIChat())
	st.finish = [2]string{`{"index":0,"text":"","logprobs":null,"finish_reason":"`, `"}`}
	return st
}

// openAIUsage is OpenAI's usage.
func (a *answer) openAIUsage() object {
	return append(a.plainUsage(),
		pair{"prompt_tokens_details", object{{"cached_tokens", a.cached()}, {"audio_tokens", 0}}},
		pair{"completion_tokens_details", object{{"reasoning_tokens", a.thoughts}, {"audio_tokens", 0}, {"accepted_prediction_tokens", 0}, {"rejected_prediction_tokens", 0}}})
}

// openAIHeader says how long it took until the answer began, and what is left of the allowance.
func (a *answer) openAIHeader(h http.Header) {
	h.Set("Openai-Version", "2020-10-01")
	h.Set("Openai-Organization", "org-simulated")
	h.Set("Openai-Processing-Ms", strconv.FormatInt(a.s.clock.now().sub(a.seq.arrival).Milliseconds(), 10))
	u := a.s.allowance.take(time.Now(), a.seq.prompt, a.seq.maximum)
	for _, x := range []struct {
		name        string
		limit, used int
	}{{"Requests", allowedRequests, u.requests}, {"Tokens", allowedTokens, u.prompt + u.output}} {
		h.Set("X-Ratelimit-Limit-"+x.name, strconv.Itoa(x.limit))
		h.Set("X-Ratelimit-Remaining-"+x.name, strconv.Itoa(max(x.limit-x.used, 0)))
		h.Set("X-Ratelimit-Reset-"+x.name, u.left.Round(time.Millisecond).String())
	}
}

// What the hosted dialects say that they allow in a minute. It is counted and told, and nobody is refused for it.
const (
	allowedRequests = 10_000
	allowedTokens   = 2_000_000
)

// allowance counts what was asked for in each minute.
type allowance struct {
	mu    sync.Mutex
	since time.Time
	used  used
}

// used is what was used of an allowance.
type used struct {
	requests, prompt, output int
	left                     time.Duration // of the minute
}

// take counts one request and returns what was used in its minute.
func (l *allowance) take(now time.Time, prompt, output int) used {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= time.Minute {
		l.since, l.used = now, used{}
	}
	l.used.requests++
	l.used.prompt += prompt
	l.used.output += output
	u := l.used
	u.left = time.Minute - now.Sub(l.since)
	return u
}

// openAIKind is the type of an error.
func openAIKind(e *apiError) string {
	switch {
	case e.status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case e.status == http.StatusServiceUnavailable:
		return "overloaded_error"
	case e.status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request_error"
}

// openAIError is an error in OpenAI's shape.
func openAIError(e *apiError, h http.Header) (int, any) {
	if e.retry != "" {
		h.Set("X-Should-Retry", "true")
	}
	return e.status, openAIErrorBody(e)
}

func openAIErrorBody(e *apiError) object {
	message, code := e.message, ""
	switch {
	case e.context > 0:
		code = "context_length_exceeded"
	case e.status == http.StatusUnauthorized:
		message, code = "Incorrect API key provided.", "invalid_api_key"
	case e.status == http.StatusTooManyRequests:
		code = "rate_limit_exceeded"
	case e.status == http.StatusNotFound && e.param == "model":
		code = "model_not_found"
	case e.status == http.StatusServiceUnavailable:
		message = "The engine is currently overloaded, please try again later."
	}
	return object{{"error", object{{"message", message}, {"type", openAIKind(e)}, {"param", orNull(e.param)}, {"code", orNull(code)}}}}
}

// openAIErrorEvent is an error in a stream.
func openAIErrorEvent(e *apiError) string { return string(appendJSON(nil, openAIErrorBody(e))) }
