package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// flat is a run whose requests all took so long, in seconds, and of which so many of 400 failed.
func flat(id int, ttft float64, failed int) *record.Run {
	at := time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC).AddDate(0, 0, id)
	h := &record.Histogram{}
	for i := range 400 - failed {
		h.Record(time.Duration(ttft * (1 + float64(i%20)/1000) * float64(time.Second)))
	}
	s := &record.Stats{Sent: 400, Outcomes: map[string]int{"ok": 400 - failed, "overloaded": failed}, TTFT: h}
	return &record.Run{
		ID: fmt.Sprintf("%s-nightly-%03d", at.Format("20060102T150405Z"), id), Ramp: "nightly", Target: "chat", Started: at, Ended: at.Add(time.Minute),
		Verdict: record.Pass, Objectives: promise(10),
		Lanes: []record.Lane{{Name: "main", Open: true, Stages: []record.Stage{{
			Name: "hold", Kind: record.Hold, Begin: 4, End: 4, Planned: 400, Sent: 400, Mix: chat(), From: at, To: at.Add(time.Minute), Started: at, Ended: at.Add(time.Minute),
			Probes: map[string]*record.Stats{"chat": s},
		}}}},
	}
}

// nights are runs with the given times.
func nights(from int, ttfts ...float64) (runs []*record.Run) {
	for i, v := range ttfts {
		runs = append(runs, flat(from+i, v, 0))
	}
	return runs
}

func TestCompare(t *testing.T) {
	usual := []float64{.200, .206, .194, .203, .198, .210, .192}
	for _, test := range []struct {
		name               string
		news, olds, spread []*record.Run
		margin             Margin
		want               record.Verdict
		change             float64 // of the p95 TTFT
		worse, better      bool
	}{
		{"the same", nights(50, .201), nights(0, usual...), nil, Margin{}, record.Pass, .003, false, false},
		{"a fifth slower", nights(50, .240), nights(0, usual...), nil, Margin{}, record.Regressed, .198, true, false},
		{"much faster", nights(50, .120), nights(0, usual...), nil, Margin{}, record.Pass, -.401, false, true},
		{"slower by less than matters", nights(50, .216), nights(0, .2, .2001, .1999, .2002, .1998), nil, Margin{}, record.Pass, .08, false, false},
		{"the same, and a smaller margin", nights(50, .216), nights(0, .2, .2001, .1999, .2002, .1998), nil, Margin{MaxRegression: .05}, record.Regressed, .08, true, false},
		{"slower, and all over the place", nights(50, .240), nights(0, .1, .3, .15, .28, .2, .12, .33), nil, Margin{}, record.Pass, .244, false, false},
		{"four are too few", nights(50, .400), nights(0, usual[:4]...), nil, Margin{}, record.NotEnoughRuns, .992, false, false},
		{"nothing", nights(50, .400), nil, nil, Margin{}, record.NotEnoughRuns, math.NaN(), false, false},
		{"one against one, by the spread of others", nights(50, .260), nights(0, .2), nights(10, usual...), Margin{}, record.Regressed, .3, true, false},
		{"one against one, within it", nights(50, .220), nights(0, .2), nights(10, usual...), Margin{}, record.Pass, .1, false, false},
		{"one against one", nights(50, .260), nights(0, .2), nil, Margin{}, record.NotEnoughRuns, .3, false, false},
		{"a median does not mind one odd night", nights(50, .240), nights(0, .2, .206, .194, .203, .198, .210, .5), nil, Margin{Median: true}, record.Pass, .182, false, false},
		{"sets, a tenth slower", nights(50, .222, .216, .225, .219, .215), nights(0, usual[:5]...), nil, Margin{}, record.Regressed, .096, true, false},
		{"sets, the same", nights(50, .201, .207, .195, .2, .199), nights(0, usual[:5]...), nil, Margin{}, record.Pass, .001, false, false},
		{"sets of four", nights(50, .222, .216, .225, .219), nights(0, usual[:4]...), nil, Margin{}, record.NotEnoughRuns, .101, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Compare(test.news, test.olds, test.spread, test.margin)
			if c.Verdict != test.want || len(c.Words) == 0 {
				t.Errorf("Compare() = %s, %q; want %s", c.Verdict, c.Words, test.want)
			}
			for _, in := range c.Indicators {
				if in.Name != "ttft_p95" {
					continue
				}
				if math.Abs(in.Change-test.change) > .003 || in.Worse != test.worse || in.Better != test.better {
					t.Errorf("p95 TTFT = %+v; want a change of %v, worse %v, better %v", in, test.change, test.worse, test.better)
				}
				if in.Low != nil && !(*in.Low <= in.Change+1e-9 && in.Change <= *in.High+1e-9) {
					t.Errorf("the change %v is not between %v and %v", in.Change, *in.Low, *in.High)
				}
			}
		})
	}
}

