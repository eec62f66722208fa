package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/cron"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

const withRamps = `
global: {degraded_after: 1m}
probes:
  fast: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
targets:
  - {name: t, url: %q, model: sim-8b, probes: [fast]%s}
ramps:
  - name: hand
    target: t
    mix: {fast: 1}
    lanes: [{arrivals: {process: constant, rate: 20/s}, stages: [{hold: 1s}, {to: 40/s, over: 1s}, {hold: 1s}]}]
    objectives: [{indicator: availability, threshold: 0.5}]
    drain: 1m
  - name: endless
    target: t
    mix: {fast: 1}
    shape: {soak: {load: 5/s, for: 10h}}
`

// ended waits until a ramp of the daemon has ended, and returns its record.
func ended(t *testing.T, d *daemon, name string) *record.Run {
	t.Helper()
	settle(t, "runs of "+name, func() (int, int) {
		for _, s := range d.ramps.cron.Status() {
			if s.Name == name && s.Running {
				return 1, 0
			}
		}
		return 0, 0
	})
	run := d.storage.newest(name)
	if run == nil {
		t.Fatalf("the ramp %s left no record", name)
	}
	return run
}

// TestRampOfDaemon runs a ramp beside the probes of a daemon, and looks at its record and its series.
func TestRampOfDaemon(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	text := fmt.Sprintf(withRamps, url, "")
	d, results, _ := started(t, func() string { return text })
	registry, err := collector.NewRegistry(d.probes, d.ramps.metrics, d.baselines)
	if err != nil {
		t.Fatal(err)
	}
	results.await(t, "t", "fast", prober.OK, 1)
	if err := d.ramps.cron.Trigger("endless", record.ByAPI); err != nil { // the other would end while one looks away
		t.Fatal(err)
	}
	settle(t, "ramps that do not show as running", func() (int, int) {
		running, _ := value(t, registry, collector.NameRampRunning, "ramp", "endless")
		return 1 - int(running), 0
	})
	if err := d.ramps.cron.Trigger("hand", record.ByAPI); err == nil {
		t.Error("a second ramp began on a target that has one")
	}
	if err := d.ramps.cron.Stop("endless", fmt.Errorf("stopped by hand")); err != nil {
		t.Fatal(err)
	}
	ended(t, d, "endless")
	if err := d.ramps.cron.Trigger("hand", record.ByAPI); err != nil {
		t.Fatal(err)
	}
	run := ended(t, d, "hand")
	if run.Verdict != record.Pass || run.Trigger != record.ByAPI || len(run.Lanes) != 1 || len(run.Lanes[0].Stages) != 3 {
		t.Fatalf("verdict %s (%v) by %s, %d lanes; want a pass by the API with one lane of three stages", run.Verdict, run.Reasons, run.Trigger, len(run.Lanes))
	}
	sent := 0
	for _, s := range run.Lanes[0].Stages {
		sent += s.Probes["fast"].Sent
	}
	requests := 0
	for r, err := range d.storage.open().Requests(run.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Outcome != prober.OK {
			t.Errorf("request %s: %s %s", r.ID, r.Outcome, r.Error)
		}
		requests++
	}
	if requests != 90 || sent > requests || sent < 80 { // 20 + 30 + 40, less warm-up
		t.Errorf("%d requests on record, %d of them measured; want 90 and no less than 80", requests, sent)
	}
	for verdict, want := range map[record.Verdict]float64{record.Pass: 1, record.Fail: 0} {
		if got, _ := value(t, registry, collector.NameRampRuns, "ramp", "hand", "verdict", string(verdict)); got != want {
			t.Errorf("%v runs with the verdict %s; want %v", got, verdict, want)
		}
	}
	if n, _ := value(t, registry, collector.NameRampTTFT, "ramp", "hand"); n != 90 {
		t.Errorf("%v samples of the ramp's TTFT; want 90", n)
	}
	if ok, _ := value(t, registry, collector.NameRequests, "target", "t", "outcome", "ok"); ok >= 90 { // of its own it has one a second
		t.Errorf("%v ok requests of the continuous probes: those of the ramp are among them", ok)
	}
}

