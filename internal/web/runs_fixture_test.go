package web

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/bench/replay"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// night is when the runs of the tests begin.
var night = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// replayed makes a run of what a simulated engine computes, with a look at the engine and its GPUs beside it.
func replayed(t testing.TB, p replay.Plan) *record.Run {
	t.Helper()
	if p.Probes == nil {
		p.Probes = map[string]replay.Shape{"chat": {Prompt: 200, Output: 32}, "long": {Prompt: 6000, Output: 64}}
	}
	p.Server.MaxRunning = 16
	if p.Start.IsZero() {
		p.Start = night
	}
	run, err := replay.Run(p)
	if err != nil {
		t.Fatal(err)
	}
	run.Trigger, run.Nominal = record.BySchedule, p.Start
	run.Environment = record.Environment{
		Version: "1.4.0", Host: "prober-1", OS: "linux/amd64", CPUs: 4, Engine: "vllm 0.12.0", GPUs: []string{"GPU-5f2b7a30-0c1d", "GPU-9c0e6d11-77aa"},
		Currency: "USD", Labels: map[string]string{"zone": "eu-west"},
	}
	run.Rules = []string{
		"the first tenth of each stage is warm-up and is in no figure",
		"a stage is invalid if more than 1 % of its requests were sent more than 50 ms late",
	}
	run.Config = json.RawMessage(`{"ramp":{"name":"` + run.Ramp + `","schedule":"0 2 * * *","target":"simulator","lanes":[{"name":"main","mix":{"chat":100},"arrivals":{"process":"poisson","rate":"4/s"}}],"objectives":[{"indicator":"ttft","percentile":95,"threshold":"500ms"}],"compare":{"with":"previous_passed","max_regression":"10%"}}}`)
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			s := &run.Lanes[i].Stages[j]
			for k := range s.Planned {
				s.DispatchDelay.Record(time.Duration(60+k%9*25) * time.Microsecond)
			}
		}
	}
	besides(run)
	return run
}

// besides fills in samples that go with what the first lane did.
func besides(run *record.Run) {
	for i := range run.Lanes[0].Stages {
		for _, w := range run.Lanes[0].Stages[i].Windows {
			running, waiting := min(w.InFlight, 16), max(0, w.InFlight-16)
			kv, wait := running/20, waiting*0.04
			load := running / 16
			s := record.Sample{At: w.Start, Engine: &record.EngineSample{Running: &running, Waiting: &waiting, KVUsage: &kv, QueueWait: &wait}}
			for g, id := range run.Environment.GPUs {
				hot := load > 0.97 && g == 1
				gpu := record.GPUSample{UUID: id, Utilization: new(load), MemoryUsed: new(7.1e10 + 2e9*kv), SMClock: new(1.98e9), Temperature: new(48 + 30*load + float64(g)*3), Power: new(180 + 420*load)}
				if hot {
					gpu.Throttled, gpu.SMClock = []string{"sw_thermal_slowdown"}, new(1.62e9+2e7*math.Sin(float64(len(run.Samples))))
				}
				s.GPUs = append(s.GPUs, gpu)
			}
			run.Samples = append(run.Samples, s)
		}
	}
}

func held(rate float64, over time.Duration, mix map[string]float64) replay.Stage {
	if mix == nil {
		mix = map[string]float64{"chat": 1}
	}
	return replay.Stage{From: rate, To: rate, Over: over, WarmUp: over / 10, Mix: mix}
}

// stepRun climbs over the knee; the engine refuses what queues too long.
func stepRun(t testing.TB, seed uint64) *record.Run {
	var stages []replay.Stage
	for _, rate := range []float64{4, 8, 16, 24, 28, 32, 36, 40, 48} {
		stages = append(stages, held(rate, time.Minute, nil))
	}
	stages = append(stages, replay.Stage{Kind: record.Recovery, From: 8, To: 8, Over: 90 * time.Second, Mix: map[string]float64{"chat": 1}})
	run := replayed(t, replay.Plan{
		ID: night.AddDate(0, 0, int(seed)).Format("20060102T150405Z") + "-nightly_step-1f3a9c02", Ramp: "nightly_step", Shape: "step", Seed: seed, Window: 3 * time.Second,
		Start: night.AddDate(0, 0, int(seed)), Server: simulator.Options{MaxQueued: 180},
		Objectives: []record.Objective{{Indicator: record.TTFT, Probe: "chat", Percentile: 95, Threshold: .5}},
		Lanes:      []replay.Lane{{Name: "main", Stages: stages}},
	})
	return run
}

