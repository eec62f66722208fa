// Command accuracy measures how right the prober's times are, what they cost, and how many streams it bears.
//
// The server is the simulator in a process of its own, which puts into each event when it wrote it. So every event that
// the prober times is held against the truth, and the server's own lateness is told apart:
//
//	server:  request read ......... token due ---late---> stamped, write(2)
//	            ^                                              |
//	            | delay of the request                         | error of the receive time
//	            |                                              v
//	client:  wrote ------------- time to first token -----> kernel stamp ---receive delay---> user's clock
//
// docs/accuracy.md defines each figure and tells what came of it.
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
			fmt.Fprintln(os.Stderr, "accuracy:", err)
		}
		os.Exit(1)
	}
}
