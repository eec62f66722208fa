package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/llmprober/llm_prober/bench/replay"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// kinds are the trials, with how many of a hundred may, or must, be called a regression.
func kinds() []result {
	return []result{
		{Name: "sets", News: 5, Olds: 5, Slower: 0, Bound: 5},
		{Name: "sets", News: 5, Olds: 5, Slower: .2, Bound: 95},
		{Name: "sets", News: 5, Olds: 5, Slower: .1, Bound: 70},
		{Name: "nightly", News: 1, Olds: 7, Slower: 0, Bound: 5},
		{Name: "nightly", News: 1, Olds: 7, Slower: .2, Bound: 80},
	}
}

// The ramp of each run.
const (
	rate   = 10 // requests per second, a small part of what the server can do
	prompt = 50
	output = 16
)

// bench makes runs.
type bench struct {
	length time.Duration
	noise  float64
	rng    *rand.Rand
	made   int
	factor map[float64]float64 // of the time to read a prompt token, by how much longer the p95 TTFT is to be
	yields float64             // by how much the p95 TTFT changes with the server's speed, both as logarithms
}

func newBench(length time.Duration, noise float64, seed uint64) (*bench, error) {
	b := &bench{length: length, noise: noise, rng: rand.New(rand.NewPCG(seed, 0)), factor: map[float64]float64{0: 1}}
	for _, slower := range []float64{.1, .2} {
		f, err := b.calibrate(slower)
		if err != nil {
			return nil, err
		}
		b.factor[slower] = f
	}
	const step = .05
	fast, err := b.p95(math.Exp(-step), 1)
	if err != nil {
		return nil, err
	}
	slow, err := b.p95(math.Exp(step), 1)
	if err != nil {
		return nil, err
	}
	b.yields = math.Log(slow/fast) / (2 * step)
	return b, nil
}

// describe says what is simulated.
func (b *bench) describe() string {
	return fmt.Sprintf("Simulated: the engine's model on its own time line (queue, batches, Poisson arrivals; no HTTP, no prober). Runs of %v at %d requests/s of %d prompt and %d output tokens.",
		b.length, rate, prompt, output)
}

// plan is a run of a server all of whose work takes speed times as long, and its prompts reading times that.
func (b *bench) plan(speed, reading float64, length time.Duration, seed uint64) replay.Plan {
	times := func(d time.Duration, f float64) time.Duration { return time.Duration(float64(d) * f) }
	mix := map[string]float64{"chat": 1}
	b.made++
	return replay.Plan{
		ID: fmt.Sprintf("run-%05d", b.made), Ramp: "nightly", Seed: seed,
		Start: time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC).AddDate(0, 0, b.made),
		Server: simulator.Options{
			StepBase: times(9*time.Millisecond, speed), StepPerSequence: times(60*time.Microsecond, speed),
			PrefillPerToken: times(33*time.Microsecond, speed*reading),
		},
		Probes:     map[string]replay.Shape{"chat": {Prompt: prompt, Output: output}},
		Lanes:      []replay.Lane{{Name: "main", Stages: []replay.Stage{{From: rate, To: rate, Over: length, WarmUp: length / 10, Mix: mix}}}},
		Objectives: []record.Objective{{Indicator: record.TTFT, Percentile: 95, Threshold: 2}},
	}
}

// p95 is the p95 TTFT without noise, over many requests.
func (b *bench) p95(speed, reading float64) (float64, error) {
	run, err := replay.Run(b.plan(speed, reading, 20*time.Minute, 99))
	if err != nil {
		return 0, err
	}
	return run.Lanes[0].Stages[0].Probes["chat"].TTFT.Quantile(.95).Seconds(), nil
}

// calibrate finds by how much longer prompts must take for a p95 TTFT so much longer.
func (b *bench) calibrate(slower float64) (float64, error) {
	base, err := b.p95(1, 1)
	if err != nil {
		return 0, err
	}
	low, high := 1.0, 10.0
	for range 20 {
		middle := (low + high) / 2
		v, err := b.p95(1, middle)
		if err != nil {
			return 0, err
		}
		if v < base*(1+slower) {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2, nil
}

// draw makes one run of a server with its own luck.
func (b *bench) draw(slower float64) (*record.Run, error) {
	run, err := replay.Run(b.plan(math.Exp(b.noise/b.yields*b.rng.NormFloat64()), b.factor[slower], b.length, b.rng.Uint64()))
	if err != nil {
		return nil, err
	}
	run.Verdict = record.Pass
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			run.Lanes[i].Stages[j].Windows = nil // a comparison looks at none, and there are thousands of runs
		}
	}
	return run, nil
}

// spread is by how much the p95 TTFT differs between runs of the same server: the standard deviation of its logarithm.
func (b *bench) spread() (float64, error) {
	const runs = 200
	var sum, squares float64
	for range runs {
		run, err := b.draw(0)
		if err != nil {
			return 0, err
		}
		v := math.Log(run.Lanes[0].Stages[0].Probes["chat"].TTFT.Quantile(.95).Seconds())
		sum += v
		squares += v * v
	}
	return math.Sqrt((squares - sum*sum/runs) / (runs - 1)), nil
}

// count runs the trials of one kind.
func (b *bench) count(ctx context.Context, k *result, trials int) error {
	for range trials {
		if err := ctx.Err(); err != nil {
			return err
		}
		var olds, news []*record.Run
		for range k.Olds {
			run, err := b.draw(0)
			if err != nil {
				return err
			}
			olds = append(olds, run)
		}
		for range k.News {
			run, err := b.draw(k.Slower)
			if err != nil {
				return err
			}
			news = append(news, run)
		}
		switch judged(news, olds) {
		case record.Regressed:
			k.Regressed++
		case record.NotEnoughRuns:
			k.NotEnoughRuns++
		}
	}
	share := float64(k.Regressed) / float64(trials) * 100
	k.Met = share <= float64(k.Bound)
	if k.Slower > 0 {
		k.Met = share >= float64(k.Bound)
	}
	k.Bound = k.Bound * trials / 100
	return nil
}

// judged is the verdict on the comparison, by the way that ramps go: one run is judged against its history, sets against
// each other.
func judged(news, olds []*record.Run) record.Verdict {
	if len(news) > 1 {
		return judge.Compare(news, olds, nil, judge.Margin{}).Verdict
	}
	judge.Judge(news[0], olds, judge.Options{Compare: &judge.Against{With: judge.PreviousPassed}})
	return news[0].Comparison.Verdict
}
