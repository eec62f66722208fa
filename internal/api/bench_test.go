package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
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

// BenchmarkRecent is what is kept of the requests of one probe, once there is no room for more.
func BenchmarkRecent(b *testing.B) {
	const probes = 50
	live := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	var targets []Target
	for i := range probes {
		targets = append(targets, Target{Name: fmt.Sprintf("chat-%d", i), Probes: []Probe{{Name: "fast"}}})
	}
	for b.Loop() {
		before := live()
		recent := NewRecent(nil)
		recent.Apply(targets)
		for _, t := range targets {
			for i := range 2 * keptRequests {
				r := probertest.Streamed(t.Name, "fast", 200*time.Millisecond, 20*time.Millisecond, 64)
				if i%5 == 0 {
					r = probertest.Failed(t.Name, "fast", prober.TimeoutFirstToken, time.Second)
				}
				r.Request.ID, r.RemoteAddr = fmt.Sprintf("%032x", i), "127.0.0.1:8000"
				recent.Observe(r)
			}
		}
		b.ReportMetric((live()-before)/probes, "heap-bytes/probe")
		runtime.KeepAlive(recent)
	}
}
