package cron

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

const (
	// lateAfter is how much later than its jitter allows a run may begin: then the load would fall into another time.
	lateAfter = 5 * time.Minute
	// resetAfter is how far the wall clock must be set back for the schedules to be laid anew: less than that is
	// mended time, more is a clock that was wrong when the schedules were laid.
	resetAfter = 24 * time.Hour
	// mostLate bounds how many late occasions are counted at once, should the clock be set forward by years.
	mostLate = 10_000
)

// Latest is when a run of an occasion may begin at the latest: what is later has lost its sense.
func Latest(nominal time.Time, jitter time.Duration) time.Time {
	return nominal.Add(max(jitter, 0) + lateAfter)
}

// An occasion is one time of one schedule.
type occasion struct {
	nominal time.Time // the time by the schedule, which names the occasion for everybody
	start   time.Time // nominal and jitter
}

// A timetable is a schedule and how far it has been gone through. It asks no clock, so that all of it can be tested.
type timetable struct {
	spec   *Spec // nil: no occasions
	name   string
	seed   uint64
	jitter time.Duration
	seen   time.Time // all occasions with a nominal time until then are done with

	// The last answer of after, which is asked for every minute.
	asked time.Time
	told  occasion
}

// after is the first occasion with a nominal time after t.
func (tt *timetable) after(t time.Time) (occasion, bool) {
	if tt.spec == nil {
		return occasion{}, false
	}
	if tt.asked.IsZero() || !tt.asked.Equal(t) {
		tt.asked, tt.told = t, occasion{}
		if nominal := tt.spec.Next(t); !nominal.IsZero() {
			tt.told = occasion{nominal: nominal, start: nominal.Add(tt.delay(nominal))}
		}
	}
	return tt.told, !tt.told.nominal.IsZero()
}

// delay is the jitter of an occasion: always the same one, and less than half the way to the next one.
func (tt *timetable) delay(nominal time.Time) time.Duration {
	bound := tt.jitter
	if next := tt.spec.Next(nominal); !next.IsZero() {
		bound = min(bound, next.Sub(nominal)/2)
	}
	if bound <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, tt.seed))
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(nominal.Unix())))
	_, _ = h.Write([]byte(tt.name))
	mixed := h.Sum64() // FNV's high bits hardly depend on the last bytes: mix them, as splitmix64 does
	mixed = (mixed ^ mixed>>30) * 0xbf58476d1ce4e5b9
	mixed = (mixed ^ mixed>>27) * 0x94d049bb133111eb
	mixed ^= mixed >> 31
	return time.Duration(mixed % uint64(bound))
}

// lay begins at now: occasions that have begun by then are not ours.
func (tt *timetable) lay(now time.Time) {
	tt.seen = now.Add(-tt.jitter)
	for {
		o, ok := tt.after(tt.seen)
		if !ok || o.start.After(now) {
			return
		}
		tt.seen = o.nominal
	}
}

// between are the occasions with a nominal time after t that have begun by now, but for those that leave is told of.
func (tt *timetable) between(t, now time.Time, leave func(occasion) bool) (all []occasion) {
	for range mostLate {
		o, ok := tt.after(t)
		if !ok || o.start.After(now) {
			break
		}
		if !leave(o) {
			all = append(all, o)
		}
		t = o.nominal
	}
	return all
}

// look goes through what was to begin by now: the newest, unless that is too late as well, is due, and the others are late.
func (tt *timetable) look(now time.Time) (due *occasion, late []occasion) {
	if tt.seen.Sub(now) > resetAfter {
		tt.lay(now)
	}
	for {
		o, ok := tt.after(tt.seen)
		if !ok || o.start.After(now) {
			break
		}
		if len(late) >= mostLate {
			tt.lay(now)
			break
		}
		tt.seen = o.nominal
		if due != nil {
			late = append(late, *due)
		}
		due = &o
	}
	if due != nil && now.After(Latest(due.nominal, tt.jitter)) {
		late = append(late, *due)
		due = nil
	}
	return due, late
}
