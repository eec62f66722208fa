package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v4"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/collector/gpu"
)

// labels is a set of label names.
type labels map[string]bool

func setOf(names ...string) labels {
	s := labels{}
	for _, n := range names {
		s[n] = true
	}
	return s
}

func (s labels) with(names ...string) labels {
	s = maps.Clone(s)
	for _, n := range names {
		s[n] = true
	}
	return s
}

func (s labels) without(names ...string) labels {
	s = maps.Clone(s)
	for _, n := range names {
		delete(s, n)
	}
	return s
}

func (s labels) String() string {
	return "{" + strings.Join(slices.Sorted(maps.Keys(s)), ", ") + "}"
}

// metric is one name that Prometheus can know.
type metric struct {
	labels  labels
	counter bool // grows, and may begin anew: a rate of it is wanted
	native  bool // a histogram as one sample
	stays   bool // though it grows, its value means something: it is of the latest run
}

// catalogue is every name that Prometheus can know of a prober.
type catalogue map[string]metric

// known is the catalogue of what is exported, and of what the rules record.
func known(t *testing.T) catalogue {
	t.Helper()
	c := catalogue{}
	for _, f := range collector.Families() {
		scope, ok := map[collector.Scope][]string{
			collector.PerStream: {"target", "model", "probe"}, collector.PerProbe: {"target", "model", "probe"},
			collector.PerTarget: {"target", "model"}, collector.PerBudget: {"target", "model", "currency"},
			collector.PerObjective: {"target", "model", "probe"}, collector.PerRamp: {"target", "model", "ramp"},
			collector.PerLane:   {"target", "model", "ramp", "lane"},
			collector.PerStage:  {"target", "model", "ramp", "lane", "stage", "probe"},
			collector.PerProber: {},
		}[f.Scope]
		if !ok {
			t.Fatalf("%s has the scope %q, of which this test does not know the labels", f.Name, f.Scope)
		}
		c.add(f.Name, string(f.Kind), f.Scope == collector.PerStage, append(scope, f.Labels...)...)
	}
	for _, f := range engine.Families() {
		names := []string{"target"}
		if f.Label != "" {
			names = append(names, f.Label)
		}
		c.add(f.Name, string(f.Type), false, names...)
	}
	for _, f := range gpu.Families() {
		kind := "gauge"
		if f.Counter {
			kind = "counter"
		}
		c.add(f.Name, kind, false, f.Labels...)
	}
	c.addProcess(t)
	// Of Prometheus itself.
	for _, name := range []string{nameScraped, nameScrapeTime, nameScrapeUp} {
		c.add(name, "gauge", false)
	}
	c.add("ALERTS", "gauge", false, "alertname", "alertstate", "severity", "target", "probe")
	c.addRules(t)
	return c
}

// add adds a family: of a histogram its native side and its classic series.
func (c catalogue) add(name, kind string, stays bool, names ...string) {
	all := setOf(names...).with("job", "instance")
	switch kind {
	case "histogram":
		c[name] = metric{labels: all, counter: true, native: true, stays: stays}
		c[name+"_bucket"] = metric{labels: all.with("le"), counter: true, stays: stays}
		c[name+"_sum"] = metric{labels: all, counter: true, stays: stays}
		c[name+"_count"] = metric{labels: all, counter: true, stays: stays}
	default:
		c[name] = metric{labels: all, counter: kind == "counter", stays: stays}
	}
}

// addProcess adds what client_golang says of every process, by asking it as the registry does.
func (c catalogue) addProcess(t *testing.T) {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsScheduler)),
	)
	promhttp.InstrumentMetricHandler(reg, promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg})).
		ServeHTTP(discard{}, &http.Request{Method: http.MethodGet, Header: http.Header{}})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		var names []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			names = append(names, l.GetName())
		}
		c.add(f.GetName(), strings.ToLower(dto.MetricType_name[int32(f.GetType())]), false, names...)
	}
}

// discard is a response that nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// addRules adds what alerts/rules records, with the labels that follow from its expressions.
func (c catalogue) addRules(t *testing.T) {
	t.Helper()
	paths, err := filepath.Glob("../../../alerts/rules/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no rules in alerts/rules: %v", err)
	}
	type rule struct {
		Record, Expr string
		Labels       map[string]string
	}
	var waiting []rule
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Groups []struct{ Rules []rule } }
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				if r.Record != "" {
					waiting = append(waiting, r)
				}
			}
		}
	}
	// A rule may need another, in any order.
	for len(waiting) > 0 {
		var later []rule
		for _, r := range waiting {
			e, err := parse(r.Expr)
			if err != nil {
				t.Fatalf("rule %s: %v", r.Record, err)
			}
			look := &inference{catalogue: c}
			found := look.labels(e)
			if len(look.unknown) > 0 {
				later = append(later, r)
				continue
			}
			c[r.Record] = metric{labels: found.with(slices.Collect(maps.Keys(r.Labels))...)}
		}
		if len(later) == len(waiting) {
			t.Logf("of %d rules the labels cannot be told: %s and others need what is not known", len(later), later[0].Record)
			return
		}
		waiting = later
	}
}
