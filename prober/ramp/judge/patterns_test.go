package judge

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/bench/replay"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// soakScene holds a load for an hour while everything becomes slower by so many per cent an hour.
func soakScene(t *testing.T, leak string) *record.Run {
	server := server()
	if leak != "" {
		server.Changes = []simulator.Change{{Set: "leak=" + leak}}
	}
	return replayed(t, replay.Plan{
		Ramp: "soak", Shape: "soak", Server: server, Seed: 2, Objectives: promise(.5), Window: 15 * time.Second,
		Lanes: []replay.Lane{{Name: "main", Stages: []replay.Stage{hold(10, time.Hour)}}},
	})
}

// spikeScene has three peaks on a server that holds so many requests at most; 0: all.
func spikeScene(t *testing.T, queue int) *record.Run {
	server := server()
	server.MaxQueued = queue
	var stages []replay.Stage
	for range 3 {
		stages = append(stages, hold(8, 30*time.Second), replay.Stage{Kind: record.Spike, From: 120, To: 120, Over: 5 * time.Second, Mix: chat()})
	}
	return replayed(t, replay.Plan{
		Ramp: "spike", Shape: "spike", Server: server, Seed: 2, Objectives: promise(.5),
		Lanes: []replay.Lane{{Name: "main", Stages: append(stages, hold(8, 30*time.Second))}},
	})
}

// neighbourScene has a steady lane and one with bursts of long prompts, so many a second.
func neighbourScene(t *testing.T, rate float64) *record.Run {
	var bursts []replay.Stage
	for range 4 {
		bursts = append(bursts, replay.Stage{Kind: record.Idle, Over: 25 * time.Second},
			replay.Stage{Kind: record.Spike, From: rate, To: rate, Over: 10 * time.Second, Mix: map[string]float64{"long": 1}})
	}
	return replayed(t, replay.Plan{
		Ramp: "noisy", Shape: "noisy_neighbour", Server: server(), Seed: 3,
		Lanes: []replay.Lane{{Name: "victim", Stages: []replay.Stage{hold(8, 140*time.Second)}}, {Name: "neighbour", Stages: bursts}},
	})
}

// recoveryScene overloads a server for 20 s, which is then slower for a minute, or not.
func recoveryScene(t *testing.T, slower string) *record.Run {
	server := server()
	if slower != "" {
		server.Changes = []simulator.Change{{Set: "throttle=" + slower, After: 80 * time.Second, For: time.Minute}}
	}
	return replayed(t, replay.Plan{
		Ramp: "recovery", Shape: "recovery", Server: server, Seed: 3, Objectives: promise(.5),
		Lanes: []replay.Lane{{Name: "main", Stages: []replay.Stage{
			hold(10, time.Minute), {Kind: record.Spike, From: 45, To: 45, Over: 20 * time.Second, Mix: chat()},
			{Kind: record.Recovery, From: 10, To: 10, Over: 2 * time.Minute, Mix: chat()},
		}}},
	})
}

// climbScene stays below half of what the server can do.
func climbScene(t *testing.T) *record.Run {
	return replayed(t, replay.Plan{
		Ramp: "step", Shape: "step", Server: server(), Seed: 5, Objectives: promise(.5),
		Lanes: []replay.Lane{{Name: "main", Stages: steps(30*time.Second, 4, 8, 12, 16)}},
	})
}

func named(run *record.Run) []record.Pattern {
	found := map[record.Pattern]bool{}
	for _, f := range run.Diagnosis.Findings {
		found[f.Pattern] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// TestPatternsAreNamed stages each pattern with the simulator, and its healthy twin, of which nothing is named.
func TestPatternsAreNamed(t *testing.T) {
	for _, test := range []struct {
		name string
		run  *record.Run
		want []record.Pattern
	}{
		{"a climb beyond saturation", stepScene(t, 1), []record.Pattern{record.DecodeNearCapacity, record.Queueing, record.Saturated}},
		{"a climb that stays below", climbScene(t), nil},
		{"a soak with a leak", soakScene(t, "20"), []record.Pattern{record.Drift}},
		{"a soak without", soakScene(t, ""), nil},
		{"spikes on a bounded queue", spikeScene(t, 40), []record.Pattern{record.ErrorsInSpikes}},
		{"spikes on an unbounded one", spikeScene(t, 0), nil},
		{"long prompts next door", neighbourScene(t, 3), []record.Pattern{record.NoisyNeighbour}},
		{"hardly any", neighbourScene(t, .1), nil},
		{"a slow recovery", recoveryScene(t, "2"), []record.Pattern{record.SlowRecovery}},
		{"a quick one", recoveryScene(t, ""), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			Judge(test.run, nil, Options{})
			if got := named(test.run); !slices.Equal(got, test.want) {
				t.Errorf("patterns = %v; want %v\n%s", got, test.want, strings.Join(test.run.Diagnosis.Words, "\n"))
			}
			for _, f := range test.run.Diagnosis.Findings {
				if f.P > level || f.Evidence == "" || f.Test == "" || f.Words == "" {
					t.Errorf("finding %+v; want p <= %v, a test and evidence", f, level)
				}
			}
		})
	}
}

// TestDriftTellsWhatStoodBeside gives a soak with a leak what its engine and GPU showed.
func TestDriftTellsWhatStoodBeside(t *testing.T) {
	for _, test := range []struct {
		name   string
		sample func(part float64) record.Sample
		want   string
	}{
		{"nothing", func(float64) record.Sample { return record.Sample{} }, ""},
		{"memory", func(part float64) record.Sample {
			return record.Sample{GPUs: []record.GPUSample{{UUID: "GPU-1", MemoryUsed: new(60e9 + 10e9*part)}}}
		}, "a leak or fragmentation: the GPU's memory in use rose by 15.4 %"},
		{"heat", func(part float64) record.Sample {
			return record.Sample{GPUs: []record.GPUSample{{UUID: "GPU-1", SMClock: new(1.98e9 - .2e9*part), Temperature: new(60 + 25*part), Throttled: []string{"sw_thermal"}}}}
		}, "heat: the SM clock fell by 10.6 %, the temperature rose by 25 °C, throttled by sw_thermal"},
		{"cache", func(part float64) record.Sample {
			return record.Sample{Engine: &record.EngineSample{KVUsage: new(.3 + .5*part)}}
		}, "a leak of KV cache: its use rose by 50 points"},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := soakScene(t, "20")
			s := &run.Lanes[0].Stages[0]
			for i := range 120 {
				sample := test.sample(float64(i) / 119)
				sample.At = s.From.Add(time.Duration(i) * s.Measured() / 120)
				run.Samples = append(run.Samples, sample)
			}
			Judge(run, nil, Options{})
			if len(run.Diagnosis.Findings) != 1 || run.Diagnosis.Findings[0].Cause != test.want {
				t.Errorf("findings = %+v; want a drift with the cause %q", run.Diagnosis.Findings, test.want)
			}
		})
	}
}
