package simulator

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// claimThread gives the calling goroutine a thread of its own whose sleeps are not rounded up by the kernel (50 µs
// otherwise). It reports whether nanosleep may be used. The goroutine never gives the thread back: it dies with it.
func claimThread() bool {
	runtime.LockOSThread()
	// Failing leaves the sleeps 50 µs late, which is still far better than the runtime's timers.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return true
}

// nanosleep sleeps for d, or for less when a signal comes.
func nanosleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // the caller looks at the clock
}

// machineMonotonic reads CLOCK_MONOTONIC, in nanoseconds.
func machineMonotonic() (int64, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, false
	}
	return ts.Nano(), true
}
