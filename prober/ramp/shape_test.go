package ramp

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

func TestShapes(t *testing.T) {
	const m = time.Minute
	_, neighbour := NoisyNeighbour{Victim: 2, Neighbour: 20, For: m, Every: 3 * m, Times: 1}.Stages()
	victim, _ := NoisyNeighbour{Victim: 2, Neighbour: 20, For: m, Every: 3 * m, Times: 1}.Stages()
	for _, tt := range []struct {
		name      string
		got, want []Stage
	}{
		{"steps by", Steps{From: 1, To: 4.5, By: 2, Each: m}.Stages(), []Stage{
			{Kind: record.Hold, From: 1, To: 1, Over: m}, {Kind: record.Hold, From: 3, To: 3, Over: m}, {Kind: record.Hold, From: 4.5, To: 4.5, Over: m},
		}},
		{"steps down, counted", Steps{From: 4, To: 2, Count: 2, Each: m}.Stages(), []Stage{
			{Kind: record.Hold, From: 4, To: 4, Over: m}, {Kind: record.Hold, From: 2, To: 2, Over: m},
		}},
		{"linear", Linear{From: 0, To: 9}.Stages(), []Stage{{Kind: record.Rising, To: 9, Over: 10 * m}}},
		{"spikes", Spikes{Base: 1, Peak: 9, For: m, Every: 2 * m, Times: 1}.Stages(), []Stage{
			{Kind: record.Hold, From: 1, To: 1, Over: 2 * m}, {Kind: record.Spike, From: 9, To: 9, Over: m}, {Kind: record.Recovery, From: 1, To: 1, Over: 2 * m},
		}},
		{"soak", Soak{Load: 3, For: 8 * time.Hour}.Stages(), []Stage{
			{Kind: record.Rising, To: 3, Over: m}, {Kind: record.Hold, From: 3, To: 3, Over: 8 * time.Hour},
		}},
		{"burst after idle", BurstAfterIdle{Size: 8, Idle: m, Times: 1, Longest: m}.Stages(), []Stage{
			{Kind: record.Idle, Over: m}, {Kind: record.Spike, Burst: 8, Over: m},
		}},
		{"mix sweep", MixSweep{Load: 2, Mix: Mix{"chat": 30, "code": 10, "long": 5}, Probe: "long", Shares: []float64{0, .4}, Each: m}.Stages(), []Stage{
			{Name: "long 0 %", Kind: record.Hold, From: 2, To: 2, Over: m, WarmUp: 6 * time.Second, Mix: Mix{"chat": .75, "code": .25}},
			{Name: "long 40 %", Kind: record.Hold, From: 2, To: 2, Over: m, WarmUp: 6 * time.Second, Mix: Mix{"chat": .75 * .6, "code": .25 * .6, "long": .4}},
		}},
		{"noisy neighbour: victim", victim, []Stage{{Kind: record.Hold, From: 2, To: 2, Over: 7 * m}}},
		{"noisy neighbour", neighbour, []Stage{
			{Kind: record.Idle, Over: 3 * m}, {Kind: record.Spike, From: 20, To: 20, Over: m}, {Kind: record.Idle, Over: 3 * m},
		}},
		{"recovery", Overload{Base: 1, Overload: 9, Before: m, For: m, Watch: m}.Stages(), []Stage{
			{Kind: record.Hold, From: 1, To: 1, Over: m}, {Kind: record.Spike, From: 9, To: 9, Over: m}, {Kind: record.Recovery, From: 1, To: 1, Over: m},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.got, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Steps go from the first load to the last without leaving the range, and no step is larger than asked.
func TestStepsCoverTheirRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Steps{From: rapid.Float64Range(0, 100).Draw(t, "from"), To: rapid.Float64Range(0, 100).Draw(t, "to"), By: rapid.Float64Range(.1, 50).Draw(t, "by")}
		loads := s.loads()
		if loads[0] != s.From && len(loads) > 1 || loads[len(loads)-1] != s.To {
			t.Fatalf("loads = %v; want from %v to %v", loads, s.From, s.To)
		}
		for i := 1; i < len(loads); i++ {
			step := (loads[i] - loads[i-1]) * math.Copysign(1, s.To-s.From)
			if step < 0 || step > s.By*(1+1e-6) {
				t.Fatalf("step %d is %v; want 0 to %v", i, step, s.By)
			}
		}
	})
}

// A mix is drawn as its weights say.
func TestPickerKeepsItsWeights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mix := Mix(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), rapid.Float64Range(.1, 100), 1, 4).Draw(t, "mix"))
		p, shares := newPicker(mix), mix.shares()
		r := rngOf(rapid.Uint64().Draw(t, "seed"))
		const n = 4000
		seen := map[string]int{}
		for range n {
			seen[p.pick(r)]++
		}
		var sum float64
		for name, share := range shares {
			sum += share
			// The second 7 is for small shares, whose counts have a long tail: one draw in 10^11 is further off.
			if sigma := math.Sqrt(n * share * (1 - share)); math.Abs(float64(seen[name])-n*share) > 7*sigma+7 {
				t.Fatalf("%s was drawn %d times of %d; want a share of %v", name, seen[name], n, share)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("the shares add up to %v", sum)
		}
	})
}

