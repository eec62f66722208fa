package alerts

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/llmprober/llm_prober/prober/ramp/cron"
)

type ruleFile struct {
	Groups []struct {
		Name     string
		Interval string
		Rules    []rule
	}
}

type rule struct {
	Record, Alert, Expr string
	For                 string
	KeepFiringFor       string `yaml:"keep_firing_for"`
	Labels, Annotations map[string]string
}

// rendered reads what Prometheus writes.
func rendered(t *testing.T, o Options) ruleFile {
	t.Helper()
	text, err := Prometheus(o)
	if err != nil {
		t.Fatal(err)
	}
	var f ruleFile
	if err := yaml.Load(text, &f, yaml.WithKnownFields()); err != nil {
		t.Fatalf("Prometheus(%+v) is no rule file: %v", o, err)
	}
	return f
}

func alertsOf(f ruleFile) map[string]rule {
	alerts := make(map[string]rule)
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				alerts[r.Alert] = r
			}
		}
	}
	return alerts
}

// TestPrometheus: the one file holds every rule of every shipped file, unchanged, in order.
func TestPrometheus(t *testing.T) {
	var want ruleFile
	names, err := fs.Glob(Files(), "*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		var f ruleFile
		if err := yaml.Load(text, &f, yaml.WithKnownFields()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want.Groups = append(want.Groups, f.Groups...)
	}
	if len(want.Groups) < len(names) || len(names) < 8 {
		t.Fatalf("%d groups in %d files", len(want.Groups), len(names))
	}
	if diff := cmp.Diff(want, rendered(t, Options{})); diff != "" {
		t.Errorf("Prometheus(Options{}) differs from the files (-want +got):\n%s", diff)
	}
	seen := make(map[string]bool)
	for _, g := range want.Groups {
		if seen[g.Name] {
			t.Errorf("two groups are named %s", g.Name)
		}
		seen[g.Name] = true
	}
}

func TestOptions(t *testing.T) {
	o := Options{Job: "monitoring/llm-prober", RunbookURL: "https://wiki.test/runbooks/", DashboardURL: "https://grafana.test:3000/sub"}
	text, err := Prometheus(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"grafana.example", "github.com", `job="llm_prober"`} {
		if strings.Contains(string(text), gone) {
			t.Errorf("Prometheus(%+v) still says %s", o, gone)
		}
	}
	absent := alertsOf(rendered(t, o))["LLMProberAbsent"]
	want := rule{
		Alert: "LLMProberAbsent", Expr: `absent(up{job="monitoring/llm-prober"} == 1)`, For: "5m",
		Labels: map[string]string{"job": "monitoring/llm-prober", "severity": "critical"},
		Annotations: map[string]string{
			"summary": absent.Annotations["summary"], "description": absent.Annotations["description"],
			"runbook_url": "https://wiki.test/runbooks/LLMProberAbsent.md", "dashboard_url": "https://grafana.test:3000/sub/d/llm-prober-health",
		},
	}
	if diff := cmp.Diff(want, absent); diff != "" {
		t.Errorf("LLMProberAbsent by Prometheus(%+v) (-want +got):\n%s", o, diff)
	}

	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"a job that breaks out", Options{Job: `x"} or up{job="y`}, `job "x\"} or up{job=\"y": want letters, digits, and any of _ . / - after the first`},
		{"a path", Options{RunbookURL: "/runbooks"}, `runbook URL "/runbooks": want an http or https URL`},
		{"a script", Options{DashboardURL: "javascript:alert(1)"}, `dashboard URL "javascript:alert(1)": want an http or https URL`},
		{"a query", Options{DashboardURL: "https://g.test?org=1"}, `dashboard URL "https://g.test?org=1": want a plain URL, without query, fragment or characters to be escaped`},
		{"a template", Options{DashboardURL: "https://g.test/{{x}}"}, `dashboard URL "https://g.test/{{x}}": want a plain URL, without query, fragment or characters to be escaped`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Prometheus(tt.o)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Prometheus(%+v) = %v; want %s", tt.o, err, tt.want)
			}
			if _, err := Operator(tt.o); err == nil {
				t.Errorf("Operator(%+v) takes it", tt.o)
			}
		})
	}
}

