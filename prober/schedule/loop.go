package schedule

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// loop waits for each next tick and deals with it, until Shutdown.
func (s *Scheduler) loop() {
	for {
		s.tick(time.Now)
		wait, due, closed := s.waitFor()
		switch {
		case closed:
			return
		case due.IsZero():
			<-wait.Done()
		default:
			// An error says that the plan changed or that it is over, and both are looked at anew.
			_ = s.opts.SleepUntil(wait, due)
		}
	}
}

// waitFor returns what the loop has to wait for: the next tick (zero: there is none), or the end of a context,
// which Apply and Shutdown bring about.
func (s *Scheduler) waitFor() (wait context.Context, due time.Time, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wait.Err() != nil && !s.closed {
		s.wait, s.wake = context.WithCancel(context.Background())
	}
	if t := s.queue.front(); t != nil {
		due = t.due
	}
	return s.wait, due, s.closed
}

// tick deals with all ticks that are due, one by one, so that each has its own time.
func (s *Scheduler) tick(clock func() time.Time) {
	for {
		d, ok := s.decide(clock())
		if !ok {
			return
		}
		job := &d.task.job
		if d.missed > 0 {
			s.opts.Events.Skipped(job, Missed, d.missed)
			continue
		}
		s.opts.Events.Ticked(job, d.late)
		if d.reason != "" {
			s.opts.Events.Skipped(job, d.reason, 1)
			continue
		}
		s.opts.Events.Started(job)
		s.wg.Go(func() { s.run(d.task, d.due, d.began) })
	}
}

// A decision is what becomes of one tick.
type decision struct {
	task   *task
	due    time.Time
	late   time.Duration
	missed int           // this tick and those after it that were missed; 0: not missed
	reason Reason        // "": run
	began  time.Duration // since the scheduler's start
}

// decide takes the first tick that is due, books its run if it is to run, and moves on to the job's next tick.
// It returns false where none is due.
func (s *Scheduler) decide(now time.Time) (decision, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.queue.front()
	if s.closed || t == nil || t.due.After(now) {
		return decision{}, false
	}
	d := decision{task: t, due: t.due, late: now.Sub(t.due), began: s.since(now)}
	next := t.grid.after(t.point)
	if d.late > t.grid.interval {
		// The process stood still. Running now what was due before would send the ticks of all jobs at once.
		d.missed = 1
		if on := t.grid.from(t.point.Add(now.Sub(t.point))); next.Before(on) {
			d.missed += int(on.Sub(next) / t.grid.interval)
			next = on
		}
		t.next(next)
		s.queue.moved(t)
		return d, true
	}
	t.next(next)
	s.queue.moved(t)

	switch reason := t.account.refuses(d.began, t.job.Cost); {
	case t.running:
		d.reason = Overlap
	case reason == Paused || reason == TargetInFlight:
		d.reason = reason
	case s.maxInFlight > 0 && s.inFlight >= s.maxInFlight:
		d.reason = GlobalInFlight
	case reason != "":
		d.reason = reason
	default:
		t.running = true
		s.inFlight++
		t.account.begin(d.began, t.job.Cost)
	}
	return d, true
}

// run does one run. A panic ends the run, not the process.
func (s *Scheduler) run(t *task, intended time.Time, began time.Duration) {
	used := Cost{-1, -1} // unknown where Run does not return
	defer func() {
		if v := recover(); v != nil {
			s.opts.Logger.Error("a run panicked", "job", t.job.Key, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			s.opts.Events.Panicked(&t.job)
		}
		s.mu.Lock()
		t.running = false
		s.inFlight--
		t.account.end(s.since(time.Now()), began, t.job.Cost, used)
		s.mu.Unlock()
		s.opts.Events.Finished(&t.job)
	}()
	used = t.job.Run(t.ctx, intended)
}
