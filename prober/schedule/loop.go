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
		s.wg.Go(func() { s.run(d) })
	}
}

// A decision is what becomes of one tick.
type decision struct {
	task    *task
	due     time.Time
	late    time.Duration
	missed  int           // this tick and those after it that were missed; 0: not missed
	reason  Reason        // "": run
	booking *booking      // of the run
	silence time.Duration // of a burst's lane before the run
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
	d := decision{task: t, due: t.due, late: now.Sub(t.due)}
	if d.late > t.job.Interval {
		// The process stood still. Running now what was due before would send the ticks of all jobs at once.
		d.missed = t.miss(now)
		s.queue.moved(t)
		return d, true
	}
	t.next(t.following())
	s.queue.moved(t)
	if d.reason = s.refusesLocked(t, s.since(now)); d.reason != "" {
		return d, true
	}
	if t.job.Burst.Size > 0 {
		d.silence = now.Sub(t.silent)
		s.queue.remove(t) // until fallSilentLocked
	}
	t.running = true
	s.underWay[t.job.Key]++
	t.account.inFlight += t.job.atOnce()
	s.inFlight += t.job.atOnce()
	d.booking = s.bookLocked(t.account, s.since(now), t.charge)
	return d, true
}

// following returns the point after the next tick's: that of the grid or, where that tick of a burst is skipped, one
// that leaves the lane silent once more.
func (t *task) following() time.Time {
	if t.job.Burst.Size > 0 {
		return t.point.Add(t.job.Interval)
	}
	return t.grid.after(t.point)
}

// miss moves on to the first tick that is not before now, and returns how many that leaves out. Of a burst that is one:
// the later ones would have depended on it.
func (t *task) miss(now time.Time) int {
	behind := now.Sub(t.point)
	if t.job.Burst.Size > 0 {
		t.next(t.point.Add(behind.Truncate(t.job.Interval) + t.job.Interval))
		return 1
	}
	missed, next := 1, t.following()
	if on := t.grid.from(t.point.Add(behind)); next.Before(on) {
		missed += int(on.Sub(next) / t.job.Interval)
		next = on
	}
	t.next(next)
	return missed
}

// refusesLocked returns the reason why a run of the task cannot begin now, or "".
func (s *Scheduler) refusesLocked(t *task, now time.Duration) Reason {
	over := func(inFlight, bound int) bool { return bound > 0 && inFlight > bound-t.job.atOnce() }
	switch a := t.account; {
	case t.running, t.job.Burst.Size > 0 && s.underWay[t.job.Key] > 0: // a changed job's run may still be ending
		return Overlap
	case now < a.pausedUntil:
		return Paused
	case over(a.inFlight, a.bounds.MaxInFlight):
		return TargetInFlight
	case over(s.inFlight, s.maxInFlight):
		return GlobalInFlight
	default:
		return s.budgetsRefuseLocked(a, now, &t.charge)
	}
}

// run does one run. A panic ends the run, not the process.
func (s *Scheduler) run(d decision) {
	t := d.task
	used := Cost{-1, -1, -1} // unknown where Run does not return
	defer func() {
		if v := recover(); v != nil {
			s.opts.Logger.Error("a run panicked", "job", t.job.Key, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			s.opts.Events.Panicked(&t.job)
		}
		s.ended(d, used)
		s.opts.Events.Finished(&t.job)
	}()
	ctx := t.ctx
	if t.job.Burst.Size > 0 {
		ctx = context.WithValue(ctx, silenceKey{}, d.silence)
	}
	used = t.job.Run(ctx, d.due)
}

// ended closes the books on a run.
func (s *Scheduler) ended(d decision, used Cost) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, t := time.Now(), d.task
	t.running = false
	if s.underWay[t.job.Key]--; s.underWay[t.job.Key] == 0 {
		delete(s.underWay, t.job.Key)
	}
	t.account.inFlight -= t.job.atOnce()
	s.inFlight -= t.job.atOnce()
	s.settleLocked(d.booking, s.since(now), used)
	if current := s.tasks[t.job.Key]; current != nil && !current.running {
		s.fallSilentLocked(current, now)
	}
}
