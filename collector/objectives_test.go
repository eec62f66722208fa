package collector

import (
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
)

var (
	fast = Objective{
		Name: "fast", Indicator: IndicatorTTFT, Threshold: 0.5, Goal: 0.99,
		Target: "chat", Model: "llama", Probe: "interactive", Labels: map[string]string{"vantage": "eu-west"},
	}
	up = Objective{Name: "up", Indicator: IndicatorAvailability, Goal: 0.995, Target: "chat", Model: "llama", Probe: "interactive"}
)

func newObjectives(t *testing.T, objectives ...Objective) *Objectives {
	t.Helper()
	o := NewObjectives(nil)
	if err := o.Apply(objectives); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjectivesGolden(t *testing.T) {
	o := newObjectives(t, fast, up, Objective{
		Name: "batch", Indicator: IndicatorDuration, Threshold: 20, Goal: 0.9, Target: "chat", Model: "llama", Probe: "batch", Labels: map[string]string{"gpu": "h200", "team": ""},
	})
	for _, r := range []*prober.Result{
		probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16),
		probertest.Streamed("chat", "interactive", 501*ms, 20*ms, 16),
		probertest.Failed("chat", "interactive", prober.TimeoutFirstToken, time.Second),
		probertest.Failed("chat", "interactive", prober.Canceled, time.Second),
		probertest.Streamed("chat", "another", 300*ms, 20*ms, 16),
		probertest.Streamed("another", "interactive", 300*ms, 20*ms, 16),
	} {
		o.Observe(r)
	}
	golden(t, "testdata/objectives.txt", pageOf(t, o))
}

func TestObjectivesApply(t *testing.T) {
	const (
		events    = `llm_objective_events_total{indicator="ttft",model="llama",objective="fast",probe="interactive",target="chat",vantage="eu-west"} `
		bads      = `llm_objective_bad_total{indicator="ttft",model="llama",objective="fast",probe="interactive",target="chat",vantage="eu-west"} `
		threshold = `llm_objective_threshold{indicator="ttft",model="llama",objective="fast",probe="interactive",target="chat",vantage="eu-west"} `
		goal      = `llm_objective_goal_ratio{indicator="ttft",model="llama",objective="fast",probe="interactive",target="chat",vantage="eu-west"} `
	)
	slow := probertest.Streamed("chat", "interactive", 800*ms, 20*ms, 16)
	check := func(t *testing.T, o *Objectives, want ...string) {
		t.Helper()
		page := pageOf(t, o)
		for _, line := range want {
			if !strings.Contains(page, line+"\n") {
				t.Errorf("the page lacks %s:\n%s", line, page)
			}
		}
	}
	t.Run("all at zero", func(t *testing.T) {
		check(t, newObjectives(t, fast), events+"0", bads+"0", threshold+"0.5", goal+"0.99")
	})
	t.Run("unchanged ones keep their counts", func(t *testing.T) {
		o := newObjectives(t, fast)
		o.Observe(slow)
		if err := o.Apply([]Objective{up, fast}); err != nil {
			t.Fatal(err)
		}
		check(t, o, events+"1", bads+"1")
	})
	t.Run("another goal and threshold keep the counts", func(t *testing.T) {
		o := newObjectives(t, fast)
		o.Observe(slow)
		changed := fast
		changed.Threshold, changed.Goal = 1, 0.9
		if err := o.Apply([]Objective{changed}); err != nil {
			t.Fatal(err)
		}
		o.Observe(slow)
		check(t, o, events+"2", bads+"1", threshold+"1", goal+"0.9")
	})
	t.Run("removed ones go, and come back at zero", func(t *testing.T) {
		o := newObjectives(t, fast, up)
		o.Observe(slow)
		if err := o.Apply([]Objective{up}); err != nil {
			t.Fatal(err)
		}
		if page := pageOf(t, o); strings.Contains(page, "fast") {
			t.Errorf("series are left:\n%s", page)
		}
		if err := o.Apply([]Objective{fast, up}); err != nil {
			t.Fatal(err)
		}
		check(t, o, events+"0", bads+"0")
	})
	t.Run("another indicator starts anew", func(t *testing.T) {
		o := newObjectives(t, fast)
		o.Observe(slow)
		changed := fast
		changed.Indicator = IndicatorDuration
		if err := o.Apply([]Objective{changed}); err != nil {
			t.Fatal(err)
		}
		check(t, o, strings.Replace(events, "ttft", "duration", 1)+"0")
	})
}

// What an objective has counted is counted since it came: a reload that keeps it does not begin anew, and one that comes with it was
// not there before.
func TestObjectivesSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := newObjectives(t, fast)
		time.Sleep(time.Hour)
		if err := o.Apply([]Objective{fast, up}); err != nil {
			t.Fatal(err)
		}
		for _, c := range o.Counts() {
			if want := map[string]time.Time{"fast": start, "up": start.Add(time.Hour)}[c.Name]; !c.Since.Equal(want) {
				t.Errorf("%s has counted since %s; want %s", c.Name, c.Since, want)
			}
		}
		if n := len(o.Counts()); n != 2 {
			t.Errorf("%d objectives have counted; want 2", n)
		}
	})
}

