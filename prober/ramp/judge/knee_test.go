package judge

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/bench/replay"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// TestKneeIsBracketed climbs in small steps: the truth, computed from the server's constants, lies just above the knee, for
// first tokens wait a little before the server is full.
func TestKneeIsBracketed(t *testing.T) {
	s, err := simulator.New(server())
	if err != nil {
		t.Fatal(err)
	}
	truth := s.Capacity(200, 32).RequestsPerSecond
	for seed := range uint64(5) {
		run := replayed(t, replay.Plan{
			Ramp: "step", Shape: "step", Server: server(), Seed: seed, Objectives: promise(1),
			Lanes: []replay.Lane{{Name: "main", Stages: steps(time.Minute, 10, 20, 30, 32, 34, 36, 38, 40, 42, 44)}},
		})
		Judge(run, nil, Options{})
		d := run.Diagnosis
		if d.Knee == nil || d.Knee.HeldAt < 30 || d.Knee.HeldAt > truth || d.Knee.MissedAt > 42 || d.Knee.Load < d.Knee.HeldAt || d.Knee.Load > d.Knee.MissedAt {
			t.Errorf("seed %d: knee = %+v; want it around %.1f", seed, d.Knee, truth)
		}
		if d.Knee != nil && math.Abs(d.Knee.Load/truth-1) > .08 {
			t.Errorf("seed %d: knee at %.2f; want %.2f to within 8 %%", seed, d.Knee.Load, truth)
		}
		if d.Capacity == nil || !d.Capacity.Identified || math.Abs(d.Capacity.RequestsPerSecond/truth-1) > .03 || d.Capacity.StdErr > .05*truth {
			t.Errorf("seed %d: capacity = %+v; want %.2f to within 3 %%", seed, d.Capacity, truth)
		}
		if run.Verdict != record.Pass {
			t.Errorf("seed %d: verdict = %s, %v; want pass: the limit was looked for", seed, run.Verdict, run.Reasons)
		}
	}
}

func TestCapacityIsNotIdentifiedBelowIt(t *testing.T) {
	run := climbScene(t)
	Judge(run, nil, Options{})
	if c := run.Diagnosis.Capacity; c == nil || c.Identified || c.RequestsPerSecond != 0 || c.AtLeast < 15 {
		t.Errorf("capacity = %+v; want it not identified, and at least 15", c)
	}
}

// TestUSLFindsItsFactors draws throughputs of the law itself.
func TestUSLFindsItsFactors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, test := range []struct{ lambda, sigma, kappa float64 }{{10, .05, 0}, {10, .02, .0005}, {3, .1, .001}} {
		var n, x []float64
		for _, v := range []float64{1, 2, 4, 8, 16, 32, 64, 128} {
			n = append(n, v)
			x = append(x, test.lambda*v/(1+test.sigma*(v-1)+test.kappa*v*(v-1))*math.Exp(.01*rng.NormFloat64()))
		}
		want := test.lambda / test.sigma
		if test.kappa > 0 {
			at := math.Sqrt((1 - test.sigma) / test.kappa)
			want = test.lambda * at / (1 + test.sigma*(at-1) + test.kappa*at*(at-1))
		}
		u, ok := fitUSL(n, x)
		top, err := u.top()
		if !ok || math.Abs(top/want-1) > .05 || !(err > 0) || err > .05*want || math.Abs(top-want) > 4*err {
			t.Errorf("of %+v the fit is %+v with a top of %v ± %v; want %v", test, u, top, err, want)
		}
	}
	if _, ok := fitUSL([]float64{4, 4, 4}, []float64{1, 1, 1}); ok {
		u, _ := fitUSL([]float64{4, 4, 4}, []float64{1, 1, 1})
		if top, _ := u.top(); !math.IsInf(top, 1) {
			t.Errorf("of one concurrency the top is %v; want none", top)
		}
	}
}

func TestBend(t *testing.T) {
	curve := func(knee float64) (points []point) {
		for load := 5.0; load <= 120; load += 5 {
			v := .1 * math.Exp(.002*load)
			if load > knee {
				v *= math.Exp(.06 * (load - knee))
			}
			w := record.Window{TTFT: record.Quantiles{N: 1, P95: v}}
			points = append(points, point{load: load, windows: []record.Window{w}})
		}
		return points
	}
	if got := bend(curve(60)); math.Abs(got-60) > 3 {
		t.Errorf("bend(knee at 60) = %v; want 60", got)
	}
	if got := bend(curve(1000)); got != 0 {
		t.Errorf("bend(no knee) = %v; want 0", got)
	}
}

