package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/bench/internal/process"
)

// settings are what is asked for.
type settings struct {
	binary                           string
	targets, probes, engines, tokens int
	interval, idleInterval           time.Duration
	fill, warmUp, duration           time.Duration
	scrapeInterval                   time.Duration
	scrapes                          int
	firstToken, perToken             time.Duration
	day                              bool
	stderr                           io.Writer
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	app := kingpin.New("footprint", "Measure what the prober takes of its machine.")
	helped := false
	app.Writer(stdout).Terminate(func(int) { helped = true })
	s := settings{stderr: stderr, scrapeInterval: 15 * time.Second, firstToken: 200 * time.Millisecond, perToken: 20 * time.Millisecond}
	app.Flag("targets", "Targets of the fleet.").Default("100").IntVar(&s.targets)
	app.Flag("probes", "Probes of each of them, 1 to 5: interactive, rag, batch, code, classify.").Default("5").IntVar(&s.probes)
	app.Flag("engines", "How many of them have engine metrics, read at their default interval.").Default("20").IntVar(&s.engines)
	app.Flag("tokens", "How long answers are: each token that is streamed is an event to be timed.").Default("64").IntVar(&s.tokens)
	app.Flag("interval", "How often each probe of the fleet asks.").Default("30s").DurationVar(&s.interval)
	app.Flag("idle-interval", "How often the one probe of idle asks.").Default("15s").DurationVar(&s.idleInterval)
	app.Flag("duration", "How long the processor is watched.").Default("6m").DurationVar(&s.duration)
	app.Flag("warm-up", "How long before that the probes ask as they will.").Default("1m").DurationVar(&s.warmUp)
	app.Flag("fill", "How long before that they ask each second, to fill what is kept of the newest requests; 0: not.").Default("2m").DurationVar(&s.fill)
	app.Flag("day", "Begin with the history of a day.").Default("true").BoolVar(&s.day)
	app.Flag("scrapes", "How many scrapes are timed, of each format, when that is over.").Default("21").IntVar(&s.scrapes)
	app.Flag("binary", "A llm_prober that was built before, instead of one of this tree.").PlaceHolder("FILE").StringVar(&s.binary)
	slack := app.Flag("slack", "Times the limits may be exceeded: on a machine that does other things, or with short times. Above 1, what misses a limit is measured anew, twice at most.").Default("1").Float64()
	only := app.Flag("only", "Measure this case alone: idle, or fleet.").Enum("idle", "fleet")
	output := app.Flag("output", "text, or json.").Default("text").Enum("text", "json")
	if _, err := app.Parse(args); err != nil || helped {
		return err
	}
	if s.targets < 1 || s.probes < 1 || s.probes > mostShapes || s.engines < 0 || s.scrapes < 1 || s.tokens < 1 {
		return fmt.Errorf("--targets, --scrapes and --tokens are at least 1, --probes 1 to %d, --engines at least 0", mostShapes)
	}
	if s.interval < time.Second || s.idleInterval < time.Second || s.duration < time.Second || s.warmUp < 0 || s.fill < 0 {
		return errors.New("--interval, --idle-interval and --duration are at least 1s, --warm-up and --fill not below 0")
	}
	dir, err := os.MkdirTemp("", "footprint")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if s.binary == "" {
		if s.binary, err = process.Build(ctx, dir); err != nil {
			return err
		}
	}
	r := &report{Machine: process.DescribeMachine()}
	for _, c := range s.cases() {
		if *only != "" && *only != c.name {
			continue
		}
		f, err := s.quietest(c.name, *slack, func(try int) (*figures, error) {
			return s.measure(ctx, c, filepath.Join(dir, fmt.Sprint(c.name, try)))
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.put(c.name, f)
	}
	if *output == "json" {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		err = r.write(stdout)
	}
	return errors.Join(err, r.missed(*slack))
}
