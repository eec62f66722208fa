package simulator

import (
	"net/http"
	"strconv"
	"time"
)

// azure is OpenAI's chat as Azure hosts it: under the path of a deployment, whose name is the model's, and a dated version
// of the API. A stream begins, at once, with a chunk without choices that says what the filter thinks of the prompt.
func azure(*Server) *dialect {
	return &dialect{
		asks: map[string]*protocol{
			"POST /openai/deployments/{deployment}/chat/completions": {read: readAzure, fail: azureError, kind: eventStream, end: eventEnd, lends: true},
		},
		unknown: func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusNotFound, object{{"error", object{{"code", "404"}, {"message", "Resource not found"}}}})
		},
	}
}

func readAzure(s *Server, r *http.Request, body []byte) (*question, func(*answer) voice, error) {
	if r.URL.Query().Get("api-version") == "" {
		return nil, nil, &apiError{status: http.StatusNotFound, message: "Resource not found"}
	}
	if name := r.PathValue("deployment"); s.checkModel(&name) != nil {
		return nil, nil, &apiError{status: http.StatusNotFound, param: "deployment", message: "The API deployment for this resource does not exist."}
	}
	style := azureChat()
	q, voiced, err := chatProtocol(style)(s, r, body)
	if q != nil {
		q.model = nil // the deployment counts
	}
	if err != nil {
		return q, nil, err
	}
	return q, func(a *answer) voice { return &azureVoice{voiced(a).(*chatVoice)} }, nil
}

// azureVoice begins with what the filter says of the prompt.
type azureVoice struct{ *chatVoice }

// safe is what the filter says of what it has nothing against.
func safe() object {
	fine := object{{"filtered", false}, {"severity", "safe"}}
	return object{{"hate", fine}, {"self_harm", fine}, {"sexual", fine}, {"violence", fine}}
}

// opening implements voice.
func (v *azureVoice) opening() {
	v.open(`data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":`)
	v.value([]object{{{"prompt_index", 0}, {"content_filter_results", safe()}}})
	v.seal(v.due, time.Now())
}

func azureChat() chatStyle {
	st := openAIChat()
	st.head = `{"choices":[`
	st.tail = `],"created":$created,"id":$id,"model":$model,"object":"chat.completion.chunk","system_fingerprint":$print`
	st.choice = `{"content_filter_results":{},"delta":`
	st.goOn = `,"finish_reason":null,"index":0,"logprobs":null`
	st.finish = [2]string{`{"content_filter_results":{},"delta":{},"finish_reason":"`, `","index":0,"logprobs":null}`}
	st.role = `{"content":"","refusal":null,"role":"assistant"}`
	st.obfuscates = false
	st.whole = func(v *chatVoice, w *spoken) object {
		message := v.message(w).with(w.name != "", "tool_calls", []object{v.call(w)}).with(true, "refusal", nil).with(true, "annotations", []any{})
		choice := object{{"content_filter_results", safe()}, {"finish_reason", v.why()}, {"index", 0}, {"logprobs", nil}, {"message", message}}
		return v.completion("chat.completion", choice).
			with(true, "prompt_filter_results", []object{{{"prompt_index", 0}, {"content_filter_results", safe()}}}).
			with(true, "system_fingerprint", hostedPrint)
	}
	st.header = func(v *chatVoice, h http.Header) {
		u := v.s.allowance.take(time.Now(), v.seq.prompt, v.seq.maximum)
		h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(max(allowedRequests-u.requests, 0)))
		h.Set("X-Ratelimit-Remaining-Tokens", strconv.Itoa(max(allowedTokens-u.prompt-u.output, 0)))
		h.Set("Apim-Request-Id", v.answer.id)
		h.Set("X-Ms-Region", "Simulated")
		h.Set("Azureml-Model-Session", "d001")
	}
	return st
}

// azureError is an error in Azure's shapes: the gateway's for what never reaches the model, else OpenAI's.
func azureError(e *apiError, h http.Header) (int, any) {
	switch e.status {
	case http.StatusUnauthorized:
		return e.status, object{{"error", object{{"code", "401"}, {"message", "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}}}
	case http.StatusNotFound:
		code := "404"
		if e.param == "deployment" {
			code = "DeploymentNotFound"
		}
		return e.status, object{{"error", object{{"code", code}, {"message", e.message}}}}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if e.retry != "" {
			seconds, _ := strconv.Atoi(e.retry) // it was checked before
			h.Set("Retry-After-Ms", strconv.Itoa(seconds*1000))
		}
		return http.StatusTooManyRequests, object{{"error", object{{"code", "429"}, {"message", "Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current pricing tier. " + e.message}}}}
	}
	return e.status, openAIErrorBody(e)
}
