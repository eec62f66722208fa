package engine

import (
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// histogram holds observations: counts[i] of them were at most bounds[i], count in all, sum together.
type histogram struct {
	bounds []float64 // finite, strictly increasing
	counts []float64 // as many as bounds, never decreasing
	count  float64   // at least the last of counts
	sum    float64
}

// maxBounds bounds what one histogram can cost a page of ours. The finest known one, TGI's lengths of requests, has 100.
const maxBounds = 128

// readHistogram takes a histogram over from a page. It is false where the numbers cannot be those of a histogram.
func readHistogram(d *dto.Histogram) (*histogram, bool) {
	h := &histogram{sum: d.GetSampleSum(), count: max(float64(d.GetSampleCount()), d.GetSampleCountFloat())}
	buckets := slices.Clone(d.GetBucket())
	slices.SortFunc(buckets, func(a, b *dto.Bucket) int {
		switch {
		case a.GetUpperBound() < b.GetUpperBound():
			return -1
		case a.GetUpperBound() > b.GetUpperBound():
			return 1
		}
		return 0
	})
	for _, b := range buckets {
		bound, n := b.GetUpperBound(), max(float64(b.GetCumulativeCount()), b.GetCumulativeCountFloat())
		switch {
		case math.IsInf(bound, 1):
			h.count = max(h.count, n)
			continue
		case math.IsNaN(bound) || math.IsInf(bound, -1) || math.IsNaN(n):
			return nil, false
		case len(h.bounds) > 0 && (bound == h.bounds[len(h.bounds)-1] || n < h.counts[len(h.counts)-1]):
			return nil, false
		}
		h.bounds, h.counts = append(h.bounds, bound), append(h.counts, n)
	}
	if len(h.counts) > 0 {
		h.count = max(h.count, h.counts[len(h.counts)-1]) // of several processes' pages, one may be read later than another
	}
	if len(h.bounds) > maxBounds {
		h.bounds, h.counts = nil, nil
	}
	return h, h.valid()
}

// readSummary takes the sum and count of a summary over; its quantiles cannot be added to others.
func readSummary(d *dto.Summary) (*histogram, bool) {
	h := &histogram{sum: d.GetSampleSum(), count: float64(d.GetSampleCount())}
	return h, h.valid()
}

func (h *histogram) valid() bool { return countable(h.count) && countable(math.Abs(h.sum)) }

// countable reports whether n can be a count or a sum: beyond 2^53, where differences are no longer exact, nothing can.
func countable(n float64) bool { return n >= 0 && n < 1<<53 }

// scaled is h with all observations multiplied by f, which is above 0.
func (h *histogram) scaled(f float64) *histogram {
	if f == 1 {
		return h
	}
	s := &histogram{counts: h.counts, count: h.count, sum: h.sum * f}
	for _, b := range h.bounds {
		s.bounds = append(s.bounds, b*f)
	}
	return s
}

// at is how many observations were at most bound, as far as the bounds of h tell: those at most its next lower bound.
func (h *histogram) at(bound float64) float64 {
	i, found := slices.BinarySearch(h.bounds, bound)
	switch {
	case found:
		return h.counts[i]
	case i == 0:
		return 0
	}
	return h.counts[i-1]
}

// onto is h with other bounds. At those that h has too it is exact.
func (h *histogram) onto(bounds []float64) *histogram {
	if slices.Equal(h.bounds, bounds) {
		return h
	}
	o := &histogram{bounds: bounds, counts: make([]float64, len(bounds)), count: h.count, sum: h.sum}
	for i, b := range bounds {
		o.counts[i] = h.at(b)
	}
	return o
}

// plus is h and o together. Where their bounds differ, it has those that both have: at these, sums are exact.
func (h *histogram) plus(o *histogram) *histogram {
	bounds := h.bounds
	if !slices.Equal(h.bounds, o.bounds) {
		bounds = slices.DeleteFunc(slices.Clone(h.bounds), func(b float64) bool {
			_, both := slices.BinarySearch(o.bounds, b)
			return !both
		})
	}
	a, b := h.onto(bounds), o.onto(bounds)
	s := &histogram{bounds: bounds, counts: make([]float64, len(bounds)), count: a.count + b.count, sum: a.sum + b.sum}
	for i := range s.counts {
		s.counts[i] = a.counts[i] + b.counts[i]
	}
	return s
}

// below reports whether a bucket of h holds less than it did when h was before: h has begun anew.
func (h *histogram) below(before *histogram) bool {
	if h.count < before.count || !slices.Equal(h.bounds, before.bounds) {
		return true
	}
	var lower, lowerBefore float64
	for i, n := range h.counts {
		if n-lower < before.counts[i]-lowerBefore {
			return true
		}
		lower, lowerBefore = n, before.counts[i]
	}
	return false
}

// minus is what h has seen since it was before, of which it is not below.
func (h *histogram) minus(before *histogram) *histogram {
	d := &histogram{bounds: h.bounds, counts: make([]float64, len(h.counts)), count: h.count - before.count, sum: max(0, h.sum-before.sum)}
	for i := range d.counts {
		d.counts[i] = h.counts[i] - before.counts[i]
	}
	return d
}
