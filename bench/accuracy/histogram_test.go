package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHistogram holds quantiles against the sorted values, and the rest against plain arithmetic.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Int64Range(-1000, 1000), rapid.Int64Range(-1e12, 1e12))
		values := rapid.SliceOfN(value, 1, 200).Draw(t, "values")
		var h histogram
		var sum int64
		for _, v := range values {
			h.add(time.Duration(v))
			sum += v
		}
		slices.Sort(values)
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			want := values[max(0, int(math.Ceil(q*float64(len(values))))-1)]
			got := int64(h.quantile(q))
			if off := math.Abs(float64(got - want)); off > math.Abs(float64(want))/128 {
				t.Fatalf("quantile(%v) = %d; want %d within 1/128", q, got, want)
			}
		}
		s := h.summarise()
		if s.Max != time.Duration(values[len(values)-1]).Seconds() || s.Min != time.Duration(values[0]).Seconds() {
			t.Fatalf("extremes are %v and %v; want those of %v", s.Min, s.Max, values)
		}
		if mean := float64(sum) / float64(len(values)) / 1e9; s.Mean != mean {
			t.Fatalf("mean = %v; want %v", s.Mean, mean)
		}
	})
	if s := new(histogram).summarise(); s != nil {
		t.Errorf("an empty histogram has the summary %v; want none", s)
	}
}
