package schedule

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober/workload"
)

// Causes for which the scheduler ends a run's context.
var (
	ErrRemoved  = errors.New("schedule: the job was removed or changed")
	ErrShutdown = errors.New("schedule: shut down")
)

// Options are what a Scheduler needs to know for life.
type Options struct {
	Seed   uint64       // moves all grids: two probers of different seeds do not ask at the same times
	Logger *slog.Logger // nil: panics of runs are not logged
	Events Events       // nil: NoEvents

	// FirstWithin makes a job that is new to the scheduler tick within this time for the first time, and then on its
	// grid, at least half an interval later: so a newcomer need not wait 15 minutes for the heavy probe's first
	// result. Where more come at once than newcomersPerSecond allows in it, it is longer. 0: the first tick, too, is on
	// the grid, within one interval. A job that a reload changes is not new.
	FirstWithin time.Duration

	// SleepUntil returns nil at the given time, or an error as soon as the context ends. nil: workload.SleepUntil.
	// Under a fake clock take workload.SleepUntilTimer.
	SleepUntil func(context.Context, time.Time) error
}

// Scheduler runs jobs at their times. Its methods are safe for concurrent use.
type Scheduler struct {
	opts  Options
	start time.Time // accounts count from here

	runs context.Context // parent of all runs' contexts
	stop context.CancelCauseFunc
	wg   sync.WaitGroup // the loop and all runs

	mu          sync.Mutex // protects all following fields
	maxInFlight int
	inFlight    int                 // requests of jobs
	books       books               // of all groups together
	accounts    map[string]*account // those of the plan, and those with something still on the books
	tasks       map[string]*task    // by key
	queue       queue               // the same tasks, by next tick
	underWay    map[string]int      // runs by key, those of removed and changed jobs included; absent: none
	closed      bool
	wait        context.Context // the loop's wait for the next tick
	wake        context.CancelFunc
}

// A task is a job in force.
type task struct {
	job     Job
	grid    grid
	account *account
	charge  charge          // of each run
	ctx     context.Context // of its runs
	remove  context.CancelCauseFunc

	point   time.Time // the next tick, without jitter
	due     time.Time // the next tick
	index   int       // in the queue; -1: not in it, as the end of the burst under way decides when the next tick is
	running bool
	silent  time.Time // since when no run of the key is under way, or before the one that is
}

func (t *task) queued() bool { return t.index >= 0 }