func TestOperator(t *testing.T) {
	o := Options{Job: "prober", Namespace: "monitoring", Labels: map[string]string{"release": "prometheus", "on": "yes"}}
	text, err := Operator(o)
	if err != nil {
		t.Fatal(err)
	}
	type resource struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   struct {
			Name, Namespace string
			Labels          map[string]string
		}
		Spec ruleFile
	}
	var got resource
	if err := yaml.Load(text, &got, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	var want resource
	want.APIVersion, want.Kind = "monitoring.coreos.com/v1", "PrometheusRule"
	want.Metadata.Name, want.Metadata.Namespace, want.Metadata.Labels = "llm-prober", "monitoring", o.Labels
	want.Spec = rendered(t, o)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Operator(%+v) (-want +got):\n%s", o, diff)
	}
}

// TestAlerts: what each alert must have beside a right expression.
func TestAlerts(t *testing.T) {
	alerts := alertsOf(rendered(t, Options{}))
	if len(alerts) < 40 {
		t.Fatalf("%d alerts", len(alerts))
	}
	tests := textOf(t, "tests/*_test.yml")
	document := textOf(t, "../docs/alerts.md")
	severities := []string{"critical", "warning", "info"}
	dashboards := []string{"llm-prober-overview", "llm-prober-target", "llm-prober-objectives", "llm-prober-ramps", "llm-prober-gpu", "llm-prober-health"}
	dashboardURL := regexp.MustCompile(`^http://grafana\.example/d/(llm-prober-[a-z]+)(\?.*)?$`)
	for name, r := range alerts {
		if !strings.HasPrefix(name, "LLM") {
			t.Errorf("%s: want the prefix LLM", name)
		}
		if !slices.Contains(severities, r.Labels["severity"]) {
			t.Errorf("%s: severity %q; want one of %v", name, r.Labels["severity"], severities)
		}
		if s := r.Annotations["summary"]; s == "" || strings.Contains(s, "{{") || strings.Count(s, ". ") > 0 || !strings.HasSuffix(s, ".") {
			t.Errorf("%s: summary %q; want one sentence without a template", name, s)
		}
		if r.Annotations["description"] == "" {
			t.Errorf("%s: no description", name)
		}
		if got, want := r.Annotations["runbook_url"], DefaultRunbookURL+"/"+name+".md"; got != want {
			t.Errorf("%s: runbook_url %s; want %s", name, got, want)
		}
		if m := dashboardURL.FindStringSubmatch(r.Annotations["dashboard_url"]); m == nil || !slices.Contains(dashboards, m[1]) {
			t.Errorf("%s: dashboard_url %q; want that of one of %v", name, r.Annotations["dashboard_url"], dashboards)
		}
		runbook := textOf(t, "../docs/runbooks/"+name+".md")
		for _, part := range []string{"# " + name + "\n", "**" + r.Labels["severity"] + ".** " + r.Annotations["summary"], "## What it means", "## What to look at", "```promql", "## Likely causes", "## What to do"} {
			if !strings.Contains(runbook, part) {
				t.Errorf("docs/runbooks/%s.md lacks %q", name, part)
			}
		}
		if want := "| [" + name + "](runbooks/" + name + ".md) | " + r.Labels["severity"] + " | " + r.Annotations["summary"] + " |\n"; !strings.Contains(document, want) {
			t.Errorf("docs/alerts.md lacks the row\n%s", want)
		}
		// A test in which it fires, and one in which it does not.
		query := regexp.MustCompile(`alertname="` + name + `", alertstate="firing"\}\)\n +eval_time: \S+\n +exp_samples:( \[\])?\n`)
		var fires, silent bool
		for _, m := range query.FindAllStringSubmatch(tests, -1) {
			fires = fires || m[1] == ""
			silent = silent || m[1] != ""
		}
		if !fires || !silent {
			t.Errorf("alerts/tests: %s is seen firing: %v, silent: %v; want both", name, fires, silent)
		}
	}
	runbooks, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range runbooks {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); alerts[name].Alert == "" {
			t.Errorf("docs/runbooks/%s.md is of no alert; there are %v", name, slices.Sorted(maps.Keys(alerts)))
		}
	}
}

// The runbook of missed runs says of every reason where it comes from, and what to do.
func TestRunbookHasEveryReason(t *testing.T) {
	causes, cures, _ := strings.Cut(textOf(t, "../docs/runbooks/LLMRampMissed.md"), "## What to do")
	for _, reason := range cron.Reasons() {
		cure := strings.Contains(cures, ". `"+string(reason)+"`: ") || reason == cron.Paused // who paused it knows how to go on
		if !strings.Contains(causes, "\n- `"+string(reason)+"`: ") || !cure {
			t.Errorf("docs/runbooks/LLMRampMissed.md lacks the cause, or the cure, of %q", reason)
		}
	}
}

// textOf is that of all files that a pattern matches.
func textOf(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatalf("no %s", pattern)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
