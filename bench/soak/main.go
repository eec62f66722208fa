// Command soak lets the prober work for a long time in a short one, and tells whether anything grew: it asks the demo's mix at
// many times its rate.
//
//	simulator (a process) <── the demo's mix, 50 x ── llm_prober (a process) <── scrapes, pages, SIGHUPs
//	                                                      │
//	/proc: memory, threads, descriptors; /metrics: live heap, goroutines, series, dispatch delay
//	                                                      ↓
//	    a line through each, by requests ──> per hour of the demo's own rate ──> over its limit? exit 1
//
// What is kept of the newest requests is filled before, by asking each probe every second: filling it is no leak. The simulator's
// answers are short and come at fixed times, so that two processors that the simulator shares are not busy: a prober that is
// starved of its processor is another test. docs/footprint.md tells what came of it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
