package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Plan is all that is to be run.
type Plan struct {
	MaxInFlight int // runs under way at once, over all groups; 0: no bound
	Groups      []Group
	Jobs        []Job
}

// Group bounds what its jobs together may ask of one target.
type Group struct {
	Name string

	MaxInFlight         int // runs under way at once; 0: no bound
	RequestsPerMinute   int // requests begun in any 60 seconds; 0: no bound
	OutputTokensPerHour int // output tokens in any 60 minutes; 0: no bound
}

// Job is something that runs again and again.
type Job struct {
	Key         string        // unique, "target/probe": with the interval it decides when the job ticks
	Group       string        // name of a group of the plan
	Fingerprint string        // of all that Run depends on: where it is the same as before, the old Run goes on
	Interval    time.Duration // between ticks, at least 1ms
	Jitter      time.Duration // each tick comes up to this much later, below Interval; 0: none
	Cost        Cost          // the most that one run can use; Requests 0 is taken as 1

	// Run does the work and returns what it used of Cost, with a negative number where that is unknown.
	// It ends soon after ctx does; the cause is ErrRemoved or ErrShutdown, and says that this is not a failure.
	// intended is when the run should have begun.
	Run func(ctx context.Context, intended time.Time) Cost
}

// Cost is what a run asks of its target.
type Cost struct {
	Requests     int
	OutputTokens int
}

// sameAs reports whether a job applied anew leaves the one that is there as it is.
func (j *Job) sameAs(o *Job) bool {
	return j.Key == o.Key && j.Group == o.Group && j.Fingerprint == o.Fingerprint &&
		j.Interval == o.Interval && j.Jitter == o.Jitter && j.Cost == o.Cost
}

// check returns everything that is wrong with the plan.
func (p *Plan) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.MaxInFlight < 0 {
		bad("MaxInFlight is %d: want 0 or more", p.MaxInFlight)
	}
	groups := make(map[string]bool, len(p.Groups))
	for _, g := range p.Groups {
		if groups[g.Name] {
			bad("group %q: there are two", g.Name)
		}
		groups[g.Name] = true
		if g.MaxInFlight < 0 || g.RequestsPerMinute < 0 || g.OutputTokensPerHour < 0 {
			bad("group %q: a bound is negative", g.Name)
		}
	}
	jobs := make(map[string]bool, len(p.Jobs))
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if jobs[j.Key] {
			bad("job %q: there are two", j.Key)
		}
		jobs[j.Key] = true
		if !groups[j.Group] {
			bad("job %q: there is no group %q", j.Key, j.Group)
		}
		if j.Interval < time.Millisecond {
			bad("job %q: Interval is %v: want 1ms or more", j.Key, j.Interval)
		}
		if j.Jitter < 0 || j.Jitter >= max(j.Interval, 1) {
			bad("job %q: Jitter is %v: want 0 or more, and less than Interval", j.Key, j.Jitter)
		}
		if j.Cost.Requests < 0 || j.Cost.OutputTokens < 0 {
			bad("job %q: Cost is negative", j.Key)
		}
		if j.Run == nil {
			bad("job %q: Run is nil", j.Key)
		}
	}
	return errors.Join(errs...)
}
