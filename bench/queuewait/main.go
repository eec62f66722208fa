// Command queuewait measures how right each source of the queue wait is, against a server whose truth is known.
//
// The server is the simulator in a process of its own, one for each dialect. It is loaded with Poisson arrivals to a share
// of the capacity that its constants give, and asked by the prober meanwhile:
//
//	background ──Poisson──┐
//	                      ├──> simulator ──GET /ground_truth──> what each request waited
//	probes ────Poisson────┘        │                                        │
//	   ^                           └──/metrics──> engine                    ├── error of each source
//	   └──prober.Result──> queuewait.Target ──> body, header, derived, estimated
//
// body, header, derived and engine are held against the time in the scheduler's queue. estimated is held against the whole
// delay that other load caused: the first token's due time less what the request would have taken alone, by the server's
// constants. The target is asked without load first, for that is when it learns what it takes.
//
// docs/queue-wait.md defines the sources and tells what came of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "queuewait:", err)
		}
		os.Exit(1)
	}
}
