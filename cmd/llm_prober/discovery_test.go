package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
)

const besideFiles = `
probes:
  fast: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
targets:
  - {name: stays, url: "%[1]s", model: sim-8b, probes: [fast]}
target_files:
  - {files: ["%[2]s"], refresh_interval: 1s, template: {model: sim-8b, probes: [fast]}}
`

// TestTargetsFromFilesComeAndGo takes targets from a file as they come and go, and looks at what they leave behind.
func TestTargetsFromFilesComeAndGo(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	file := filepath.Join(t.TempDir(), "targets.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(`[]`)
	text := fmt.Sprintf(besideFiles, url, file)
	d, results, registry := started(t, func() string { return text })
	results.await(t, "stays", "fast", prober.OK, 1)

	// Without a reload a target comes, is probed, and goes.
	listed := fmt.Sprintf(`[{"targets": [%q], "labels": {"__name": "comes", "team": "search"}}]`, url)
	write(listed)
	results.await(t, "comes", "fast", prober.OK, 2)
	if ok, series := value(t, registry, collector.NameRequests, "target", "comes", "team", "search", "outcome", "ok"); ok < 2 || series != 1 {
		t.Errorf("%v ok requests in %d series of the target from the file; want 2 or more in one", ok, series)
	}
	if ok, _ := value(t, registry, collector.NameReloadSuccessful); ok != 1 {
		t.Error("the configuration shows as not loaded")
	}
	write(`[`)
	write(`[]`)
	settle(t, "series of the target that went", func() (int, int) {
		_, series := value(t, registry, collector.NameRequests, "target", "comes")
		return series, 0
	})
	sources := d.sourcesNow()
	if len(sources) != 1 || sources[0].Targets != 0 || sources[0].Successes < 2 {
		t.Errorf("sources = %+v; want one without targets that was read with success", sources)
	}
}

// TestTargetsChangeAThousandTimes has targets come and go while another one is probed: the number of series returns to what
// it was, and the counters of the other never step back.
func TestTargetsChangeAThousandTimes(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	text := fmt.Sprintf(besideFiles, url, filepath.Join(t.TempDir(), "none.json"))
	d, results, registry := started(t, func() string { return text })
	results.await(t, "stays", "fast", prober.OK, 1)
	cfg, err := d.load()
	if err != nil {
		t.Fatal(err)
	}
	of := func(n int) []*config.Target {
		var found []*config.Target
		for i := range n {
			target := cfg.TargetFiles[0].Template.Target()
			target.Name, target.URL = fmt.Sprintf("found_%d", i), url
			found = append(found, target)
		}
		return found
	}
	series := func() int {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range families {
			n += len(f.GetMetric())
		}
		return n
	}
	change := func(n int) {
		t.Helper()
		d.mu.Lock()
		defer d.mu.Unlock()
		if err := d.apply(d.with(cfg, of(n))); err != nil {
			t.Fatal(err)
		}
	}
	before, last := series(), 0.0
	for n := range 1000 {
		change(n % 4)
		if n%10 != 0 {
			continue // reading all series takes longer than changing them
		}
		ok, _ := value(t, registry, collector.NameRequests, "target", "stays", "outcome", "ok")
		if ok < last {
			t.Fatalf("change %d: ok requests of the target that stays went from %v to %v", n, last, ok)
		}
		last = ok
		if n%4 == 0 {
			if got := series(); got != before {
				t.Fatalf("change %d: %d series; want %d as before", n, got, before)
			}
		}
	}
	for len(results.got) > 0 {
		if r := <-results.got; r.Outcome.Failed() {
			t.Errorf("%s: %s (%v); want no failure", r.Request.Target, r.Outcome, r.Err)
		}
	}
}