func TestCompareFailures(t *testing.T) {
	var olds []*record.Run
	for i := range 7 {
		olds = append(olds, flat(i, .2, i%2))
	}
	if c := Compare([]*record.Run{flat(20, .2, 2)}, olds, nil, Margin{}); c.Verdict != record.Pass {
		t.Errorf("2 failures of 400: %s, %q; want pass", c.Verdict, c.Words)
	}
	c := Compare([]*record.Run{flat(20, .2, 20)}, olds, nil, Margin{})
	if c.Verdict != record.Regressed || !strings.HasPrefix(c.Words[0], "Share of failed requests of chat in main is worse: 5 %, was 0.107 % (+4.89 points") {
		t.Errorf("20 failures of 400: %s, %q; want regressed", c.Verdict, c.Words)
	}
}

func TestCompareWarns(t *testing.T) {
	olds := nights(0, .2, .21, .19, .2, .205)
	for _, r := range olds {
		r.Environment.Engine, r.Environment.GPUs = "vllm 1", []string{"GPU-1"}
	}
	now := flat(20, .2, 0)
	now.Environment.Engine, now.Environment.GPUs = "vllm 2", []string{"GPU-2"}
	c := Compare([]*record.Run{now}, olds, nil, Margin{})
	want := []string{"Beware: the engine is vllm 2 now and was vllm 1 then.", "Beware: they did not run on the same GPUs."}
	if d := cmp.Diff(want, c.Words[1:]); d != "" {
		t.Errorf("words (-want +got):\n%s", d)
	}
}

// TestCompareIsFair draws runs of the same server from wide to narrow noise: no more are called worse than is accepted.
func TestCompareIsFair(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const trials = 400
	for _, noise := range []float64{.02, .05, .15} {
		for _, n := range []int{1, 5} {
			alarms := 0
			for range trials {
				draw := func(n int) (x []float64) {
					for range n {
						x = append(x, .2*math.Exp(noise*rng.NormFloat64()))
					}
					return x
				}
				r := &row{a: logs(draw(n)), b: logs(draw(7)), sign: 1}
				s2, df := pooled(r.a, r.b)
				r.diff, r.df = average(r.a)-average(r.b), df
				r.p = above(r.diff, math.Sqrt(s2*(1/float64(n)+1./7)), df)
				if n > 1 {
					permute([]*row{r}, n, 7)
				}
				if r.p <= .05 {
					alarms++
				}
			}
			if alarms > trials*8/100 || alarms < trials*2/100 {
				t.Errorf("noise %v, %d against 7: %d of %d are called worse at a level of 0.05", noise, n, alarms, trials)
			}
		}
	}
}

// TestPermutation holds p-values to what can be counted by hand.
func TestPermutation(t *testing.T) {
	r := &row{a: []float64{6, 7, 8, 9, 10}, b: []float64{1, 2, 3, 4, 5}}
	permute([]*row{r}, 5, 5)
	if want := 1. / 252; math.Abs(r.p-want) > 1e-12 {
		t.Errorf("p = %v; want %v: no other choice is as extreme", r.p, want)
	}
	r.a, r.b = r.b, r.a
	permute([]*row{r}, 5, 5)
	if r.p != 1 {
		t.Errorf("p = %v; want 1: all choices are as extreme", r.p)
	}
	// A second indicator that is noise takes little of what the first one shows.
	one, two := &row{a: []float64{6, 7, 8, 9, 10}, b: []float64{1, 2, 3, 4, 5}}, &row{a: []float64{1, 5, 2, 4, 3}, b: []float64{3, 2, 4, 1, 5}}
	permute([]*row{one, two}, 5, 5)
	if one.p > .02 || two.p < .3 {
		t.Errorf("p = %v and %v; want the first small, the second large", one.p, two.p)
	}
}

func TestSubsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "n")
		k := rapid.IntRange(1, n).Draw(t, "k")
		seen := map[string]bool{}
		for c := range subsets(n, k) {
			if !slices.IsSorted(c) || c[0] < 0 || c[k-1] >= n {
				t.Fatalf("subsets(%d, %d) yields %v", n, k, c)
			}
			seen[fmt.Sprint(c)] = true
		}
		if float64(len(seen)) != ways(n, k) {
			t.Fatalf("subsets(%d, %d) yields %d; want %v", n, k, len(seen), ways(n, k))
		}
	})
}

// TestCompareIsSymmetric scales all runs alike: nothing may change but the values.
func TestCompareIsSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.SliceOfN(rapid.Float64Range(.1, .4), 6, 6)
		olds, now := draw.Draw(t, "olds"), rapid.Float64Range(.1, .6).Draw(t, "new")
		scale := rapid.Float64Range(.5, 10).Draw(t, "scale")
		times := func(x []float64) (y []float64) {
			for _, v := range x {
				y = append(y, v*scale)
			}
			return y
		}
		a := Compare(nights(50, now), nights(0, olds...), nil, Margin{})
		b := Compare(nights(50, now*scale), nights(0, times(olds)...), nil, Margin{})
		for i := range a.Indicators {
			if math.Abs(a.Indicators[i].Change-b.Indicators[i].Change) > .02 {
				t.Fatalf("changes %v and %v; want them alike", a.Indicators[i].Change, b.Indicators[i].Change)
			}
		}
	})
}

func TestSelect(t *testing.T) {
	var history []*record.Run
	for i, v := range []record.Verdict{
		record.Pass, record.NotEnoughRuns, record.Fail, record.Aborted, record.Pass, record.Regressed, record.Invalid, record.CutShort, record.Pass,
	} {
		r := flat(i, .2, 0)
		r.Verdict = v
		history = append(history, r)
	}
	other := flat(3, .2, 0)
	other.ID, other.Ramp = "other", "soak"
	later := flat(99, .2, 0)
	history = append(history, other, later)
	slices.Reverse(history)
	run := flat(50, .2, 0)
	days := func(runs []*record.Run) (d []int) {
		for _, r := range runs {
			d = append(d, r.Started.YearDay()-1)
		}
		return d
	}
	for _, test := range []struct {
		with         string
		baseline     *record.Run
		olds, spread []int
		median       bool
	}{
		{Previous, nil, []int{0, 1, 2, 4, 5, 8}, nil, false},
		{PreviousPassed, nil, []int{0, 1, 4, 8}, nil, false},
		{"last_2", nil, []int{4, 8}, []int{0, 1}, true},
		{"baseline:golden", flat(4, .2, 0), []int{4}, []int{0, 1, 8}, false},
		{flat(2, .2, 0).ID, nil, []int{2}, []int{0, 1, 4, 8}, false},
		{"nobody", nil, nil, []int{0, 1, 4, 8}, false},
	} {
		t.Run(test.with, func(t *testing.T) {
			s := Select(run, history, test.with, test.baseline)
			if !slices.Equal(days(s.Olds), test.olds) || !slices.Equal(days(s.Spread), test.spread) || s.Median != test.median || s.Early || len(s.News) != 1 {
				t.Errorf("Select() = %v, spread %v, median %v; want %v, %v, %v", days(s.Olds), days(s.Spread), s.Median, test.olds, test.spread, test.median)
			}
		})
	}
}

