package ramp

import (
	"math/bits"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// A sketch counts times in buckets of at most 1.6 % of their value, as an HDR histogram does, but only between the least
// and the largest that came: hundreds are open at a time, one for each indicator of each window. The zero value is ready.
type sketch struct {
	counts []uint32 // of buckets from first on
	first  int
	n      int
	sum    time.Duration
	max    time.Duration
}

const sketchBits = 6 // of each power of two, so many halvings

// bucket is where a time is counted: times are cut to microseconds, and then to their sketchBits+1 leading bits.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0) / time.Microsecond)
	shift := max(bits.Len64(v)-sketchBits-1, 0)
	return shift<<sketchBits + int(v>>shift)
}

// middle is the middle of a bucket.
func middle(b int) time.Duration {
	shift := max(b>>sketchBits-1, 0)
	v := uint64(b - shift<<sketchBits)
	return time.Duration(v<<shift+(uint64(1)<<shift)/2) * time.Microsecond
}

func (s *sketch) add(d time.Duration, n int) {
	d = min(max(d, 0), 24*time.Hour)
	b := bucket(d)
	switch {
	case len(s.counts) == 0:
		s.first, s.counts = b, make([]uint32, 1, 32)
	case b < s.first:
		s.counts = slices.Insert(s.counts, 0, make([]uint32, s.first-b)...)
		s.first = b
	case b >= s.first+len(s.counts):
		s.counts = append(s.counts, make([]uint32, b-s.first-len(s.counts)+1)...)
	}
	s.counts[b-s.first] += uint32(n)
	s.n += n
	s.sum += d * time.Duration(n)
	s.max = max(s.max, d)
}

// quantile is the smallest value that at least a share q of all is at most.
func (s *sketch) quantile(q float64) time.Duration {
	rank := record.Rank(q, s.n)
	seen := 0
	for i, n := range s.counts {
		if seen += int(n); seen >= rank {
			return min(middle(s.first+i), s.max)
		}
	}
	return s.max
}

// quantiles are those of a window.
func (s *sketch) quantiles() record.Quantiles {
	if s.n == 0 {
		return record.Quantiles{}
	}
	return record.Quantiles{
		N:    s.n,
		Mean: s.sum.Seconds() / float64(s.n),
		P50:  s.quantile(.50).Seconds(),
		P90:  s.quantile(.90).Seconds(),
		P95:  s.quantile(.95).Seconds(),
		P99:  s.quantile(.99).Seconds(),
		Max:  s.max.Seconds(),
	}
}
