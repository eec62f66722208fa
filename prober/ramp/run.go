package ramp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// mostSamples bounds the samples of a run.
const mostSamples = 2000

// ErrLate says that a run was to begin after its plan's Latest. Nothing has been sent then.
var ErrLate = errors.New("it is too late to begin")

// mostLate is how late a request of an open loop is still sent. What is later would come all at once, with what has become
// due since, and perhaps at a time of day for which no load was wanted.
const mostLate = 10 * time.Second

// suspended is the cause that ends a run whose prober stood still.
type suspended struct{ late time.Duration }

func (s *suspended) Error() string {
	return fmt.Sprintf("a request was due %v ago: the prober was suspended, or the clock set forward, so neither it nor the rest is sent", s.late.Round(100*time.Millisecond))
}

var (
	errUnended    = errors.New("the drain is over")        // ends requests that were not answered in time: they count as failed
	errForeground = errors.New("all other lanes are done") // ends lanes in the background
)

// aborted is the cause with which an abort limit ends a run.
type aborted struct{ record.Abort }

func (a *aborted) Error() string { return a.Words }

// A run is a plan under way.
type run struct {
	plan     Plan
	observer Observer
	started  time.Time
	longest  time.Duration
	window   time.Duration

	stop   context.CancelCauseFunc // ends the run before its plan is done
	asks   context.Context         // of all requests; outlives the run's by the grace
	asking sync.WaitGroup          // requests under way
	lanes  []*lane

	mu      sync.Mutex // protects all following fields
	samples []record.Sample
	latest  *record.Sample
	ending  string
	cause   error // that ended it before its plan was done; nil: none did
}

// Run executes a plan and returns its record. It returns when nothing is under way any more.
//
// When ctx ends, it dispatches nothing more, gives what is under way the plan's grace, and returns the record of what was done,
// in which Stopped says why: the text of ctx's cause. The error is of a plan that cannot be run; then there is no record.
//
// The record's verdict is CutShort, Aborted or Invalid where that is what became of the run. Else it is empty: what the
// figures say of the server is for others to judge.
func Run(ctx context.Context, plan Plan, observer Observer) (*record.Run, error) {
	if err := plan.Check(); err != nil {
		return nil, fmt.Errorf("ramp %s: %w", plan.Name, err)
	}
	if observer == nil {
		observer = Unobserved{}
	}
	r := &run{plan: plan.withDefaults(), observer: observer}
	r.longest = r.plan.Longest()
	r.look(ctx) // before anything is sent: what the engine does without the run
	if err := r.begin(ctx); err != nil {
		return nil, fmt.Errorf("ramp %s: %w", plan.Name, err)
	}
	r.window = windowLength(r.longest)
	asks, cancelAsks := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancelAsks(nil)
	r.asks = asks
	for i := range r.plan.Lanes {
		r.lanes = append(r.lanes, newLane(r, i))
	}

	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	var watchers sync.WaitGroup
	watchers.Go(func() { r.sample(watching) })
	watchers.Go(func() { r.watch(watching, stop) })

	err := r.drive(running)
	r.end(running, cancelAsks)
	stopWatching()
	watchers.Wait()
	if err != nil {
		return nil, fmt.Errorf("ramp %s: %w", plan.Name, err)
	}
	rec := r.record()
	r.observer.Progress(r.snapshot(time.Now(), true))
	return rec, nil
}

// begin waits until the run is to begin. The error is ErrLate.
func (r *run) begin(ctx context.Context) error {
	begin := r.plan.Begin
	if !begin.IsZero() {
		_ = r.plan.Sleep(ctx, begin) // its end is seen by the caller
	}
	now := time.Now()
	if latest := r.plan.Latest; !latest.IsZero() && wallSince(latest, now) > 0 {
		return ErrLate
	}
	r.started = now
	if !begin.IsZero() && ctx.Err() == nil {
		r.started = now.Add(-wallSince(begin, now)) // the instant, with a reading of the clock that nobody sets
	}
	return nil
}

