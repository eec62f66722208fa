package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "alerts:", err)
		os.Exit(1)
	}
}

const day = 24 * time.Hour

// What is judged begins when a week and a day of history are there.
const warmUp = 8 * day

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("alerts", flag.ContinueOnError)
	flags.SetOutput(stderr)
	folder := flags.String("rules", "../../alerts/rules", "the folder of the rules")
	seeds := flags.Int("seeds", 20, "how many months, and how many injections of each kind")
	days := flags.Int("days", 30, "how many days of each month are judged")
	only := flags.String("only", "", "a part of the study: false-alarms or delays")
	probing := flags.String("probing", "", "false alarms of the settings alone whose name contains this, such as classic")
	quick := flags.Bool("quick", false, "few seeds: says that the study works, not what it finds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *quick {
		*seeds = 2
	}
	rules, err := loadRules(*folder)
	if err != nil {
		return err
	}
	study := study{rules: rules, seeds: *seeds, only: *only, probing: *probing, judged: time.Duration(*days) * day, progress: stderr}
	return study.run(ctx, stdout)
}
