package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// noise is a series of logarithms: correlated, with Student's t of three degrees of freedom for tails.
type noise struct {
	rng         *rand.Rand
	rho, spread float64
	at          float64
}

func (n *noise) next() float64 {
	z := n.rng.NormFloat64()
	chi := 0.0
	for range 3 {
		v := n.rng.NormFloat64()
		chi += v * v
	}
	tail := z / math.Sqrt(chi/3) / math.Sqrt(3) // variance 1
	n.at = n.rho*n.at + math.Sqrt(1-n.rho*n.rho)*tail
	return n.spread * n.at
}

// healthyRun is a run of a healthy server, made of windows: noise and nothing else. It has a climb to half of what the
// server can do, a soak, spikes, a recovery, a neighbour, and now and then a request that fails.
func healthyRun(seed uint64) *record.Run {
	rng := rand.New(rand.NewPCG(seed, 1))
	n := &noise{rng: rng, rho: []float64{0, .3, .6, .8}[seed%4], spread: []float64{.05, .15, .3}[seed/4%3]}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	run := &record.Run{ID: fmt.Sprint("healthy-", seed), Ramp: "healthy", Started: at, Objectives: promise(5)}

	stage := func(l *record.Lane, kind record.Kind, rate float64, windows int, length time.Duration) {
		s := record.Stage{
			Index: len(l.Stages), Name: string(kind), Kind: kind, Begin: rate, End: rate, Mix: chat(), Started: at, From: at,
			Probes: map[string]*record.Stats{"chat": {Outcomes: map[string]int{}, TTFT: &record.Histogram{}, Duration: &record.Histogram{}}},
		}
		stats := s.Probes["chat"]
		load := 1 + rate/100 // everything is a little slower under load
		flow := 0.0
		for range windows {
			slow := n.next()
			planned := int(rate*length.Seconds() + math.Sqrt(rate*length.Seconds())*rng.NormFloat64() + .5)
			planned = max(planned, 0)
			w := record.Window{Start: at, Length: length, Planned: planned, Sent: planned, OK: planned, InFlight: rate * load}
			if planned > 0 && rng.Float64() < .01 {
				w.OK--
				w.Outcomes = map[string]int{"http_5xx": 1}
			}
			few := .1 / math.Sqrt(float64(max(planned, 1)))
			quantiles := func(typical, slow float64) record.Quantiles {
				p50 := typical * load * math.Exp(slow+few*rng.NormFloat64())
				return record.Quantiles{N: w.OK, Mean: p50 * 1.1, P50: p50, P90: p50 * 1.4, P95: p50 * 1.5 * math.Exp(2*few*rng.NormFloat64()), P99: p50 * 2, Max: p50 * 2}
			}
			if w.OK > 0 {
				w.TTFT, w.Duration, w.TPOT = quantiles(.2, slow), quantiles(2, slow/2), quantiles(.02, slow/2)
			}
			// Tokens come a little after they were asked for.
			flow += float64(32*w.OK) - flow/2
			w.Arrived = int64(flow / 2)
			stats.Sent += planned
			stats.Outcomes["ok"] += w.OK
			stats.Outcomes["http_5xx"] += planned - w.OK
			stats.OutputTokens += int64(flow / 2)
			stats.TTFT.RecordN(time.Duration(w.TTFT.P50*float64(time.Second)), w.OK)
			s.Planned += planned
			s.Windows = append(s.Windows, w)
			at = at.Add(length)
		}
		s.Sent, s.InFlight = s.Planned, rate*load
		s.To, s.Ended = at, at
		l.Stages = append(l.Stages, s)
	}
	main := record.Lane{Name: "main", Open: true}
	for _, rate := range []float64{4, 8, 12, 16, 20} {
		stage(&main, record.Hold, rate, 30, time.Second)
	}
	stage(&main, record.Hold, 10, 240, 15*time.Second)
	victimFrom := at
	for range 3 {
		stage(&main, record.Spike, 30, 10, time.Second)
		stage(&main, record.Hold, 10, 30, time.Second)
	}
	stage(&main, record.Recovery, 10, 60, time.Second)
	run.Ended = at
	victim := record.Lane{Name: "victim", Open: true}
	at = victimFrom
	stage(&victim, record.Hold, 5, 180, time.Second)
	run.Lanes = []record.Lane{main, victim}
	return run
}

// TestHealthyRunsHaveNoPatterns counts how often a pattern is named where there is nothing but noise. Of 1,200 runs it was
// drift in 4, decode_near_capacity in 1, and no other in any.
func TestHealthyRunsHaveNoPatterns(t *testing.T) {
	const runs = 240
	alarms := map[record.Pattern]int{}
	example := map[record.Pattern]string{}
	for seed := range uint64(runs) {
		run := healthyRun(seed)
		for _, f := range diagnose(run, Options{}).Findings {
			alarms[f.Pattern]++
			example[f.Pattern] = fmt.Sprintf("seed %d: %s (%s)", seed, f.Words, f.Evidence)
		}
	}
	for _, p := range record.Patterns() {
		t.Logf("%-20s %4d of %d runs", p, alarms[p], runs)
		if alarms[p]*100 >= runs {
			t.Errorf("%s was named in %d of %d healthy runs; want less than 1 %%, for example %s", p, alarms[p], runs, example[p])
		}
	}
}
