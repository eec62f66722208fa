package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/llmprober/llm_prober/bench/internal/process"
)

// dispatched makes samples of a run in which each of n stretches has ten requests, as late as late says: in seconds.
func dispatched(t *testing.T, n int, late func(i int) float64) *soak {
	t.Helper()
	bounds := []float64{1e-4, 2e-4, 4e-4, 1e-3, 1e-2, 1e-1}
	counts := make([]uint64, len(bounds))
	k := new(soak)
	total := uint64(0)
	add := func() {
		h := &dto.Histogram{SampleCount: new(total)}
		below := uint64(0)
		for i, bound := range bounds {
			below += counts[i]
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(below)})
		}
		page := process.Page{"delay": {Metric: []*dto.Metric{{Histogram: h}}}}
		delay, err := page.Histogram("delay")
		if err != nil {
			t.Fatal(err)
		}
		k.samples = append(k.samples, sample{delay: delay})
	}
	add()
	for i := range n {
		for j, bound := range bounds {
			if late(i) <= bound {
				counts[j] += 10
				break
			}
		}
		total += 10
		add()
	}
	return k
}

func TestLater(t *testing.T) {
	for _, test := range []struct {
		name string
		late func(i int) float64
		want int // of the median, and the slowest hundredth
	}{
		{"always the same", func(int) float64 { return 3e-4 }, 0},
		{"now and then later", func(i int) float64 { return []float64{1e-4, 3e-4, 1e-3}[i%3] }, 0},
		{"later at the end", func(i int) float64 { return 3e-4 * float64(1+i/10) }, 2},
		{"sooner at the end", func(i int) float64 { return 9e-3 / float64(1+i) }, 0},
		{"by too little to matter", func(i int) float64 { return 5e-5 + 1e-5*float64(i/5) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := dispatched(t, 30, test.late)
			if got := k.later(true); len(got) != test.want {
				t.Errorf("later() = %q; want %d", got, test.want)
			}
			if got := k.later(false); len(got) != test.want/2 {
				t.Errorf("later() of a short run = %q; want %d", got, test.want/2)
			}
		})
	}
}

// A short run believes what each of its windows found, and a long one what its only one did.
func TestLasting(t *testing.T) {
	const rss, delay = "rss: 2 MB", "dispatch delay: later"
	for _, test := range []struct {
		name     string
		duration time.Duration
		windows  []report
		grew     string
		odd      bool
	}{
		{"nothing", time.Minute, []report{{}}, "", false},
		{"once", time.Minute, []report{{Grew: []string{rss}, odd: true}, {}}, "", false},
		{"one after the other", time.Minute, []report{{Grew: []string{rss}}, {Grew: []string{delay}, odd: true}}, "", false},
		{"twice", time.Minute, []report{{odd: true}, {odd: true}, {Grew: []string{rss}}}, "", false},
		{"always", time.Minute, []report{{Grew: []string{rss, delay}}, {Grew: []string{"rss: 3 MB"}}, {Grew: []string{delay, "rss: 4 MB"}, odd: true}}, "rss: 4 MB", false},
		{"never the demo's mix", time.Minute, []report{{odd: true}, {odd: true}, {Grew: []string{rss}, odd: true}}, "", true},
		{"a long run", longRun, []report{{Grew: []string{rss}, odd: true}}, rss, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			s, watched := settings{duration: test.duration, again: 2, stderr: &stderr}, 0
			r, err := s.lasting(func() (*report, error) {
				watched++
				return &test.windows[watched-1], nil
			})
			if err != nil || watched != len(test.windows) || r.Windows != watched || strings.Join(r.Grew, "; ") != test.grew || r.odd != test.odd || strings.Count(stderr.String(), "watched again") != watched-1 {
				t.Errorf("after %d windows: %+v, %v; want %q, odd %t, after %d", watched, r, err, test.grew, test.odd, len(test.windows))
			}
		})
	}
}

// What a machine that stands still skips is no other mix, but in a long run; what is always skipped is.
func TestOdd(t *testing.T) {
	for _, test := range []struct {
		name        string
		skips       func(i int) float64 // of a hundred requests
		short, long bool
	}{
		{"none", func(int) float64 { return 0 }, false, false},
		{"now and then", func(i int) float64 { return float64(i % 10 / 9 * 90) }, false, true},
		{"always", func(int) float64 { return 2 }, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			samples := []sample{{}}
			for i := range 30 {
				last := samples[i]
				samples = append(samples, sample{requests: last.requests + 100, skipped: last.skipped + test.skips(i)})
			}
			last := samples[len(samples)-1]
			r := &report{Requests: last.requests, Skipped: last.skipped}
			for duration, want := range map[time.Duration]bool{3 * time.Minute: test.short, longRun: test.long} {
				k := &soak{settings: &settings{duration: duration}, samples: samples}
				if got := k.odd(r); got != want {
					t.Errorf("odd() of a run of %v = %t; want %t", duration, got, want)
				}
			}
		})
	}
}
