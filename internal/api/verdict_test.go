package api

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober"
)

var now = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// answers are samples of a probe that is asked every 15 s, the newest first: as many as there are values of the time to first
// token. Below 0 is a failure, NaN one of which no time is known.
func answers(ttfts ...float64) (samples []Sample) {
	for i, ttft := range ttfts {
		s := Sample{At: now.Add(-time.Duration(i) * 15 * time.Second), Outcome: prober.OK, TTFT: ttft, Duration: 2 * ttft, TPOT: math.NaN(), QueueWait: math.NaN(), Rate: 50}
		if ttft < 0 {
			s.Outcome, s.TTFT, s.Duration, s.Rate = prober.Overloaded, math.NaN(), math.NaN(), math.NaN()
		}
		samples = append(samples, s)
	}
	return samples
}

// times repeats a value.
func times(n int, v float64, rest ...float64) (all []float64) {
	for range n {
		all = append(all, v)
	}
	return append(all, rest...)
}

func TestJudge(t *testing.T) {
	ttft := Objective{Name: "o", Probe: "p", Indicator: "ttft", Threshold: 0.5, Goal: 0.9}
	probe := func(samples []Sample, objectives ...Objective) Evidence {
		return Evidence{Probes: []ProbeEvidence{{Name: "p", Interval: 15 * time.Second, Samples: samples, Objectives: objectives}}}
	}
	pinned := func(samples []Sample, b Baseline) Evidence {
		e := probe(samples)
		b.Probe = "p"
		e.Probes[0].Baselines = []Baseline{b}
		return e
	}
	with := func(change func(e *Evidence)) Evidence {
		e := probe(answers(times(20, 0.1)...))
		change(&e)
		return e
	}
	older := func(by time.Duration, samples []Sample) []Sample {
		for i := range samples {
			samples[i].At = samples[i].At.Add(-by)
		}
		return samples
	}
	late := func(n int, samples []Sample) []Sample {
		for i := range n {
			samples[i].Late = true
		}
		return samples
	}
	retried := func(samples []Sample) []Sample { samples[1].Retried = true; return samples }
	canceled := func(samples []Sample) []Sample { samples[0].Outcome = prober.Canceled; return samples }

	for _, test := range []struct {
		name    string
		e       Evidence
		want    Readiness
		reasons string // their codes, the worst first
	}{
		{"all is well", probe(answers(times(20, 0.1)...), ttft), Ready, ""},

		// Evidence.
		{"no probes", Evidence{}, NotReady, "no_probes"},
		{"no result", probe(nil, ttft), NotReady, "no_evidence"},
		{"one result", probe(answers(0.1), ttft), Ready, ""},
		{"the newest is old", probe(older(136*time.Second, answers(0.1)), ttft), NotReady, "stale"}, // 15 s and two minutes are 135 s
		{"the newest is not too old", probe(older(134*time.Second, answers(0.1)), ttft), Ready, ""},
		{"three intervals of a slow probe", Evidence{Probes: []ProbeEvidence{{Name: "p", Interval: 15 * time.Minute, Samples: older(44*time.Minute, answers(0.1))}}}, Ready, ""},
		{"more than three intervals of it", Evidence{Probes: []ProbeEvidence{{Name: "p", Interval: 15 * time.Minute, Samples: older(46*time.Minute, answers(0.1))}}}, NotReady, "stale"},
		{"no interval is known", Evidence{Probes: []ProbeEvidence{{Name: "p", Samples: older(31*time.Minute, answers(0.1))}}}, NotReady, "stale"},
		{"a maximum age was asked for", with(func(e *Evidence) { e.MaxAge = 5 * time.Second; older(6*time.Second, e.Probes[0].Samples) }), NotReady, "stale"},
		{"and is kept", with(func(e *Evidence) { e.MaxAge = 7 * time.Second; older(6*time.Second, e.Probes[0].Samples) }), Ready, ""},
		{"stale outdoes what is old", probe(older(time.Hour, answers(-1, -1)), ttft), NotReady, "stale"},
		{"one probe of two has none", with(func(e *Evidence) { e.Probes = append(e.Probes, ProbeEvidence{Name: "q"}) }), NotReady, "no_evidence"},
		{"a clock that was set back", probe(older(-time.Hour, answers(0.1)), ttft), Ready, ""},

		// Answers.
		{"the only one failed", probe(answers(-1)), NotReady, "failing"},
		{"the last one failed", probe(answers(-1, 0.1)), Degraded, "last_failed"},
		{"the last two failed", probe(answers(-1, -1, 0.1)), NotReady, "failing"},
		{"an older one failed", probe(answers(0.1, -1, -1)), Ready, ""},
		{"a try failed, the next one did not", probe(retried(answers(0.1, -1, 0.1))), Ready, ""},
		{"a try failed, and so did the next one", probe(retried(answers(-1, -1, 0.1))), Degraded, "last_failed"},
		{"canceled is no failure", probe(canceled(answers(0.1, 0.1))), Ready, ""},
		{"all is canceled", probe(canceled(answers(0.1))), Ready, ""},

		// Objectives.
		{"one slow of twenty", probe(answers(times(19, 0.1, 0.9)...), ttft), Ready, ""},
		{"at the threshold", probe(answers(times(20, 0.5)...), ttft), Ready, ""},
		{"more than the goal allows, perhaps by chance", probe(answers(times(16, 0.1, 0.9, 0.9, 0.9, 0.9)...), ttft), Ready, ""},
		{"more than by chance", probe(answers(times(15, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9)...), ttft), Degraded, "objective_missed"},
		{"more than half", probe(answers(times(9, 0.1, times(11, 0.9)...)...), ttft), NotReady, "objective_missed"},
		{"failures are bad", probe(answers(times(15, 0.1, times(5, -1)...)...), ttft), Degraded, "objective_missed"},
		{"few, not all bad", probe(answers(0.1, 0.9, 0.9, 0.9), ttft), Ready, ""},
		{"few, all bad", probe(answers(0.9, 0.9), ttft), Degraded, "objective_missed"},
		{"a high goal and one bad", probe(answers(times(19, 0.1, 0.9)...), Objective{Name: "o", Indicator: "ttft", Threshold: 0.5, Goal: 0.999}), Ready, ""},
		{"a high goal and two bad", probe(answers(times(18, 0.1, 0.9, 0.9)...), Objective{Name: "o", Indicator: "ttft", Threshold: 0.5, Goal: 0.999}), Degraded, "objective_missed"},
		{"not known", probe(answers(times(20, math.NaN())...), ttft), Ready, ""},
		{"availability", probe(answers(times(10, 0.1, times(5, -1)...)...), Objective{Name: "o", Indicator: "availability", Goal: 0.9}), Degraded, "objective_missed"},
		{"a rate is good when it is large", probe(answers(times(20, 0.1)...), Objective{Name: "o", Indicator: "output_tokens_per_second", Threshold: 40, Goal: 0.9}), Ready, ""},
		{"and bad when it is small", probe(answers(times(20, 0.1)...), Objective{Name: "o", Indicator: "output_tokens_per_second", Threshold: 60, Goal: 0.9}), NotReady, "objective_missed"},
		{"what is beyond the window does not count", probe(append(answers(times(10, 0.1)...), older(10*time.Minute, answers(times(20, -1)...))...), ttft), Ready, ""},

		// Baselines.
		{"as it was", pinned(answers(times(20, 0.1)...), Baseline{Indicator: "ttft", Quantile: 0.5, Seconds: 0.1}), Ready, ""},
		{"a fifth slower", pinned(answers(times(20, 0.119)...), Baseline{Indicator: "ttft", Quantile: 0.5, Seconds: 0.1}), Ready, ""},
		{"more than a fifth slower", pinned(answers(times(20, 0.121)...), Baseline{Indicator: "ttft", Quantile: 0.5, Seconds: 0.1}), Degraded, "regression"},
		{"too few", pinned(answers(times(9, 0.2)...), Baseline{Indicator: "ttft", Quantile: 0.5, Seconds: 0.1}), Ready, ""},
		{"the median of a mixture, perhaps by chance", pinned(answers(times(11, 0.2, times(9, 0.1)...)...), Baseline{Indicator: "ttft", Quantile: 0.5, Seconds: 0.1}), Ready, ""},
		{"the 90th percentile", pinned(answers(times(6, 0.5, times(14, 0.1)...)...), Baseline{Indicator: "ttft", Quantile: 0.9, Seconds: 0.2}), Degraded, "regression"},
		{"another indicator", pinned(answers(times(20, 0.2)...), Baseline{Indicator: "duration", Quantile: 0.5, Seconds: 0.1}), Degraded, "regression"},
		{"one that is not known", pinned(answers(times(20, 0.2)...), Baseline{Indicator: "tpot", Quantile: 0.5, Seconds: 0.1}), Ready, ""},
		{"one that there is not", pinned(answers(times(20, 0.2)...), Baseline{Indicator: "mood", Quantile: 0.5, Seconds: 0.1}), Ready, ""},
		{"a baseline of nothing", pinned(answers(times(20, 0.2)...), Baseline{Indicator: "ttft", Quantile: 0.5}), Ready, ""},

		// The prober, the engine, the GPUs.
		{"the prober was late", probe(late(3, answers(0.1, 0.1, 0.1, 0.1, 0.1))), Degraded, "prober_late"},
		{"the prober was late, but seldom", probe(late(2, answers(0.1, 0.1))), Ready, ""},
		{"the prober was late at times", probe(late(2, answers(0.1, 0.1, 0.1, 0.1))), Ready, ""},
		{"paused", with(func(e *Evidence) { e.PausedUntil = now.Add(time.Minute) }), Degraded, "paused"},
		{"no longer paused", with(func(e *Evidence) { e.PausedUntil = now }), Ready, ""},
		{"a ramp loads it", with(func(e *Evidence) { e.Ramp = "soak" }), Ready, ""},
		{"an engine that says nothing", with(func(e *Evidence) { e.Engine = &Engine{Up: true} }), Ready, ""},
		{"an engine that cannot be read", with(func(e *Evidence) { e.Engine = &Engine{} }), Degraded, "engine_down"},
		{"a busy engine", with(func(e *Evidence) {
			e.Engine = &Engine{Up: true, Running: new(30.0), Waiting: new(29.0), KVCache: new(0.94)}
		}), Ready, ""},
		{"as many wait as run", with(func(e *Evidence) { e.Engine = &Engine{Up: true, Running: new(30.0), Waiting: new(30.0)} }), Degraded, "engine_saturated"},
		{"an idle engine", with(func(e *Evidence) { e.Engine = &Engine{Up: true, Running: new(0.0), Waiting: new(0.0)} }), Ready, ""},
		{"a full cache", with(func(e *Evidence) { e.Engine = &Engine{Up: true, KVCache: new(0.95)} }), Degraded, "engine_saturated"},
		{"a healthy GPU", with(func(e *Evidence) { e.GPUs = []GPU{{UUID: "a", Known: true}} }), Ready, ""},
		{"a lost GPU", with(func(e *Evidence) { e.GPUs = []GPU{{UUID: "a", Known: true, Lost: "gpu_is_lost", XID: "79"}} }), NotReady, "gpu_lost"},
		{"an unknown GPU", with(func(e *Evidence) { e.GPUs = []GPU{{UUID: "a"}} }), Degraded, "gpu_unknown"},
		{"an error and heat", with(func(e *Evidence) {
			e.GPUs = []GPU{{UUID: "a", Known: true, XID: "63", Throttled: []string{"hw_thermal"}}}
		}), Degraded, "gpu_error gpu_throttled"},
		{"the worst comes first", with(func(e *Evidence) { e.Engine, e.GPUs = &Engine{}, []GPU{{UUID: "a", Lost: "missing"}} }), NotReady, "gpu_lost engine_down"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.e.Target, test.e.Now = "chat", now
			got := Judge(test.e)
			var codes []string
			for _, r := range got.Reasons {
				codes = append(codes, string(r.Code))
				if r.Text == "" {
					t.Errorf("%s has no text", r.Code)
				}
			}
			if got.Verdict != test.want || strings.Join(codes, " ") != test.reasons {
				t.Errorf("Judge = %s, %v; want %s, [%s]", got.Verdict, got.Reasons, test.want, test.reasons)
			}
			if len(got.Evidence) != len(test.e.Probes) {
				t.Errorf("evidence of %d probes; want %d", len(got.Evidence), len(test.e.Probes))
			}
		})
	}
}