// TestRampIsStopped ends ramps by hand, by removing them from the configuration, and by a shutdown.
func TestRampIsStopped(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	text := fmt.Sprintf(withRamps, url, "")
	d, _, _ := started(t, func() string { return text })
	begin := func() {
		t.Helper()
		if err := d.ramps.cron.Trigger("endless", record.ByAPI); err != nil {
			t.Fatal(err)
		}
		settle(t, "ramps without a live view", func() (int, int) { return 1 - len(d.ramps.running()), 0 })
	}
	begin()
	if err := d.reload(); err != nil { // as it was: the run goes on
		t.Fatal(err)
	}
	if len(d.ramps.running()) != 1 {
		t.Fatal("a reload of the same configuration ended the run")
	}
	if err := d.ramps.cron.Stop("endless", fmt.Errorf("stopped by hand")); err != nil {
		t.Fatal(err)
	}
	if run := ended(t, d, "endless"); run.Verdict != record.CutShort || run.Stopped != "stopped by hand" {
		t.Errorf("verdict %s, stopped %q; want cut_short by hand", run.Verdict, run.Stopped)
	}
	begin()
	before := text
	text = fmt.Sprintf(withRamps, url, ", max_tokens_field: max_completion_tokens")
	if err := d.reload(); err != nil {
		t.Fatal(err)
	}
	if run := ended(t, d, "endless"); run.Verdict != record.CutShort || run.Stopped != cron.ErrChanged.Error() {
		t.Errorf("verdict %s, stopped %q; want cut_short by the change", run.Verdict, run.Stopped)
	}
	text = before
	begin()
	d.shutdown(t.Context(), 0)
	store, err := runs.Open(d.storage.dir+"/runs", runs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	infos, _, err := store.List(runs.Filter{Ramp: "endless"})
	if err != nil {
		t.Fatal(err)
	}
	if len(infos) != 3 || infos[0].Verdict != record.CutShort {
		t.Errorf("records %+v; want three, the newest cut short by the shutdown", infos)
	}
}

// TestRampMissedInLog has one line for what a ramp has missed, with all that is to be known of it.
func TestRampMissedInLog(t *testing.T) {
	var log bytes.Buffer
	d, err := newDaemon(slog.New(slog.NewTextHandler(&log, nil)), daemonOptions{storage: storageFlags{path: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.shutdown(t.Context(), 0)
	rampEvents{r: d.ramps}.Missed("hand", cron.Busy, time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC), time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC))
	const want = ` level=WARN msg="ramp missed" ramp=hand nominal=2026-03-02T02:00:00.000Z occasions=2 reason=busy ` +
		"runbook=https://github.com/llmprober/llm_prober/blob/main/docs/runbooks/LLMRampMissed.md\n"
	if _, got, _ := strings.Cut(log.String(), " "); " "+got != want {
		t.Errorf("the log has %q; want%q", got, want)
	}
}

// TestRampTooLate has a prober suspended between the claim of an occasion and the first request of its run: nothing is sent, the
// occasion is missed, and no run counts.
func TestRampTooLate(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	d, _, _ := started(t, func() string { return fmt.Sprintf(withRamps, url, "") })
	registry, err := collector.NewRegistry(d.probes, d.ramps.metrics, d.baselines)
	if err != nil {
		t.Fatal(err)
	}
	count := func(name string, labels ...string) float64 {
		got, _ := value(t, registry, name, append([]string{"ramp", "hand"}, labels...)...)
		return got
	}
	cfg := d.inForce.Load()
	nominal := time.Now().Add(-cron.Latest(time.Time{}, 0).Sub(time.Time{}) - time.Second)
	d.ramps.start(t.Context(), "hand", nominal, record.BySchedule)
	if run := d.storage.newest("hand"); run != nil {
		t.Errorf("it left the record %s", run.ID)
	}
	if missed, running, invalid := count(collector.NameRampMissed, "reason", string(cron.Late)), count(collector.NameRampRunning),
		count(collector.NameRampRuns, "verdict", string(record.Invalid)); missed != 1 || running != 0 || invalid != 0 {
		t.Errorf("%v missed late, %v running, %v invalid runs; want 1, 0, 0", missed, running, invalid)
	}
	for _, shown := range d.ramps.page() {
		if shown.Name == "hand" && (!shown.Missed.Equal(nominal) || shown.Reason != string(cron.Late)) {
			t.Errorf("the page says that it missed %v, %q; want %v, late", shown.Missed, shown.Reason, nominal)
		}
	}
	job := &rampJob{cfg: cfg, ramp: cfg.Ramp("hand"), targets: *d.current.Load(), scheduler: d.scheduler, latest: time.Now().Add(time.Minute)}
	if run := d.ramps.run(t.Context(), job); run == nil || run.Verdict != record.Pass {
		t.Errorf("a run in time = %+v; want a pass", run)
	}
}

// TestRampBudget has a ramp keep the budget of its target.
func TestRampBudget(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	text := fmt.Sprintf(withRamps, url, ", budget: {output_tokens_per_hour: 200}")
	d, _, _ := started(t, func() string { return text })
	if err := d.ramps.cron.Trigger("hand", record.ByAPI); err != nil {
		t.Fatal(err)
	}
	run := ended(t, d, "hand")
	tokens, shed := int64(0), 0
	for _, s := range run.Lanes[0].Stages {
		for _, st := range s.Probes {
			tokens += st.OutputTokens
		}
		shed += s.Shed
	}
	if tokens > 200 || shed < 40 {
		t.Errorf("%d output tokens, %d requests shed; want 200 tokens at most, and the rest shed", tokens, shed)
	}
}

// TestStages holds stages that are written by hand against what is run.
func TestStages(t *testing.T) {
	const file = `
probes:
  fast: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
  slow: {prompt_tokens: 2000, max_output_tokens: 5, interval: 1s}
targets: [{name: t, url: "http://127.0.0.1:1/v1", model: m, probes: [fast]}]
ramps:
  - name: r
    target: t
    warmup: 2s
    lanes:
      - name: main
        mix: {fast: 1}
        arrivals: {rate: 2/s}
        stages:
          - {hold: 10s, name: before}
          - {to: 10/s, over: 1m}
          - {step: {to: 20/s, by: 5/s, each: 30s}, name: up}
          - {spike: {to: 100/s, for: 5s}, mix: {slow: 1}}
          - {hold: 1m, warmup: 0s}
          - {idle: 1m}
          - {to: 2/s}
          - {hold: 1m}
`
	cfg, err := config.Parse("test.yml", []byte(file), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	job := &rampJob{cfg: cfg, ramp: cfg.Ramps[0]}
	const warm = 2 * time.Second
	want := []ramp.Stage{
		{Name: "before", Kind: record.Hold, From: 2, To: 2, Over: 10 * time.Second, WarmUp: warm},
		{Kind: record.Rising, From: 2, To: 10, Over: time.Minute, WarmUp: warm},
		{Name: "up 1", Kind: record.Hold, From: 15, To: 15, Over: 30 * time.Second, WarmUp: warm},
		{Name: "up 2", Kind: record.Hold, From: 20, To: 20, Over: 30 * time.Second, WarmUp: warm},
		{Kind: record.Spike, From: 100, To: 100, Over: 5 * time.Second, WarmUp: warm, Mix: ramp.Mix{"slow": 1}},
		{Kind: record.Recovery, From: 20, To: 20, Over: time.Minute, WarmUp: -1},
		{Kind: record.Idle, Over: time.Minute, WarmUp: warm},
		{Kind: record.Recovery, From: 2, To: 2, Over: time.Minute, WarmUp: warm},
	}
	if diff := cmp.Diff(want, job.stages(cfg.Ramps[0].Lanes[0])); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
}

func TestShardOf(t *testing.T) {
	for _, test := range []struct {
		in            string
		shard, shards int
		ok            bool
	}{{"", 0, 0, true}, {"0/4", 0, 4, true}, {"3/4", 3, 4, true}, {"4/4", 0, 0, false}, {"-1/4", 0, 0, false}, {"1", 0, 0, false}, {"a/b", 0, 0, false}} {
		shard, shards, err := shardOf(test.in)
		if (err == nil) != test.ok || shard != test.shard && test.ok || shards != test.shards && test.ok {
			t.Errorf("shardOf(%q) = %d, %d, %v; want %d, %d, ok %v", test.in, shard, shards, err, test.shard, test.shards, test.ok)
		}
	}
}