func TestObjectivesRefuse(t *testing.T) {
	change := func(f func(*Objective)) []Objective {
		o := fast
		f(&o)
		return []Objective{o}
	}
	for _, test := range []struct {
		name string
		in   []Objective
		want string
	}{
		{"twice the same name", []Objective{fast, fast}, "given twice"},
		{"no name", change(func(o *Objective) { o.Name = "" }), "the name is empty"},
		{"no target", change(func(o *Objective) { o.Target = "" }), "target and probe must not be empty"},
		{"an indicator that nobody knows", change(func(o *Objective) { o.Indicator = "mood" }), `unknown indicator "mood"`},
		{"a goal of all", change(func(o *Objective) { o.Goal = 1 }), "goal 1"},
		{"a goal that is no number", change(func(o *Objective) { o.Goal = math.NaN() }), "goal NaN"},
		{"no threshold", change(func(o *Objective) { o.Threshold = 0 }), "threshold 0"},
		{"a threshold that is no number", change(func(o *Objective) { o.Threshold = math.NaN() }), "threshold NaN"},
		{"a label of ours", change(func(o *Objective) { o.Labels = map[string]string{"indicator": "x"} }), `label "indicator"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newObjectives(t, fast)
			o.Observe(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
			before := pageOf(t, o)
			if err := o.Apply(test.in); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Apply() = %v; want an error with %q", err, test.want)
			}
			if after := pageOf(t, o); after != before {
				t.Errorf("what was in force is not:\n%s", after)
			}
		})
	}
}

// The wait of a request is what the given function says of it.
func TestObjectivesQueueWait(t *testing.T) {
	waits := map[string]time.Duration{"short": 100 * ms, "long": time.Second}
	o := NewObjectives(func(r *prober.Result) (time.Duration, bool) {
		d, ok := waits[r.Request.ID]
		return d, ok
	})
	wait := fast
	wait.Indicator = IndicatorQueueWait
	if err := o.Apply([]Objective{wait}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"short", "long", "unknown"} {
		o.Observe(with(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16), func(r *prober.Result) { r.Request.ID = id }))
	}
	const labels = `{indicator="queue_wait",model="llama",objective="fast",probe="interactive",target="chat",vantage="eu-west"}`
	page := pageOf(t, o)
	for _, line := range []string{NameObjectiveEvents + labels + " 2\n", NameObjectiveBad + labels + " 1\n"} {
		if !strings.Contains(page, line) {
			t.Errorf("the page lacks %s:\n%s", line, page)
		}
	}
}

func TestObjectivesLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(newObjectives(t, fast, up))
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestObjectivesExemplar(t *testing.T) {
	o := newObjectives(t, up)
	o.Observe(with(probertest.Failed("chat", "interactive", prober.DNS, ms), func(r *prober.Result) { r.Request.ID = "req-9" }))
	reg, err := NewRegistry(newProbes(t, interactive), o)
	if err != nil {
		t.Fatal(err)
	}
	w := scrape(t, Handler(reg, slog.New(slog.DiscardHandler)), "application/openmetrics-text;version=1.0.0")
	want := `llm_objective_bad_total{indicator="availability",model="llama",objective="up",probe="interactive",target="chat"} 1.0 # {request_id="req-9"} 1.0`
	if !strings.Contains(w.Body.String(), want) {
		t.Errorf("the page lacks %s", want)
	}
}

// All at once: nothing may race, and no scrape may see more bad requests than requests.
func TestObjectivesConcurrency(t *testing.T) {
	o := newObjectives(t, fast)
	const workers, rounds = 4, 100
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				o.Observe(probertest.Failed("chat", "interactive", prober.DNS, ms))
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			if err := o.Apply([]Objective{fast, up}); err != nil {
				t.Error(err)
			}
		}
	})
	for range rounds {
		ch := make(chan prometheus.Metric)
		go func() { // as a registry does
			o.Collect(ch)
			close(ch)
		}()
		counts := map[string]float64{} // as they were when they were collected
		for m := range ch {
			var d dto.Metric
			if err := m.Write(&d); err != nil {
				t.Error(err)
			}
			if desc := m.Desc().String(); strings.Contains(desc, `indicator="ttft"`) {
				name, _, _ := strings.Cut(strings.TrimPrefix(desc, `Desc{fqName: "`), `"`)
				counts[name] = d.GetCounter().GetValue()
			}
		}
		if b, e := counts[NameObjectiveBad], counts[NameObjectiveEvents]; b > e {
			t.Errorf("%v bad requests of %v", b, e)
		}
	}
	wg.Wait()
	u := o.table.Load().byID[identityOf(fast.labels())]
	if e, b := testutil.ToFloat64(u.events), testutil.ToFloat64(u.bad); e != workers*rounds || b != e {
		t.Errorf("%v events, %v bad; want %d of both", e, b, workers*rounds)
	}
}