func TestReasonsInWords(t *testing.T) {
	e := Evidence{
		Target: "chat", Now: now, PausedUntil: now.Add(90 * time.Second), Ramp: "soak",
		Probes: []ProbeEvidence{{
			Name: "p", Interval: 15 * time.Second, Samples: answers(times(15, 0.9, times(5, 0.1)...)...),
			Objectives: []Objective{{Name: "chat_ttft", Indicator: "ttft", Threshold: 0.5, Goal: 0.99}, {Name: "wait", Indicator: "queue_wait", Threshold: 1, Goal: 0.9}},
			Baselines:  []Baseline{{Indicator: "ttft", Quantile: 0.5, Seconds: 0.12}},
		}},
		Engine: &Engine{Up: true, Running: new(4.0), Waiting: new(9.0)},
		GPUs:   []GPU{{UUID: "GPU-1", Known: true, XID: "79 (fell off the bus)\x1b", Throttled: []string{"hw_thermal", "sw_thermal"}}},
	}
	v := Judge(e)
	var lines []string
	for _, r := range v.Reasons {
		lines = append(lines, string(r.Verdict)+": "+r.Text)
	}
	want := []string{
		"not_ready: probe p: objective chat_ttft: 15 of 20 requests are bad (ttft over 500ms, or failed); the goal is 99 % good",
		"degraded: probe p: ttft p50 is 900ms, the pinned baseline 120ms",
		"degraded: the server has asked to be left alone for 1m30s",
		"degraded: in the engine 9 requests wait, and 4 run",
		"degraded: GPU GPU-1: the driver has reported XID 79 (fell off the bus)",
		"degraded: GPU GPU-1 is throttled: hw_thermal, sw_thermal",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if want := []string{"probe p: objective wait: no request says anything of it", "the ramp soak loads it: all figures are under that load"}; !cmp.Equal(v.Notes, want) {
		t.Errorf("notes = %q; want %q", v.Notes, want)
	}
}

// A rule that holds with some evidence holds with worse evidence, too.
func TestJudgeIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.SampledFrom([]float64{0.1, 0.4, 0.9, -1}), 1, 60).Draw(t, "ttft")
		e := Evidence{Target: "chat", Now: now, Probes: []ProbeEvidence{{
			Name: "p", Interval: 15 * time.Second, Samples: answers(values...),
			Objectives: []Objective{{Name: "o", Indicator: "ttft", Threshold: 0.5, Goal: rapid.SampledFrom([]float64{0.5, 0.9, 0.99}).Draw(t, "goal")}},
		}}}
		before := Judge(e)
		worse := append([]float64(nil), values...)
		worse[rapid.IntRange(0, len(values)-1).Draw(t, "which")] = -1
		e.Probes[0].Samples = answers(worse...)
		if after := Judge(e); after.Verdict.rank() < before.Verdict.rank() {
			t.Fatalf("%v is %s, the worse %v is %s", values, before.Verdict, worse, after.Verdict)
		}
	})
}

func TestTail(t *testing.T) {
	for _, test := range []struct {
		n, k int
		p    float64
		want float64
	}{
		{1, 1, 0.25, 0.25}, {2, 1, 0.5, 0.75}, {2, 2, 0.5, 0.25}, {10, 0, 0.1, 1}, {20, 5, 0.1, 0.0431745},
		{3, 1, 0, 0}, {3, 3, 1, 1}, {100, 100, 0.5, math.Pow(0.5, 100)},
	} {
		if got := tail(test.n, test.k, test.p); math.Abs(got-test.want) > 1e-6 {
			t.Errorf("tail(%d, %d, %v) = %v; want %v", test.n, test.k, test.p, got, test.want)
		}
	}
}
