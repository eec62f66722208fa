package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Arrivals are the times at which requests are wanted, as distances from one common beginning, in order. They are one
// absolute schedule: when an arrival was served has no influence on the next, and no error adds up.
//
//	start := time.Now()
//	for at, ok := arrivals.Next(); ok; at, ok = arrivals.Next() {
//		if err := workload.SleepUntil(ctx, start.Add(at)); err != nil {
//			return err
//		}
//		begin(start.Add(at)) // the intended time: judge by it, however late this is
//	}
//
// The same profile, process and seed give the same times (to the nanosecond on one kind of processor, for others round
// the last digits otherwise). Arrivals are not safe for concurrent use.
type Arrivals struct {
	source source
	skip   int // arrivals of the source to pass over before the next one
	every  int
}

// A source yields times that never go back; false once there are no more.
type source interface{ next() (time.Duration, bool) }

// NewArrivals returns the arrivals of a process whose rate follows a profile. A nil process is Constant.
func NewArrivals(profile Profile, process Process, seed uint64) (*Arrivals, error) {
	if err := profile.Check(); err != nil {
		return nil, err
	}
	if process == nil {
		process = Constant{}
	}
	if err := process.check(); err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, math.MaxUint64)) // a stream that no prompt of this seed has
	return &Arrivals{
		source: &mapped{left: slices.Clone(profile), process: process, rand: r, n: process.first(r)},
		every:  1,
	}, nil
}

// Next returns the next arrival; false once there are no more.
func (a *Arrivals) Next() (time.Duration, bool) {
	for range a.skip {
		if _, ok := a.source.next(); !ok {
			return 0, false
		}
	}
	a.skip = a.every - 1
	return a.source.next()
}

// Shard returns every of-th arrival of those that a still has, beginning with the i-th, 0 to of-1. Several probers that
// take one shard each of equal arrivals serve every arrival once. It takes a over: do not use a any more.
func (a *Arrivals) Shard(i, of int) (*Arrivals, error) {
	if of < 1 || i < 0 || i >= of {
		return nil, fmt.Errorf("there is no shard %d of %d; count from 0", i, of)
	}
	return &Arrivals{source: a.source, skip: a.skip + i*a.every, every: a.every * of}, nil
}

// mapped sends the points of a process of rate 1 through the inverse of the integral of a profile's rate. This makes them
// points of that rate: evenly spaced ones stay so where the rate is constant, and Poisson's stay Poisson's.
//
//	4 ┤- - - - - - - -/|
//	3 ┤- - - - - - -/  |     the integral of the rate: here a hold, then a ramp
//	2 ┤- - - - - _/ |  |
//	1 ┤- - - _/  |  |  |
//	  └─────|────|──|──|── time
type mapped struct {
	left    []Segment
	start   time.Duration // of the first one left
	process Process
	rand    *rand.Rand
	n       float64       // where the next point is, from the integral at start on: so it stays small and exact
	last    time.Duration // the last arrival
}

func (m *mapped) next() (time.Duration, bool) {
	for len(m.left) > 0 {
		s := &m.left[0]
		if total := s.total(); m.n >= total {
			m.n -= total
			m.start += s.Over
			m.left = m.left[1:]
			continue
		}
		m.last = max(m.last, m.start+s.when(m.n)) // rounding could turn two points that are next to each other
		m.n += m.process.gap(m.rand)
		return m.last, true
	}
	return 0, false
}
