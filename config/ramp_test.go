package config

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/common/model"
	"pgregory.net/rapid"
)

// rampOf loads a ramp of a file that has what the ramp names.
func rampOf(t *testing.T, keys string) *Ramp {
	t.Helper()
	return parseText(t, `
probes:
  chat: {prompt_tokens: 7, max_output_tokens: 10, interval: 1m}
  rag: {prompt_tokens: 7, max_output_tokens: 100, interval: 1m}
targets: [{name: t, url: "http://h/v1", model: m, probes: [chat, rag]}]
ramps: [{name: r, target: t, `+keys+`}]
`, "").Ramps[0]
}

// A sum that no duration can hold is the longest there is, and never a short one.
func TestPlannedDurationDoesNotOverflow(t *testing.T) {
	const year = model.Duration(365 * 24 * time.Hour)
	open := func(stages ...*Stage) []*Lane {
		return []*Lane{{Arrivals: &Arrivals{Rate: &Level{Number: 1, Unit: time.Second}}, Stages: stages}}
	}
	two := &Level{Number: 2, Unit: time.Second}
	for name, r := range map[string]*Ramp{
		"stages": {Lanes: open(&Stage{Hold: 290 * year}, &Stage{Hold: 290 * year}, &Stage{Hold: 5 * year})},
		"steps":  {Lanes: open(&Stage{Step: &Step{To: *two, Count: 400, Each: year}})},
		"repeat": {Repeat: 100, Lanes: open(&Stage{To: two, Over: 6 * year})},
		"drain":  {Drain: 200 * year, Lanes: open(&Stage{Hold: 100 * year})},
		"shape":  {Lanes: open(), Shape: &Shape{Spike: &SpikeShape{Every: year, For: year, Times: 1000}}},
		"soak":   {Lanes: open(), Shape: &Shape{Soak: &SoakShape{For: math.MaxInt64}}},
	} {
		if got := r.PlannedDuration(); got != math.MaxInt64 {
			t.Errorf("%s: PlannedDuration() = %v; want %v", name, got, time.Duration(math.MaxInt64))
		}
	}
	if got := times(-1, time.Hour); got != 0 {
		t.Errorf("times(-1, 1h) = %v; want 0", got)
	}
}

func TestPlannedDuration(t *testing.T) {
	const lane = "drain: 30s, lanes: [{mix: {chat: 1}, arrivals: {rate: 1/s}, stages: "
	for _, tt := range []struct {
		keys string
		want time.Duration
	}{
		{lane + "[{hold: 5m}]}]", 5*time.Minute + 30*time.Second},
		{lane + "[{to: 5/s}]}]", 30 * time.Second},
		{lane + "[{to: 10/s, over: 10m}, {hold: 40m}, {to: 1/s, over: 2m}, {hold: 5m}]}]", 57*time.Minute + 30*time.Second},
		{lane + "[{step: {to: 5/s, by: 1/s, each: 1m}}]}]", 4*time.Minute + 30*time.Second},             // 2, 3, 4, 5
		{lane + "[{step: {to: 5/s, by: 1.5/s, each: 1m}}]}]", 3*time.Minute + 30*time.Second},           // 2.5, 4, 5
		{lane + "[{step: {from: 1/s, to: 5/s, count: 3, each: 1m}}]}]", 3*time.Minute + 30*time.Second}, // 1, 3, 5
		{lane + "[{to: 3/s}, {step: {to: 1/s, count: 2, each: 1m}}]}]", 2*time.Minute + 30*time.Second}, // 2, 1
		{lane + "[{spike: {to: 9/s, for: 20s}}, {idle: 40s}]}]", 90 * time.Second},
		{"repeat: 3, " + lane + "[{hold: 5m}]}]", 3 * (5*time.Minute + 30*time.Second)},
		{"lanes: [{name: a, mix: {chat: 1}, stages: [{to: 1/s, over: 1m}]}, {name: b, mix: {chat: 1}, concurrency: 2, stages: [{hold: 3m}]}]", 4 * time.Minute}, // the longest
		{"lanes: [{mix: {chat: 1}, arrivals: {process: trace, file: f}}]", time.Minute},
		{"mix: {chat: 1}, shape: {baseline: {requests: 12}}", 2 * time.Minute},
		{"mix: {chat: 1}, shape: {step: {from: 1/s, to: 10/s, by: 3/s, each: 1m}}", 5 * time.Minute}, // 1, 4, 7, 10
		{"mix: {chat: 1}, shape: {step: {from: 1/s, to: 2/s, by: 0.1/s, each: 1m}}", 12 * time.Minute},
		{"mix: {chat: 1}, shape: {linear: {to: 2/s, over: 9m}}", 10 * time.Minute},
		{"mix: {chat: 1}, shape: {spike: {base: 1/s, peak: 2/s, every: 2m, for: 1m, times: 3}}", 12 * time.Minute},
		{"mix: {chat: 1}, shape: {soak: {load: 2/s, for: 9m}}", 11 * time.Minute},
		{"mix: {chat: 1}, shape: {burst_after_idle: {size: 8, idle: 1m, times: 2}}", 4 * time.Minute},
		{"mix: {chat: 1}, objectives: [{indicator: ttft, threshold: 1s}], shape: {search: {from: 1/s, to: 64/s, tolerance: 10%, each: 1m}}", 12 * time.Minute}, // 1, 2 ... 64 and 4 halvings
		{"mix: {chat: 1, rag: 1}, shape: {mix_sweep: {load: 2/s, probe: rag, each: 1m}}", 5 * time.Minute},
		{"mix: {chat: 1}, shape: {noisy_neighbour: {victim: 2/s, neighbour: 4/s, every: 2m, for: 1m, times: 3}}", 12 * time.Minute},
		{"mix: {chat: 1}, shape: {recovery: {base: 2/s, overload: 4/s, before: 1m, for: 2m, watch: 3m}}", 7 * time.Minute},
	} {
		if got := rampOf(t, tt.keys).PlannedDuration(); got != tt.want {
			t.Errorf("PlannedDuration of {%s} = %v; want %v", tt.keys, got, tt.want)
		}
	}
}

func TestStepsEndWhereTheyAreToEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Custom(func(t *rapid.T) Level {
			return Level{Number: float64(rapid.IntRange(1, 10_000).Draw(t, "tenths")) / 10, Unit: time.Second}
		})
		from, to, by := rate.Draw(t, "from"), rate.Draw(t, "to"), rate.Draw(t, "by")
		if from.Value() == to.Value() {
			t.Skip("the rules refuse steps that go nowhere")
		}
		count := rapid.IntRange(2, 1000).Draw(t, "count")
		for what, loads := range map[string][]float64{
			"by":    (&StepShape{From: from, To: to, By: &by}).Loads(),
			"count": (&StepShape{From: from, To: to, Steps: count}).Loads(),
			"stage": (&Step{To: to, By: &by}).Loads(from),
		} {
			if len(loads) == 0 || len(loads) > maxSteps+2 || loads[len(loads)-1] != to.Value() {
				t.Fatalf("%s: %d steps from %v to %v by %v, the last ones of which are %v", what, len(loads), from, to, by, loads[max(0, len(loads)-3):])
			}
			for i := range loads[1:] {
				if up := loads[i+1] - loads[i]; up == 0 || up > 0 != (to.Value() > from.Value()) {
					t.Fatalf("%s: from %v to %v by %v the loads are %v", what, from, to, by, loads)
				}
			}
		}
	})
}

func TestSearchStages(t *testing.T) {
	for _, tt := range []struct {
		from, to  float64
		tolerance Percent
		want      int
	}{
		{1, 1.5, 0.5, 2}, // 1 and 1.5: near enough
		{1, 2, 0.5, 3},   // 1, 2, 1.5
		{1, 64, 0.05, 12},
		{1, 100, 0.05, 13},
	} {
		s := &SearchShape{From: Level{tt.from, time.Second}, To: Level{tt.to, time.Second}, Tolerance: tt.tolerance}
		if got := s.Stages(); got != tt.want {
			t.Errorf("Stages from %v to %v within %v = %d; want %d", tt.from, tt.to, tt.tolerance, got, tt.want)
		}
	}
}

func TestWarmupOf(t *testing.T) {
	for _, tt := range []struct {
		ramp, stage string
		length      time.Duration
		want        time.Duration
	}{
		{"", "", time.Minute, 6 * time.Second},
		{"", "", time.Hour, 30 * time.Second},
		{"warmup: 20s, ", "", time.Hour, 20 * time.Second},
		{"warmup: 20s, ", "", 10 * time.Second, 10 * time.Second},
		{"warmup: 0s, ", "", time.Hour, 0},
		{"warmup: 20s, ", ", warmup: 5s", time.Hour, 5 * time.Second},
		{"", ", warmup: 0s", time.Hour, 0},
	} {
		r := rampOf(t, tt.ramp+"mix: {chat: 1}, lanes: [{arrivals: {rate: 1/s}, stages: [{hold: 1h"+tt.stage+"}]}]")
		if got := r.WarmupOf(r.Lanes[0].Stages[0], tt.length); got != tt.want {
			t.Errorf("with {%s} and {hold: 1h%s} WarmupOf(%v) = %v; want %v", tt.ramp, tt.stage, tt.length, got, tt.want)
		}
	}
}

