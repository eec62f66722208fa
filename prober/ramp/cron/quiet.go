package cron

import (
	"fmt"
	"slices"
	"time"
)

// Quiet is a time without scheduled ramps, by the clock: on each of Days from From until To. With From and To both 0 it
// is the whole day, and with Begin and End as well it is one time alone.
type Quiet struct {
	Days     []time.Weekday // on which it begins; empty: every day
	From, To time.Duration  // by the clock, since midnight, up to 24h; To at or before From: until To on the next day
	Location *time.Location // nil: UTC

	Begin, End time.Time // it holds from Begin on and before End only; zero: no such bound
}

// check says what is wrong with q.
func (q *Quiet) check() error {
	const day = 24 * time.Hour
	if q.From < 0 || q.From > day || q.To < 0 || q.To > day {
		return fmt.Errorf("blackout from %v to %v: times of day are from 0s to 24h", q.From, q.To)
	}
	for _, d := range q.Days {
		if d < time.Sunday || d > time.Saturday {
			return fmt.Errorf("blackout: there is no weekday %d", d)
		}
	}
	if !q.Begin.IsZero() && !q.End.IsZero() && !q.Begin.Before(q.End) {
		return fmt.Errorf("blackout: it ends (%v) before it begins (%v)", q.End, q.Begin)
	}
	return nil
}

// meets tells whether any of [from, to) is in q; where they are equal, whether that moment is.
func (q *Quiet) meets(from, to time.Time) bool {
	loc := q.Location
	if loc == nil {
		loc = time.UTC
	}
	first := from.In(loc)
	for n := -1; ; n++ { // from the day before on: its time may reach into this one
		y, m, d := first.Date()
		at := func(clock time.Duration, days int) time.Time {
			return time.Date(y, m, d+n+days, 0, 0, 0, int(clock), loc)
		}
		if at(0, 0).After(to) {
			return false
		}
		if !q.on(at(12*time.Hour, 0).Weekday()) { // noon exists on every day
			continue
		}
		begin, end := at(q.From, 0), at(q.To, 0)
		if q.To <= q.From {
			end = at(q.To, 1)
		}
		if !q.Begin.IsZero() && begin.Before(q.Begin) {
			begin = q.Begin
		}
		if !q.End.IsZero() && end.After(q.End) {
			end = q.End
		}
		if begin.Before(end) && end.After(from) && (begin.Before(to) || begin.Equal(from)) {
			return true
		}
	}
}

func (q *Quiet) on(day time.Weekday) bool {
	return len(q.Days) == 0 || slices.Contains(q.Days, day)
}
