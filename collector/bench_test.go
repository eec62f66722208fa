package collector

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
)

// BenchmarkObserve is what filing one answer costs, by its tokens.
func BenchmarkObserve(b *testing.B) {
	for _, tokens := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("tokens=%d", tokens), func(b *testing.B) {
			p := NewProbes(nil)
			mustApply(b, p, Series{Target: "chat", Model: "m", Probe: "interactive", Stream: true, Interval: 15 * time.Second})
			r := probertest.Streamed("chat", "interactive", 300*time.Millisecond, 20*time.Millisecond, tokens)
			b.ReportAllocs()
			for b.Loop() {
				p.Observe(r)
			}
		})
	}
	b.Run("failed", func(b *testing.B) {
		p := NewProbes(nil)
		mustApply(b, p, Series{Target: "chat", Model: "m", Probe: "interactive", Stream: true, Interval: 15 * time.Second})
		r := probertest.Failed("chat", "interactive", prober.TimeoutFirstToken, time.Second)
		b.ReportAllocs()
		for b.Loop() {
			p.Observe(r)
		}
	})
}

// filledProbes has some targets with five probes each, one of which does not stream, each with 40 results.
func filledProbes(b testing.TB, targets int) *Probes {
	p := NewProbes([]string{"budget", "in_flight"})
	var series []Series
	for target := range targets {
		for _, probe := range []string{"interactive", "rag", "batch", "heavy", "wake_up"} {
			series = append(series, Series{
				Target: fmt.Sprintf("target-%03d", target), Model: "llama-3.1-8b-instruct", Probe: probe,
				Stream: probe != "batch", Interval: time.Minute,
				Labels: map[string]string{"vantage": "eu-west", "team": "search"},
			})
		}
	}
	mustApply(b, p, series...)
	rng := rand.New(rand.NewPCG(1, 2))
	spread := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * (0.5 + rng.ExpFloat64()))
	}
	for _, s := range series {
		for i := range 40 {
			var r *prober.Result
			switch {
			case i%20 == 19:
				r = probertest.Failed(s.Target, s.Probe, prober.TimeoutFirstToken, time.Second)
			case s.Stream:
				r = probertest.Streamed(s.Target, s.Probe, spread(300*time.Millisecond), spread(20*time.Millisecond), 16)
			default:
				r = probertest.Whole(s.Target, s.Probe, spread(2*time.Second), 16)
			}
			r.Request.ID = fmt.Sprintf("%032x", rng.Uint64())
			p.Observe(r)
		}
	}
	return p
}

// BenchmarkScrape is what one scrape of 100 targets with five probes each costs, by the format that the scraper asks for.
func BenchmarkScrape(b *testing.B) {
	reg, err := NewRegistry(filledProbes(b, 100), NewSelf())
	if err != nil {
		b.Fatal(err)
	}
	h := Handler(reg, slog.New(slog.DiscardHandler))
	b.Run("gather", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := reg.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, f := range []struct{ name, accept, encoding string }{
		{"text", "text/plain;version=0.0.4", "identity"},
		{"openmetrics", "application/openmetrics-text;version=1.0.0", "identity"},
		{"openmetrics_gzip", "application/openmetrics-text;version=1.0.0", "gzip"},
		{"protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "identity"},
		{"protobuf_gzip", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "gzip"},
	} {
		b.Run(f.name, func(b *testing.B) {
			req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			req.Header.Set("Accept", f.accept)
			req.Header.Set("Accept-Encoding", f.encoding)
			w := &countingWriter{header: http.Header{}}
			scrapes := 0
			for b.Loop() {
				h.ServeHTTP(w, req)
				scrapes++
			}
			b.ReportMetric(float64(w.n)/float64(scrapes), "bytes/scrape")
		})
	}
}

type countingWriter struct {
	header http.Header
	n      int
}

func (w *countingWriter) Header() http.Header         { return w.header }
func (w *countingWriter) WriteHeader(int)             {}
func (w *countingWriter) Write(p []byte) (int, error) { w.n += len(p); return len(p), nil }

// BenchmarkApply is a reload that changes nothing, with 500 pairs of target and probe.
func BenchmarkApply(b *testing.B) {
	p := filledProbes(b, 100)
	var series []Series
	for _, u := range p.units.Load().byID {
		series = append(series, u.series)
	}
	b.ReportAllocs()
	for b.Loop() {
		mustApply(b, p, series...)
	}
}

// BenchmarkMemory is what the series of one probe hold, of 100 targets with five probes each that have had 40 results.
func BenchmarkMemory(b *testing.B) {
	live := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		before := live()
		p := filledProbes(b, 100)
		b.ReportMetric((live()-before)/500, "heap-bytes/probe")
		runtime.KeepAlive(p)
	}
}
