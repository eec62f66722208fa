// Command knee measures how right the knee is that a ramp finds, against the simulator, whose capacity can be computed.
//
//	simulator ── Capacity(prompt, output) ──────────────────────────> truth
//	    ^
//	    │ HTTP on loopback
//	  ramp: search, and step of the same resolution ── judge ──────> knee, requests
//
// Each seed has a server and a ramp of its own, and several go on at a time. Below the capacity nobody waits for long;
// above it the queue grows for as long as the load lasts. So the highest load at which the objective holds is the capacity,
// but for what a stage is too short to show: a load above it by the threshold's part of the stage.
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
		fmt.Fprintln(os.Stderr, "knee:", err)
		os.Exit(1)
	}
}
