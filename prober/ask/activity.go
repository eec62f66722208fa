package ask

import (
	"sync/atomic"
	"time"
)

// activity knows whether a target is being asked, and since when it is not.
type activity struct {
	made     time.Time
	inFlight atomic.Int64
	ended    atomic.Int64 // nanoseconds from made to the latest end
}

func (a *activity) start() { a.made = time.Now() }

func (a *activity) begin() { a.inFlight.Add(1) }

func (a *activity) end() {
	now := int64(time.Since(a.made))
	for last := a.ended.Load(); now > last && !a.ended.CompareAndSwap(last, now); {
		last = a.ended.Load()
	}
	a.inFlight.Add(-1) // after the time: who sees nobody sees when the last one left
}

func (a *activity) idleFor() (time.Duration, bool) {
	if a.inFlight.Load() > 0 {
		return 0, false
	}
	return max(time.Since(a.made)-time.Duration(a.ended.Load()), 0), true
}
