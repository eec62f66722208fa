package judge

import (
	"testing"
	"time"

	"github.com/llmprober/llm_prober/bench/replay"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// The server of the scenes: 16 sequences at most, 19 requests/s of 200 prompt and 32 output tokens.
func server() simulator.Options { return simulator.Options{MaxRunning: 16} }

func chat() map[string]float64 { return map[string]float64{"chat": 1} }

func shapes() map[string]replay.Shape {
	return map[string]replay.Shape{"chat": {Prompt: 200, Output: 32}, "long": {Prompt: 6000, Output: 64}}
}

func promise(seconds float64) []record.Objective {
	return []record.Objective{{Indicator: record.TTFT, Percentile: 95, Threshold: seconds}}
}

// hold is a load that is held, the first tenth being warm-up.
func hold(rate float64, over time.Duration) replay.Stage {
	return replay.Stage{From: rate, To: rate, Over: over, WarmUp: over / 10, Mix: chat()}
}

func replayed(t *testing.T, p replay.Plan) *record.Run {
	t.Helper()
	if p.Probes == nil {
		p.Probes = shapes()
	}
	run, err := replay.Run(p)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// steps climbs through loads.
func steps(over time.Duration, rates ...float64) (stages []replay.Stage) {
	for _, rate := range rates {
		stages = append(stages, hold(rate, over))
	}
	return stages
}

func stepScene(t *testing.T, seed uint64) *record.Run {
	return replayed(t, replay.Plan{
		ID: "20260101T000000Z-step-1", Ramp: "step", Shape: "step", Server: server(), Seed: seed, Objectives: promise(.5),
		Lanes: []replay.Lane{{Name: "main", Stages: steps(30*time.Second, 4, 8, 16, 24, 28, 32, 36, 40, 48)}},
	})
}
