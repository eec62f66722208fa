package cron

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// An Entry is one ramp.
type Entry struct {
	Name     string
	Targets  []string       // all that it loads: its own and those of its lanes
	Schedule string         // as Parse reads it; empty: by hand only
	Location *time.Location // of Schedule; nil: UTC
	Jitter   time.Duration  // how much later than its time a run may begin; at most half the way to the next one is used
	Quiet    []Quiet        // its blackouts; runs that are started by hand or by the API do not heed them
	Length   time.Duration  // how long a run is planned to take, so that none runs into a blackout; 0: only its beginning counts

	// Fingerprint stands for all else that makes the ramp what it is: when it changes, a run under way is ended.
	Fingerprint string
}

// check says what is wrong with e.
func (e *Entry) check() (*Spec, error) {
	var errs []error
	if e.Name == "" {
		errs = append(errs, errors.New("it has no name"))
	}
	if len(e.Targets) == 0 {
		errs = append(errs, errors.New("it has no target"))
	}
	if e.Jitter < 0 {
		errs = append(errs, fmt.Errorf("jitter %v: it cannot be less than nothing", e.Jitter))
	}
	for i := range e.Quiet {
		errs = append(errs, e.Quiet[i].check())
	}
	var spec *Spec
	if e.Schedule != "" {
		var err error
		spec, err = Parse(e.Schedule, e.Location)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("ramp %q: %w", e.Name, err)
	}
	return spec, nil
}

// sameRun tells whether a run of e is one of o as well, so that it may go on.
func (e *Entry) sameRun(o *Entry) bool {
	return e.Fingerprint == o.Fingerprint && slices.Equal(e.Targets, o.Targets)
}

// quiet tells whether a run that begins at start would meet a blackout.
func (e *Entry) quiet(start time.Time) bool {
	return slices.ContainsFunc(e.Quiet, func(q Quiet) bool { return q.meets(start, start.Add(max(e.Length, 0))) })
}

// sameTimes tells whether the occasions of e and o are the same.
func (e *Entry) sameTimes(o *Entry) bool {
	zone := func(l *time.Location) string {
		if l == nil {
			return time.UTC.String()
		}
		return l.String()
	}
	return e.Schedule == o.Schedule && e.Jitter == o.Jitter && zone(e.Location) == zone(o.Location)
}
