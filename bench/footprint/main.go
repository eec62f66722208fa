// Command footprint measures what the prober takes of the machine that it runs on: processor, memory, and the time of scrapes
// and of the start, of the built binary, from outside.
//
//	simulator (a process) <── probes ── llm_prober (a process) <── a scrape each 15 s, as Prometheus asks
//	                                        ↑
//	                                     /proc: CPU time, resident memory
//
// idle is one target with one probe; fleet is 100 targets with five probes each. Both are measured as they are after a day,
// not as they begin: the history of a day is there (it is made up, and loaded as after a restart), and the newest requests are
// those of a while of asking faster. docs/footprint.md tells what came of it.
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
		fmt.Fprintln(os.Stderr, "footprint:", err)
		os.Exit(1)
	}
}
