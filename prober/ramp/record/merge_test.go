package record

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fill sets every number of v, its histograms and maps included, to something of its own.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*Histogram]() {
			h := &Histogram{}
			h.RecordN(time.Duration(*n)*time.Millisecond, *n)
			v.Set(reflect.ValueOf(h))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		elem := reflect.New(v.Type().Elem()).Elem()
		fill(elem, n)
		v.SetMapIndex(reflect.ValueOf("a").Convert(v.Type().Key()), elem)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	}
}

// double checks that every number of sum is twice that of one.
func double(t *testing.T, where string, sum, one reflect.Value) {
	t.Helper()
	switch one.Kind() {
	case reflect.Int, reflect.Int64:
		if sum.Int() != 2*one.Int() {
			t.Errorf("%s = %d; want %d: Merge does not add it up", where, sum.Int(), 2*one.Int())
		}
	case reflect.Float64:
		if sum.Float() != 2*one.Float() {
			t.Errorf("%s = %v; want %v: Merge does not add it up", where, sum.Float(), 2*one.Float())
		}
	case reflect.Pointer:
		h, _ := reflect.TypeAssert[*Histogram](sum)
		o, _ := reflect.TypeAssert[*Histogram](one)
		if h.Count() != 2*o.Count() || h.Max() != o.Max() || h.Mean() != o.Mean() {
			t.Errorf("%s has %d values; want %d: Merge does not add it up", where, h.Count(), 2*o.Count())
		}
	case reflect.Map:
		for _, key := range one.MapKeys() {
			if got := sum.MapIndex(key); got.IsValid() {
				double(t, where+"."+key.String(), got, one.MapIndex(key))
			} else {
				t.Errorf("%s has no %s", where, key)
			}
		}
	case reflect.Struct:
		for i := range one.NumField() {
			if f := one.Type().Field(i); f.IsExported() {
				double(t, where+"."+f.Name, sum.Field(i), one.Field(i))
			}
		}
	}
}

// Whatever fields statistics have, they are added up, and what was added stays as it was.
func TestAddStatsIsWhole(t *testing.T) {
	var n int
	one := &Stats{}
	fill(reflect.ValueOf(one).Elem(), &n)
	before, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	sum := &Stats{}
	sum.Add(one)
	sum.Add(nil)
	sum.Add(one)
	double(t, "Stats", reflect.ValueOf(sum).Elem(), reflect.ValueOf(one).Elem())
	after, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("Add changes what it adds:\n%s", diff)
	}
}

// shardRun is one shard of a run of one lane and one stage, with n requests of which some are drawn.
func shardRun(shard, of, n int, random *rand.Rand) *Run {
	begin := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC).Add(time.Duration(shard) * time.Second)
	stats := &Stats{Sent: n, Outcomes: map[string]int{"ok": n}, TTFT: &Histogram{}, OutputTokens: int64(10 * n)}
	for range n {
		stats.TTFT.Record(time.Duration(random.ExpFloat64() * float64(200*time.Millisecond)))
	}
	return &Run{
		Schema: 1, ID: fmt.Sprintf("shard%d", shard), Ramp: "soak", Target: "chat", Model: "m", Nominal: begin.Truncate(time.Minute),
		Started: begin, Ended: begin.Add(time.Hour), Shard: shard, Shards: of, Verdict: Pass,
		Environment: Environment{Host: fmt.Sprintf("host%d", shard)},
		Diagnosis:   &Diagnosis{}, Comparison: &Comparison{},
		Lanes: []Lane{{Name: "a", Target: "chat", Model: "m", Open: true, Stages: []Stage{{
			Name: "hold", Kind: Hold, Begin: 5, End: 5, Mix: map[string]float64{"p": 1},
			Started: begin, From: begin.Add(30 * time.Second), To: begin.Add(630 * time.Second), Ended: begin.Add(640 * time.Second),
			Planned: n, Sent: n, InFlight: 2.5, MaxInFlight: 7, Canceled: 1, ShedBy: map[string]int{"in_flight": 2}, Shed: 2, Unended: 1,
			DispatchDelay: &Histogram{}, Probes: map[string]*Stats{"p": stats},
			Windows: []Window{
				{Start: begin, Length: 10 * time.Second, Planned: 4, OK: 4, TTFT: Quantiles{N: 4, Mean: float64(shard), P50: 1, Max: 3 + float64(shard)}},
				{Start: begin.Add(10 * time.Second), Length: 10 * time.Second, Planned: 6, OK: 5, Outcomes: map[string]int{"timeout_total": 1}},
			},
		}}}},
	}
}

