package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/sync/errgroup"

	"github.com/llmprober/llm_prober/prober/workload"
)

// settings are what is asked for.
type settings struct {
	runs, parallel int
	stage          time.Duration
	process        workload.Process
	from, to       float64 // requests per second
	resolution     float64 // of to - from at the capacity: what a step adds, and how near the search's ends come
	threshold      time.Duration
	late           time.Duration
}

// report is what came of it.
type report struct {
	Truth   float64 `json:"truth"` // requests per second
	Runs    int     `json:"runs"`
	Process string  `json:"process"`
	Search  shape   `json:"search"`
	Step    shape   `json:"step"`
	Ratio   float64 `json:"request_ratio"` // requests of search by those of step
	Seconds float64 `json:"seconds"`
}

// shape is how one shape did.
type shape struct {
	Median             float64   `json:"median"`
	WorstRelativeError float64   `json:"worst_relative_error"`
	Requests           float64   `json:"requests"`       // of a run, mean
	Knees              []float64 `json:"knees"`          // by seed
	Invalid            int       `json:"invalid_stages"` // in which this machine was too busy
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	app := kingpin.New("knee", "Measure how right the knee is that search and step find.")
	helped := false
	app.Writer(stdout).Terminate(func(int) { helped = true })
	s := settings{from: 20, to: 60, resolution: .025, threshold: 120 * time.Millisecond}
	app.Flag("runs", "How many, each with a seed of its own.").Default("10").IntVar(&s.runs)
	app.Flag("parallel", "How many of them at a time.").Default("10").IntVar(&s.parallel)
	app.Flag("stage", "How long a load lasts at most.").Default("8s").DurationVar(&s.stage)
	process := app.Flag("process", "How arrivals scatter: constant, even (gamma of shape 8) or poisson.").Default("constant").Enum("constant", "even", "poisson")
	app.Flag("late", "How late one request in a hundred may be dispatched, for a stage to be valid.").Default("10ms").DurationVar(&s.late)
	output := app.Flag("output", "text, or json.").Default("text").Enum("text", "json")
	if _, err := app.Parse(args); err != nil || helped {
		return err
	}
	if s.runs < 1 || s.parallel < 1 || s.stage < time.Second {
		return fmt.Errorf("--runs and --parallel are at least 1, --stage at least 1s")
	}
	s.process = map[string]workload.Process{"constant": workload.Constant{}, "even": workload.Gamma{Shape: 8}, "poisson": workload.Poisson{}}[*process]
	r, err := s.measure(ctx, stderr)
	if err != nil {
		return err
	}
	r.Process = *process
	if *output == "json" {
		return json.NewEncoder(stdout).Encode(r)
	}
	return r.write(stdout)
}

// measure makes all runs.
func (s *settings) measure(ctx context.Context, stderr io.Writer) (*report, error) {
	began := time.Now()
	r := &report{Runs: s.runs}
	var mu sync.Mutex
	searches, steps := make([]found, s.runs), make([]found, s.runs)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.parallel)
	for i := range s.runs {
		group.Go(func() error {
			seed := uint64(i + 1)
			truth, search, step, err := s.seed(ctx, seed)
			if err != nil {
				return fmt.Errorf("seed %d: %w", seed, err)
			}
			mu.Lock()
			defer mu.Unlock()
			r.Truth = truth
			searches[i], steps[i] = search, step
			fmt.Fprintf(stderr, "seed %d: truth %.2f/s, search %.2f/s with %d requests, step %.2f/s with %d\n",
				seed, truth, search.knee, search.requests, step.knee, step.requests)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	r.Search, r.Step = summarise(searches, r.Truth), summarise(steps, r.Truth)
	r.Ratio = r.Search.Requests / r.Step.Requests
	r.Seconds = time.Since(began).Seconds()
	return r, nil
}

func summarise(all []found, truth float64) shape {
	var s shape
	for _, f := range all {
		s.Knees = append(s.Knees, f.knee)
		s.Requests += float64(f.requests) / float64(len(all))
		s.WorstRelativeError = max(s.WorstRelativeError, math.Abs(f.knee/truth-1))
		s.Invalid += f.invalid
	}
	sorted := slices.Sorted(slices.Values(s.Knees))
	n := len(sorted)
	s.Median = (sorted[(n-1)/2] + sorted[n/2]) / 2
	return s
}

func (r *report) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "The server's capacity is %.2f requests/s; %d runs, %s arrivals, %.0f s.\n", r.Truth, r.Runs, r.Process, r.Seconds)
	for _, row := range []struct {
		name string
		shape
	}{{"search", r.Search}, {"step", r.Step}} {
		if err != nil {
			break
		}
		_, err = fmt.Fprintf(w, "%-7s median %.2f/s, worst error %.1f %%, %.0f requests, %d invalid stages\n",
			row.name, row.Median, 100*row.WorstRelativeError, row.Requests, row.Invalid)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "search needs %.0f %% of the requests of step.\n", 100*r.Ratio)
	}
	return err
}
