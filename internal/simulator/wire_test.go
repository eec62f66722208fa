package simulator

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// hello is a chat request of 16 prompt tokens with further fields.
func hello(fields string) string {
	return `{"model":"sim-8b","seed":7,` + fields + `"messages":[{"role":"user","content":"Hello there, how are you?"}]}`
}

// transcript is an answer as it was on the wire.
func transcript(resp *http.Response, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP %d\n", resp.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(resp.Header[name], ", "))
	}
	fmt.Fprintf(&b, "\n%s", body)
	if !strings.HasSuffix(body, "\n") {
		b.WriteString("\n")
	}
	return b.String()
}

func TestWire(t *testing.T) {
	for _, test := range []struct {
		name    string
		opts    Options
		body    string
		headers []string
	}{
		{name: "stream", body: hello(`"stream":true,"max_tokens":4,`)},
		{name: "stream_usage", body: hello(`"stream":true,"max_tokens":4,"stream_options":{"include_usage":true},`)},
		{name: "stream_everything", opts: Options{PerRequestMetrics: true}, body: hello(`"stream":true,"max_completion_tokens":3,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"return_token_ids":true,`)},
		{name: "stream_one_token", opts: Options{PerRequestMetrics: true}, body: hello(`"stream":true,"max_tokens":1,"stream_options":{"include_usage":true},`)},
		{name: "stream_stop", opts: Options{MeanOutputTokens: 4}, body: hello(`"stream":true,"max_tokens":200,"return_token_ids":true,"stream_options":{"include_usage":true},`)},
		{name: "stream_ignore_eos", opts: Options{MeanOutputTokens: 2}, body: hello(`"stream":true,"max_tokens":6,"ignore_eos":true,`)},
		{name: "stream_stamped", body: hello(`"stream":true,"max_tokens":3,"stamp_events":true,"stream_options":{"include_usage":true},`)},
		{name: "whole", opts: Options{PerRequestMetrics: true}, body: hello(`"max_tokens":30,"return_token_ids":true,`)},
		{name: "error_json", body: `{"model":`},
		{name: "error_model", body: `{"model":"other","messages":[{"role":"user","content":"x"}]}`},
		{name: "error_messages", body: `{"model":"sim-8b"}`},
		{name: "error_context", opts: Options{MaxModelLen: 100}, body: hello(`"max_tokens":85,`)},
		{name: "error_n", body: hello(`"n":2,`)},
		{name: "error_max_tokens", body: hello(`"max_tokens":0,`)},
		{name: "error_min_tokens", body: hello(`"max_tokens":3,"min_tokens":4,`)},
		{name: "error_stream_options", body: hello(`"stream_options":{"include_usage":true},`)},
		{name: "fault_rate_limited", body: hello(``), headers: []string{faultHeader, "rate_limited=7"}},
		{name: "fault_internal_error", body: hello(``), headers: []string{faultHeader, "internal_error"}},
		{name: "fault_overloaded", body: hello(``), headers: []string{faultHeader, "overloaded"}},
		{name: "fault_error", body: hello(`"stream":true,"max_tokens":4,`), headers: []string{faultHeader, "error=2"}},
		{name: "fault_empty", body: hello(`"stream":true,"max_tokens":4,"stream_options":{"include_usage":true},`), headers: []string{faultHeader, "empty"}},
		{name: "fault_chunk", body: hello(`"stream":true,"max_tokens":5,"return_token_ids":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},`), headers: []string{faultHeader, "chunk=2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.opts, func(t *testing.T, s *Server, client *http.Client) {
				resp := ask(t, client, "r1", test.body, test.headers...)
				golden(t, test.name+".txt", transcript(resp, readAll(t, resp)))
			})
		})
	}
}

func TestPages(t *testing.T) {
	inBubble(t, Options{Model: "m1", MaxModelLen: 4096, KVTokens: 65536}, func(t *testing.T, s *Server, client *http.Client) {
		for _, page := range []struct{ name, path string }{
			{"models", "/v1/models"}, {"health", "/health"}, {"version", "/version"}, {"unknown", "/nothing/here"},
			{"metrics_fresh", "/metrics"}, {"faults", "/control/faults"}, {"truth_none", "/ground_truth?request_id=none"}, {"truth_all", "/ground_truth"},
		} {
			resp, err := client.Get("http://sim" + page.path)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "page_"+page.name+".txt", transcript(resp, readAll(t, resp)))
		}
		for _, page := range []struct{ name, body string }{
			{"tokenize_prompt", `{"model":"m1","prompt":"Hello, wonderful world","return_token_strs":true}`},
			{"tokenize_messages", `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}]}`},
			{"tokenize_model", `{"model":"m2","prompt":"Hello"}`},
			{"tokenize_nothing", `{}`},
		} {
			resp, err := client.Post("http://sim/tokenize", "application/json", strings.NewReader(page.body))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "page_"+page.name+".txt", transcript(resp, readAll(t, resp)))
		}
	})
}
