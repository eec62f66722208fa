// Command load measures whether the prober keeps a plan: so many short requests a second, in an open loop, while so many
// streams are held open. What counts is how late each request was dispatched, by the prober's own figure.
//
//	ramp ──Ask──> prober ──loopback──> a bare server: fixed answers, one goroutine for each connection
//	  └── dispatch delay = dispatched - intended, of every request
//
// Client and server share the process and its cores, so the cost of both is in the figure.
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
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