// neighboursRun has a victim at a constant rate, beside a lane that bursts with long prompts.
func neighboursRun(t testing.TB) *record.Run {
	long := map[string]float64{"long": 1}
	mixed := map[string]float64{"chat": .9, "long": .1}
	var bursts []replay.Stage
	for range 4 {
		bursts = append(bursts, replay.Stage{Kind: record.Idle, Over: 25 * time.Second}, replay.Stage{Kind: record.Spike, From: 3, To: 3, Over: 10 * time.Second, Mix: long})
	}
	run := replayed(t, replay.Plan{
		ID: "20261122T020000Z-noisy-0a1b2c3d", Ramp: "noisy", Shape: "noisy_neighbour", Seed: 3,
		Objectives: []record.Objective{{Lane: "victim", Indicator: record.TTFT, Percentile: 95, Threshold: .5}},
		Lanes:      []replay.Lane{{Name: "victim", Stages: []replay.Stage{held(8, 140*time.Second, mixed)}}, {Name: "neighbour", Stages: bursts}},
	})
	judge.Judge(run, nil, judge.Options{})
	return run
}

// judgedRuns are the runs of the tests, which do not change them.
type judgedRuns struct {
	nights []*record.Run // of nightly_step, the oldest first
	noisy  *record.Run
}

// made makes them once: it takes a while.
var made struct {
	once sync.Once
	runs judgedRuns
}

func makeRuns(t testing.TB) *judgedRuns {
	made.once.Do(func() {
		j := &made.runs
		for seed := range uint64(7) {
			run := stepRun(t, seed+1)
			judge.Judge(run, j.nights, judge.Options{Compare: &judge.Against{}, PerHour: 4})
			j.nights = append(j.nights, run)
		}
		j.noisy = neighboursRun(t)
	})
	return &made.runs
}

// shelf is a source of runs as the tests want it.
type shelf struct {
	runs    []*record.Run // the newest first
	live    []LiveRun
	started []string
	stopped []string
	refuse  error
	loads   atomic.Int32
}

func (s *shelf) source() *RunsSource {
	return &RunsSource{
		List: func(f runs.Filter) (infos []runs.Info, next string, err error) {
			skip := f.After != ""
			for _, r := range s.runs {
				if skip {
					skip = r.ID != f.After
					continue
				}
				if f.Ramp != "" && r.Ramp != f.Ramp || f.Target != "" && r.Target != f.Target || f.Verdict != "" && r.Verdict != f.Verdict {
					continue
				}
				if f.Limit > 0 && len(infos) == f.Limit {
					return infos, infos[len(infos)-1].ID, nil
				}
				infos = append(infos, runs.Info{ID: r.ID, Ramp: r.Ramp, Target: r.Target, Trigger: r.Trigger, Started: r.Started, Ended: r.Ended, Verdict: r.Verdict, Sets: r.Sets, Set: r.Set})
			}
			return infos, "", nil
		},
		Load: func(id string) (*record.Run, error) {
			s.loads.Add(1)
			for _, r := range s.runs {
				if r.ID == id {
					return r, nil
				}
			}
			return nil, fmt.Errorf("run %q: %w", id, runs.ErrNotFound)
		},
		Requests: func(id string) iter.Seq2[*runs.Request, error] { return requestsOf(id) },
		Live:     func() []LiveRun { return s.live },
		Ramps: func() []Ramp {
			return []Ramp{
				{Name: "nightly_step", Target: "simulator", Schedule: "0 2 * * *", Times: []time.Time{time.Now().Add(5*time.Hour + 20*time.Minute)}, Takes: 630 * time.Second},
				{Name: "noisy", Target: "simulator", Takes: 140 * time.Second},
				{Name: "release_gate", Target: "simulator", Takes: 20 * time.Minute},
			}
		},
		Start: func(name string) error { s.started = append(s.started, name); return s.refuse },
		Stop:  func(name string) error { s.stopped = append(s.stopped, name); return s.refuse },
		Compare: func(a, b string) (*record.Comparison, error) {
			var old, run *record.Run
			for _, r := range s.runs {
				if r.ID == a {
					old = r
				}
				if r.ID == b {
					run = r
				}
			}
			return judge.Compare([]*record.Run{run}, []*record.Run{old}, s.runs[1:], judge.Margin{}), nil
		},
	}
}

