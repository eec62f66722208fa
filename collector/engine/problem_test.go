package engine

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmprober/llm_prober/prober/printable"
)

// What is said of a failed fetch is what the log has: a line without secrets and of bounded length, gone with the next success.
func TestProblem(t *testing.T) {
	const secret = "zq00xksecret"
	for _, c := range []struct {
		name, reason, want string
		status             int
		body               string
	}{
		{"none", "", "", 200, "vllm:num_requests_running 1\nvllm:generation_tokens_total 1\n"},
		{"what the server says", reasonServerError, "HTTP status 501 Not Implemented: start me with --metrics", 501, "start me\n\x1b with --metrics"},
		{"a secret", reasonClientError, "HTTP status 401 Unauthorized: <secret> is no key", 401, secret + " is no key"},
		{"a page of nothing known", reasonMalformed, "the answer is HTML, not a metrics page", 200, "<html>" + secret},
		{"too much", reasonClientError, "", 404, strings.Repeat("na ", 1000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := "vllm:num_requests_running 1\nvllm:generation_tokens_total 1\n"
			status, body := c.status, c.body
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				w.Write([]byte(body))
			}))
			defer s.Close()
			var log bytes.Buffer
			e, err := New(Options{Target: "chat", MetricsURL: s.URL, Client: s.Client(), Secrets: func() []string { return []string{secret} }}, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			e.scrape(t.Context())
			reason, because := e.Problem()
			if reason != c.reason || c.want != "" && because != c.want || (because == "") != (c.reason == "") {
				t.Errorf("Problem() = %q, %q; want %q, %q", reason, because, c.reason, c.want)
			}
			if because != printable.Line(because, maxBecause) || strings.Contains(because+log.String(), secret) {
				t.Errorf("Problem() = %q, and the log has %s; want one line of at most %d characters, and no secret", because, &log, maxBecause)
			}
			status, body = 200, page
			e.scrape(t.Context())
			if reason, because := e.Problem(); reason != "" || because != "" {
				t.Errorf("Problem() after a success = %q, %q; want none", reason, because)
			}
		})
	}
}