func TestCostAndHeadroom(t *testing.T) {
	run := stepScene(t, 1)
	run.Environment.Currency = "EUR"
	first := run.Lanes[0].Stages[0].Started
	for i := range 200 {
		at := first.Add(time.Duration(i-20) * time.Second)
		running := 4.0
		for j := range run.Lanes[0].Stages {
			if s := &run.Lanes[0].Stages[j]; !at.Before(s.Started) && at.Before(s.Ended) {
				running += s.InFlight
			}
		}
		run.Samples = append(run.Samples, record.Sample{At: at, Engine: &record.EngineSample{Running: new(running)}})
	}
	Judge(run, nil, Options{PerHour: 4})
	d := run.Diagnosis
	if d.Headroom == nil || d.Headroom.Before != 4 || math.Abs(d.Headroom.AtKnee-4-d.Knee.InFlight) > .1 || math.Abs(d.Headroom.Ratio-(1-4/d.Headroom.AtKnee)) > 1e-9 {
		t.Errorf("headroom = %+v; want 4 running before, and %v more at the knee", d.Headroom, d.Knee.InFlight)
	}
	if want := 4. / 3600 / d.Knee.RequestsPerSecond * 1000; d.Cost == nil || d.Cost.By != "hour" || math.Abs(d.Cost.PerThousandRequests/want-1) > 1e-9 || math.Abs(d.Cost.PerMillionTokens/d.Cost.PerThousandRequests-1e6/32/1e3) > 1 {
		t.Errorf("cost = %+v; want %v for 1,000 requests", d.Cost, want)
	}
	for i := range run.Lanes[0].Stages {
		for _, s := range run.Lanes[0].Stages[i].Probes {
			s.Cost = float64(s.OutputTokens) * .4e-6
		}
	}
	Judge(run, nil, Options{PerHour: 4})
	if c := run.Diagnosis.Cost; c.By != "tokens" || math.Abs(c.PerMillionTokens-.4) > 1e-9 {
		t.Errorf("cost = %+v; want 0.4 for a million tokens, by the token", c)
	}
}

func TestMixSweep(t *testing.T) {
	var stages []replay.Stage
	for _, share := range []float64{0, .1, .2, .3, .4} {
		stages = append(stages, replay.Stage{From: 4, To: 4, Over: time.Minute, WarmUp: 6 * time.Second, Mix: map[string]float64{"chat": 1 - share, "long": share}})
	}
	run := replayed(t, replay.Plan{Ramp: "mix", Shape: "mix_sweep", Server: server(), Seed: 3, Lanes: []replay.Lane{{Name: "main", Stages: stages}}})
	Judge(run, nil, Options{})
	for _, e := range run.Diagnosis.Mix {
		if e.Probe != "long" || e.Victim != "chat" || e.From != 0 || e.To != .4 {
			t.Errorf("effect = %+v; want that of long on chat", e)
		}
		if e.Indicator == record.TTFT && !(e.Low > 0 && e.PerTenth > .3 && e.P < .05) {
			t.Errorf("effect on TTFT = %+v; want it to rise clearly", e)
		}
	}
	if len(run.Diagnosis.Mix) != 3 || run.Diagnosis.Knee != nil {
		t.Errorf("effects = %+v, knee = %+v; want three, and none", run.Diagnosis.Mix, run.Diagnosis.Knee)
	}
}

func TestRecovery(t *testing.T) {
	quick, slow := recoveryScene(t, ""), recoveryScene(t, "2")
	Judge(quick, nil, Options{})
	Judge(slow, nil, Options{})
	if r := quick.Diagnosis.Recovery; r == nil || !r.Recovered || r.Seconds < 1 || r.Seconds > 3*r.Expected {
		t.Errorf("recovery = %+v; want about what the backlog takes", r)
	}
	if r := slow.Diagnosis.Recovery; r == nil || !r.Recovered || r.Seconds < 50 || r.Seconds > 70 {
		t.Errorf("recovery = %+v; want about 60 s", r)
	}
	never := recoveryScene(t, "4")
	never.Lanes[0].Stages[2].Windows = never.Lanes[0].Stages[2].Windows[:50]
	Judge(never, nil, Options{})
	if r := never.Diagnosis.Recovery; r == nil || r.Recovered || never.Verdict != record.Fail {
		t.Errorf("recovery = %+v, verdict %s; want none, and fail", r, never.Verdict)
	}
}

// TestKneeOfARise has one stage whose load grows evenly, beyond what the server can do.
func TestKneeOfARise(t *testing.T) {
	scene := func(promised float64) *record.Run {
		run := replayed(t, replay.Plan{
			Ramp: "linear", Shape: "linear", Server: server(), Seed: 1, Objectives: promise(promised),
			Lanes: []replay.Lane{{Name: "main", Stages: []replay.Stage{{From: 2, To: 60, Over: 4 * time.Minute, Mix: chat()}}}},
		})
		Judge(run, nil, Options{})
		return run
	}
	run := scene(.5)
	if k := run.Diagnosis.Knee; k == nil || k.HeldAt < 25 || k.MissedAt > 50 || k.Load < k.HeldAt || k.Load > k.MissedAt || run.Verdict != record.Pass {
		t.Errorf("knee = %+v, verdict %s %v; want it below 38, and pass", k, run.Verdict, run.Reasons)
	}
	if run := scene(.001); run.Verdict != record.Fail {
		t.Errorf("verdict = %s, %v; want fail: no load held", run.Verdict, run.Reasons)
	}
}

// TestKneeOfASearch takes the search's own word.
func TestKneeOfASearch(t *testing.T) {
	run := stepScene(t, 1)
	run.Shape = "search"
	run.Lanes[0].Search = &record.Search{Knee: 36, Above: 40, Confidence: .97}
	Judge(run, nil, Options{})
	if k := run.Diagnosis.Knee; k.HeldAt != 36 || k.MissedAt != 40 || k.Load < 36 || k.Confidence != .97 || math.Abs(k.RequestsPerSecond-35.7) > 1 {
		t.Errorf("knee = %+v; want it held at 36, missed at 40", k)
	}
}
