package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// BenchmarkTargets is a list of 200 targets with 5 probes of 100 requests each.
func BenchmarkTargets(b *testing.B) {
	var targets []Target
	for i := range 200 {
		t := Target{Name: fmt.Sprintf("target-%d", i), Model: "llama", Protocol: "openai_chat"}
		for k := range 5 {
			t.Probes = append(t.Probes, Probe{Name: fmt.Sprintf("p%d", k), Stream: true, Interval: 15 * time.Second})
			t.Objectives = append(t.Objectives, Objective{Name: "o", Probe: t.Probes[k].Name, Indicator: "ttft", Threshold: 0.5, Goal: 0.99})
		}
		targets = append(targets, t)
	}
	recent := NewRecent(nil)
	recent.Apply(targets)
	for _, t := range targets {
		for _, p := range t.Probes {
			for i := range keptRequests {
				recent.Observe(result(t.Name, p.Name, time.Duration(i)*time.Second, prober.OK, time.Duration(i)*time.Millisecond))
			}
		}
	}
	h := Handler(Options{Logger: slog.New(slog.DiscardHandler), Recent: recent, Targets: func() []Target { return targets }})
	for _, path := range []string{"/api/v1/targets?limit=500", "/api/v1/targets/target-7/verdict", "/api/v1/targets/target-7/requests"} {
		b.Run(path[len("/api/v1/"):], func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), "GET", path, nil))
				if w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
				size = w.Body.Len()
			}
			b.ReportMetric(float64(size), "bytes/answer")
		})
	}
}
