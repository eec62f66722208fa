package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const discovering = `
global: {labels: {vantage: eu, team: none}, budget: {requests_per_minute: 600}}
probes:
  chat: {prompt_tokens: 20-60, max_output_tokens: 64, interval: 15s}
  talk: {prompt_tokens: 20-60, max_output_tokens: 64, interval: 15s, turns: 3}
  large: {prompt_tokens: 20-60, max_output_tokens: 64000, interval: 15m}
targets: [{name: own, url: "http://h/v1", model: m, probes: [chat]}]
target_files:
  - files: [a.json]
    template:
      model: m
      probes: [chat]
      labels: {team: search}
      headers: {x-api-key: "${KEY}"}
      budget: {output_tokens_per_hour: 50000}
      engine: {metrics_url: /metrics, custom: {step_tokens: {metric: m}}}
      price: {input: 1, output: 2, currency: USD}
      http: {authorization: {credentials: c}, follow_redirects: true}
objectives:
  - {name: all, target: "*", probe: chat, indicator: ttft, threshold: 1s, goal: 0.9}
  - {name: one, target: own, probe: chat, indicator: ttft, threshold: 1s, goal: 0.9}
`

// found makes a target of the template, as discovery does.
func found(c *Config, name string, change func(*Target)) *Target {
	t := c.TargetFiles[0].Template.Target()
	t.Name, t.URL = name, "http://"+name+":8000/v1/"
	if change != nil {
		change(t)
	}
	return t
}

// A target from outside is the same as one that is written in the file.
func TestWithTargetsIsAsTheFile(t *testing.T) {
	c := parseText(t, discovering, "k")
	with, refused := c.WithTargets([]*Target{found(c, "a", func(t *Target) { t.Labels["zone"] = "b" })})
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	written := parseText(t, strings.Replace(discovering, `[{name: own, url: "http://h/v1", model: m, probes: [chat]}]`, `
  - {name: own, url: "http://h/v1", model: m, probes: [chat]}
  - name: a
    url: http://a:8000/v1
    model: m
    probes: [chat]
    labels: {team: search, zone: b}
    headers: {x-api-key: "${KEY}"}
    budget: {output_tokens_per_hour: 50000}
    engine: {metrics_url: "http://a:8000/metrics", custom: {step_tokens: {metric: m}}}
    price: {input: 1, output: 2, currency: USD}
    http: {authorization: {credentials: c}, follow_redirects: true}`, 1), "k")
	if diff := cmp.Diff(written.String(), with.String()); diff != "" {
		t.Errorf("(-in the file +found):\n%s", diff)
	}
	if with.Targets[1].Fingerprint() != written.Targets[1].Fingerprint() {
		t.Error("the fingerprint of the one found is another one")
	}
}

func TestWithTargetsRefusesOneByOne(t *testing.T) {
	c := parseText(t, discovering, "k")
	list := []*Target{
		found(c, "good", nil),
		found(c, "own", nil),
		found(c, "good", nil),
		found(c, "10.0.0.1:8000", nil),
		found(c, "no_url", func(t *Target) { t.URL = "h:8000" }),
		found(c, "no_model", func(t *Target) { t.Model = "" }),
		found(c, "no_probe", func(t *Target) { t.Probes = []string{"chat", "chatt"} }),
		found(c, "labels", func(t *Target) {
			t.Labels["target"] = "x"
			t.Labels["a-b"] = "x"
			t.Labels["long"] = strings.Repeat("x", 200)
		}),
		found(c, "protocol", func(t *Target) { t.Protocol = "openai" }),
		found(c, "talks", func(t *Target) { t.Protocol = "tgi_generate"; t.Probes = []string{"talk"} }),
		found(c, "large", func(t *Target) { t.Probes = []string{"large"} }),
		found(c, "header", func(t *Target) { t.Headers["Authorization"] = "canary" }),
		found(c, "gpu", func(t *Target) { t.GPUs = []string{"0"}; t.Engine.MetricsURL = "http://u:canary@h/metrics" }),
		found(c, "last", func(t *Target) { t.Probes = nil }),
	}
	with, refused := c.WithTargets(list)
	var names []string
	for _, target := range with.Targets {
		names = append(names, target.Name)
	}
	if diff := cmp.Diff([]string{"own", "good", "last"}, names); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	var text strings.Builder
	for _, e := range refused {
		text.WriteString(e.Error() + "\n")
		if list[e.Index].Name != e.Name {
			t.Errorf("index %d of %q is %q", e.Index, e.Name, list[e.Index].Name)
		}
	}
	mustNotLeak(t, "a refusal", text.String())
	golden(t, "testdata/refused.txt", text.String())
}

// Neither what is given nor what it is added to changes, and an addition replaces the one before.
func TestWithTargetsChangesNothing(t *testing.T) {
	c := parseText(t, discovering, "k")
	before := c.String()
	given := found(c, "a", nil)
	givenBefore := given.Fingerprint()
	with, refused := c.WithTargets([]*Target{given})
	if len(refused) > 0 || len(with.Targets) != 2 {
		t.Fatal(with, refused)
	}
	with.Targets[1].Labels["vantage"] = "changed"
	with.Targets[1].Engine.Custom["step_tokens"] = EngineMetric{}
	if c.String() != before || given.Fingerprint() != givenBefore {
		t.Error("the configuration, or what was found, has changed")
	}
	again, _ := with.WithTargets([]*Target{found(c, "b", nil)})
	if names := []string{again.Targets[0].Name, again.Targets[1].Name}; len(again.Targets) != 2 || !slices.Equal(names, []string{"own", "b"}) {
		t.Errorf("targets = %v; want own and b", again.Targets)
	}
	none, _ := again.WithTargets(nil)
	if len(none.Targets) != 1 {
		t.Errorf("targets = %v; want own alone", none.Targets)
	}
}

func TestObjectivesOf(t *testing.T) {
	c := parseText(t, discovering, "k")
	with, _ := c.WithTargets([]*Target{found(c, "a", nil), found(c, "b", func(t *Target) { t.Probes = nil })})
	var got []string
	for _, target := range with.Targets {
		for _, o := range with.ObjectivesOf(target) {
			got = append(got, o.Name+" of "+o.Target)
		}
	}
	if diff := cmp.Diff([]string{"all of own", "one of own", "all of a"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHourlyPrice(t *testing.T) {
	c, err := parseFile(t, "testdata/good/workloads.yml")
	if err != nil {
		t.Fatal(err)
	}
	if amount, ok := c.Target("own").HourlyPrice(); amount != 4.2 || !ok {
		t.Errorf("two GPUs at 2.1 cost %v, %v an hour; want 4.2", amount, ok)
	}
	if amount, ok := c.Target("priced").HourlyPrice(); ok {
		t.Errorf("a price by the token costs %v an hour", amount)
	}
}
