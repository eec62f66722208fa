package record

import (
	"encoding/json"
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
