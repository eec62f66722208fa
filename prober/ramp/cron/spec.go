package cron

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// minEvery is the shortest interval of `@every`: crontab lines know nothing shorter than a minute either.
const minEvery = time.Minute

// A Spec is a schedule in a time zone. It is immutable.
type Spec struct {
	text  string
	loc   *time.Location
	every time.Duration // of `@every`; 0: wall applies
	wall  cron.Schedule // the crontab line, asked in UTC only: it reckons with clock faces, not with instants
	all   bool          // it names every hour
}

// Parse reads a crontab line of five fields (minute, hour, day of month, month, day of week), or `@hourly`, `@daily`,
// `@weekly`, `@monthly`, `@yearly`, or `@every` with a duration of a minute or more, whose times are the multiples of it
// since 1970 in UTC: so restarts and other probers agree on them. A nil location is UTC.
func Parse(spec string, loc *time.Location) (*Spec, error) {
	if loc == nil {
		loc = time.UTC
	}
	text := strings.TrimSpace(spec)
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") {
		return nil, fmt.Errorf("schedule %q: the time zone does not belong here: set `timezone`", spec)
	}
	parsed, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", spec, err)
	}
	s := &Spec{text: text, loc: loc, wall: parsed}
	switch p := parsed.(type) {
	case cron.ConstantDelaySchedule:
		if p.Delay < minEvery { // the parser takes negative ones, too, and rounds all up to a second
			return nil, fmt.Errorf("schedule %q: the shortest interval is %v", spec, minEvery)
		}
		s.every = p.Delay
	case *cron.SpecSchedule:
		const hours = 1<<24 - 1
		s.all = p.Hour&hours == hours
		// The parser looks five years ahead; from 2000 on that finds 29 February.
		if p.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
			return nil, fmt.Errorf("schedule %q: there is no such day", spec)
		}
	}
	return s, nil
}

// parse keeps panics of the parser, of which there are known ones, from ending the program.
func parse(text string) (s cron.Schedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, err = nil, errors.New("it cannot be read")
		}
	}()
	return cron.ParseStandard(text)
}

// String is the line as it was written.
func (s *Spec) String() string { return s.text }

// Next is the first time after the given one, in the schedule's time zone. It is zero where none comes within five years.
func (s *Spec) Next(after time.Time) time.Time {
	after = after.In(s.loc)
	if s.every > 0 {
		step := int64(s.every / time.Second)
		return time.Unix((floor(after.Unix(), step)+1)*step, 0).In(s.loc)
	}
	next := s.search(face(after), after)
	if !s.all {
		return next
	}
	// The next change of the clocks may bring times again whose clock faces are before that of `after`.
	if _, change := after.ZoneBounds(); !change.IsZero() && (next.IsZero() || !next.Before(change)) {
		if again := s.search(face(change).Add(-time.Second), after); !again.IsZero() && (next.IsZero() || again.Before(next)) {
			return again
		}
	}
	return next
}

// floor is a/b, rounded down.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// search goes through the clock faces after the given one, and returns the first instant after `after` that shows one.
func (s *Spec) search(from, after time.Time) time.Time {
	for f := s.wall.Next(from); !f.IsZero(); f = s.wall.Next(f) {
		shown := s.instants(f)
		if !s.all {
			shown = shown[:1]
		}
		for _, t := range shown {
			if t.After(after) {
				return t
			}
		}
	}
	return time.Time{}
}

// face is what a clock shows at t, as if it hung in UTC.
func face(t time.Time) time.Time {
	_, offset := t.Zone()
	return time.Unix(t.Unix()+int64(offset), int64(t.Nanosecond())).UTC()
}

// instants are the times at which a clock shows f, in order: one, or two where it is set back over f. Where it is set
// forward over f, it is the time at which that happens.
func (s *Spec) instants(f time.Time) []time.Time {
	near := time.Date(f.Year(), f.Month(), f.Day(), f.Hour(), f.Minute(), f.Second(), 0, s.loc)
	start, end := near.ZoneBounds()
	around := []time.Time{near}
	if !start.IsZero() {
		around = append(around, start.Add(-time.Second))
	}
	if !end.IsZero() {
		around = append(around, end)
	}
	var shown []time.Time
	for _, t := range around {
		_, offset := t.Zone()
		if at := time.Unix(f.Unix()-int64(offset), 0).In(s.loc); face(at).Equal(f) {
			shown = append(shown, at)
		}
	}
	slices.SortFunc(shown, func(a, b time.Time) int { return cmp.Compare(a.Unix(), b.Unix()) })
	shown = slices.CompactFunc(shown, time.Time.Equal)
	if len(shown) > 0 {
		return shown
	}
	for _, change := range []time.Time{start, end} {
		if !change.IsZero() && !face(change.Add(-time.Second)).After(f) && face(change).After(f) {
			return []time.Time{change}
		}
	}
	return []time.Time{near} // a zone that changes twice within hours: what Go makes of it
}
