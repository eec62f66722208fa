package record

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A packed histogram says what it said before, and so does one that was read again.
func TestHistogramPacks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h, other Histogram
		for range rapid.IntRange(0, 50).Draw(t, "n") {
			h.RecordN(time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, "d")), rapid.IntRange(1, 3).Draw(t, "times"))
		}
		other.Record(time.Second)
		type answers struct {
			count, atMost int
			mean, max     time.Duration
			p1, p50, p100 time.Duration
		}
		bound := time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, "bound"))
		ask := func(h *Histogram) answers {
			return answers{h.Count(), h.AtMost(bound), h.Mean(), h.Max(), h.Quantile(.01), h.Quantile(.5), h.Quantile(1)}
		}
		want := ask(&h)
		h.Pack()
		if got := ask(&h); got != want {
			t.Fatalf("packed: %+v; want %+v", got, want)
		}
		text, err := json.Marshal(&h)
		if err != nil {
			t.Fatal(err)
		}
		var again Histogram
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if got := ask(&again); got != want {
			t.Fatalf("read again: %+v; want %+v", got, want)
		}
		again.Add(&other)
		if got := again.Count(); got != want.count+1 {
			t.Fatalf("count = %d after one more; want %d", got, want.count+1)
		}
	})
}

func TestHistogramIsExactToAThousandth(t *testing.T) {
	for _, d := range []time.Duration{10 * time.Microsecond, 123456 * time.Microsecond, 7 * time.Second, 100 * time.Minute} {
		var h Histogram
		h.Record(d)
		if got := h.Quantile(.5); (got - d).Abs() > max(d/1000, 10*time.Microsecond) {
			t.Errorf("%v is given back as %v", d, got)
		}
		if h.AtMost(d-d/500-10*time.Microsecond) != 0 || h.AtMost(d+d/500+10*time.Microsecond) != 1 {
			t.Errorf("%v is counted on the wrong side", d)
		}
	}
	var nothing *Histogram
	if nothing.Count() != 0 || nothing.Quantile(.5) != 0 || nothing.AtMost(time.Hour) != 0 {
		t.Error("a nil histogram is not empty")
	}
}

// A quantile is the smallest value that at least its share is at most, and what a share reaches is the largest that at least
// the share is at least: as counting says, one by one, packed or not.
func TestHistogramQuantilesAreThoseOfSortedValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Histogram
		var values []time.Duration
		for range rapid.IntRange(1, 300).Draw(t, "n") {
			d := time.Duration(rapid.IntRange(1, 2047).Draw(t, "d")) * unit // so small ones are held exactly
			values = append(values, d)
			h.Record(d)
		}
		slices.Sort(values)
		n := len(values)
		percent := rapid.IntRange(1, 100).Draw(t, "percent")
		q := float64(percent) / 100
		// In whole numbers: a share of percent / 100 is at most this one, and not at most the one before.
		i := 0
		for 100*(i+1) < percent*n {
			i++
		}
		low, high := values[i], values[n-1-i]
		for _, packed := range []bool{false, true} {
			if packed {
				h.Pack()
			}
			if got := h.Quantile(q); got != low {
				t.Fatalf("packed %v: Quantile(%v) of %d = %v; want %v", packed, q, n, got, low)
			}
			if at := h.AtMost(low); 100*at < percent*n {
				t.Fatalf("packed %v: %d of %d are at most Quantile(%v)", packed, at, n, q)
			}
			if got := h.Reached(q); got != high {
				t.Fatalf("packed %v: Reached(%v) of %d = %v; want %v", packed, q, n, got, high)
			}
			off := math.Sqrt(q * (1 - q) / float64(n)) // the order statistics around it enclose it
			if below, above := h.Quantile(max(q-off, 0)), h.Quantile(min(q+off, 1)); below > low || above < low {
				t.Fatalf("packed %v: Quantile(%v ± %v) of %d are %v and %v; want %v between them", packed, q, off, n, below, above, low)
			}
			if got := h.Quantile(0); got != values[0] {
				t.Fatalf("packed %v: Quantile(0) = %v; want the least, %v", packed, got, values[0])
			}
		}
	})
}

func TestRank(t *testing.T) {
	for _, tt := range []struct {
		q       float64
		n, want int
	}{
		{.95, 36, 35}, // 34 would be 94.4 %
		{.95, 37, 36},
		{.95, 20, 19}, // a share that is whole
		{.95, 100, 95},
		{1 - .95, 100, 5}, // 0.05 and a little, by rounding
		{.07, 100, 7},     // 7.000000000000001
		{.99, 51, 51},     // the largest belongs to it up to 99
		{.99, 99, 99},
		{.99, 100, 99},
		{.5, 3, 2},
		{.5, 4, 2},
		{.999, 1000, 999},
		{.95, 1e9, 950000000},
		{0, 5, 1},
		{1, 5, 5},
		{2, 5, 5},
		{.5, 0, 1},
	} {
		if got := Rank(tt.q, tt.n); got != tt.want {
			t.Errorf("Rank(%v, %d) = %d; want %d", tt.q, tt.n, got, tt.want)
		}
	}
}

func BenchmarkHistogramRecord(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	for b.Loop() {
		h.Record(12345 * time.Microsecond)
	}
}

func BenchmarkHistogramPack(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var h Histogram
		for i := range 1000 {
			h.Record(time.Duration(i) * 997 * time.Microsecond)
		}
		h.Pack()
	}
}