func TestLanesThatARampDoesNotWrite(t *testing.T) {
	type lane struct {
		Name, Target string
		Open         bool
		Process      string
		Mix          map[string]float64
	}
	chat, rag := map[string]float64{"chat": 1}, map[string]float64{"rag": 1}
	for _, tt := range []struct {
		keys string
		want []lane
	}{
		{"mix: {chat: 1}, shape: {soak: {load: 1/s}}", []lane{{"main", "t", true, "poisson", chat}}},
		{"mix: {chat: 1}, shape: {soak: {load: 8}}", []lane{{"main", "t", false, "", chat}}},
		{"mix: {chat: 1}, shape: {baseline: {}}", []lane{{"main", "t", false, "", chat}}},
		{"mix: {chat: 1}, shape: {burst_after_idle: {size: 8, idle: 1m}}", []lane{{"main", "t", false, "", chat}}},
		{"mix: {chat: 1}, shape: {soak: {load: 1/s}}, lanes: [{mix: {rag: 1}, arrivals: {process: constant}}]", []lane{{"main", "t", true, "constant", rag}}},
		{"mix: {chat: 1}, lanes: [{stages: [{to: 4}]}]", []lane{{"main", "t", false, "", chat}}},
		{"mix: {chat: 1}, shape: {noisy_neighbour: {victim: 1/s, neighbour: 2/s}}", []lane{{"victim", "t", true, "poisson", chat}, {"neighbour", "t", true, "poisson", chat}}},
		{"mix: {chat: 1}, shape: {noisy_neighbour: {victim: 1/s, neighbour: 2/s, mix: {rag: 1}}}, lanes: [{name: victim}]",
			[]lane{{"victim", "t", true, "poisson", chat}, {"neighbour", "t", true, "poisson", rag}}},
		{"mix: {chat: 1}, shape: {noisy_neighbour: {victim: 1/s, neighbour: 2/s, mix: {rag: 1}}}, lanes: [{name: neighbour, mix: {chat: 1}}]",
			[]lane{{"neighbour", "t", true, "poisson", chat}, {"victim", "t", true, "poisson", chat}}},
	} {
		var got []lane
		for _, l := range rampOf(t, tt.keys).Lanes {
			process := ""
			if l.Open() {
				process = l.Arrivals.Process
			}
			got = append(got, lane{l.Name, l.Target, l.Open(), process, l.Mix})
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("lanes of {%s} (-want +got):\n%s", tt.keys, diff)
		}
	}
}

// A ramp cannot be without limits.
func TestAbortIsNeverOff(t *testing.T) {
	for _, abort := range []string{"", "abort: {}, ", "abort: {ttft_p95: 10s}, "} {
		got := rampOf(t, abort+"mix: {chat: 1}, shape: {soak: {load: 1/s}}").Abort
		if got.ErrorShare != 0.5 || got.Victims != 2 || got.Over != seconds(30) {
			t.Errorf("with {%s} abort = %+v", abort, got)
		}
	}
}

func TestMixSweepShares(t *testing.T) {
	s := &MixSweepShape{Probe: "rag"}
	for _, tt := range []struct {
		lane  map[string]float64
		share float64
		want  map[string]float64
	}{
		{map[string]float64{"chat": 3, "batch": 1}, 0, map[string]float64{"chat": 0.75, "batch": 0.25}},
		{map[string]float64{"chat": 3, "batch": 1}, 0.2, map[string]float64{"chat": 0.6, "batch": 0.2, "rag": 0.2}},
		{map[string]float64{"chat": 3, "batch": 1, "rag": 50}, 0.2, map[string]float64{"chat": 0.6, "batch": 0.2, "rag": 0.2}},
		{map[string]float64{"chat": 3}, 1, map[string]float64{"rag": 1}},
	} {
		if diff := cmp.Diff(tt.want, s.Mix(tt.lane, tt.share), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("Mix(%v, %v) (-want +got):\n%s", tt.lane, tt.share, diff)
		}
	}
}

