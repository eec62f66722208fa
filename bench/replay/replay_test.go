package replay

import (
	"math"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// TestRunAddsUp holds a record to what it must be whatever was drawn.
func TestRunAddsUp(t *testing.T) {
	mix := map[string]float64{"chat": .7, "rag": .3}
	run, err := Run(Plan{
		Server: simulator.Options{MaxQueued: 12}, Seed: 1, Probes: map[string]Shape{"chat": {50, 16}, "rag": {2000, 32}},
		Lanes: []Lane{{Name: "main", Stages: []Stage{
			{From: 2, To: 20, Over: 20 * time.Second, Mix: mix}, {From: 20, To: 20, Over: 30 * time.Second, WarmUp: 3 * time.Second, Mix: mix}, {Kind: record.Idle, Over: 10 * time.Second},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	arrived, made := int64(0), int64(0)
	for _, s := range run.Lanes[0].Stages {
		sent, planned, measured := 0, 0, 0
		for _, p := range s.Probes {
			sent += p.Sent
			if p.Outcomes["ok"]+p.Outcomes["overloaded"] != p.Sent || p.TTFT.Count() != p.Outcomes["ok"] {
				t.Errorf("%s: %+v does not add up", s.Name, p)
			}
		}
		for _, w := range s.Windows {
			planned += w.Planned
			if !w.Start.Before(s.From) {
				measured += w.Planned
			}
			arrived += w.Arrived
			made += w.Tokens
		}
		if sent != s.Planned || measured != s.Planned || planned < measured {
			t.Errorf("%s: %d planned, %d sent, %d in measured windows", s.Name, s.Planned, sent, measured)
		}
	}
	if arrived != made || made == 0 {
		t.Errorf("%d tokens arrived of %d; want all: nothing is under way at the end", arrived, made)
	}
	hold := run.Lanes[0].Stages[1]
	// Little's law, the refused ones being under way for no time.
	busy := 0.0
	for _, p := range hold.Probes {
		busy += p.Duration.Mean().Seconds() * float64(p.Duration.Count())
	}
	if want := busy / hold.Measured().Seconds(); math.Abs(hold.InFlight/want-1) > .1 {
		t.Errorf("%v under way; want about %v", hold.InFlight, want)
	}
	if _, err := Run(Plan{Lanes: []Lane{{Stages: []Stage{{From: 1, To: 1, Over: time.Minute}}}}}); err == nil {
		t.Error("Run() without a mix = nil; want an error")
	}
	if _, err := Run(Plan{Lanes: []Lane{{Stages: []Stage{{From: 1, To: 1, Over: time.Minute, Mix: mix}}}}}); err == nil {
		t.Error("Run() with an unknown probe = nil; want an error")
	}
}