// wallSince is how long ago t was, by the wall clock.
func wallSince(t, now time.Time) time.Duration { return now.Round(0).Sub(t.Round(0)) }

// drive runs all lanes side by side, until each has dispatched all it has to.
func (r *run) drive(ctx context.Context) error {
	background, release := context.WithCancelCause(ctx)
	defer release(nil)
	var front, back sync.WaitGroup
	errs := make([]error, len(r.lanes))
	for i, l := range r.lanes {
		if l.plan.Background {
			back.Go(func() { errs[i] = l.drive(background) })
		} else {
			front.Go(func() { errs[i] = l.drive(ctx) })
		}
	}
	front.Wait()
	release(errForeground)
	back.Wait()
	return errors.Join(errs...)
}

// end waits for the requests that are under way: as long as the drain allows, or the grace where the run was stopped.
func (r *run) end(ctx context.Context, cancel context.CancelCauseFunc) {
	ended := make(chan struct{})
	go func() {
		r.asking.Wait()
		close(ended)
	}()
	if ctx.Err() == nil {
		drain := time.NewTimer(r.plan.Drain)
		defer drain.Stop()
		select {
		case <-ended:
			return
		case <-drain.C:
			cancel(errUnended)
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		r.mu.Lock()
		r.cause = context.Cause(ctx)
		r.ending = r.cause.Error()
		r.mu.Unlock()
		if r.plan.Grace > 0 {
			grace := time.NewTimer(r.plan.Grace)
			defer grace.Stop()
			select {
			case <-ended:
				return
			case <-grace.C:
			}
		}
		cancel(context.Cause(ctx))
	}
	<-ended
}

// record is what the run leaves.
func (r *run) record() *record.Run {
	p := &r.plan
	rec := &record.Run{
		Schema: record.SchemaVersion, ID: p.ID, Ramp: p.Name, Target: p.Target, Model: p.Model, Shape: p.Shape,
		Trigger: p.Trigger, Nominal: p.Nominal, Started: r.started, Ended: time.Now(),
		Seed: p.Seed, Set: p.Set, Sets: p.Sets, Shard: p.Shard,
		Environment: p.Environment, Config: p.Config, Objectives: p.Objectives,
		Samples: r.samples, Rules: p.rules(),
	}
	if p.Shards > 1 {
		rec.Shards = p.Shards
	}
	invalid := false
	for _, l := range r.lanes {
		for i := range l.records {
			invalid = invalid || l.records[i].Invalid != ""
		}
		rec.Lanes = append(rec.Lanes, record.Lane{
			Name: l.name, Target: l.target, Model: l.model, Open: !l.plan.Closed, Process: l.process(),
			Stages: l.records, Search: l.search,
		})
	}
	if a, ok := errors.AsType[*aborted](r.cause); ok {
		rec.Abort, rec.Verdict = &a.Abort, record.Aborted
		rec.Reasons = []string{a.Words}
	} else if r.cause != nil {
		rec.Stopped, rec.Verdict = r.cause.Error(), record.CutShort
		rec.Reasons = []string{rec.Stopped}
	} else if invalid {
		rec.Verdict = record.Invalid
	}
	return rec
}

// rules are the rules of the package, with the numbers of the plan.
func (p *Plan) rules() []string {
	return []string{
		fmt.Sprintf("Of each stage the requests that were wanted from measured_from up to measured_to are measured. "+
			"The warm-up before is as long as the plan says; where it does not, a stage that holds a new load has one of 1/%d of its length, %v at most, and other stages have none.", warmUpPart, mostWarmUp),
		fmt.Sprintf("Nothing begins in the drain at the end, which takes %v at most. What has not ended then is canceled and counts as failed.", p.Drain),
		fmt.Sprintf("A stage is invalid where more than one request, and more than one in a hundred, was dispatched more than %v late, or where a budget, or a shortage of the prober's own machine, kept back more than one in a hundred.", p.LateBound),
		"Times are counted from the intended time; those called dispatched, from dispatch.",
	}
}