func TestCompareForms(t *testing.T) {
	for with, want := range map[string]struct {
		last     int
		isLast   bool
		baseline string
	}{
		"previous": {}, "previous_passed": {}, "last_7": {7, true, ""}, "baseline:release-1.2": {0, false, "release-1.2"},
	} {
		c := &Compare{With: with}
		if last, ok := c.Last(); last != want.last || ok != want.isLast || c.Baseline() != want.baseline {
			t.Errorf("%s: Last = %d, %v and Baseline = %q", with, last, ok, c.Baseline())
		}
	}
}

func TestRampFingerprint(t *testing.T) {
	before := rampOf(t, "mix: {chat: 1}, shape: {soak: {load: 1/s}}")
	for keys, changes := range map[string]bool{
		"mix: {chat: 1}, shape: {soak: {load: 1/s, for: 60m}}, drain: 60s, timezone: UTC, abort: {}":     false,
		"mix: {chat: 1}, shape: {soak: {load: 1/s}}, lanes: [{name: main, target: t}]":                   false,
		"mix: {chat: 1}, shape: {soak: {load: 60/m}}":                                                    true, // written otherwise, which is rare enough
		"mix: {chat: 2}, shape: {soak: {load: 1/s}}":                                                     true,
		"mix: {chat: 1}, shape: {soak: {load: 2/s}}":                                                     true,
		"mix: {chat: 1}, shape: {soak: {load: 1/s}}, schedule: '@daily'":                                 true,
		"mix: {chat: 1}, shape: {soak: {load: 1/s}}, lanes: [{headers: {X-Key: a}}]":                     true,
		"mix: {chat: 1}, shape: {soak: {load: 1/s}}, lanes: [{http: {authorization: {credentials: c}}}]": true,
		"mix: {chat: 1}, shape: {soak: {load: 1/s}}, objectives: [{indicator: ttft, threshold: 1s}]":     true,
		"mix: {chat: 1}, shape: {soak: {load: 1/s}}, seed: 0":                                            true,
	} {
		if got := rampOf(t, keys).Fingerprint() != before.Fingerprint(); got != changes {
			t.Errorf("with {%s} the fingerprint changes: %v; want %v", keys, got, changes)
		}
	}
}

// What a record keeps of a ramp has no secret, and says what was done.
func TestRampAsJSON(t *testing.T) {
	c, err := parseFile(t, "testdata/good/ramps.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Ramps {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		mustNotLeak(t, "a ramp as JSON", string(text))
		if !strings.Contains(string(text), `"target":"a"`) || !strings.Contains(string(text), `"abort":{"error_share"`) {
			t.Errorf("ramp %s as JSON is %s", r.Name, text)
		}
	}
}

// Files that are named, but missing, are faults where the caller looks.
func TestFilesAreLookedAt(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/prober.yml"
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("prober.yml", `
probes: {p: {prompts: {file: prompts.jsonl}, max_output_tokens: 1, interval: 1m}}
targets: [{name: t, url: "http://h", model: m, probes: [p]}]
ramps: [{name: r, target: t, lanes: [{mix: {p: 1}, arrivals: {process: trace, file: trace.csv}}]}]
`)
	write("trace.csv", "0\n1\n")
	_, err := Load(path)
	list, _ := err.(ErrorList)
	if len(list) != 1 || list[0].Line != 2 || !strings.Contains(list[0].Message, "the file cannot be used: open "+dir+"/prompts.jsonl") {
		t.Fatalf("Load = %v; want the missing file of prompts", err)
	}
	write("prompts.jsonl", "{}\n")
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Probes["p"].Prompts.File, dir+"/prompts.jsonl"; got != want {
		t.Errorf("prompts.file = %q; want %q", got, want)
	}
	if got, want := c.Ramps[0].Lanes[0].Arrivals.File, dir+"/trace.csv"; got != want {
		t.Errorf("arrivals.file = %q; want %q", got, want)
	}
	if err := checkFile(dir); err == nil {
		t.Error("a folder can be used as a file")
	}
}

func TestRequestsPerSecond(t *testing.T) {
	for _, tt := range []struct {
		p    Probe
		want float64
	}{
		{Probe{Interval: model.Duration(4 * time.Second)}, 0.25},
		{Probe{Interval: model.Duration(4 * time.Second), Turns: 3}, 0.75},
		{Probe{Burst: &Burst{8, model.Duration(16 * time.Second)}}, 0.5},
	} {
		if got := tt.p.RequestsPerSecond(); got != tt.want {
			t.Errorf("RequestsPerSecond of %+v = %v; want %v", tt.p, got, tt.want)
		}
	}
}
