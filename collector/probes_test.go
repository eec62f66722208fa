package collector

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

var (
	interactive = Series{Target: "chat", Model: "llama", Probe: "interactive", Stream: true, Interval: 15 * time.Second, Labels: map[string]string{"vantage": "eu-west"}}
	batch       = Series{Target: "chat", Model: "llama", Probe: "batch", Interval: time.Minute, Labels: map[string]string{"vantage": "eu-west", "gpu": "h200"}}
)

func newProbes(t testing.TB, series ...Series) *Probes {
	t.Helper()
	p := NewProbes([]string{"budget", "in_flight"})
	mustApply(t, p, series...)
	return p
}

func newRegistry(t testing.TB, p *Probes) *Registry {
	t.Helper()
	reg, err := NewRegistry(p, NewSelf())
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

// page is /metrics of g alone, as text.
func page(t testing.TB, g prometheus.Gatherer) string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	for _, mf := range families {
		if _, err := expfmt.MetricFamilyToText(&buf, mf); err != nil {
			t.Fatal(err)
		}
	}
	return buf.String()
}

// value is the value of the series that begins with the given name and labels, as the page writes them.
func value(t testing.TB, p *Probes, series string) string {
	t.Helper()
	for line := range strings.Lines(page(t, p)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "absent"
}

func checkValues(t *testing.T, p *Probes, want map[string]string) {
	t.Helper()
	got := make(map[string]string, len(want))
	for series := range want {
		got[series] = value(t, p, series)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestPageGolden(t *testing.T) {
	p := newProbes(t, interactive, batch, everything,
		Series{Target: `he said "hi"` + "\n" + `C:\dir`, Model: "模型/ü", Probe: "<script>alert(1)</script>", Labels: map[string]string{"empty": ""}})
	p.Observe(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
	p.Observe(probertest.Streamed("chat", "interactive", 800*ms, 40*ms, 32))
	p.Observe(probertest.Failed("chat", "interactive", prober.RateLimited, 50*ms))
	p.Observe(probertest.Failed("chat", "interactive", prober.Canceled, 50*ms))
	p.Observe(probertest.Whole("chat", "batch", 4*time.Second, 200))
	p.Observe(with(probertest.Failed("chat", "batch", prober.Overloaded, time.Minute), func(r *prober.Result) { r.Degraded = true; r.Clock = prober.ClockUser }))
	p.Observe(probertest.Whole("chat", "gone", time.Second, 1))
	p.Observe(probertest.Streamed("own", "chat", 2*time.Second, 20*ms, 16))
	p.QueueWait("own", "chat", queuewait.Body, 300*ms, "req-1")
	p.TTFTBreakdown("own", "chat", maps.All(map[queuewait.Part]time.Duration{queuewait.PartQueue: 300 * ms, queuewait.PartUnknown: 1700 * ms}))
	p.UnloadedTTFT("own", map[int]time.Duration{128: 20 * ms, 1024: 45 * ms})
	p.Skip("chat", "batch", "budget")
	p.Skip("chat", "batch", "never heard of")
	p.Started("chat", "interactive")
	golden(t, "testdata/probes.txt", page(t, p))
}

func TestSelfGolden(t *testing.T) {
	s := NewSelf()
	s.Reloaded(probertest.Epoch, nil)
	s.Reloaded(probertest.Epoch.Add(time.Hour), fmt.Errorf("bad"))
	s.SchedulerLag(70 * time.Microsecond)
	reg := prometheus.NewRegistry()
	reg.MustRegister(s)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	for _, mf := range families {
		if mf.GetName() == NameBuildInfo { // depends on the toolchain
			if got := len(mf.Metric[0].Label); got != 7 {
				t.Errorf("%s has %d labels; want 7", NameBuildInfo, got)
			}
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&buf, mf); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "testdata/self.txt", buf.String())
}

func TestLint(t *testing.T) {
	p := newProbes(t, interactive, batch)
	p.Observe(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
	problems, err := testutil.GatherAndLint(newRegistry(t, p))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "llm_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}

// What Gather returns must be what a registry, with all its checks, makes of the same probes.
func TestGatherIsWhatARegistryGathers(t *testing.T) {
	p := newProbes(t, interactive, batch, everything, Series{Target: "a", Probe: "x"}, Series{Target: "A", Probe: "x", Labels: map[string]string{"zone": "b"}})
	p.Observe(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
	p.Observe(probertest.Failed("chat", "batch", prober.DNS, ms))
	reg := prometheus.NewRegistry()
	reg.MustRegister(p)
	want, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("Gather() = %d families; want %d", len(got), len(want))
	}
	for i := range want {
		if !proto.Equal(want[i], got[i]) {
			t.Errorf("family %d:\ngot  %v\nwant %v", i, got[i], want[i])
		}
	}
}

func TestAllSeriesExistAtZero(t *testing.T) {
	other := everything
	other.Stream, other.Abandonment, other.Probe = false, nil, "other"
	p := newProbes(t, everything, other)
	families, err := p.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, mf := range families {
		byName[mf.GetName()] = mf
	}
	self := map[string]bool{NameSchedulerLag: true, NameBuildInfo: true, NameReloadSuccessful: true, NameReloadSuccessTime: true, NameConfigReloads: true,
		NameBaseline: true, NameDiscoveryTargets: true, NameDiscoveryRefreshes: true, NameDiscoveryLastSuccess: true}
	for _, f := range Families() {
		mf := byName[f.Name]
		if self[f.Name] || f.Name == NameUnloadedTTFT { // the last is absent until it is known
			continue
		}
		switch f.Scope { // those of other collectors
		case PerObjective, PerBudget, PerRamp, PerLane, PerStage:
			continue
		}
		if mf == nil {
			t.Errorf("%s is missing before the first result", f.Name)
			continue
		}
		if f.Name == NameInterval || f.Name == NameProbeSeries || f.Name == NameHourlyPrice {
			continue
		}
		for _, m := range mf.Metric {
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()); v != 0 {
				t.Errorf("%s %v = %v before the first result; want 0", f.Name, m.Label, v)
			}
		}
	}
	if got, want := len(byName[NameRequests].Metric), 2*len(prober.Outcomes()); got != want {
		t.Errorf("%s has %d series; want %d", NameRequests, got, want)
	}
	if got, want := len(byName[NameSkipped].Metric), 2*len([]string{"budget", "in_flight", skippedUnsent, otherSkipReason}); got != want {
		t.Errorf("%s has %d series; want %d", NameSkipped, got, want)
	}
	if got, want := len(byName[NamePhaseDuration].Metric), len(prober.PhasesOf(true))+len(prober.PhasesOf(false)); got != want {
		t.Errorf("%s has %d series; want %d", NamePhaseDuration, got, want)
	}
}

func TestNotStreamingHasNoTokenSeries(t *testing.T) {
	p := newProbes(t, batch)
	p.Observe(probertest.Whole("chat", "batch", time.Second, 16))
	p.Observe(probertest.Streamed("chat", "batch", 300*ms, 20*ms, 16)) // a late result from before a reload turned streaming off
	text := page(t, p)
	for _, name := range []string{NameTimeToFirstToken, NameInterTokenLatency, NameChunkGap, NameTimePerOutputToken, NameOutputRate, NameTTFTBreakdown} {
		if strings.Contains(text, name) {
			t.Errorf("%s exists for a probe that does not stream", name)
		}
	}
	checkValues(t, p, map[string]string{
		`llm_probe_duration_seconds_count{gpu="h200",model="llama",probe="batch",target="chat",vantage="eu-west"}`: "2",
	})
}

const (
	okInteractive   = `llm_probe_requests_total{model="llama",outcome="ok",probe="interactive",target="chat",vantage="eu-west"}`
	okBatch         = `llm_probe_requests_total{gpu="h200",model="llama",outcome="ok",probe="batch",target="chat",vantage="eu-west"}`
	ttftInteractive = `llm_probe_time_to_first_token_seconds_count{model="llama",probe="interactive",target="chat",vantage="eu-west"}`
	everyInteractiv = `llm_probe_interval_seconds{model="llama",probe="interactive",target="chat",vantage="eu-west"}`
	flightInteract  = `llm_probe_in_flight{model="llama",probe="interactive",target="chat",vantage="eu-west"}`
)

func TestApply(t *testing.T) {
	ok := func(probe string) *prober.Result {
		if probe == "batch" {
			return probertest.Whole("chat", "batch", time.Second, 16)
		}
		return probertest.Streamed("chat", probe, 300*ms, 20*ms, 16)
	}
	t.Run("unchanged series keep their values", func(t *testing.T) {
		p := newProbes(t, interactive)
		p.Observe(ok("interactive"))
		mustApply(t, p, batch, interactive)
		p.Observe(ok("interactive"))
		checkValues(t, p, map[string]string{okInteractive: "2", ttftInteractive: "2", okBatch: "0"})
	})
	t.Run("the same again changes nothing", func(t *testing.T) {
		p := newProbes(t, interactive, batch)
		before := p.units.Load()
		mustApply(t, p, batch, interactive)
		if p.units.Load() != before {
			t.Error("Apply of the same series made a new table")
		}
	})
	t.Run("a new interval keeps the values", func(t *testing.T) {
		p := newProbes(t, interactive)
		p.Observe(ok("interactive"))
		changed := interactive
		changed.Interval = 30 * time.Second
		mustApply(t, p, changed)
		checkValues(t, p, map[string]string{okInteractive: "1", everyInteractiv: "30"})
	})
	t.Run("removed series go, and come back at zero", func(t *testing.T) {
		p := newProbes(t, interactive, batch)
		p.Observe(ok("interactive"))
		mustApply(t, p, batch)
		if text := page(t, p); strings.Contains(text, "interactive") {
			t.Error("series of a removed probe are still there")
		}
		p.Observe(ok("interactive"))
		mustApply(t, p, interactive, batch)
		checkValues(t, p, map[string]string{okInteractive: "0", ttftInteractive: "0", "llm_prober_unfiled_results_total": "1", "llm_prober_probes": "2"})
	})
	t.Run("what it is measured against may change", func(t *testing.T) {
		p := newProbes(t, interactive)
		p.Observe(ok("interactive"))
		flight := p.Started("chat", "interactive")
		changed := interactive
		changed.QueueWaitSources = []queuewait.Source{queuewait.Body, queuewait.Engine}
		changed.Price = &TokenPrice{Currency: "USD", Input: 1e6, Output: 0}
		mustApply(t, p, changed)
		p.Observe(ok("interactive"))
		p.QueueWait("chat", "interactive", queuewait.Engine, ms, "")
		const wait = `llm_probe_queue_wait_seconds_count{model="llama",probe="interactive",source="%s",target="chat",vantage="eu-west"}`
		const cost = `llm_probe_cost_total{currency="%s",model="llama",probe="interactive",target="chat",vantage="eu-west"}`
		checkValues(t, p, map[string]string{
			okInteractive: "2", ttftInteractive: "2", flightInteract: "1", fmt.Sprintf(cost, "USD"): "24",
			fmt.Sprintf(wait, "body"): "0", fmt.Sprintf(wait, "engine"): "1",
		})
		changed.QueueWaitSources = []queuewait.Source{queuewait.Engine}
		changed.Price = &TokenPrice{Currency: "USD", Input: 2e6, Output: 0}
		mustApply(t, p, changed)
		p.Observe(ok("interactive"))
		flight()
		checkValues(t, p, map[string]string{
			okInteractive: "3", flightInteract: "0", fmt.Sprintf(cost, "USD"): "72",
			fmt.Sprintf(wait, "body"): "absent", fmt.Sprintf(wait, "engine"): "1",
		})
		changed.Price = &TokenPrice{Currency: "EUR", Input: 2e6, Output: 0}
		mustApply(t, p, changed)
		checkValues(t, p, map[string]string{fmt.Sprintf(cost, "USD"): "absent", fmt.Sprintf(cost, "EUR"): "0"})
	})
	t.Run("nothing at all", func(t *testing.T) {
		p := newProbes(t, interactive)
		mustApply(t, p)
		if text := page(t, p); strings.Contains(text, "chat") {
			t.Error("series are left")
		}
	})
	t.Run("another label value starts anew", func(t *testing.T) {
		p := newProbes(t, interactive)
		p.Observe(ok("interactive"))
		changed := interactive
		changed.Labels = map[string]string{"vantage": "us-east"}
		mustApply(t, p, changed)
		checkValues(t, p, map[string]string{
			okInteractive: "absent",
			`llm_probe_requests_total{model="llama",outcome="ok",probe="interactive",target="chat",vantage="us-east"}`: "0",
		})
	})
	t.Run("streaming or not starts anew", func(t *testing.T) {
		p := newProbes(t, interactive)
		p.Observe(ok("interactive"))
		changed := interactive
		changed.Stream = false
		mustApply(t, p, changed)
		checkValues(t, p, map[string]string{okInteractive: "0", ttftInteractive: "absent"})
	})
	t.Run("an empty label is none", func(t *testing.T) {
		p := newProbes(t, interactive)
		p.Observe(ok("interactive"))
		changed := interactive
		changed.Labels = map[string]string{"vantage": "eu-west", "team": ""}
		mustApply(t, p, changed)
		checkValues(t, p, map[string]string{okInteractive: "1"})
	})
	t.Run("a request in flight through a reload ends where it began", func(t *testing.T) {
		p := newProbes(t, interactive)
		kept := p.Started("chat", "interactive")
		mustApply(t, p, interactive, batch)
		checkValues(t, p, map[string]string{flightInteract: "1"})
		kept()
		removed := p.Started("chat", "interactive")
		mustApply(t, p, batch)
		mustApply(t, p, interactive, batch)
		removed()
		p.Started("chat", "gone")()
		checkValues(t, p, map[string]string{flightInteract: "0"})
	})
}

func TestApplyRefuses(t *testing.T) {
	change := func(f func(*Series)) Series {
		s := interactive
		f(&s)
		return s
	}
	for _, test := range []struct {
		name string
		in   []Series
		want string
	}{
		{"a source that nobody knows", []Series{change(func(s *Series) { s.QueueWaitSources = []queuewait.Source{"hearsay"} })}, `queue wait source "hearsay"`},
		{"a source twice", []Series{change(func(s *Series) { s.QueueWaitSources = []queuewait.Source{queuewait.Body, queuewait.Body} })}, `queue wait source "body"`},
		{"a price below zero", []Series{change(func(s *Series) { s.Price = &TokenPrice{Currency: "USD", Output: -1} })}, "price: -1"},
		{"a price that is no number", []Series{change(func(s *Series) { s.Price = &TokenPrice{Currency: "USD", Output: math.NaN()} })}, "price: NaN"},
		{"a price without currency", []Series{change(func(s *Series) { s.HourlyPrice = &HourlyPrice{} })}, `currency ""`},
		{"a curve that falls", []Series{change(func(s *Series) { s.Abandonment = Curve{{time.Second, 0.2}, {2 * time.Second, 0.1}} })}, "abandonment"},
		{"a curve that stands still", []Series{change(func(s *Series) { s.Abandonment = Curve{{time.Second, 0.2}, {time.Second, 0.3}} })}, "abandonment"},
		{"a curve above 1", []Series{change(func(s *Series) { s.Abandonment = Curve{{time.Second, 1.2}} })}, "abandonment"},
		{"a curve without a stream", []Series{change(func(s *Series) { s.Stream, s.Abandonment = false, Curve{{time.Second, 0.2}} })}, "does not stream"},
		{"twice the same", []Series{interactive, interactive}, `series target "chat" probe "interactive": given twice`},
		{"no target", []Series{change(func(s *Series) { s.Target = "" })}, "must not be empty"},
		{"no probe", []Series{change(func(s *Series) { s.Probe = "" })}, "must not be empty"},
		{"our label", []Series{change(func(s *Series) { s.Labels = map[string]string{"probe": "x"} })}, `label "probe": the name is used by llm_prober itself`},
		{"a family's label", []Series{change(func(s *Series) { s.Labels = map[string]string{"outcome": "x"} })}, `label "outcome"`},
		{"a histogram's label", []Series{change(func(s *Series) { s.Labels = map[string]string{"le": "x"} })}, `label "le"`},
		{"a label that is no name", []Series{change(func(s *Series) { s.Labels = map[string]string{"team-name": "x"} })}, `label "team-name": not a valid name`},
		{"a reserved label", []Series{change(func(s *Series) { s.Labels = map[string]string{"__address__": "x"} })}, `label "__address__": not a valid name`},
		{"a value that is no text", []Series{change(func(s *Series) { s.Model = "\xff" })}, `label "model": value "\xff" is not UTF-8`},
		{"all at once", []Series{change(func(s *Series) { s.Model = "\xff" }), change(func(s *Series) { s.Labels = map[string]string{"le": "x"} })}, `label "le"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProbes(t, interactive)
			p.Observe(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
			err := p.Apply(test.in)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Apply() = %v; want an error with %q", err, test.want)
			}
			checkValues(t, p, map[string]string{okInteractive: "1"}) // what was in force still is
		})
	}
}

func TestState(t *testing.T) {
	const labels = `{model="llama",probe="interactive",target="chat",vantage="eu-west"}`
	at := func(r *prober.Result, d time.Duration) *prober.Result {
		r.Timeline.End = probertest.Epoch.Add(d)
		return r
	}
	ok := func(d time.Duration) *prober.Result {
		return at(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16), d)
	}
	bad := func(d time.Duration) *prober.Result {
		return at(probertest.Failed("chat", "interactive", prober.Connect, 300*ms), d)
	}
	canceled := at(probertest.Failed("chat", "interactive", prober.Canceled, 300*ms), time.Hour)
	for _, test := range []struct {
		name              string
		in                []*prober.Result
		up, last, success string
	}{
		{"none yet", nil, "0", "0", "0"},
		{"ok", []*prober.Result{ok(time.Second)}, "1", "1.772366401e+09", "1.772366401e+09"},
		{"failed", []*prober.Result{bad(time.Second)}, "0", "1.772366401e+09", "0"},
		{"ok, then failed", []*prober.Result{ok(time.Second), bad(2 * time.Second)}, "0", "1.772366402e+09", "1.772366401e+09"},
		{"failed, then ok", []*prober.Result{bad(time.Second), ok(2 * time.Second)}, "1", "1.772366402e+09", "1.772366402e+09"},
		{"filed out of order", []*prober.Result{ok(2 * time.Second), bad(time.Second)}, "1", "1.772366402e+09", "1.772366402e+09"},
		{"canceled says nothing", []*prober.Result{ok(time.Second), canceled}, "1", "1.772366401e+09", "1.772366401e+09"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProbes(t, interactive)
			for _, r := range test.in {
				p.Observe(r)
			}
			checkValues(t, p, map[string]string{NameUp + labels: test.up, NameLastRun + labels: test.last, NameLastSuccess + labels: test.success})
		})
	}
}

func TestObserve(t *testing.T) {
	const labels = `{model="llama",probe="interactive",target="chat",vantage="eu-west"}`
	labeled := func(name, value string) string {
		if name < "model" {
			return fmt.Sprintf(`{%s=%q,model="llama",probe="interactive",target="chat",vantage="eu-west"}`, name, value)
		}
		if name < "probe" {
			return fmt.Sprintf(`{model="llama",%s=%q,probe="interactive",target="chat",vantage="eu-west"}`, name, value)
		}
		return fmt.Sprintf(`{model="llama",probe="interactive",%s=%q,target="chat",vantage="eu-west"}`, name, value)
	}
	ok := func() *prober.Result { return probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16) }
	for _, test := range []struct {
		name string
		in   *prober.Result
		want map[string]string
	}{
		{"ok", ok(), map[string]string{
			NameTimeToFirstToken + "_sum" + labels:            "0.3",
			NameDuration + "_sum" + labels:                    "0.601",
			NameInterTokenLatency + "_count" + labels:         "15",
			NameChunkGap + "_count" + labels:                  "15",
			NameTimePerOutputToken + "_sum" + labels:          "0.02",
			NameOutputRate + "_sum" + labels:                  "50",
			NamePromptTokens + labels:                         "40",
			NameCachedPromptTokens + labels:                   "16",
			NameOutputTokens + labeled("source", "usage"):     "16",
			NameOutputTokens + labeled("source", "events"):    "0",
			NameMeasurements + labeled("clock", "kernel"):     "1",
			NameRequests + labeled("outcome", "ok"):           "1",
			NameReceiveDelay + "_sum":                         "0.00012",
			NameDispatchDelay + "_sum":                        "5e-05",
			NamePhaseDuration + "_sum" + labeled("phase", ""): "absent",
		}},
		{"failed: counts, and nothing else", probertest.Failed("chat", "interactive", prober.HTTP5xx, 300*ms), map[string]string{
			NameRequests + labeled("outcome", "http_5xx"): "1",
			NameRequests + labeled("outcome", "ok"):       "0",
			NameTimeToFirstToken + "_count" + labels:      "0",
			NameDuration + "_count" + labels:              "0",
			NameChunkGap + "_count" + labels:              "0",
			NamePromptTokens + labels:                     "0",
			NameMeasurements + labeled("clock", "kernel"): "0",
			NameReceiveDelay + "_count":                   "0",
			NameDispatchDelay + "_count":                  "1",
		}},
		{"truncated: its tokens were paid for", with(ok(), func(r *prober.Result) { r.Outcome = prober.TruncatedStream }), map[string]string{
			NameRequests + labeled("outcome", "truncated_stream"): "1",
			NameTimeToFirstToken + "_count" + labels:              "0",
			NameInterTokenLatency + "_count" + labels:             "0",
			NameOutputTokens + labeled("source", "usage"):         "16",
			NamePromptTokens + labels:                             "40",
		}},
		{"canceled: counts nowhere else", with(ok(), func(r *prober.Result) { r.Outcome = prober.Canceled; r.Degraded = true }), map[string]string{
			NameCanceledRequests + labels:                 "1",
			NameOutputTokens + labeled("source", "usage"): "0",
			NamePromptTokens + labels:                     "0",
			NameDegraded + labels:                         "0",
			NameMeasurements + labeled("clock", "kernel"): "0",
			NameDispatchDelay + "_count":                  "0",
			NameReceiveDelay + "_count":                   "0",
			NameLastRun + labels:                          "0",
		}},
		{"by the user's clock", with(ok(), func(r *prober.Result) { r.Clock, r.ReceiveDelay = prober.ClockUser, 0 }), map[string]string{
			NameMeasurements + labeled("clock", "user"):   "1",
			NameMeasurements + labeled("clock", "kernel"): "0",
			NameReceiveDelay + "_count":                   "0",
		}},
		{"degraded", with(ok(), func(r *prober.Result) { r.Degraded = true }), map[string]string{NameDegraded + labels: "1"}},
		{"estimated tokens", with(ok(), func(r *prober.Result) {
			r.Usage.Known, r.OutputSource = false, prober.TokensEvents
			for i := range r.Chunks {
				r.Chunks[i].Tokens = -1
			}
		}), map[string]string{
			NameOutputTokens + labeled("source", "events"): "16",
			NameOutputTokens + labeled("source", "usage"):  "0",
			NameInterTokenLatency + "_count" + labels:      "0",
			NameTimePerOutputToken + "_count" + labels:     "0",
			NameOutputRate + "_count" + labels:             "0",
			NameChunkGap + "_count" + labels:               "15",
		}},
		{"a server that counts below zero", with(ok(), func(r *prober.Result) {
			r.Usage.PromptTokens, r.Usage.CachedTokens, r.OutputTokens = -5, -1, math.MinInt
		}), map[string]string{NamePromptTokens + labels: "0", NameCachedPromptTokens + labels: "0", NameOutputTokens + labeled("source", "usage"): "0"}},
		{"a token before the request", with(ok(), func(r *prober.Result) {
			r.Timeline.FirstToken = r.Timeline.Dispatched.Add(-time.Second)
		}), map[string]string{NameTimeToFirstToken + "_sum" + labels: "0", NameTimeToFirstToken + "_count" + labels: "1"}},
		{"an outcome that nobody knows", with(ok(), func(r *prober.Result) { r.Outcome = "surprise" }), map[string]string{
			NameUnfiled: "1", NamePromptTokens + labels: "0", NameDispatchDelay + "_count": "0",
		}},
		{"an id too long for an exemplar", with(ok(), func(r *prober.Result) { r.Request.ID = strings.Repeat("x", 200) }), map[string]string{
			NameTimeToFirstToken + "_count" + labels: "1",
		}},
		{"an id that is no text", with(probertest.Failed("chat", "interactive", prober.DNS, ms), func(r *prober.Result) { r.Request.ID = "\xff" }), map[string]string{
			NameRequests + labeled("outcome", "dns"): "1",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProbes(t, interactive)
			p.Observe(test.in)
			checkValues(t, p, test.want)
		})
	}
}

// scrape asks h for the metrics in the given format.
func scrape(t *testing.T, h http.Handler, accept string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		t.Fatalf("GET /metrics = %d %s; want 200", w.Code, w.Body)
	}
	return w
}

func TestNativeHistograms(t *testing.T) {
	p := newProbes(t, interactive, everything)
	p.Observe(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
	w := scrape(t, Handler(newRegistry(t, p), slog.New(slog.DiscardHandler)), "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	dec := expfmt.NewDecoder(w.Body, expfmt.NewFormat(expfmt.TypeProtoDelim))
	seen := 0
	for {
		var mf dto.MetricFamily
		if err := dec.Decode(&mf); err != nil {
			break
		}
		f, ok := newFamilyTable()[mf.GetName()]
		if !ok || f.Kind != Histogram {
			continue
		}
		seen++
		for _, m := range mf.Metric {
			h := m.Histogram
			if h.Schema == nil || h.GetSchema() != 3 {
				t.Errorf("%s: native schema %v; want 3 (buckets at most 10 %% wide)", f.Name, h.Schema)
			}
			if h.GetSampleCount() > 0 && len(h.PositiveSpan) == 0 && h.GetZeroCount() == 0 {
				t.Errorf("%s %v: samples, but no native buckets", f.Name, m.Label)
			}
			// An exemplar makes client_golang write the +Inf bucket too.
			if got := len(h.Bucket); got < len(f.Buckets) || got > len(f.Buckets)+1 {
				t.Errorf("%s: %d classic buckets; want %d", f.Name, got, len(f.Buckets))
			}
		}
		if f.Name == NameTimeToFirstToken {
			if ex := mf.Metric[len(mf.Metric)-1].Histogram.Exemplars; len(ex) != 1 || ex[0].Label[0].GetValue() != "req-1" {
				t.Errorf("%s: native exemplars %v; want req-1", f.Name, ex)
			}
		}
	}
	want := 0
	for _, f := range Families() {
		if f.Kind == Histogram && f.Scope != PerStage { // the others are not of Probes
			want++
		}
	}
	if seen != want {
		t.Errorf("%d histogram families; want %d", seen, want)
	}
}

func TestExemplars(t *testing.T) {
	p := newProbes(t, interactive)
	p.Observe(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16))
	p.Observe(with(probertest.Failed("chat", "interactive", prober.Overloaded, ms), func(r *prober.Result) { r.Request.ID = "req-2" }))
	w := scrape(t, Handler(newRegistry(t, p), slog.New(slog.DiscardHandler)), "application/openmetrics-text;version=1.0.0")
	if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text") {
		t.Errorf("Content-Type = %q; want OpenMetrics", got)
	}
	for _, want := range []string{
		`llm_probe_time_to_first_token_seconds_bucket{model="llama",probe="interactive",target="chat",vantage="eu-west",le="0.35"} 1 # {request_id="req-1"} 0.3`,
		`llm_probe_duration_seconds_bucket{model="llama",probe="interactive",target="chat",vantage="eu-west",le="1.0"} 1 # {request_id="req-1"} 0.601`,
		`llm_probe_requests_total{model="llama",outcome="overloaded",probe="interactive",target="chat",vantage="eu-west"} 1.0 # {request_id="req-2"} 1.0`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("OpenMetrics page lacks %s", want)
		}
	}
}

func TestHandler(t *testing.T) {
	t.Run("text is the default", func(t *testing.T) {
		w := scrape(t, Handler(newRegistry(t, newProbes(t, interactive)), slog.New(slog.DiscardHandler)), "")
		for _, want := range []string{"llm_prober_build_info{", "go_sched_latencies_seconds_bucket{", "go_goroutines ", "promhttp_metric_handler_requests_total{", okInteractive + " 0"} {
			if !strings.Contains(w.Body.String(), "\n"+want) {
				t.Errorf("page lacks %s", want)
			}
		}
	})
	t.Run("a collector that fails costs its own series", func(t *testing.T) {
		var log bytes.Buffer
		reg := newRegistry(t, newProbes(t, interactive))
		reg.MustRegister(broken{})
		h := Handler(reg, slog.New(slog.NewTextHandler(&log, nil)))
		w := scrape(t, h, "")
		if !strings.Contains(w.Body.String(), okInteractive) {
			t.Error("the other series are gone")
		}
		if !strings.Contains(log.String(), "the disk is gone") || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("log = %q; want the error on one line", log.String())
		}
		if w := scrape(t, h, ""); !strings.Contains(w.Body.String(), `promhttp_metric_handler_errors_total{cause="gathering"} 1`) {
			t.Error("the error is not counted")
		}
	})
	t.Run("a scraper that goes away is no error", func(t *testing.T) {
		var log bytes.Buffer
		h := Handler(newRegistry(t, newProbes(t, interactive)), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		h.ServeHTTP(gone{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if text := log.String(); !strings.Contains(text, "broken pipe") || strings.Contains(text, "level=ERROR") {
			t.Errorf("log = %.300q...; want it told, and not as an error", text)
		}
	})
	t.Run("a collector that claims a family of the probes", func(t *testing.T) {
		reg := newRegistry(t, newProbes(t, interactive))
		reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: NameUp, Help: "x"}))
		families, err := reg.Gather()
		if err == nil || !strings.Contains(err.Error(), NameUp) {
			t.Errorf("Gather() = %v; want an error that names %s", err, NameUp)
		}
		n := 0
		for _, mf := range families {
			if mf.GetName() == NameUp {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is on the page %d times; want once", NameUp, n)
		}
	})
	t.Run("the same collector twice", func(t *testing.T) {
		s := NewSelf()
		if _, err := NewRegistry(newProbes(t), s, s); err == nil {
			t.Error("NewRegistry() = nil; want an error")
		}
	})
}

// gone is a scraper that has gone away.
type gone struct{ *httptest.ResponseRecorder }

func (gone) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// broken is a collector whose only metric cannot be had.
type broken struct{}

func (broken) Describe(chan<- *prometheus.Desc) {}

func (broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "x", nil, nil), fmt.Errorf("the disk\nis gone"))
}

// All at once: nothing may race, and what was filed in series that stayed must all be there in the end.
func TestConcurrency(t *testing.T) {
	p := newProbes(t, interactive, batch)
	const workers, rounds = 4, 50
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				ended := p.Started("chat", "interactive")
				p.Observe(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 8))
				p.Observe(probertest.Whole("chat", "batch", time.Second, 8))
				p.Skip("chat", "interactive", "budget")
				ended()
			}
		})
	}
	wg.Go(func() {
		for i := range rounds {
			series := []Series{interactive, batch}
			mustApply(t, p, series[:1+i%2]...)
		}
	})
	wg.Go(func() {
		reg := prometheus.NewRegistry()
		reg.MustRegister(p)
		for range rounds {
			if _, err := reg.Gather(); err != nil {
				t.Error(err)
			}
			if _, err := p.Gather(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	checkValues(t, p, map[string]string{okInteractive: fmt.Sprint(workers * rounds), flightInteract: "0"})
}
