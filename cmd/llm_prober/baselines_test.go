package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/internal/simulator"
)

// TestBaselinesOutliveTheirFile has the pinned baselines become unreadable: what was read stays until it can be read again.
func TestBaselinesOutliveTheirFile(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: 5 * time.Millisecond, PerToken: time.Millisecond})
	d, _, _ := started(t, func() string { return fmt.Sprintf(twoTargets, url, "") })
	save := func(seconds float64) {
		t.Helper()
		err := d.storage.open().SaveBaseline("stays", []runs.BaselineValue{{Probe: "fast", Indicator: "ttft", Quantile: 0.5, Seconds: seconds, SavedAt: time.Now()}})
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, want float64) {
		t.Helper()
		d.readBaselines()
		if got := d.baselinesNow(); len(got) != 1 || got[0].Seconds != want {
			t.Errorf("%s: baselines %+v; want one of %v s", when, got, want)
		}
	}
	save(0.25)
	check("saved", 0.25)
	file := filepath.Join(d.storage.dir, "runs", "baselines.json")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil { // what cannot be read as a file, by anybody
		t.Fatal(err)
	}
	check("unreadable", 0.25)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	save(0.5)
	check("readable again", 0.5)
}
