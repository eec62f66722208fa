package web

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/queuewait"
)

// aDay is a history of some probes as it is after a day of asking every 30 s.
func aDay(probes int) *History {
	h := NewHistory()
	var rows []Row
	for i := range probes {
		rows = append(rows, Row{Target: fmt.Sprintf("chat-%03d", i), Model: "m", Probe: "interactive", Stream: true, Interval: 30 * time.Second})
	}
	h.Apply(rows)
	now := time.Now()
	for _, row := range rows {
		known := queuewait.NewTarget()
		for i := range 25 * 120 {
			r := answer(row, time.Duration(150+(i*37)%100)*time.Millisecond, 20*time.Millisecond, 2)
			shift := now.Add(time.Duration(i-25*120) * 30 * time.Second).Sub(r.Timeline.Dispatched)
			t := &r.Timeline
			for _, at := range []*time.Time{&t.Intended, &t.Dispatched, &t.WriteStart, &t.Wrote, &t.Headers, &t.FirstEvent, &t.FirstToken, &t.FirstOutput, &t.LastToken, &t.End} {
				*at = at.Add(shift)
			}
			r.Request.ID = fmt.Sprintf("%s-%028d", row.Target, i)
			report := known.Observe(r, nil)
			h.ObserveExplained(r, &report)
		}
	}
	return h
}

// BenchmarkHistory is what a day of one probe holds, and what keeping it in a file costs.
func BenchmarkHistory(b *testing.B) {
	const probes = 20
	b.Run("memory", func(b *testing.B) {
		live := func() float64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc)
		}
		for b.Loop() {
			before := live()
			h := aDay(probes)
			b.ReportMetric((live()-before)/probes, "heap-bytes/probe")
			runtime.KeepAlive(h)
		}
	})
	b.Run("save", func(b *testing.B) {
		h, path := aDay(probes), filepath.Join(b.TempDir(), "history")
		b.ReportAllocs()
		for b.Loop() {
			if err := h.Save(path); err != nil {
				b.Fatal(err)
			}
		}
	})
}
