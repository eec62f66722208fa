package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Plan is all that is to be run.
type Plan struct {
	MaxInFlight int    // requests under way at once, over all groups; 0: no bound
	Budget      Budget // of all groups together; zero: no bounds
	Groups      []Group
	Jobs        []Job
}

// Group bounds what its jobs together may ask of one target.
type Group struct {
	Name string

	MaxInFlight         int     // requests under way at once; 0: no bound
	RequestsPerMinute   int     // requests begun in any 60 seconds; 0: no bound
	OutputTokensPerHour int     // output tokens in any 60 minutes; 0: no bound
	CostPerDay          float64 // money in any 24 hours, in Currency; 0: no bound
	Currency            string  // of all the group's money, such as "USD"; "": it costs nothing
}

// budget returns the group's budgets.
func (g *Group) budget() Budget {
	return Budget{
		RequestsPerMinute: g.RequestsPerMinute, OutputTokensPerHour: g.OutputTokensPerHour,
		CostPerDay: map[string]float64{g.Currency: g.CostPerDay},
	}
}

// Job is something that runs again and again.
type Job struct {
	Key         string        // unique, "target/probe": with the interval it decides when the job ticks
	Group       string        // name of a group of the plan
	Fingerprint string        // of all that Run depends on: where it is the same as before, the old Run goes on
	Interval    time.Duration // between ticks, at least 1ms; with a Burst it is not looked at
	Jitter      time.Duration // each tick comes up to this much later, below Interval or AfterIdle; 0: none
	Burst       Burst         // zero: none
	Cost        Cost          // the most that one run can use; Requests is taken as 1, or a burst's Size, at least

	// Run does the work and returns what it used of Cost, with a negative number where that is unknown.
	// It ends soon after ctx does; the cause is ErrRemoved or ErrShutdown, and says that this is not a failure.
	// intended is when the run should have begun.
	Run func(ctx context.Context, intended time.Time) Cost
}

// atOnce is how many requests a run has in flight at most. Others of its Cost follow one another.
func (j *Job) atOnce() int { return max(j.Burst.Size, 1) }

// settled returns the job with what it leaves out.
func (j Job) settled() Job {
	j.Cost.Requests = max(j.Cost.Requests, j.atOnce())
	if j.Burst.Size > 0 {
		j.Interval = j.Burst.AfterIdle
	}
	return j
}

// sameAs reports whether a job applied anew leaves the one that is there as it is.
func (j *Job) sameAs(o *Job) bool {
	return j.Key == o.Key && j.Group == o.Group && j.Fingerprint == o.Fingerprint &&
		j.Interval == o.Interval && j.Jitter == o.Jitter && j.Burst == o.Burst && j.Cost == o.Cost
}

// check returns everything that is wrong with the plan.
func (p *Plan) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.MaxInFlight < 0 {
		bad("MaxInFlight is %d: want 0 or more", p.MaxInFlight)
	}
	for _, fault := range p.Budget.faults() {
		bad("Budget: %s", fault)
	}
	groups := make(map[string]*Group, len(p.Groups))
	for i := range p.Groups {
		g := &p.Groups[i]
		if groups[g.Name] != nil {
			bad("group %q: there are two", g.Name)
		}
		groups[g.Name] = g
		if g.MaxInFlight < 0 {
			bad("group %q: MaxInFlight is %d: want 0 or more", g.Name, g.MaxInFlight)
		}
		budget := g.budget()
		for _, fault := range budget.faults() {
			bad("group %q: %s", g.Name, fault)
		}
	}
	jobs := make(map[string]bool, len(p.Jobs))
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if jobs[j.Key] {
			bad("job %q: there are two", j.Key)
		}
		jobs[j.Key] = true
		for _, fault := range j.faults(groups[j.Group]) {
			bad("job %q: %s", j.Key, fault)
		}
	}
	return errors.Join(errs...)
}

// faults returns what is wrong with a job of a group, nil where there is no such group.
func (j *Job) faults(group *Group) []string {
	var all []string
	bad := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if group == nil {
		bad("there is no group %q", j.Group)
	}
	name, interval := "Interval", j.Interval
	if j.Burst != (Burst{}) {
		name, interval = "Burst.AfterIdle", j.Burst.AfterIdle
		if j.Burst.Size < 1 {
			bad("Burst.Size is %d: want 1 or more", j.Burst.Size)
		}
	}
	if interval < time.Millisecond {
		bad("%s is %v: want 1ms or more", name, interval)
	}
	if j.Jitter < 0 || j.Jitter >= max(interval, 1) {
		bad("Jitter is %v: want 0 or more, and less than %s", j.Jitter, name)
	}
	switch {
	case j.Cost.Requests < 0 || j.Cost.OutputTokens < 0 || j.Cost.Money < 0:
		bad("Cost is negative")
	case !(j.Cost.Money <= mostMoney): // true for NaN
		bad("Cost.Money is %v: want at most 1e+09", j.Cost.Money)
	case j.Cost.Money > 0 && group != nil && group.Currency == "":
		bad("Cost.Money is %v, but group %q has no Currency", j.Cost.Money, j.Group)
	}
	if j.Run == nil {
		bad("Run is nil")
	}
	return all
}