func TestMerge(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	a, b, c := shardRun(0, 3, 1000, random), shardRun(1, 3, 500, random), shardRun(2, 3, 10, random)
	sum, err := Merge([]*Run{c, a, b})
	if err != nil {
		t.Fatal(err)
	}
	want := &Histogram{}
	for _, r := range []*Run{a, b, c} {
		want.Add(r.Lanes[0].Stages[0].Probes["p"].TTFT)
	}
	s := sum.Lanes[0].Stages[0]
	got := s.Probes["p"].TTFT
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
		if got.Quantile(q) != want.Quantile(q) {
			t.Errorf("quantile %v of the sum = %v; want %v", q, got.Quantile(q), want.Quantile(q))
		}
	}
	if got.Count() != 1510 || s.Probes["p"].OutputTokens != 15100 || s.Planned != 1510 || s.Shed != 6 || s.ShedBy["in_flight"] != 6 || s.Canceled != 3 || s.Unended != 3 {
		t.Errorf("the sums are %d requests, %+v", got.Count(), s)
	}
	if s.Begin != 15 || s.InFlight != 7.5 || s.MaxInFlight != 21 || s.Invalid != "" {
		t.Errorf("load %v, in flight %v and at most %v, invalid %q; want 15, 7.5, 21, valid", s.Begin, s.InFlight, s.MaxInFlight, s.Invalid)
	}
	if s.From != a.Lanes[0].Stages[0].From || s.Measured() != 10*time.Minute || s.Ended != c.Lanes[0].Stages[0].Ended {
		t.Errorf("measured from %v for %v, ended %v", s.From, s.Measured(), s.Ended)
	}
	if diff := cmp.Diff([]int{0, 1, 2}, sum.Merged); diff != "" || len(sum.Missing()) != 0 {
		t.Errorf("merged %v, missing %v", sum.Merged, sum.Missing())
	}
	if sum.Verdict != Pass || sum.Bound(Pass) != Pass || sum.Diagnosis != nil || sum.Comparison != nil || sum.Environment.Host != "host0, host1, host2" {
		t.Errorf("verdict %q, bound %q, %q", sum.Verdict, sum.Bound(Pass), sum.Environment.Host)
	}
	if len(s.Windows) != 2 || s.Windows[0].Planned != 12 || s.Windows[0].TTFT != (Quantiles{N: 12, Mean: 1, P50: 1, Max: 5}) || s.Windows[1].Outcomes["timeout_total"] != 3 {
		t.Errorf("windows %+v", s.Windows)
	}
	if a.Lanes[0].Stages[0].Probes["p"].TTFT.Count() != 1000 || a.Diagnosis == nil {
		t.Error("Merge has changed what it merged")
	}
}

func TestMergeMissing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	runs := []*Run{shardRun(0, 4, 10, random), shardRun(3, 4, 10, random)}
	sum, err := Merge(runs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2}, sum.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if sum.Verdict != Invalid || len(sum.Reasons) != 1 || !strings.HasPrefix(sum.Reasons[0], "shards 1, 2 (of 0 to 3) are missing") {
		t.Errorf("verdict %q because %q; want invalid", sum.Verdict, sum.Reasons)
	}
	for _, tt := range []struct{ v, want Verdict }{
		{Pass, Invalid}, {NotEnoughRuns, Invalid}, {Fail, Fail}, {Regressed, Regressed}, {Aborted, Aborted}, {CutShort, CutShort}, {Invalid, Invalid},
	} {
		if got := sum.Bound(tt.v); got != tt.want {
			t.Errorf("Bound(%q) = %q; want %q", tt.v, got, tt.want)
		}
	}
	runs[1].Verdict, runs[1].Stopped, runs[1].Reasons = Fail, "", []string{"TTFT"}
	runs[0].Stopped = "SIGTERM"
	if sum, err = Merge(runs); err != nil || sum.Verdict != Fail || sum.Reasons[1] != "shard 3: TTFT" || sum.Stopped != "shard 0: SIGTERM" {
		t.Errorf("Merge = %q, %q, %q, %v; want fail", sum.Verdict, sum.Reasons, sum.Stopped, err)
	}
}

