package cron

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// What the Scheduler returns, and the causes for which it ends a run's context.
var (
	ErrRemoved    = errors.New("the ramp was removed from the configuration")
	ErrChanged    = errors.New("the ramp was changed in the configuration")
	ErrShutdown   = errors.New("the prober was shut down")
	ErrUnknown    = errors.New("there is no such ramp")
	ErrNotRunning = errors.New("the ramp is not running")
)

// A BusyError says that a run cannot begin because another one loads a target.
type BusyError struct {
	Target string
	Ramp   string // the one that loads it
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("target %q is being loaded by the ramp %q: wait for it, or stop it", e.Target, e.Ramp)
}

const (
	// wallCheck is how often the wall clock is looked at: timers follow the monotonic clock, which stands still while
	// the machine is suspended and knows nothing of steps.
	wallCheck = time.Minute
	// claimWithin bounds how long a claim may take.
	claimWithin = 30 * time.Second
)

// Options are what a Scheduler needs to know for life.
type Options struct {
	// Start runs a ramp and returns when it is over. nominal is the occasion, zero without one. It ends the run when ctx
	// does: context.Cause says why.
	Start func(ctx context.Context, name string, nominal time.Time, trigger record.Trigger)

	// Claims are shared with other probers. nil: there is no other.
	Claims Claims

	// LastRun is the occasion of the newest run on record that had one, zero where there is none. It is asked once, for
	// the ramps of the first Apply, so that what was missed while no prober ran is reported. nil: it is not.
	LastRun func(name string) time.Time

	Seed   uint64       // of the jitter; probers that share claims may have the same or different ones
	Logger *slog.Logger // nil: silent
	Events Events       // nil: NoEvents
}

// Scheduler begins ramps at their times. Its methods are safe for concurrent use.
type Scheduler struct {
	opts Options
	wake chan struct{} // the timetables have changed
	wg   sync.WaitGroup

	settled time.Duration // settledAfter, but in tests

	ctx  context.Context // of the loop, and parent of all runs' contexts
	stop context.CancelCauseFunc

	mu      sync.Mutex // protects all following fields
	tasks   map[string]*task
	paused  map[string]bool // by name: a pause outlives a change of the ramp
	loads   map[string]*run // by target: one run each
	runs    map[*run]struct{}
	applied bool
	closed  bool
}

// A task is an entry in force.
type task struct {
	entry   Entry
	table   timetable
	planned time.Time // what Events.Planned was last told
	told    bool
}

// A run is one that is about to begin, or under way.
type run struct {
	entry   Entry // as it was when the run began
	nominal time.Time
	trigger record.Trigger
	begun   time.Time // zero: it is being claimed
	end     context.CancelCauseFunc
}

