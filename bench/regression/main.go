// Command regression counts how often a comparison of runs is right, against servers whose truth is known.
//
// Each run is a short ramp against the simulator's engine, computed on the engine's own time line: its queue, its batches
// and Poisson arrivals, but no HTTP and no prober. From run to run all that the engine does takes longer or shorter by a
// factor of its own, log-normal, such that the p95 TTFT has the given noise; the luck of the arrivals comes on top. A slower
// server reads prompts so much more slowly that its p95 TTFT without noise is 10 or 20 % longer. The runs are judged by the
// code that judges ramps:
//
//	sets      5 runs against 5 runs, as a release gate
//	nightly   1 run against the last 7
//
// Regressed trials are false alarms where the server is the same, and detections where it is slower.
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
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		if !errors.Is(err, errMissed) {
			fmt.Fprintln(os.Stderr, "regression:", err)
		}
		os.Exit(1)
	}
}
