package workload

import (
	"context"
	"time"
)

// SleepUntil returns nil at t, or at once where t has passed, and the context's cause as soon as it ends.
//
// The runtime's timers wake up to a millisecond late, because they wait in whole milliseconds (golang/go#53824).
// So on Linux it waits for a timer of the kernel's; elsewhere it is SleepUntilTimer. BenchmarkSleep on a virtual
// machine, median lateness and share of one core:
//
//	                 33 wakes a second      1000 wakes a second
//	SleepUntil       0.10 ms   0.4 %        0.03 ms   4.4 %
//	SleepUntilTimer  0.61 ms   0.4 %        0.55 ms   2.2 %
//
// It goes by the machine's clock: under a fake one (testing/synctest) take SleepUntilTimer.
func SleepUntil(ctx context.Context, t time.Time) error { return sleepUntil(ctx, t) }

// SleepUntilTimer is SleepUntil by the runtime's timers.
func SleepUntilTimer(ctx context.Context, t time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d := time.Until(t)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
