package engine

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/internal/simulator"
)

// A live page, beside the recorded ones: the simulator's, written by Prometheus' own library.
func TestSimulator(t *testing.T) {
	sim, err := simulator.New(simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := sim.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(sim.Handler())
	client := server.Client()
	defer func() {
		cancel()
		client.CloseIdleConnections()
		server.Close()
		wg.Wait()
	}()
	e := newTestEngine(t, func(o *Options) { o.MetricsURL, o.Client = server.URL+"/metrics", client })
	ask := func() {
		t.Helper()
		const body = `{"model":"sim-8b","max_tokens":4,"ignore_eos":true,"messages":[{"role":"user","content":"How long is a piece of string?"}]}`
		resp, err := client.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}

	ask() // before the first fetch: not ours
	e.scrape(t.Context())
	for range 3 {
		ask()
	}
	e.scrape(t.Context())
	got := gathered(t, e)
	for name, want := range map[string]float64{
		"up": 1, "info{vllm}": 1, "instances": 1,
		"requests_running": 0, "requests_waiting": 0, "sleep_state{awake}": 1,
		"generation_tokens_total": 12, "requests_finished_total{length}": 3, "requests_finished_total{stop}": 0,
		"time_to_first_token_seconds_count": 3, "inter_token_latency_seconds_count": 9, "time_per_output_token_seconds_count": 3,
		"queue_wait_seconds_count": 3, "request_duration_seconds_count": 3, "prefill_seconds_count": 3, "decode_seconds_count": 3,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v, %v; want %v", name, v, ok, want)
		}
	}
	if t.Failed() {
		t.Log(cmp.Diff(nil, got))
	}
}
