package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/schedule"
)

// simulated runs a simulated server for the length of the test and returns its base URL.
func simulated(t testing.TB, o simulator.Options) string {
	t.Helper()
	s, err := simulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("simulator: %v", err)
		}
	})
	return "http://" + l.Addr().String() + "/v1"
}

// results counts what a daemon's sinks are given, and can be waited on.
type results struct {
	got chan *prober.Result
}

func (r *results) Observe(res *prober.Result) { r.got <- res }

// await takes results until there were n with that outcome from that target and probe.
func (r *results) await(t testing.TB, target, probe string, outcome prober.Outcome, n int) {
	t.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for n > 0 {
		select {
		case res := <-r.got:
			if res.Request.Target == target && res.Request.Probe == probe && res.Outcome == outcome {
				n--
			}
		case <-timeout.C:
			t.Fatalf("%s/%s: %d results with outcome %s are missing after a minute", target, probe, n, outcome)
		}
	}
}

// started makes a daemon on the configuration that text gives, and a registry over it.
func started(t testing.TB, text func() string) (*daemon, *results, *collector.Registry) {
	t.Helper()
	d, err := newDaemon(slog.New(slog.DiscardHandler), daemonOptions{
		load:        func() (*config.Config, error) { return config.Parse("test.yml", []byte(text()), config.Options{}) },
		firstWithin: 50 * time.Millisecond, storage: storageFlags{path: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &results{make(chan *prober.Result, 10000)}
	d.sinks = append(d.sinks, r)
	if err := d.reload(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.shutdown(context.Background(), 0) })
	registry, err := collector.NewRegistry(d.probes, d.self)
	if err != nil {
		t.Fatal(err)
	}
	return d, r, registry
}

// value sums the samples of a family whose labels contain the given ones. A histogram counts by its count.
func value(t testing.TB, registry *collector.Registry, family string, labels ...string) (sum float64, series int) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != family {
			continue
		}
	metrics:
		for _, m := range f.GetMetric() {
			has := map[string]string{}
			for _, l := range m.GetLabel() {
				has[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if has[labels[i]] != labels[i+1] {
					continue metrics
				}
			}
			series++
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				sum += m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				sum += m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				sum += float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum, series
}

const twoTargets = `
probes:
  fast: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
  slow: {prompt_tokens: 20, max_output_tokens: 30000, interval: 1s, timeout: 10m}
targets:
  - {name: stays, url: "%[1]s", model: sim-8b, probes: [fast, slow], max_in_flight: 100}
%[2]s`

// TestReloadKeepsWhatStays loads the configuration 100 times while requests are under way, with a target that comes and
// goes beside one that stays, and with bad files in between.
func TestReloadKeepsWhatStays(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: 10 * time.Millisecond})
	var text atomic.Value
	stays := fmt.Sprintf(twoTargets, url, "")
	both := fmt.Sprintf(twoTargets, url, fmt.Sprintf("  - {name: goes, url: %q, model: sim-8b, probes: [fast, slow]}", url))
	text.Store(stays)
	d, results, registry := started(t, func() string { return text.Load().(string) })
	results.await(t, "stays", "fast", prober.OK, 1)

	count := func() (requests, started float64) {
		requests, _ = value(t, registry, collector.NameRequests, "target", "stays", "probe", "fast", "outcome", "ok")
		inFlight, _ := value(t, registry, collector.NameInFlight, "target", "stays", "probe", "slow")
		return requests, inFlight
	}
	for {
		if _, inFlight := count(); inFlight == 1 { // 300 s of tokens: it is under way through all of what follows
			break
		}
		results.await(t, "stays", "fast", prober.OK, 1)
	}
	descriptors, goroutines := 0, 0
	last := 0.0
	for n := range 100 {
		switch {
		case n%10 == 9:
			text.Store("probes: {broken")
			if err := d.reload(); err == nil {
				t.Fatal("a bad file was accepted")
			}
			if ok, _ := value(t, registry, collector.NameReloadSuccessful); ok != 0 {
				t.Fatal("a bad file shows as successful")
			}
			text.Store(stays)
		case n%2 == 0:
			text.Store(both)
		default:
			text.Store(stays)
		}
		if err := d.reload(); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			results.await(t, "goes", "fast", prober.OK, 1) // it is asked soon after it came
		}
		requests, inFlight := count()
		if requests < last || inFlight != 1 {
			t.Fatalf("reload %d: ok requests of the target that stays went from %v to %v, %v of its long request under way; want no step back, 1", n, last, requests, inFlight)
		}
		last = requests
		if _, series := value(t, registry, collector.NameRequests, "target", "goes"); (series > 0) != (n%2 == 0) {
			t.Fatalf("reload %d: %d series of the target that comes and goes", n, series)
		}
		for _, o := range prober.Outcomes() {
			if failed, _ := value(t, registry, collector.NameRequests, "outcome", string(o)); o.Failed() && failed != 0 {
				t.Fatalf("reload %d: %v requests count as %s; want no failure", n, failed, o)
			}
		}
		if n == 51 { // all that is ever kept has been made by now
			descriptors, goroutines = openFiles(t), runtime.NumGoroutine()
		}
	}
	// The last state has one target, as reload 51 had.
	settle(t, "descriptors", func() (int, int) { return openFiles(t), descriptors + 4 })
	settle(t, "goroutines", func() (int, int) { return runtime.NumGoroutine(), goroutines + 8 })
}

// settle waits until what is counted is no more than its limit: requests come and go.
func settle(t *testing.T, what string, count func() (is, limit int)) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		is, limit := count()
		if is <= limit {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d %s are in use; want %d at most", is, what, limit)
		}
		runtime.Gosched()
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd to count descriptors with")
	}
	return len(files)
}

