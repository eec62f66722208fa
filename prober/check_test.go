package prober_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestChecks(t *testing.T) {
	const (
		text = `{"role":"assistant","content":"caf\u00e9 {\"a\": 1}"}`
		doc  = `{"content":"{\"a\": 1}"}`
		tool = `{"tool_calls":[{"index":0,"id":"x","function":{"name":"get_weather","arguments":"{}"}}]}`
	)
	tests := []struct {
		name, delta string
		checks      prober.Checks
		err         string // empty: ok
	}{
		{"nothing to check", text, prober.Checks{}, ""},
		{"contains", text, prober.Checks{Contains: []string{"café", "a"}}, ""},
		{"does not contain", text, prober.Checks{Contains: []string{"café", "tea"}}, `does not contain "tea"`},
		{"matches", text, prober.Checks{Regexp: regexp.MustCompile(`a.: \d`)}, ""},
		{"does not match", text, prober.Checks{Regexp: regexp.MustCompile(`^\d+$`)}, "does not match"},
		{"is JSON", doc, prober.Checks{JSON: true}, ""},
		{"is not JSON", text, prober.Checks{JSON: true}, "not one JSON document"},
		{"tool called", tool, prober.Checks{ToolCalled: "get_weather"}, ""},
		{"any tool called", tool, prober.Checks{ToolCalled: "*"}, ""},
		{"another tool called", tool, prober.Checks{ToolCalled: "send_mail"}, `tool "send_mail" was not called`},
		{"no tool called", text, prober.Checks{ToolCalled: "*"}, "no tool was called"},
	}
	for _, tt := range tests {
		for _, stream := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/stream=%v", tt.name, stream), func(t *testing.T) {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if stream {
						fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":%s}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", tt.delta)
						return
					}
					fmt.Fprintf(w, `{"choices":[{"index":0,"message":%s,"finish_reason":"stop"}]}`, tt.delta)
				}))
				defer server.Close()
				base, err := url.Parse(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				r := ask(t, t.Context(), base, nil, prober.Request{Call: wire.Call{Stream: stream}, Checks: tt.checks})
				if tt.err == "" && r.Outcome != prober.OK {
					t.Errorf("outcome = %s (%v); want ok", r.Outcome, r.Err)
				}
				if mismatch, ok := errors.AsType[*prober.MismatchError](r.Err); ok && (mismatch.Answer == "" || strings.Contains(r.Err.Error(), mismatch.Answer)) {
					t.Errorf("the error is %q, of the answer %q; want it beside the text alone", r.Err, mismatch.Answer)
				}
				if tt.err != "" && (r.Outcome != prober.ContentMismatch || !strings.Contains(fmt.Sprint(r.Err), tt.err)) {
					t.Errorf("outcome = %s (%v); want content_mismatch with %q", r.Outcome, r.Err, tt.err)
				}
			})
		}
	}
}
