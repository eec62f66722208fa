package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/bench/internal/process"
)

// settings are what is asked for.
type settings struct {
	binary                 string
	rate                   float64
	fill, warmUp, duration time.Duration
	scrapeInterval         time.Duration
	firstToken, perToken   time.Duration
	tokens                 float64
	limit                  float64 // MB for each hour of the demo's rate
	again                  int
	stderr                 io.Writer
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	app := kingpin.New("soak", "Ask the demo's mix at many times its rate, and tell whether anything grows.")
	helped := false
	app.Writer(stdout).Terminate(func(int) { helped = true })
	s := settings{stderr: stderr}
	app.Flag("rate", "How many times the demo's rate.").Default("50").Float64Var(&s.rate)
	app.Flag("duration", "How long it is watched: 3m finds what is gross, 1h what is slow, and longer what is slower.").Default("1h").DurationVar(&s.duration)
	app.Flag("warm-up", "How long before that it asks as it will.").Default("1m").DurationVar(&s.warmUp)
	app.Flag("fill", "How long before that each probe asks every second, to fill what is kept of the newest requests; 0: not.").Default("130s").DurationVar(&s.fill)
	app.Flag("scrape-interval", "How often it is scraped.").Default("5s").DurationVar(&s.scrapeInterval)
	app.Flag("first-token", "The simulator's time to the first token.").Default("20ms").DurationVar(&s.firstToken)
	app.Flag("per-token", "The simulator's time between tokens.").Default("2ms").DurationVar(&s.perToken)
	app.Flag("tokens", "The mean length of the simulator's answers.").Default("16").Float64Var(&s.tokens)
	app.Flag("limit", "How many MB more for each hour of the demo's rate are too many.").Default("1").Float64Var(&s.limit)
	app.Flag("again", "How often a run of less than half an hour that finds something watches as long again, to find it again, before it is believed.").Default("2").IntVar(&s.again)
	app.Flag("binary", "A llm_prober that was built before, instead of one of this tree.").PlaceHolder("FILE").StringVar(&s.binary)
	output := app.Flag("output", "text, or json.").Default("text").Enum("text", "json")
	if _, err := app.Parse(args); err != nil || helped {
		return err
	}
	if s.rate <= 0 || s.duration <= 0 || s.warmUp < 0 || s.fill < 0 || s.scrapeInterval <= 0 || s.limit <= 0 || s.again < 0 {
		return errors.New("--rate, --duration, --scrape-interval and --limit are above 0, --warm-up, --fill and --again not below")
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	m, err := newMix(root, s.rate)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if s.binary == "" {
		if s.binary, err = process.Build(ctx, dir); err != nil {
			return err
		}
	}
	r, err := s.measure(ctx, m, dir)
	if err != nil {
		return err
	}
	if *output == "json" {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		err = r.write(stdout)
	}
	return errors.Join(err, r.err())
}

// moduleRoot is where the repository begins.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