// New starts a scheduler with nothing to do. End it by Shutdown.
func New(opts Options) *Scheduler {
	if opts.Events == nil {
		opts.Events = NoEvents{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Scheduler{
		opts:    opts,
		settled: settledAfter,
		wake:    make(chan struct{}, 1),
		tasks:   make(map[string]*task),
		paused:  make(map[string]bool),
		loads:   make(map[string]*run),
		runs:    make(map[*run]struct{}),
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.wg.Go(s.loop)
	return s
}

// Apply puts ramps in force, all or, on an error, none.
//
// A run of a ramp that is as before (same fingerprint, same targets) goes on, even if its times have changed; one of a
// ramp that is gone or changed is ended, with the cause ErrRemoved or ErrChanged. Apply does not wait for it; its
// targets are free when it has ended.
func (s *Scheduler) Apply(entries []Entry) error {
	var errs []error
	specs := make(map[string]*Spec, len(entries))
	for i := range entries {
		spec, err := entries[i].check()
		if _, twice := specs[entries[i].Name]; twice && err == nil {
			err = fmt.Errorf("ramp %q: there are two of that name", entries[i].Name)
		}
		specs[entries[i].Name] = spec
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.apply(entries, specs)
}

// apply puts entries in force that have been checked, with their schedules by name.
func (s *Scheduler) apply(entries []Entry, specs map[string]*Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrShutdown
	}
	now := wall()
	tasks := make(map[string]*task, len(entries))
	for _, e := range entries {
		e.Targets = slices.Compact(slices.Sorted(slices.Values(e.Targets)))
		e.Quiet = slices.Clone(e.Quiet)
		t := &task{entry: e, table: timetable{spec: specs[e.Name], name: e.Name, seed: s.opts.Seed, jitter: e.Jitter}}
		t.table.lay(now)
		if old, ok := s.tasks[e.Name]; ok {
			t.planned, t.told = old.planned, old.told
			// What has begun does not begin again under new times; and what is due just now is not lost.
			if old.entry.sameTimes(&e) || old.table.seen.After(t.table.seen) {
				t.table.seen = old.table.seen
			}
		} else if !s.applied {
			s.resumeLocked(t, now)
		}
		tasks[e.Name] = t
	}
	for r := range s.runs {
		switch t, ok := tasks[r.entry.Name]; {
		case !ok:
			r.end(ErrRemoved)
		case !t.entry.sameRun(&r.entry):
			r.end(ErrChanged)
		}
	}
	s.tasks = tasks
	s.applied = true
	maps.DeleteFunc(s.paused, func(name string, _ bool) bool { return tasks[name] == nil })
	s.wakeLocked()
	return nil
}

// resumeLocked reports what a new prober's ramp has missed since its last run.
func (s *Scheduler) resumeLocked(t *task, now time.Time) {
	if s.opts.LastRun == nil {
		return
	}
	last := s.opts.LastRun(t.entry.Name)
	if last.IsZero() || last.Sub(now) > resetAfter {
		return
	}
	s.missedLocked(t, Down, t.table.between(last, now, func(o occasion) bool { return t.entry.quiet(o.start) })...)
	if last.After(t.table.seen) {
		t.table.seen = last
	}
}

// Trigger begins a run now, apart from any schedule, claim or blackout. It returns when the run has begun.
// The error is ErrUnknown, a *BusyError, or ErrShutdown.
func (s *Scheduler) Trigger(name string, trigger record.Trigger) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrShutdown
	}
	t, ok := s.tasks[name]
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return s.beginLocked(t, time.Time{}, trigger)
}

// Stop ends the runs of a ramp with the given cause, and does not wait for it. The error is ErrNotRunning.
func (s *Scheduler) Stop(name string, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for r := range s.runs {
		if r.entry.Name == name {
			r.end(cause)
			found = true
		}
	}
	if !found {
		return fmt.Errorf("%w: %q", ErrNotRunning, name)
	}
	return nil
}

// Pause holds a ramp's schedule, or lets it go on: occasions meanwhile are missed. A run under way goes on, and Trigger
// works all the same. A pause lasts until the ramp is removed or the prober ends. The error is ErrUnknown.
func (s *Scheduler) Pause(name string, paused bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tasks[name] == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if paused {
		s.paused[name] = true
	} else {
		delete(s.paused, name)
	}
	return nil
}

// Next is when a ramp's next run is to begin, jitter included. It is zero without a schedule or a ramp.
func (s *Scheduler) Next(name string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tasks[name]; t != nil {
		if o, ok := t.table.after(t.table.seen); ok {
			return o.start
		}
	}
	return time.Time{}
}

// Status is what a Scheduler says of a ramp.
type Status struct {
	Name    string
	Targets []string
	Next    time.Time // when the next run is to begin, jitter included; zero without a schedule
	Nominal time.Time // the occasion of it
	Paused  bool

	Running bool
	Since   time.Time // when the run under way began
	Trigger record.Trigger
}

// Status lists all ramps by name, also those that are gone but still running.
func (s *Scheduler) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Status, len(s.tasks))
	for name, t := range s.tasks {
		st := Status{Name: name, Targets: slices.Clone(t.entry.Targets), Paused: s.paused[name]}
		if o, ok := t.table.after(t.table.seen); ok {
			st.Next, st.Nominal = o.start, o.nominal
		}
		all[name] = st
	}
	for r := range s.runs {
		if r.begun.IsZero() {
			continue
		}
		st, ok := all[r.entry.Name]
		if !ok {
			st = Status{Name: r.entry.Name, Targets: slices.Clone(r.entry.Targets)}
		}
		st.Running, st.Since, st.Trigger = true, r.begun, r.trigger
		all[r.entry.Name] = st
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
}

// Shutdown ends all runs with the cause ErrShutdown and waits for them, or until ctx ends: then it returns its cause.
func (s *Scheduler) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.stop(ErrShutdown)
	s.mu.Unlock()

	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ramps are still running: %w", context.Cause(ctx))
	}
}

// wall is the time by the wall clock alone, which schedules follow.
func wall() time.Time { return time.Now().Round(0) }

