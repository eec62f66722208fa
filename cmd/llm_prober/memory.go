package main

import (
	"os"
	"runtime/debug"
)

// collectAt is how much the heap of a daemon may grow, in per cent of what is alive, before it is collected. Go's own 100 makes
// a process that lives for months, most of whose memory is alive, twice as large as it need be; what more collections cost is
// in docs/footprint.md.
const collectAt = 25

// tuneMemory makes the process small, unless its user has said otherwise: GOGC and GOMEMLIMIT are Go's own variables.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
}