func TestSketchIsWithinItsError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s sketch
		var all []time.Duration
		for range rapid.IntRange(1, 100).Draw(t, "n") {
			d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "d"))
			all = append(all, d)
			s.add(d, 1)
		}
		slices.Sort(all)
		for _, q := range []float64{.5, .9, .95, .99} {
			want := all[int(math.Ceil(q*float64(len(all))))-1]
			if got := s.quantile(q); math.Abs(float64(got-want)) > float64(want)*.016+float64(2*time.Microsecond) {
				t.Fatalf("quantile %v of %v = %v; want %v", q, all, got, want)
			}
		}
	})
}

func TestPlanCheck(t *testing.T) {
	f := &fakeServer{slots: 1}
	hold := Stage{From: 1, To: 1, Over: time.Second}
	for _, tt := range []struct {
		name   string
		change func(*Plan)
		want   string // empty: nothing is wrong
	}{
		{"good", func(*Plan) {}, ""},
		{"no lane", func(p *Plan) { p.Lanes = nil }, "there is no lane"},
		{"two of a name", func(p *Plan) { p.Lanes = append(p.Lanes, p.Lanes[0]) }, `two lanes called "main"`},
		{"shard", func(p *Plan) { p.Shard, p.Shards = 2, 2 }, "no shard 2 of 2"},
		{"mix", func(p *Plan) { p.Lanes[0].Mix = Mix{"rag": 1} }, `no probe "rag"`},
		{"weight", func(p *Plan) { p.Lanes[0].Mix = Mix{"chat": -1} }, "give a number above 0"},
		{"over", func(p *Plan) { p.Lanes[0].Stages = []Stage{{From: 1, To: 1}} }, "it lasts 0s"},
		{"load", func(p *Plan) { p.Lanes[0].Stages = []Stage{{From: math.NaN(), Over: 1}} }, "the load is NaN"},
		{"search without objective", func(p *Plan) { p.Lanes[0].Stages, p.Lanes[0].Search = nil, &Search{From: 1, To: 2} }, "needs an objective"},
		{"background alone", func(p *Plan) { p.Lanes[0].Background = true }, "no end"},
		{"closed with bursts", func(p *Plan) { p.Lanes[0].Closed, p.Lanes[0].Stages = true, []Stage{{Burst: 3, Over: 1}} }, "a burst is"},
		{"objective", func(p *Plan) { p.Objectives = []record.Objective{{Indicator: "speed", Threshold: 1}} }, `no indicator "speed"`},
		{"lane of an objective", func(p *Plan) {
			p.Objectives = []record.Objective{{Lane: "x", Indicator: record.Availability, Threshold: .9}}
		}, `no lane "x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := planFor(f, hold)
			tt.change(&plan)
			err := plan.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Check() = %v; want %q", err, tt.want)
			}
		})
	}
}