func (s *Scheduler) wakeLocked() {
	select {
	case s.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// loop waits for the next occasion of all ramps, again and again.
func (s *Scheduler) loop() {
	timer := time.NewTimer(wallCheck)
	defer timer.Stop()
	for {
		timer.Reset(s.look())
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
	}
}

// look begins what is due, and returns how long there is nothing to do.
func (s *Scheduler) look() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := wall()
	var due []dueTask
	wait := wallCheck
	for _, t := range s.tasks {
		o, late := t.table.look(now)
		s.missedLocked(t, Late, late...)
		if o != nil {
			due = append(due, dueTask{t, *o})
		}
		next, ok := t.table.after(t.table.seen)
		if ok {
			wait = min(wait, next.start.Sub(now))
		}
		if !t.told || !next.start.Equal(t.planned) {
			t.planned, t.told = next.start, true
			s.opts.Events.Planned(t.entry.Name, next.start)
		}
	}
	// Of two ramps that want one target the one that was due first has it; names decide between equals.
	slices.SortFunc(due, func(a, b dueTask) int {
		return cmp.Or(a.o.start.Compare(b.o.start), a.o.nominal.Compare(b.o.nominal), cmp.Compare(a.t.entry.Name, b.t.entry.Name))
	})
	for _, d := range due {
		s.dueLocked(d.t, d.o, now)
	}
	return max(wait, 0)
}

type dueTask struct {
	t *task
	o occasion
}

// dueLocked begins the run of an occasion, or says why not.
func (s *Scheduler) dueLocked(t *task, o occasion, now time.Time) {
	switch {
	case s.closed:
	case s.paused[t.entry.Name]:
		s.missedLocked(t, Paused, o)
	case t.entry.quiet(now):
		s.missedLocked(t, Blackout, o)
	default:
		if err := s.beginLocked(t, o.nominal, record.BySchedule); err != nil {
			s.opts.Logger.Warn("A ramp is busy.", "ramp", t.entry.Name, "nominal", o.nominal, "err", err)
			s.missedLocked(t, Busy, o)
		}
	}
}

// beginLocked takes the ramp's targets and begins a run, unless one of them is taken: then the error is a *BusyError.
func (s *Scheduler) beginLocked(t *task, nominal time.Time, trigger record.Trigger) error {
	for _, target := range t.entry.Targets {
		if other := s.loads[target]; other != nil {
			return &BusyError{Target: target, Ramp: other.entry.Name}
		}
	}
	r := &run{entry: t.entry, nominal: nominal, trigger: trigger}
	var ctx context.Context
	ctx, r.end = context.WithCancelCause(s.ctx)
	claim := s.opts.Claims != nil && !nominal.IsZero()
	if !claim {
		r.begun = time.Now()
	}
	s.runs[r] = struct{}{}
	for _, target := range r.entry.Targets {
		s.loads[target] = r
	}
	s.wg.Go(func() {
		defer s.over(r)
		if !claim || s.claim(ctx, r) {
			s.run(ctx, r)
		}
	})
	return nil
}

// over frees a run's targets.
func (s *Scheduler) over(r *run) {
	r.end(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, r)
	for _, target := range r.entry.Targets {
		delete(s.loads, target)
	}
}

// claim tells whether a run's occasion is ours.
func (s *Scheduler) claim(ctx context.Context, r *run) (ours bool) {
	claiming, cancel := context.WithTimeout(ctx, claimWithin)
	defer cancel()
	ours, err := s.tryClaim(claiming, r)
	switch {
	case ctx.Err() != nil && (err != nil || !ours): // the run was ended before it began: nobody waits for it
		return false
	case err != nil:
		s.opts.Logger.Error("A ramp could not be claimed, so it is not run.", "ramp", r.entry.Name, "nominal", r.nominal, "err", err)
		s.opts.Events.Missed(r.entry.Name, ClaimFailed, r.nominal)
		return false
	case !ours:
		s.opts.Events.ClaimedElsewhere(r.entry.Name, r.nominal)
		return false
	}
	if now := wall(); now.After(Latest(r.nominal, r.entry.Jitter)) { // suspended meanwhile; what is ours nobody else runs
		s.opts.Events.Missed(r.entry.Name, Late, r.nominal)
		return false
	}
	s.mu.Lock()
	r.begun = time.Now()
	s.mu.Unlock()
	return true
}

// tryClaim keeps a panic of the claim from ending the program.
func (s *Scheduler) tryClaim(ctx context.Context, r *run) (ours bool, err error) {
	defer recovered(&err)
	return s.opts.Claims.Claim(ctx, r.entry.Name, r.nominal)
}

// tryClaimed keeps a panic of the claims from ending the program.
func (s *Scheduler) tryClaimed(ctx context.Context, name string, after time.Time) (claimed []Claimed, err error) {
	defer recovered(&err)
	return s.opts.Claims.Claimed(ctx, name, after)
}

// recovered makes a panic an error.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	}
}

// run runs it, also when the context has ended by now, so that what is claimed leaves a record.
func (s *Scheduler) run(ctx context.Context, r *run) {
	s.opts.Events.Started(r.entry.Name, r.nominal, r.trigger)
	defer s.opts.Events.Finished(r.entry.Name, r.nominal, r.trigger)
	defer func() {
		if v := recover(); v != nil {
			s.opts.Logger.Error("A ramp panicked.", "ramp", r.entry.Name, "nominal", r.nominal, "panic", v, "stack", string(debug.Stack()))
			s.opts.Events.Panicked(r.entry.Name, r.nominal, r.trigger, v)
		}
	}()
	s.opts.Start(ctx, r.entry.Name, r.nominal, r.trigger)
}