// New starts a scheduler with nothing to do. End it by Shutdown.
func New(opts Options) *Scheduler {
	if opts.Events == nil {
		opts.Events = NoEvents{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.SleepUntil == nil {
		opts.SleepUntil = workload.SleepUntil
	}
	s := &Scheduler{
		opts:     opts,
		start:    time.Now().Add(-longest), // what an earlier process used lies after it, too
		accounts: make(map[string]*account),
		tasks:    make(map[string]*task),
		underWay: make(map[string]int),
		books: newBooks([measures]Reason{
			requests: GlobalBudgetRequests, outputTokens: GlobalBudgetOutputTokens, money: GlobalBudgetCost,
		}),
	}
	s.runs, s.stop = context.WithCancelCause(context.Background())
	s.wait, s.wake = context.WithCancel(context.Background())
	s.wg.Go(s.loop)
	return s
}

// Apply puts a plan in force, whole or, on an error, not at all.
//
// A job that the plan has as before (same key, fingerprint, group, interval, jitter, burst and cost; same currency) is
// left alone: its next tick, its runs under way and its old Run stay. A changed job stays on its grid if its interval
// does. The runs under way of changed and removed jobs are ended with the cause ErrRemoved; Apply does not wait for
// them. Groups keep their books by name and currency, also while the plan leaves them out, and so do all groups
// together.
func (s *Scheduler) Apply(p Plan) error {
	if err := p.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrShutdown
	}
	now := time.Now()

	s.maxInFlight = p.MaxInFlight
	s.books.bound(p.Budget)
	s.books.tidy(s.since(now))
	for _, a := range s.accounts {
		a.planned = false
	}
	for _, g := range p.Groups {
		a, ok := s.accounts[g.Name]
		if !ok {
			a = newAccount()
			s.accounts[g.Name] = a
		}
		a.plan(g)
	}

	wanted := make(map[string]bool, len(p.Jobs))
	for _, j := range p.Jobs {
		wanted[j.Key] = true
	}
	for key, t := range s.tasks {
		if !wanted[key] {
			s.removeLocked(t)
		}
	}
	within := s.firstWithinLocked(&p)
	for _, j := range p.Jobs {
		j = j.settled()
		a := s.accounts[j.Group]
		old := s.tasks[j.Key]
		if old != nil && old.job.sameAs(&j) && old.charge.currency == a.bounds.Currency {
			continue
		}
		t := &task{job: j, grid: newGrid(&j, s.opts.Seed), account: a, silent: now}
		t.charge = newCharge(j.Cost, j.atOnce(), a.bounds.Currency)
		t.ctx, t.remove = context.WithCancelCause(s.runs)
		if old == nil {
			t.next(t.grid.first(now, within))
		} else {
			t.follow(old, now)
			s.removeLocked(old)
		}
		s.tasks[j.Key] = t
		s.queue.push(t)
	}
	maps.DeleteFunc(s.accounts, func(_ string, a *account) bool { return a.spare(s.since(now)) })
	s.wake()
	return nil
}

// newcomersPerSecond is how many new jobs begin in a second at the most, where they begin early: a restart of a large
// configuration is no burst.
const newcomersPerSecond = 20

// firstWithinLocked is the time within which the jobs that are new with p tick for the first time.
func (s *Scheduler) firstWithinLocked(p *Plan) time.Duration {
	if s.opts.FirstWithin == 0 {
		return 0
	}
	newcomers := 0
	for i := range p.Jobs {
		if s.tasks[p.Jobs[i].Key] == nil {
			newcomers++
		}
	}
	return max(s.opts.FirstWithin, time.Duration(newcomers)*time.Second/newcomersPerSecond)
}

// removeLocked ends a task and its run under way.
func (s *Scheduler) removeLocked(t *task) {
	t.remove(ErrRemoved)
	if t.queued() {
		s.queue.remove(t)
	}
	delete(s.tasks, t.job.Key)
}

// Pause lets no job of a group run before until, as a server asks for that says 429 with Retry-After.
// A pause can be prolonged, not shortened. An unknown group is ignored: it was removed meanwhile.
func (s *Scheduler) Pause(group string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts[group]; ok {
		a.pausedUntil = max(a.pausedUntil, s.since(until))
	}
}

// Shutdown begins no more runs and waits for those under way: until ctx is done, then it ends them with the cause
// ErrShutdown and goes on waiting for their return. It returns nil where all ended by themselves,
// else the cause of ctx's end. A second call waits as well.
func (s *Scheduler) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.wake()
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		select {
		case <-done: // both: nothing had to be ended
		default:
			err = context.Cause(ctx)
		}
	}
	s.stop(ErrShutdown)
	<-done
	return err
}

func (s *Scheduler) since(t time.Time) time.Duration { return t.Sub(s.start) }

// follow sets the first tick of a job that was old until now.
func (t *task) follow(old *task, now time.Time) {
	if !old.running {
		t.silent = old.silent
	}
	burst, wasBurst := t.job.Burst.Size > 0, old.job.Burst.Size > 0
	switch silent := t.silent.Add(t.job.Interval); {
	case old.job.Interval == t.job.Interval && old.queued() && (!burst || wasBurst):
		t.next(old.point)
	case burst && silent.After(now):
		t.next(t.grid.from(silent))
	default:
		t.next(t.grid.from(now))
	}
}

// next makes point the task's next tick.
func (t *task) next(point time.Time) {
	t.point = point
	t.due = point.Add(t.grid.late(point))
}

// Next returns when a job ticks next; false where there is no such job, or where the end of its burst under way decides.
func (s *Scheduler) Next(key string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tasks[key]
	if !ok || !t.queued() {
		return time.Time{}, false
	}
	return t.due, true
}
