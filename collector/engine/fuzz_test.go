package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Whatever two pages say, one after the other: nothing panics, nothing that is served is refused by a registry, no counter steps
// back, and every histogram is one.
func FuzzNormalise(f *testing.F) {
	pages, err := filepath.Glob("testdata/*.page")
	if err != nil {
		f.Fatal(err)
	}
	var before []byte
	for _, path := range pages {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) > 4000 {
			continue // a small page is changed into many more different ones than a large one in the same time
		}
		f.Add(data, data, uint8(0))
		f.Add(before, data, uint8(1))
		before = data
	}
	f.Add([]byte(`[{"iter":1,"numActiveRequests":2}]`), []byte(`[{"perf_metrics":{"timing_metrics":{"arrival_time":1,"first_scheduled_time":1e308}}}]`), uint8(0))
	f.Add([]byte("vllm:generation_tokens_total 9e15\n"), []byte("vllm:generation_tokens_total 1e308\n"), uint8(0))
	f.Fuzz(func(t *testing.T, first, second []byte, kind uint8) {
		e := newTestEngine(t, func(o *Options) {
			o.Kind = Kinds()[int(kind)%(len(Kinds())-1)] // all but custom
			o.DestructiveReads = true
		})
		before := make(map[string]float64)
		now := time.Now()
		for i, data := range [][]byte{first, second, first} {
			if r, err := e.read(data); err == nil {
				e.accept(r, now.Add(time.Duration(i)*10*time.Second), 0)
			} else {
				e.failed(err, 0)
			}
			gathered(t, e)
			for name, v := range e.totals() {
				if was := before[name]; v < was {
					t.Fatalf("%s stepped back from %v to %v", name, was, v)
				}
				before[name] = v
			}
			for id, h := range e.accumulator.histograms {
				below := 0.0
				for i, n := range h.counts {
					if n < below || n > h.count {
						t.Fatalf("%v: bucket %d of %+v", id, i, h)
					}
					below = n
				}
			}
		}
	})
}

// Reading a page of one rank, about 35 kB, and of four.
func BenchmarkRead(b *testing.B) {
	for _, name := range []string{"vllm_0.31", "vllm_0.31_dp4_multiprocess"} {
		b.Run(name, func(b *testing.B) {
			e := newTestEngine(b, nil)
			data := []byte(pageText(b, name))
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			at := epoch
			for b.Loop() {
				r, err := e.read(data)
				if err != nil {
					b.Fatal(err)
				}
				at = at.Add(10 * time.Second)
				e.accept(r, at, time.Millisecond)
			}
		})
	}
}

// Serving an engine.
func BenchmarkCollect(b *testing.B) {
	e := newTestEngine(b, nil)
	r, err := e.read([]byte(pageText(b, "vllm_0.31")))
	if err != nil {
		b.Fatal(err)
	}
	e.accept(r, time.Now(), time.Millisecond)
	b.ReportAllocs()
	ch := make(chan prometheus.Metric, 1000)
	for b.Loop() {
		e.Collect(ch)
		for len(ch) > 0 {
			<-ch
		}
	}
}