// requestsOf are forty requests, each slower than the last; every tenth failed.
func requestsOf(id string) iter.Seq2[*runs.Request, error] {
	return func(yield func(*runs.Request, error) bool) {
		for i := range 40 {
			ttft := time.Duration(100+20*i) * ms
			q := &runs.Request{ID: fmt.Sprintf("req-%02d", i), Lane: "main", Stage: 2, Probe: "chat", Intended: night.Add(time.Duration(i) * time.Second), Outcome: prober.OK, OutputTokens: 30,
				Steps: map[string]int64{runs.StepDispatched: int64(ms), runs.StepConnectStart: int64(ms), runs.StepConnectDone: int64(4 * ms), runs.StepWriteStart: int64(4 * ms), runs.StepWrote: int64(5 * ms),
					runs.StepHeaders: int64(20 * ms), runs.StepFirstToken: int64(ttft), runs.StepLastToken: int64(ttft + 29*20*ms + 600*ms), runs.StepEnd: int64(ttft + 29*20*ms + 601*ms)}}
			for k := range 30 {
				at := ttft - ms + time.Duration(k)*20*ms
				if k > 14 {
					at += 600 * ms
				}
				q.Chunks = append(q.Chunks, prober.Chunk{At: at, Tokens: 1})
			}
			if i%10 == 9 {
				q.Outcome, q.Error, q.HTTPStatus, q.Chunks, q.OutputTokens = prober.Overloaded, "HTTP 503: try again", 503, nil, 0
				q.Steps = map[string]int64{runs.StepDispatched: int64(ms), runs.StepWriteStart: int64(4 * ms), runs.StepWrote: int64(5 * ms), runs.StepHeaders: int64(20 * ms), runs.StepEnd: int64(21 * ms)}
			}
			if !yield(q, nil) {
				return
			}
		}
	}
}

// liveRun is a run in its third stage.
func liveRun(now time.Time) LiveRun {
	o := record.Objective{Indicator: record.TTFT, Percentile: 95, Threshold: .5}
	return LiveRun{ID: "20261122T020000Z-nightly_step-0000aaaa", Ramp: "nightly_step", Target: "simulator", Trigger: record.BySchedule, Started: now.Add(-4 * time.Minute), Snapshot: &ramp.Snapshot{
		At: now, Started: now.Add(-4 * time.Minute), Left: 390 * time.Second, Lanes: []ramp.LaneSnapshot{{
			Where: ramp.Where{Lane: "main", Target: "simulator", Stage: "hold 24/s", Index: 3, Measured: true}, Kind: record.Hold, Open: true, Planned: 24, Achieved: 23.6, InFlight: 11,
			Sent: 1310, Ended: 1299, OK: 1297, Failed: 2, TTFTN: 1180, TTFTP50: 24 * ms, TTFTP95: 63 * ms, TokenRate: 768,
			Objectives: []record.Judgement{{Objective: o, Probe: "chat", N: 1180, Good: 1178, Held: true, Confidence: 1}},
		}},
	}}
}

func newShelf(t testing.TB) *shelf {
	j := makeRuns(t)
	s := &shelf{runs: []*record.Run{j.noisy}}
	for _, r := range slices.Backward(j.nights) {
		s.runs = append(s.runs, r)
	}
	return s
}
