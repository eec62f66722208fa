package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
)

// TestSamplerSince does not take what the engine said during the run before for its load before this one. The API, meanwhile,
// knows nothing of an engine that was not asked yet.
func TestSamplerSince(t *testing.T) {
	url := simulated(t, simulator.Options{})
	d, _, _ := started(t, func() string {
		return fmt.Sprintf(`
probes: {p: {prompt_tokens: 20, max_output_tokens: 5, interval: 1h}}
targets: [{name: a, url: %q, model: sim-8b, probes: [p], engine: {metrics_url: %q, interval: 1m, timeout: 30s}}]`, url, strings.TrimSuffix(url, "/v1")+"/metrics")
	})
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { d.engines.Run(ctx) })
	defer reading.Wait()
	defer stop()
	target := d.inForce.Load().Target("a")
	e := d.engines.Engine("a")
	settle(t, "engines not asked yet", func() (int, int) {
		if known := d.programs.engine(target); !e.Tried() && known != nil {
			t.Errorf("the API says %+v before the engine was asked", known)
		}
		if e.Tried() {
			return 0, 0
		}
		return 1, 0
	})
	if known := d.programs.engine(target); known == nil || !known.Up {
		t.Fatalf("the API says %+v; want an engine that is up", known)
	}
	for _, tt := range []struct {
		since time.Time
		want  bool
	}{{time.Time{}, true}, {time.Now().Add(time.Hour), false}} {
		s := &sampler{target: target, engines: d.engines, since: tt.since}
		if got := s.sample(t.Context()).Engine; (got != nil) != tt.want || s.known != tt.want {
			t.Errorf("since %v: sample = %+v; want one: %v", tt.since, got, tt.want)
		}
	}
}