// TestSelectSets judges a set when it is complete, against the latest complete one.
// A shard is held against the same shard of other nights, and the whole against the whole.
func TestSelectShares(t *testing.T) {
	night := time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)
	run := func(id string, day, shard, shards int, merged ...int) *record.Run {
		return &record.Run{ID: id, Ramp: "r", Target: "t", Started: night.AddDate(0, 0, day), Shard: shard, Shards: shards, Merged: merged, Verdict: record.Pass}
	}
	history := []*record.Run{
		run("whole", 0, 0, 0), run("0 of 2", 0, 0, 2), run("1 of 2", 0, 1, 2), run("0 of 4", 0, 0, 4),
		run("sum", 0, 0, 2, 0, 1), run("half the sum", 0, 0, 2, 0),
	}
	for _, test := range []struct {
		run  *record.Run
		want []string
	}{
		{run("", 1, 0, 0), []string{"whole", "sum"}},
		{run("", 1, 0, 2, 0, 1), []string{"whole", "sum"}},
		{run("", 1, 0, 2), []string{"0 of 2"}},
		{run("", 1, 1, 2), []string{"1 of 2"}},
		{run("", 1, 2, 4), nil},
		{run("", 1, 0, 2, 0), nil},
	} {
		got := idsOf(Select(test.run, history, Previous, nil).Olds)
		if !slices.Equal(got, test.want) {
			t.Errorf("Select(shard %d of %d, merged %v) = %q; want %q", test.run.Shard, test.run.Shards, test.run.Merged, got, test.want)
		}
	}
}

func TestSelectSets(t *testing.T) {
	set := func(from, n int, v record.Verdict) (runs []*record.Run) {
		for i := range n {
			r := flat(from+i, .2, 0)
			r.Set, r.Sets, r.Verdict = i+1, 5, v
			runs = append(runs, r)
		}
		return runs
	}
	first, failed, broken, now := set(0, 5, record.NotEnoughRuns), set(10, 5, record.Fail), set(20, 3, record.Pass), set(30, 5, "")
	history := slices.Concat(first, failed, broken, now[:4])
	if s := Select(now[2], history[:len(history)-2], PreviousPassed, nil); !s.Early {
		t.Errorf("Select(third of five) = %+v; want it early", s)
	}
	s := Select(now[4], history, PreviousPassed, nil)
	if d := cmp.Diff(idsOf(now), idsOf(s.News)); d != "" {
		t.Errorf("the new ones (-want +got):\n%s", d)
	}
	if d := cmp.Diff(idsOf(first), idsOf(s.Olds)); d != "" {
		t.Errorf("the old ones (-want +got):\n%s", d)
	}
	if s := Select(now[4], history, Previous, nil); !slices.Equal(idsOf(s.Olds), idsOf(failed)) {
		t.Errorf("Select(previous) = %v; want %v", idsOf(s.Olds), idsOf(failed))
	}
	Judge(now[4], history, Options{Compare: &Against{}})
	if now[4].Verdict != record.Pass || len(now[4].Comparison.News) != 5 {
		t.Errorf("Judge() = %s, %+v; want pass of five against five", now[4].Verdict, now[4].Comparison)
	}
}

func TestComparisonWords(t *testing.T) {
	c := Compare(nights(50, .240), nights(0, .200, .206, .194, .203, .198, .210, .192), nil, Margin{})
	golden(t, "compare.txt", ComparisonText(c))
	golden(t, "compare.md", ComparisonMarkdown(c))
	text, err := ComparisonJUnit(c)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.junit.xml", string(text))
	text, err = ComparisonJSON(c)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.json", string(text))
	golden(t, "compare_two.txt", ComparisonText(Compare(nights(50, .260), nights(0, .2), nil, Margin{})))
}

// A run that is worse must not widen the spread that it is held against, nor one that failed, whatever chose them.
func TestSpreadOf(t *testing.T) {
	history := nights(0, .200, .206, .194, .203, .198, .210, .192, .400, .401)
	usual := slices.Clone(history[:7])
	slow, slower := history[7], history[8]
	slow.Verdict = record.Fail
	slices.Reverse(history)
	news, olds := []*record.Run{slower}, []*record.Run{usual[2]}
	got := SpreadOf(news, olds, history) // newest first, as a store lists them
	if want := slices.Delete(usual, 2, 3); !slices.Equal(idsOf(got), idsOf(want)) {
		t.Errorf("SpreadOf() = %v; want %v", idsOf(got), idsOf(want))
	}
	if c := Compare(news, olds, got, Margin{}); c.Verdict != record.Regressed {
		t.Errorf("Compare() = %s, %q; want %s", c.Verdict, c.Words, record.Regressed)
	}
	shard := *slower
	shard.Shard, shard.Shards = 1, 4
	if got := SpreadOf([]*record.Run{&shard}, nil, history); len(got) != 0 {
		t.Errorf("SpreadOf() of a shard = %v; want none of the whole runs", idsOf(got))
	}
}
