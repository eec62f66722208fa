package main

import (
	"fmt"
	"time"
)

// wallClock tells the machine's wall clock at a monotonic instant. The server stamps its events with that clock, and the
// prober's times are held against them.
//
// A time.Time holds both clocks, but its wall reading alone will not do: a thread that loses its processor between the
// two readings makes them disagree by milliseconds, which would be our error and not the prober's. Whatever comes between
// them makes the distance too small, so the largest of many readings is the best.
type wallClock struct {
	base   time.Time
	offset int64 // Unix nanoseconds at base
}

func newWallClock() wallClock {
	c := wallClock{base: time.Now()}
	c.offset = c.measure()
	return c
}

func (c wallClock) measure() int64 {
	const readings = 1000
	var best int64
	for range readings {
		now := time.Now()
		best = max(best, now.UnixNano()-int64(now.Sub(c.base)))
	}
	return best
}

// unixNano is t, which must have a monotonic reading, on the wall clock.
func (c wallClock) unixNano(t time.Time) int64 { return c.offset + int64(t.Sub(c.base)) }

// moved is by how much the wall clock has been set since: an error, where it is enough to spoil the figures. Slewing, as NTP
// does it, moves both clocks alike and is none.
func (c wallClock) moved() (time.Duration, error) {
	const tolerance = 100 * time.Microsecond
	d := time.Duration(c.measure() - c.offset)
	if d.Abs() > tolerance {
		return d, fmt.Errorf("the wall clock was set by %v during the run, so the figures are worthless: run it again", d)
	}
	return d, nil
}
