package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestHistogramOnto(t *testing.T) {
	h := &histogram{bounds: []float64{1, 2, 4}, counts: []float64{1, 3, 6}, count: 8, sum: 30}
	for _, c := range []struct{ bounds, want []float64 }{
		{[]float64{1, 2, 4}, []float64{1, 3, 6}},
		{[]float64{2}, []float64{3}},
		{[]float64{.5, 1.5, 3, 9}, []float64{0, 1, 3, 6}}, // known to be at most that, at least
		{nil, []float64{}},
	} {
		if diff := cmp.Diff(c.want, h.onto(c.bounds).counts); diff != "" {
			t.Errorf("onto(%v) (-want +got):\n%s", c.bounds, diff)
		}
	}
}

func drawHistogram(t *rapid.T, name string) *histogram {
	bounds := rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 0, 4, func(b int) int { return b }).Draw(t, name+" bounds")
	h := new(histogram)
	for b := range 10 {
		for _, x := range bounds {
			if x == b {
				h.bounds = append(h.bounds, float64(b))
			}
		}
	}
	h.counts = make([]float64, len(h.bounds))
	for _, v := range rapid.SliceOfN(rapid.Float64Range(0, 12), 0, 20).Draw(t, name+" observations") {
		h.count++
		h.sum += v
		for i, b := range h.bounds {
			if v <= b {
				h.counts[i]++
			}
		}
	}
	return h
}

// Whatever is added, a histogram stays one, and at the bounds that both have it is exact.
func TestHistogramPlus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawHistogram(t, "a"), drawHistogram(t, "b")
		s := a.plus(b)
		below := 0.0
		for i, bound := range s.bounds {
			if want := a.at(bound) + b.at(bound); s.counts[i] != want {
				t.Errorf("at %v: %v; want %v", bound, s.counts[i], want)
			}
			if s.counts[i] < below {
				t.Errorf("at %v: %v is below %v", bound, s.counts[i], below)
			}
			below = s.counts[i]
		}
		if s.count != a.count+b.count || s.count < below {
			t.Errorf("count = %v; want %v", s.count, a.count+b.count)
		}
		if s.below(a.onto(s.bounds)) {
			t.Errorf("%+v is below %+v, which it contains", s, a)
		}
		if d := s.minus(a.onto(s.bounds)); !cmp.Equal(d.counts, b.onto(s.bounds).counts) {
			t.Errorf("minus = %v; want %v", d.counts, b.onto(s.bounds).counts)
		}
	})
}

// A bucket that holds less has begun anew, even where the counts up to its bound have grown.
func TestHistogramBelow(t *testing.T) {
	before := &histogram{bounds: []float64{1, 2}, counts: []float64{1, 5}, count: 6}
	for _, c := range []struct {
		name string
		h    histogram
		want bool
	}{
		{"the same", *before, false},
		{"more everywhere", histogram{bounds: []float64{1, 2}, counts: []float64{2, 7}, count: 9}, false},
		{"less in all", histogram{bounds: []float64{1, 2}, counts: []float64{1, 5}, count: 5}, true},
		{"the second bucket has 3 instead of 4", histogram{bounds: []float64{1, 2}, counts: []float64{3, 6}, count: 7}, true},
		{"other bounds", histogram{bounds: []float64{1, 3}, counts: []float64{2, 7}, count: 9}, true},
	} {
		if got := c.h.below(before); got != c.want {
			t.Errorf("%s: below = %v; want %v", c.name, got, c.want)
		}
	}
}
