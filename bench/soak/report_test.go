package main

import (
	"testing"

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
