package ramp

import (
	"context"
	"math"
	"time"
)

// pause is how long a worker of a closed loop waits at least from one question to the next, after one that failed or was kept
// back: a server that refuses at once must not be hammered.
const pause = time.Second

// keep keeps as many requests under way as a stage wants, and returns when it ended. The workers go on: the next stage has
// them, or the lane's end lets them go. The stage ends with ctx, the workers with working.
func (l *lane) keep(ctx, working context.Context, s *stage) time.Time {
	for ctx.Err() == nil {
		now := time.Now()
		if !now.Before(s.end) {
			return s.end
		}
		if l.enough(s) {
			l.close(now)
			return now
		}
		want := int(math.Round(s.load(now)))
		l.staff(working, l.run.plan.part(want))
		s.wait(ctx, s.change(now, want))
	}
	return s.end
}

// enough reports whether all requests that a stage is to have have ended.
func (l *lane) enough(s *stage) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.plan.Requests > 0 && s.asked >= s.plan.Requests && s.pending == 0
}

// change is when a stage wants another number of workers than now: where its load crosses the middle between two.
func (s *stage) change(now time.Time, want int) time.Time {
	slope := (s.plan.To - s.plan.From) / s.plan.Over.Seconds()
	if slope == 0 {
		return s.end
	}
	middle := float64(want) + math.Copysign(.5, slope)
	at := s.rec.Started.Add(time.Duration((middle - s.plan.From) / slope * float64(time.Second)))
	if least := now.Add(time.Millisecond); at.Before(least) { // rounding
		at = least
	}
	if at.After(s.end) {
		return s.end
	}
	return at
}

// staff has so many workers, from the first on. One that is too many goes when its request has ended.
func (l *lane) staff(ctx context.Context, want int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = want
	for len(l.busy) < want {
		l.busy = append(l.busy, false)
	}
	for i := range want {
		if !l.busy[i] {
			l.busy[i] = true
			l.run.asking.Go(func() { l.work(ctx, i) })
		}
	}
}

// work asks again and again. Each question is wanted when the worker has become free.
func (l *lane) work(ctx context.Context, i int) {
	for l.employed(ctx, i) {
		wanted := time.Now()
		a, ask, refused := l.begin(wanted)
		switch {
		case a != nil:
			l.put(a, ask)
		case refused == "":
			l.leave(i)
			return
		}
		if a != nil && !a.failed {
			continue
		}
		timer := time.NewTimer(time.Until(wanted.Add(pause)))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// employed reports whether worker i is wanted. If not, it is gone.
func (l *lane) employed(ctx context.Context, i int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[i] = i < l.want && ctx.Err() == nil
	return l.busy[i]
}

func (l *lane) leave(i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[i] = false
}
