package schedule

import (
	"context"
	"time"
)

// Burst makes a job send several requests at once after its lane has been silent: what a server that sleeps, or has
// scaled down, makes of people who come back.
//
//	  run: Size requests                    run
//	|====|                                |=====|
//	-----+----------- AfterIdle ----------+-----+----------- AfterIdle --------...
//	     end                              tick  end
//
// One tick calls Run once, and Run sends all requests of the burst. The next tick comes AfterIdle after that run has
// ended; where it is skipped, AfterIdle after it was due. Only the first tick of a job lies on the grid, and comes
// before the lane is known to be silent for so long, as no one knows what was sent before the process began: see
// [Silence].
//
// Silent is the job's own lane. Other jobs of the same target, and its users, keep a server awake all the same.
type Burst struct {
	Size      int           // requests at once, which all count as in flight; 0: no burst
	AfterIdle time.Duration // at least 1ms; 0 without a burst
}

type silenceKey struct{}

// Silence returns for how long a burst's lane had been silent when the run of ctx began: since its last run ended or,
// for its first run, since the job came. It returns 0 where ctx is not that of a burst's run.
func Silence(ctx context.Context) time.Duration {
	d, _ := ctx.Value(silenceKey{}).(time.Duration)
	return d
}

// fallSilentLocked notes that the last run of a job has ended, of this task or, where the job was changed meanwhile,
// of the one before.
func (s *Scheduler) fallSilentLocked(t *task, now time.Time) {
	t.silent = now
	next := now.Add(t.job.Interval)
	if t.job.Burst.Size == 0 || (t.queued() && !t.point.Before(next)) {
		return
	}
	t.next(next)
	if t.queued() {
		s.queue.moved(t)
	} else {
		s.queue.push(t)
	}
	if s.queue.front() == t {
		s.wake() // the loop waits for a later tick, or for none
	}
}
