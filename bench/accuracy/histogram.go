package main

import (
	"math"
	"math/bits"
	"time"
)

const (
	fine       = 7 // bits kept of a duration's leading digits: buckets are at most 1/128 of their value wide
	sideLength = (64-fine-1)<<fine + 1<<fine
)

// histogram counts durations of either sign in log-linear buckets of at most 0.8 % of their value. The mean and the
// extremes are exact. The zero value is empty.
type histogram struct {
	count    int64
	sum      int64
	min, max int64
	below    []uint32 // durations less than zero, by magnitude
	above    []uint32
}

// slot is the bucket of a magnitude.
func slot(v uint64) int {
	shift := max(0, bits.Len64(v)-fine-1)
	return shift<<fine + int(v>>shift)
}

// middle is the middle of a bucket.
func middle(slot int) int64 {
	shift := max(0, slot>>fine-1)
	low := int64(slot-shift<<fine) << shift
	return low + (int64(1)<<shift-1)/2
}

func (h *histogram) add(d time.Duration) {
	if h.above == nil {
		h.above, h.below = make([]uint32, sideLength), make([]uint32, sideLength)
		h.min, h.max = math.MaxInt64, math.MinInt64
	}
	v := int64(d)
	h.count++
	h.sum += v
	h.min, h.max = min(h.min, v), max(h.max, v)
	if v < 0 {
		h.below[slot(uint64(-v))]++
	} else {
		h.above[slot(uint64(v))]++
	}
}

// quantile is the smallest duration that the share q of all does not exceed, within a bucket's width. It needs a count.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(1, int64(math.Ceil(q*float64(h.count))))
	var seen int64
	at := func(v int64) time.Duration { return time.Duration(min(max(v, h.min), h.max)) }
	for i := len(h.below) - 1; i >= 0; i-- {
		if seen += int64(h.below[i]); seen >= rank {
			return at(-middle(i))
		}
	}
	for i, n := range h.above {
		if seen += int64(n); seen >= rank {
			return at(middle(i))
		}
	}
	return time.Duration(h.max)
}

// summary is what a report says of a histogram, in seconds. A minimum below zero is within the error of the clocks.
type summary struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Min  float64 `json:"min"`
}

// summarise returns nil for an empty histogram.
func (h *histogram) summarise() *summary {
	if h.count == 0 {
		return nil
	}
	return &summary{
		Mean: float64(h.sum) / float64(h.count) / 1e9,
		P50:  h.quantile(.5).Seconds(), P99: h.quantile(.99).Seconds(),
		Max: time.Duration(h.max).Seconds(), Min: time.Duration(h.min).Seconds(),
	}
}
