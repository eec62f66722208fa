package collector

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// pageOf is /metrics of c alone, as text, as a registry gathers it.
func pageOf(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	return page(t, reg)
}

func TestBudgetsGolden(t *testing.T) {
	golden(t, "testdata/budgets.txt", pageOf(t, NewBudgets(func() []Budget {
		return []Budget{
			{Target: "chat", Model: "llama", Labels: map[string]string{"vantage": "eu-west"}, Name: "output_tokens_per_hour", Limit: 50000, Used: 1200},
			{Target: "chat", Model: "llama", Labels: map[string]string{"vantage": "eu-west"}, Name: "cost_per_day", Currency: "USD", Limit: 5, Used: 0.25},
			{Name: "requests_per_minute", Limit: 600, Used: 12},
		}
	})))
}

func TestSourcesGolden(t *testing.T) {
	golden(t, "testdata/sources.txt", pageOf(t, NewSources(func() []Source {
		return []Source{
			{Name: "targets/*.json", Targets: 3, LastSuccess: probertest.Epoch, Successes: 7, Failures: 1},
			{Name: "http://sd.example/targets", Failures: 2},
		}
	})))
}

func TestBaselinesGolden(t *testing.T) {
	golden(t, "testdata/baselines.txt", pageOf(t, NewBaselines(func() []Baseline {
		return []Baseline{{Target: "chat", Model: "llama", Probe: "interactive", Indicator: IndicatorTTFT, Quantile: 0.5, Seconds: 0.12}}
	})))
}

var nightly = Ramp{Name: "nightly", Target: "chat", Model: "llama", Labels: map[string]string{"vantage": "eu-west"}, Scheduled: true}

func newRamps(t *testing.T, ramps ...Ramp) *Ramps {
	t.Helper()
	r := NewRamps([]string{"busy", "blackout"})
	if err := r.Apply(ramps); err != nil {
		t.Fatal(err)
	}
	return r
}

// A whole run, as it looks while it is under way and afterwards.
func TestRampsGolden(t *testing.T) {
	r := newRamps(t, nightly)
	r.Next("nightly", probertest.Epoch)
	r.Missed("nightly", "busy")
	r.Missed("nightly", "unheard of")
	run := r.Begin("nightly")
	run.Stage("users", true, 0, "1/s", map[string]bool{"interactive": true, "batch": false})
	run.Stage("users", true, 1, "2/s", map[string]bool{"interactive": true})
	run.Stage("crowd", false, 0, "hold", map[string]bool{"interactive": true})
	run.Progress("users", 2, 5)
	run.Progress("crowd", 8, 8)
	run.Shed("users", "2/s", "interactive", 3)
	late := probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16)
	late.Request.Intended = late.Timeline.Intended.Add(-time.Second)
	late.Timeline.Intended = late.Request.Intended
	run.Observe("users", "2/s", late)
	run.Observe("users", "2/s", probertest.Failed("chat", "interactive", prober.RateLimited, 5*ms))
	run.Observe("users", "1/s", probertest.Whole("chat", "batch", time.Second, 16))
	run.Observe("users", "3/s", late)     // no such stage
	run.Observe("strangers", "1/s", late) // no such lane
	run.QueueWait("users", "2/s", "interactive", queuewait.Body, 0.25, "id")
	golden(t, "testdata/ramp_running.txt", pageOf(t, r))

	knee, cost := 11.5, 0.42
	run.End(RampFigures{Ended: probertest.Epoch, Verdict: record.Pass, Knee: &knee, Currency: "USD", CostPerThousand: &cost})
	golden(t, "testdata/ramp_ended.txt", pageOf(t, r))

	r.Begin("nightly").Stage("users", true, 0, "1/s", map[string]bool{"interactive": true})
	if err := r.Apply([]Ramp{nightly}); err != nil { // as it was: nothing changes
		t.Fatal(err)
	}
	golden(t, "testdata/ramp_next.txt", pageOf(t, r))

	if err := r.Apply(nil); err != nil {
		t.Fatal(err)
	}
	if got := pageOf(t, r); got != "" {
		t.Errorf("without ramps the page is\n%s", got)
	}
}

// A run of a ramp that is gone is filed nowhere, and disturbs nobody.
func TestRampRemovedWhileRunning(t *testing.T) {
	r := newRamps(t, nightly)
	run := r.Begin("nightly")
	run.Stage("users", true, 0, "1/s", map[string]bool{"interactive": true})
	if err := r.Apply(nil); err != nil {
		t.Fatal(err)
	}
	run.Observe("users", "1/s", probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
	run.End(RampFigures{Ended: probertest.Epoch, Verdict: record.CutShort})
	unknown := r.Begin("nightly")
	unknown.Stage("users", true, 0, "1/s", map[string]bool{"interactive": true})
	unknown.End(RampFigures{Verdict: record.Pass})
	if got := pageOf(t, r); got != "" {
		t.Errorf("without ramps the page is\n%s", got)
	}
}

func TestRampStagesAreBounded(t *testing.T) {
	r := newRamps(t, nightly)
	run := r.Begin("nightly")
	const stages = maxRampStages + 10
	for i := range stages {
		stage := string(rune('a'+i/26)) + string(rune('a'+i%26))
		run.Stage("users", true, i, stage, map[string]bool{"interactive": true})
		run.Observe("users", stage, probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(r)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, mf := range families {
		if mf.GetName() != NameRampTTFT {
			continue
		}
		samples := uint64(0)
		for _, m := range mf.Metric {
			samples += m.GetHistogram().GetSampleCount()
		}
		if len(mf.Metric) != maxRampStages+1 || samples != stages {
			t.Errorf("%d series with %d samples; want %d with %d", len(mf.Metric), samples, maxRampStages+1, stages)
		}
		return
	}
	t.Error("no TTFT of the ramp")
}

func TestRampsRefused(t *testing.T) {
	r := newRamps(t, nightly)
	for name, ramps := range map[string][]Ramp{
		"twice":          {nightly, nightly},
		"without a name": {{Target: "chat"}},
		"a taken label":  {{Name: "a", Target: "chat", Labels: map[string]string{"stage": "x"}}},
	} {
		if err := r.Apply(ramps); err == nil {
			t.Errorf("Apply(%s) = nil; want an error", name)
		}
	}
	if got := r.unit("nightly"); got == nil {
		t.Error("a refused Apply took away what there was")
	}
}
