package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// errMissed fails a run whose counts miss their bounds; the output has said which.
var errMissed = errors.New("see the output")

// report is what came of it.
type report struct {
	Simulated string   `json:"simulated"`
	Trials    int      `json:"trials"`
	Noise     float64  `json:"noise_between_runs"`
	Spread    float64  `json:"ttft_p95_spread_between_runs"` // as it came out: the noise, queueing's answer to it and the luck of the draw
	Seed      uint64   `json:"seed"`
	Seconds   float64  `json:"seconds"`
	Results   []result `json:"results"`
	Met       bool     `json:"met"`
}

// result is one kind of trial.
type result struct {
	Name          string  `json:"name"`            // sets, nightly
	Slower        float64 `json:"ttft_p95_slower"` // 0: the same server
	News          int     `json:"new_runs"`
	Olds          int     `json:"old_runs"`
	Regressed     int     `json:"regressed"`
	NotEnoughRuns int     `json:"not_enough_runs"`
	Bound         int     `json:"bound"` // for the trials asked: at most where the server is the same, at least where it is slower
	Met           bool    `json:"met"`
}

// run is the command.
func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	app := kingpin.New("regression", "Count how often a comparison of runs is right.")
	var help bool
	app.Writer(stdout).Terminate(func(int) { help = true })
	trials := app.Flag("trials", "How many trials of each kind.").Default("100").Int()
	noise := app.Flag("noise", "Noise from run to run: the standard deviation of the logarithm of the p95 TTFT, before the luck of the arrivals.").Default("0.05").Float64()
	length := app.Flag("length", "How long each run lasts, on the server's clock.").Default("2m").Duration()
	seed := app.Flag("seed", "Of all that is drawn.").Default("1").Uint64()
	output := app.Flag("output", "text, or json.").Default("text").Enum("text", "json")
	if _, err := app.Parse(args); err != nil || help {
		return err
	}
	if *trials < 1 || *noise < 0 || *length < 10*time.Second {
		return errors.New("--trials must be 1 or more, --noise 0 or more, --length 10s or more")
	}
	begun := time.Now()
	b, err := newBench(*length, *noise, *seed)
	if err != nil {
		return err
	}
	r := &report{Simulated: b.describe(), Trials: *trials, Noise: *noise, Seed: *seed, Met: true}
	if r.Spread, err = b.spread(); err != nil {
		return err
	}
	for _, kind := range kinds() {
		if err := b.count(ctx, &kind, *trials); err != nil {
			return err
		}
		r.Results = append(r.Results, kind)
		r.Met = r.Met && kind.Met
	}
	r.Seconds = time.Since(begun).Seconds()
	if err := r.write(stdout, *output); err != nil {
		return err
	}
	if !r.Met {
		return errMissed
	}
	return nil
}

func (r *report) write(w io.Writer, output string) error {
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintf(w, "%s\nNoise from run to run %.0f %%; the p95 TTFT of runs of the same server spreads by %.1f %%. %d trials each, seed %d, %.0f s.\n\n",
		r.Simulated, 100*r.Noise, 100*r.Spread, r.Trials, r.Seed, r.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "trial\truns\tserver\tregressed\twanted\t")
	for _, k := range r.Results {
		server, wanted := "the same", fmt.Sprintf("at most %d", k.Bound)
		if k.Slower > 0 {
			server, wanted = fmt.Sprintf("p95 TTFT %.0f %% longer", 100*k.Slower), fmt.Sprintf("at least %d", k.Bound)
		}
		met := "yes"
		if !k.Met {
			met = "NO"
		}
		fmt.Fprintf(t, "%s\t%d against %d\t%s\t%d of %d\t%s\t%s\n", k.Name, k.News, k.Olds, server, k.Regressed, r.Trials, wanted, met)
	}
	return t.Flush()
}
