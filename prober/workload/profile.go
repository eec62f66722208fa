package workload

import (
	"fmt"
	"math"
	"time"
)

// MaxRate is the highest rate that a profile can have, in arrivals per second.
const MaxRate = 1_000_000

// Segment is a part of a profile in which the rate goes evenly from one value to another.
type Segment struct {
	From, To float64       // arrivals per second, 0 to MaxRate; both 0: nobody comes
	Over     time.Duration // 0: the segment has no effect, the rate jumps
}

// Profile is a wanted rate of arrivals over time: segments, one after the other. Where one begins at another rate than the
// last one ended, the rate steps. Outside of them nobody comes.
//
//	rate        ____
//	           /    |
//	          /     |
//	    _____/      |_____
//	 0 ──────────────────── time
//	     hold ramp hold, a step, hold
type Profile []Segment

// Check says what is wrong with a profile.
func (p Profile) Check() error {
	var total time.Duration
	for i, s := range p {
		for _, rate := range []float64{s.From, s.To} {
			if !(rate >= 0 && rate <= MaxRate) {
				return fmt.Errorf("segment %d of the load profile has the rate %v; give one from 0 to %d per second", i+1, rate, MaxRate)
			}
		}
		if s.Over < 0 {
			return fmt.Errorf("segment %d of the load profile lasts %v; give a time of 0 or longer", i+1, s.Over)
		}
		if total += s.Over; total < 0 {
			return fmt.Errorf("the load profile is longer than %v; shorten segment %d", time.Duration(math.MaxInt64), i+1)
		}
	}
	return nil
}

// Duration is how long all segments last together.
func (p Profile) Duration() time.Duration {
	var d time.Duration
	for _, s := range p {
		d += s.Over
	}
	return d
}

// Expected is the integral of the rate from the beginning until a time: how many arrivals there are by then in the mean.
func (p Profile) Expected(until time.Duration) float64 {
	var n float64
	for _, s := range p {
		if until < s.Over {
			return n + s.expected(max(until, 0))
		}
		n += s.total()
		until -= s.Over
	}
	return n
}

// total is the integral of the rate over the whole segment.
func (s *Segment) total() float64 { return (s.From + s.To) / 2 * s.Over.Seconds() }

// expected is the integral of the rate over the segment's beginning, t long.
func (s *Segment) expected(t time.Duration) float64 {
	x := t.Seconds()
	return s.From*x + s.slope()*x*x/2
}

// slope is by how much the rate grows in a second.
func (s *Segment) slope() float64 { return (s.To - s.From) / s.Over.Seconds() }

// when is the inverse of expected: the time at which the integral of the rate, r0 + a·t, reaches n.
//
//	n = r0·t + a·t²/2   ⇒   t = (−r0 + √(r0² + 2·a·n)) / a = 2·n / (r0 + √(r0² + 2·a·n))
//
// The second form holds for a = 0, too, and loses no digits where a is small.
func (s *Segment) when(n float64) time.Duration {
	root := math.Sqrt(max(s.From*s.From+2*s.slope()*n, 0)) // the rate at that time; below 0 by rounding, at the end of a ramp to 0
	if s.From+root == 0 {
		return 0
	}
	t := 2 * n / (s.From + root)
	return min(time.Duration(math.Round(min(t, s.Over.Seconds())*float64(time.Second))), s.Over)
}