func TestMergeStagesApart(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	a, b := shardRun(0, 2, 10, random), shardRun(1, 2, 10, random)
	b.Lanes[0].Stages[0].From = b.Lanes[0].Stages[0].From.Add(time.Minute)
	b.Lanes[0].Stages[0].To = b.Lanes[0].Stages[0].To.Add(time.Minute)
	sum, err := Merge([]*Run{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if got := sum.Lanes[0].Stages[0].Invalid; !strings.Contains(got, "1m1s apart") {
		t.Errorf("invalid = %q; want how far they were apart", got)
	}
	b.Lanes[0].Stages = nil // it was cut short
	b.Lanes[0].Search = &Search{}
	if sum, err = Merge([]*Run{a, b}); err != nil {
		t.Fatal(err)
	}
	if got := sum.Lanes[0].Stages[0].Invalid; got != "shard 1 did not get to it" || sum.Lanes[0].Search != nil {
		t.Errorf("invalid = %q", got)
	}
}

func TestMergeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Run)
		want   string
	}{
		{"no shard", func(r *Run) { r.Shards = 0 }, "is no shard"},
		{"a shard beyond", func(r *Run) { r.Shard = 2 }, "is no shard"},
		{"merged already", func(r *Run) { r.Merged = []int{0} }, "is no shard"},
		{"twice", func(r *Run) { r.Shard = 0 }, "are both shard 0"},
		{"another ramp", func(r *Run) { r.Ramp = "other" }, "differ in the ramp"},
		{"another night", func(r *Run) { r.Nominal = r.Nominal.Add(time.Hour) }, "differ in the occasion (2026-11-22T02:00:00Z and 2026-11-22T03:00:00Z): start all shards with the same --start-at"},
		{"no occasion", func(r *Run) { r.Nominal = time.Time{} }, "differ in the occasion (2026-11-22T02:00:00Z and none)"},
		{"another set", func(r *Run) { r.Sets = 5 }, "differ in the set"},
		{"another seed", func(r *Run) { r.Seed = 8 }, "differ in the seed (0 and 8): start all shards with one configuration file"},
		{"another configuration", func(r *Run) { r.Config = json.RawMessage(`{"ramp":{"drain":"2s","seed":7},"probes":{"b":{}}}`) },
			`differ in the configuration ("b" of "probes", "drain" of "ramp"): start all shards with one configuration file`},
		{"no configuration", func(r *Run) { r.Config = nil }, `differ in the configuration ("drain" of "ramp", "seed" of "ramp")`},
		{"a configuration that is none", func(r *Run) { r.Config = json.RawMessage(`7`) }, `differ in the configuration (`},
		{"other objectives", func(r *Run) { r.Objectives = []Objective{{Indicator: TTFT, Percentile: 95, Threshold: 1}} }, "differ in the objectives: start"},
		{"another currency", func(r *Run) { r.Environment.Currency = "EUR" }, "differ in the currency"},
		{"other lanes", func(r *Run) { r.Lanes[0].Name = "b" }, `has no lane "a"`},
		{"more lanes", func(r *Run) { r.Lanes = append(r.Lanes, Lane{Name: "b"}) }, "has 2"},
		{"a closed loop", func(r *Run) { r.Lanes[0].Open = false }, "another one"},
		{"another stage", func(r *Run) { r.Lanes[0].Stages[0].Name = "spike" }, "stage 0"},
		{"another mix", func(r *Run) { r.Lanes[0].Stages[0].Mix = map[string]float64{"q": 1} }, "stage 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			a, b := shardRun(0, 2, 10, random), shardRun(1, 2, 10, random)
			a.Config = json.RawMessage(`{"ramp":{"drain":"1s","seed":7},"probes":{}}`)
			b.Config = json.RawMessage(`{"probes": {}, "ramp": {"seed": 7, "drain": "1s"}}`) // the same
			tt.change(b)
			if _, err := Merge([]*Run{a, b}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Merge = %v; want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := Merge(nil); err == nil {
		t.Error("Merge of nothing = nil; want an error")
	}
}

// Shards that were given no time to begin at are of one run if they were under way together.
func TestMergeWithoutOccasion(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	a, b := shardRun(0, 2, 10, random), shardRun(1, 2, 10, random)
	a.Nominal, b.Nominal = time.Time{}, time.Time{}
	a.Config, b.Config = json.RawMessage(`{"ramp":{"seed":7}}`), json.RawMessage(`{"ramp": {"seed": 7}}`)
	if sum, err := Merge([]*Run{a, b}); err != nil || sum.Lanes[0].Stages[0].Invalid != "" {
		t.Errorf("Merge of shards that began a second apart = %v; want none invalid", err)
	}
	b.Started, b.Ended = a.Ended, a.Ended.Add(time.Hour)
	if _, err := Merge([]*Run{b, a}); err == nil || !strings.Contains(err.Error(), "runs shard0 and shard1 are not of one run: the one had ended at 2026-11-22T03:00:00Z") || !strings.Contains(err.Error(), "--start-at") {
		t.Errorf("Merge of shards one after the other = %v; want what was when, and the cure", err)
	}
}