// TestFailuresDoNotDisturbTheNextProbe keeps a hung, an endless and an unreachable target beside a good one. Each limit is longer
// than a machine stands still, and each interval longer than a limit and that: neither is what is looked at here.
func TestFailuresDoNotDisturbTheNextProbe(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	text := fmt.Sprintf(`
probes:
  short: {prompt_tokens: 20, max_output_tokens: 5, interval: 6s}
  hasty: {prompt_tokens: 20, max_output_tokens: 5, interval: 6s, first_token_timeout: 1500ms}
  brief: {prompt_tokens: 20, max_output_tokens: 5, interval: 6s, timeout: 1500ms}
targets:
  - {name: good, url: "%[1]s", model: sim-8b, probes: [short]}
  - {name: hung, url: "%[1]s", model: sim-8b, probes: [hasty], headers: {X-Sim-Fault: hang_after_headers}}
  - {name: endless, url: "%[1]s", model: sim-8b, probes: [brief], headers: {X-Sim-Fault: endless}}
  - {name: failing, url: "%[1]s", model: sim-8b, probes: [short], headers: {X-Sim-Fault: internal_error}}
  - {name: refused, url: "http://127.0.0.1:1/v1", model: sim-8b, probes: [short]}
  - {name: unnamed, url: "http://%[2]s.invalid./v1", model: sim-8b, probes: [short]}
`, url, strings.Repeat("x", 64)) // a label that no name can have, so that no server is asked for it
	_, results, registry := started(t, func() string { return text })
	want := map[string]prober.Outcome{
		"good": prober.OK, "hung": prober.TimeoutFirstToken, "endless": prober.TimeoutTotal, "failing": prober.HTTP5xx,
		"refused": prober.Connect, "unnamed": prober.DNS,
	}
	count := map[string]int{}
	timeout := time.NewTimer(2 * time.Minute)
	defer timeout.Stop()
	for done := 0; done < len(want); {
		select {
		case r := <-results.got:
			name := r.Request.Target
			if r.Outcome != want[name] {
				t.Fatalf("%s: outcome %s (%v); want %s", name, r.Outcome, r.Err, want[name])
			}
			if count[name]++; count[name] == 3 {
				done++
			}
		case <-timeout.C:
			t.Fatalf("not every target had three results in two minutes: %v", count)
		}
	}
	// A failure ends within its limit, so it never costs the next probe its turn.
	for _, target := range slices.Sorted(maps.Keys(want)) {
		if skipped, _ := value(t, registry, collector.NameSkipped, "target", target, "reason", string(schedule.Overlap)); skipped != 0 {
			t.Errorf("%s: %v ticks were skipped because the last request had not ended; want none", target, skipped)
		}
	}
}

// TestShutdownDrains lets a request end that is under way, and ends one that takes too long as canceled.
func TestShutdownDrains(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: 100 * time.Millisecond})
	text := fmt.Sprintf(`
probes:
  short: {prompt_tokens: 20, max_output_tokens: 30, interval: 1h}
  long:  {prompt_tokens: 20, max_output_tokens: 5000, interval: 1h, timeout: 30m}
targets:
  - {name: t, url: %q, model: sim-8b, probes: [short, long]}
`, url)
	d, results, registry := started(t, func() string { return text })
	settleAt := time.Now().Add(time.Minute)
	for inFlight := 0.0; inFlight != 2; {
		inFlight, _ = value(t, registry, collector.NameInFlight)
		if time.Now().After(settleAt) {
			t.Fatal("the two requests never ran side by side")
		}
	}
	d.shutdown(t.Context(), 8*time.Second) // of which the short one takes 3 s
	outcomes := map[string]prober.Outcome{}
	for len(results.got) > 0 {
		r := <-results.got
		outcomes[r.Request.Probe] = r.Outcome
	}
	if outcomes["short"] != prober.OK || outcomes["long"] != prober.Canceled {
		t.Errorf("outcomes at the shutdown: %v; want short ok, long canceled", outcomes)
	}
	if failed, _ := value(t, registry, collector.NameRequests); failed != 1 {
		t.Errorf("%v requests counted; want the one that ended by itself", failed)
	}
	if d.ready() {
		t.Error("ready after the shutdown")
	}
}

func TestBadReloadNamesThePlace(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	text := fmt.Sprintf(twoTargets, url, "")
	d, _, _ := started(t, func() string { return text })
	text = strings.Replace(text, "interval: 1s", "interval: 1ms", 1)
	err := d.reload()
	if err == nil || !strings.Contains(err.Error(), "test.yml:3:") {
		t.Errorf("reload of a bad file = %v; want the place test.yml:3:", err)
	}
}

func TestBadConfigurationSaysWhatIsProbed(t *testing.T) {
	var log bytes.Buffer
	good := "probes: {}\ntargets: []\n"
	text := "nonsense: 1\n"
	d, err := newDaemon(slog.New(slog.NewTextHandler(&log, nil)), daemonOptions{
		load:    func() (*config.Config, error) { return config.Parse("test.yml", []byte(text), config.Options{}) },
		storage: storageFlags{path: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.shutdown(t.Context(), 0)
	says := func(want string) {
		t.Helper()
		if err := d.reload(); (err == nil) != (text == good) || !strings.Contains(log.String(), want) {
			t.Errorf("load of %q = %v, logs %q; want %q", text, err, log.String(), want)
		}
		log.Reset()
	}
	says("configuration not loaded; nothing is probed")
	text = good
	says("configuration loaded")
	text = "nonsense: 1\n"
	says("configuration not loaded; what is in force stays")
}
