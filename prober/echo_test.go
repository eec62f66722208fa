package prober_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// TestEchoedSecrets: a server that repeats what it was sent does not bring it into our results.
func TestEchoedSecrets(t *testing.T) {
	refuse := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			body, _ := json.Marshal(map[string]any{"error": map[string]string{"message": text, "type": text}}) // texts can be
			w.Write(body)
		}
	}
	echoing := func(text func(*http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { refuse(text(r))(w, r) }
	}
	for _, c := range []struct {
		name    string
		outcome prober.Outcome
		serve   http.HandlerFunc
	}{
		{"an error", prober.HTTP4xx, echoing(func(r *http.Request) string {
			return "bad " + r.Header.Get("Authorization") + ", bad " + r.Header.Get("X-Api-Key")
		})},
		{"the credentials alone", prober.HTTP4xx, echoing(func(r *http.Request) string {
			_, password, _ := r.BasicAuth()
			return "bad password " + password
		})},
		{"cut off", prober.HTTP4xx, echoing(func(r *http.Request) string {
			return strings.Repeat("x", 1010) + r.Header.Get("X-Api-Key") // 1 KiB is kept
		})},
		{"a body that is no JSON", prober.HTTP4xx, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<p>%s</p><a href='/?key=%s'>", r.Header.Get("X-Api-Key"), url.QueryEscape(r.Header.Get("X-Api-Key")))
		}},
		{"an error within the stream", prober.StreamError, func(w http.ResponseWriter, r *http.Request) {
			events(w, fmt.Sprintf(`{"error":{"message":%q}}`, r.Header.Get("X-Api-Key")))
		}},
		{"a stream that is none", prober.MalformedStream, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, r.Header.Get("X-Api-Key"))
		}},
		{"an event that is none", prober.MalformedStream, func(w http.ResponseWriter, r *http.Request) {
			events(w, "{"+r.Header.Get("X-Api-Key"))
		}},
		{"headers", prober.OK, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", r.Header.Get("X-Api-Key"))
			w.Header().Set("Cf-Ray", base64.StdEncoding.EncodeToString([]byte(r.Header.Get("X-Api-Key"))))
			events(w, oneToken, theFinish, "[DONE]")
		}},
		{"the reason for the finish", prober.OK, func(w http.ResponseWriter, r *http.Request) {
			events(w, oneToken, fmt.Sprintf(`{"choices":[{"index":0,"delta":{},"finish_reason":%q}]}`, r.Header.Get("X-Api-Key")), "[DONE]")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			model := httptest.NewServer(c.serve)
			defer model.Close()
			o := transport.Options{HTTP: commoncfg.HTTPClientConfig{BasicAuth: &commoncfg.BasicAuth{Username: "me", Password: "canary-pass"}}}
			r := askWith(t, o, model.URL, http.Header{"X-Api-Key": {"canary-key-0123456789"}}, prober.Limits{}, 1)[0]
			seen := fmt.Sprint(r.Err, r.Header, r.FinishReason)
			if r.Outcome != c.outcome || strings.Contains(seen, "canary") || strings.Contains(seen, "Y2FuYXJ5") || !strings.Contains(seen, "<secret>") {
				t.Errorf("outcome %s: %s; want %s without the secrets", r.Outcome, seen, c.outcome)
			}
		})
	}
}

// A server of tokens that repeats the client's secret does not bring it into our results either.
func TestEchoedClientSecret(t *testing.T) {
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "who is %s%s?", password, r.FormValue("client_secret"))
	}))
	defer tokens.Close()
	o := transport.Options{HTTP: commoncfg.HTTPClientConfig{OAuth2: &commoncfg.OAuth2{ClientID: "me", ClientSecret: "canary-secret", TokenURL: tokens.URL}}}
	r := askWith(t, o, tokens.URL, nil, prober.Limits{}, 1)[0]
	if r.Outcome != prober.Connect || strings.Contains(r.Err.Error(), "canary") || !strings.Contains(r.Err.Error(), "who is <secret>?") {
		t.Errorf("outcome %s: %v; want connect without the secret", r.Outcome, r.Err)
	}
}

// A user's own question is not in what is told of it, where the server quotes it.
func TestPrivateQuestions(t *testing.T) {
	const question = "canary of a user's own question, which is long"
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"message":"not understood: %s"}}`, question)
	}))
	defer model.Close()
	base, err := url.Parse(model.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []bool{true, false} {
		r := ask(t, t.Context(), base, nil, prober.Request{Private: private, Call: wire.Call{Messages: []wire.Message{{Role: "user", Content: question}}}})
		if strings.Contains(r.Err.Error(), "canary") == private {
			t.Errorf("private %t: %v", private, r.Err)
		}
	}
}
