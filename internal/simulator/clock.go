package simulator

import (
	"context"
	"time"
)

// instant is a point on the engine's time line: the time since the server was made, on the monotonic clock.
type instant time.Duration

func (t instant) add(d time.Duration) instant { return t + instant(d) }
func (t instant) sub(u instant) time.Duration { return time.Duration(t - u) }

// clock reads the engine's time line.
type clock struct {
	epoch time.Time // with its monotonic reading
	mono  int64     // what the machine's monotonic clock showed at epoch, in nanoseconds
}

func newClock() clock {
	// The tightest of a few brackets around the machine's clock: the error left is below half the bracket.
	c := clock{epoch: time.Now()}
	best := time.Duration(1<<63 - 1)
	for range 5 {
		before := time.Now()
		mono, ok := machineMonotonic()
		if !ok {
			return c
		}
		width := time.Since(before)
		if width < best {
			best, c.mono = width, mono-int64(width/2)-int64(before.Sub(c.epoch))
		}
	}
	return c
}

// now is the present instant.
func (c clock) now() instant { return instant(time.Since(c.epoch)) }

// at is t on the engine's time line. t must have a monotonic reading.
func (c clock) at(t time.Time) instant { return instant(t.Sub(c.epoch)) }

// monotonic is t on the machine's monotonic clock (CLOCK_MONOTONIC on Linux), which other processes can read too;
// where there is none, it counts from the server's start.
func (c clock) monotonic(t instant) int64 { return c.mono + int64(t) }

// coarse is how early the runtime's timer is set, so that the precise wait does the rest: the runtime's poller counts in
// milliseconds, and wakes up to 1.1 ms late on an idle machine (p99; golang/go#53824).
const coarse = 1200 * time.Microsecond

// waiter waits for instants, for one goroutine.
type waiter struct {
	clock   clock
	precise bool
	timer   *time.Timer
}

// newWaiter makes a waiter for the calling goroutine, which must not be used for anything else afterwards: where the wait
// is precise, the goroutine keeps its thread until both end.
func newWaiter(c clock, plain bool) *waiter {
	w := &waiter{clock: c, timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	if !plain {
		w.precise = claimThread()
	}
	return w
}

// until waits for t. It returns early, with false, when wake has something or ctx ends; a nil wake never does.
func (w *waiter) until(ctx context.Context, t instant, wake <-chan struct{}) bool {
	early := t
	if w.precise {
		early = t.add(-coarse)
	}
	if d := early.sub(w.clock.now()); d > 0 {
		w.timer.Reset(d)
		select {
		case <-w.timer.C:
		case <-wake:
			w.timer.Stop()
			return false
		case <-ctx.Done():
			w.timer.Stop()
			return false
		}
	}
	for w.precise {
		d := t.sub(w.clock.now())
		if d <= 0 {
			break
		}
		nanosleep(d)
	}
	return true
}
