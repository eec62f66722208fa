package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
)

// TestRestartRemembers begins a second daemon on what a first one kept.
func TestRestartRemembers(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: 5 * time.Millisecond, PerToken: time.Millisecond})
	text := fmt.Sprintf(twoTargets, url, "")
	first, results, _ := started(t, func() string { return text })
	results.await(t, "stays", "fast", prober.OK, 1)
	first.shutdown(t.Context(), 0)
	// Quicker than the server can be, and steadier than the machine may be: what it really answers changes nothing of this.
	queue, quick := (*first.current.Load())["stays"].queue, probertest.Streamed("stays", "fast", time.Second, time.Millisecond, 5)
	quick.Timeline.Wrote = time.Now()
	quick.Timeline.FirstToken = quick.Timeline.Wrote.Add(time.Millisecond)
	for range 100 {
		queue.Observe(quick, nil)
	}
	first.keep()
	before, _, known := queue.Unloaded(20)
	if !known {
		t.Fatal("nothing is known of a target that always answered alike")
	}
	var log bytes.Buffer
	second, err := newDaemon(slog.New(slog.NewTextHandler(&log, nil)), daemonOptions{
		load:        func() (*config.Config, error) { return config.Parse("test.yml", []byte(text), config.Options{}) },
		firstWithin: time.Hour, storage: storageFlags{path: first.storage.dir},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer second.shutdown(t.Context(), 0)
	if err := second.reload(); err != nil {
		t.Fatal(err)
	}
	if after, _, known := (*second.current.Load())["stays"].queue.Unloaded(20); !known || after != before {
		t.Errorf("unloaded TTFT after the restart %v, %v; want %v", after, known, before)
	}
	if strings.Contains(log.String(), "level=WARN") {
		t.Errorf("log = %s; want no warning", log.String())
	}
}

// TestBrokenMemory begins on files that are none of ours.
func TestBrokenMemory(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{historyFile, estimatesFile, budgetsFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{not ours"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	d, err := newDaemon(slog.New(slog.NewTextHandler(&log, nil)), daemonOptions{storage: storageFlags{path: dir}})
	if err != nil {
		t.Fatal(err)
	}
	d.shutdown(t.Context(), 0)
	if got := strings.Count(log.String(), "level=WARN"); got != 3 {
		t.Errorf("%d warnings; want one for each file:\n%s", got, log.String())
	}
}

// TestRestartKeepsBudgets begins a second daemon when a first one has spent its hour's tokens.
func TestRestartKeepsBudgets(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	text := func() string {
		return fmt.Sprintf(`
probes: {fast: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}}
targets: [{name: poor, url: %q, model: sim-8b, probes: [fast], budget: {output_tokens_per_hour: 12}}]`, url)
	}
	first, results, _ := started(t, text)
	results.await(t, "poor", "fast", prober.OK, 2)
	first.shutdown(t.Context(), 0)
	first.keep()

	second, err := newDaemon(slog.New(slog.DiscardHandler), daemonOptions{
		load:        func() (*config.Config, error) { return config.Parse("test.yml", []byte(text()), config.Options{}) },
		firstWithin: time.Hour, storage: storageFlags{path: first.storage.dir},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer second.shutdown(t.Context(), 0)
	if err := second.reload(); err != nil {
		t.Fatal(err)
	}
	if got := second.scheduler.Status().Groups[0].OutputTokens; got != 10 {
		t.Errorf("%d output tokens count after the restart; want the 10 of two answers", got)
	}
}
