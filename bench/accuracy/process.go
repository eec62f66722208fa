package main

import (
	"runtime"
	"syscall"
	"time"
)

// usage is what the process has used up so far.
type usage struct {
	at      time.Time
	cpu     time.Duration // user and system
	mallocs uint64
}

// meter reads usage without adding to it.
type meter struct{ stats runtime.MemStats }

// start is the usage at the beginning of a window: what is read last allocates nothing.
func (m *meter) start() usage {
	u := usage{cpu: cpuTime()}
	runtime.ReadMemStats(&m.stats)
	u.mallocs, u.at = m.stats.Mallocs, time.Now()
	return u
}

// stop is the usage at its end.
func (m *meter) stop() usage {
	runtime.ReadMemStats(&m.stats)
	return usage{at: time.Now(), cpu: cpuTime(), mallocs: m.stats.Mallocs}
}

func cpuTime() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru) // cannot fail for oneself
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
