//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// A drawnServer answers each chat with a time to first token that is drawn, whatever else is under way: so what several
// workers see of it, and what one sees, are samples of one distribution. It remembers what it drew, which is what they ought to see.
type drawnServer struct {
	mu    sync.Mutex // protects what follows
	rand  *rand.Rand
	drawn map[string]time.Duration // by the request's id
	again int                      // requests that came once more
}

// asked is how many requests it had.
func (s *drawnServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.drawn)
}

// draws are what it drew so far, for requests that came once each.
func (s *drawnServer) draws(t *testing.T) map[string]time.Duration {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again != 0 {
		t.Errorf("%d requests came more than once", s.again)
	}
	return maps.Clone(s.drawn)
}

func (s *drawnServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/chat/completions") { // it does not tell how it counts tokens
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	wait := time.Duration(200e6 * math.Exp(0.6*s.rand.NormFloat64())) // log-normal, of 200 ms in the median
	id := r.Header.Get("X-Request-Id")
	if s.drawn[id] != 0 {
		s.again++
	}
	s.drawn[id] = wait
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return
	}
	const event = `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":%q},"finish_reason":%s}]}` + "\n\n"
	fmt.Fprintf(w, event, "one", "null")
	fmt.Fprintf(w, event, " two", `"stop"`)
	fmt.Fprint(w, `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":2,"total_tokens":22}}`+"\n\n")
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// shardRig is a server, a configuration, and a directory of records that all processes write to.
type shardRig struct {
	t      *testing.T
	server *drawnServer
	dir    string
	config string
}

func newShardRig(t *testing.T, lane string) *shardRig {
	t.Helper()
	r := &shardRig{t: t, server: &drawnServer{rand: rand.New(rand.NewPCG(7, 0)), drawn: map[string]time.Duration{}}, dir: filepath.Join(t.TempDir(), "data")}
	s := httptest.NewServer(r.server)
	t.Cleanup(s.Close)
	r.config = filepath.Join(t.TempDir(), "llm_prober.yml")
	text := fmt.Sprintf(`
global: {degraded_after: 1m}
probes:
  short: {prompt_tokens: 20, max_output_tokens: 5, interval: 1h}
  long: {prompt_tokens: 40, max_output_tokens: 5, interval: 1h}
targets:
  - {name: chat, url: %q, model: m, probes: [short]}
ramps:
  - name: soak
    seed: 20261122
    target: chat
    drain: 1m
    warmup: 0s
    objectives: [{indicator: availability, threshold: 0.5}]
    lanes: [%s]
`, s.URL+"/v1", lane)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// A worker is one process of the program that runs the ramp, or its share of it.
type worker struct {
	*exec.Cmd
	stderr bytes.Buffer
}

func (r *shardRig) worker(args ...string) *worker {
	r.t.Helper()
	w := &worker{Cmd: r.command(append([]string{"ramp", "soak", "--config.file=" + r.config, "--no-collector.gpu"}, args...)...)}
	w.Stderr = &w.stderr
	if err := w.Start(); err != nil {
		r.t.Fatal(err)
	}
	return w
}

// end waits for a process and tells with which code it ended.
func (w *worker) end(t *testing.T, want int) {
	t.Helper()
	_ = w.Wait()
	if got := w.ProcessState.ExitCode(); got != want {
		t.Errorf("%v ended with %d; want %d\n%s", w.Args[1:], got, want, w.stderr.String())
	}
}

// command is the program with the rig's records.
func (r *shardRig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append(args, "--storage.path="+r.dir)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// merge adds up runs as a user does; it returns what the program said.
func (r *shardRig) merge(ids ...string) (string, error) {
	out, err := r.command(append([]string{"runs", "merge"}, ids...)...).CombinedOutput()
	return string(out), err
}

// records are the runs on disk, by shard; the unsharded one is -1, and the merged ones are -2 and below.
func (r *shardRig) records() (map[int]*record.Run, *runs.Store) {
	r.t.Helper()
	store, err := runs.Open(filepath.Join(r.dir, "runs"), runs.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { store.Close() })
	infos, _, err := store.List(runs.Filter{})
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[int]*record.Run{}
	merged := 0
	for _, i := range infos {
		run, err := store.Load(i.ID)
		if err != nil {
			r.t.Fatal(err)
		}
		at := run.Shard
		switch {
		case len(run.Merged) > 0:
			merged++
			at = -1 - merged
		case run.Shards == 0:
			at = -1
		}
		if all[at] != nil {
			r.t.Fatalf("there are two records of shard %d: %s and %s", at, all[at].ID, run.ID)
		}
		all[at] = run
	}
	return all, store
}

// requestsOf are all requests of a run.
func requestsOf(t *testing.T, store *runs.Store, run *record.Run) (all []*runs.Request) {
	t.Helper()
	for r, err := range store.Requests(run.ID) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// planned are requests by when each was wanted, to the nanosecond, in which stage, of which probe.
func planned(t *testing.T, requests []*runs.Request) (all []string) {
	t.Helper()
	for _, r := range requests {
		if r.Outcome != prober.OK {
			t.Errorf("request %s: %s %s", r.ID, r.Outcome, r.Error)
		}
		all = append(all, fmt.Sprintf("%s stage %d %s", r.Intended.UTC().Format("15:04:05.000000000"), r.Stage, r.Probe))
	}
	slices.Sort(all)
	return all
}

// TestShardsAreOneWorker runs a ramp with one process and with four that take a share each, at the same time, against one
// server: the requests are the same, to the nanosecond and the probe; the merged histograms are the sums, bucket by bucket; the
// percentiles of both are those of their requests, of which each took as long as the server drew for it; and both are samples of the
// same: order statistics leave their quantiles open to within intervals that meet. The lower end is that of what was drawn, for a
// machine that stood still made times longer in one of them.
func TestShardsAreOneWorker(t *testing.T) {
	const shards = 4
	rig := newShardRig(t, `{mix: {short: 3, long: 1}, arrivals: {process: poisson, rate: 30/s}, stages: [{hold: 15s}, {to: 60/s, over: 4s}]}`)
	begin := time.Now().Add(16 * time.Second).Truncate(time.Second) // five programs start until then
	at := "--start-at=" + begin.UTC().Format(time.RFC3339)
	workers := []*worker{rig.worker(at)}
	for i := range shards {
		workers = append(workers, rig.worker(at, fmt.Sprintf("--shard=%d/%d", i, shards)))
	}
	for _, w := range workers {
		w.end(t, 0)
	}
	all, store := rig.records()
	whole := all[-1]
	if len(all) != shards+1 || whole == nil {
		t.Fatalf("%d records; want %d", len(all), shards+1)
	}
	var ids []string
	var shared []*runs.Request
	for i := range shards {
		run := all[i]
		if run == nil || run.Shards != shards || !run.Started.Equal(begin) || !run.Nominal.Equal(begin) {
			t.Fatalf("shard %d: %+v; want one of %d that began at %v", i, run, shards, begin)
		}
		ids = append(ids, run.ID)
		shared = append(shared, requestsOf(t, store, run)...)
	}
	alone := requestsOf(t, store, whole)
	union := planned(t, shared)
	if diff := cmp.Diff(planned(t, alone), union); diff != "" || len(union) < 500 {
		t.Fatalf("requests of the whole, and of %d shards together (%d) (-whole +shards):\n%s", shards, len(union), diff)
	}

	if out, err := rig.merge(ids...); err != nil || !strings.Contains(out, "pass") {
		t.Fatalf("runs merge: %v\n%s", err, out)
	}
	all, _ = rig.records()
	merged := all[-2]
	if merged == nil || !slices.Equal(merged.Merged, []int{0, 1, 2, 3}) || merged.Verdict != record.Pass {
		t.Fatalf("merged run %+v; want all shards, and a pass", merged)
	}
	compared := 0
	for n := range merged.Lanes[0].Stages {
		sum, one := &merged.Lanes[0].Stages[n], &whole.Lanes[0].Stages[n]
		if sum.Planned != one.Planned || sum.Sent != one.Sent || sum.Shed != 0 || sum.Invalid != "" || sum.Begin != one.Begin || sum.End != one.End {
			t.Errorf("stage %d: planned %d, sent %d, shed %d, %v to %v, invalid %q; the one worker's is planned %d, sent %d, %v to %v",
				n, sum.Planned, sum.Sent, sum.Shed, sum.Begin, sum.End, sum.Invalid, one.Planned, one.Sent, one.Begin, one.End)
		}
		for probe, stats := range sum.Probes {
			added := &record.Stats{}
			for i := range shards {
				added.Add(all[i].Lanes[0].Stages[n].Probes[probe])
			}
			if got, want := inJSON(t, stats), inJSON(t, added); got != want || stats.Sent != one.Probes[probe].Sent {
				t.Errorf("stage %d, %s: sent %d, the one worker %d; merged is not the sum:\n%s\n%s", n, probe, stats.Sent, one.Probes[probe].Sent, got, want)
			}
			compared++
		}
	}
	if compared != 4 {
		t.Errorf("%d probes of stages were compared; want 4", compared)
	}
	one, four := ttftOf(whole), ttftOf(merged)
	if one.Count() != len(union) || four.Count() != len(union) {
		t.Errorf("%d and %d times to first token; want %d", one.Count(), four.Count(), len(union))
	}
	draws := rig.server.draws(t)
	quantiles := []float64{.5, .9, .95, .99}
	var within [2][][2]time.Duration // which quantiles of the distribution the samples leave open
	for i, by := range []struct {
		name     string
		ttft     *record.Histogram
		requests []*runs.Request
	}{{"one worker", one, alone}, {"four", four, shared}} {
		var ttfts, drawn, added []time.Duration // added: by the machine, to what the server drew
		for _, r := range by.requests {
			ttft := time.Duration(r.Steps[runs.StepFirstToken])
			ttfts, drawn, added = append(ttfts, ttft), append(drawn, draws[r.ID]), append(added, ttft-draws[r.ID])
			if draws[r.ID] == 0 {
				t.Errorf("%s: request %s is on record, and never came", by.name, r.ID)
			}
		}
		slices.Sort(ttfts)
		slices.Sort(drawn)
		slices.Sort(added)
		for _, q := range quantiles {
			off := 3.2905 * math.Sqrt(q*(1-q)/float64(len(drawn)))
			low, high := drawn[record.Rank(max(q-off, 0), len(drawn))-1], by.ttft.Quantile(min(q+off, 1))
			within[i] = append(within[i], [2]time.Duration{low, high})
			t.Logf("%s: p%v of %d: %v (%v to %v)", by.name, 100*q, by.ttft.Count(), by.ttft.Quantile(q), low, high)
			got, want := by.ttft.Quantile(q), ttfts[record.Rank(q, len(ttfts))-1]
			if (got - want).Abs() > want/500+20*time.Microsecond { // a bucket, and as much again
				t.Errorf("%s: p%v is %v; want %v, as its requests have it", by.name, 100*q, got, want)
			}
		}
		// A machine that stands still makes times longer, never shorter (its two clocks are 5 ms apart at most), and never all of them.
		least := added[0]
		t.Logf("%s: the machine added %v to %v, at most %v to half of them", by.name, least, added[len(added)-1], added[len(added)/2])
		if least < -5*time.Millisecond || least > 100*time.Millisecond {
			t.Errorf("%s: times to first token are above what the server drew by %v at least; want 0 to 100 ms", by.name, least)
		}
	}
	// Two such intervals that do not meet come of one distribution less than once in 100,000 comparisons.
	for n, q := range quantiles {
		if alone, shared := within[0][n], within[1][n]; alone[0] > shared[1] || shared[0] > alone[1] {
			t.Errorf("p%v: one worker has %v, four have %v, with 99.9 %% confidence", 100*q, alone, shared)
		}
	}

	// A shard too few is named, and a pass says nothing then; one of another time is refused.
	if out, err := rig.merge(ids[0], ids[1], ids[3]); err != nil || !strings.Contains(out, "shard 2 (of 0 to 3) is missing") || !strings.Contains(out, "invalid") {
		t.Errorf("runs merge without shard 2: %v\n%s", err, out)
	}
	all, _ = rig.records()
	if part := all[-2]; len(part.Merged) == shards || part.Verdict != record.Invalid || !strings.Contains(part.Reasons[0], "shard 2 (of 0 to 3) is missing") {
		if part = all[-3]; part == nil || part.Verdict != record.Invalid || !strings.Contains(part.Reasons[0], "shard 2 (of 0 to 3) is missing") {
			t.Errorf("the record without shard 2 has the verdict %s: %q", part.Verdict, part.Reasons)
		}
	}
	out, err := rig.command("runs", "list").CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 4 of 4 ") || !strings.Contains(string(out), " 3 of 4 ") || !strings.Contains(string(out), " 2/4 ") {
		t.Errorf("runs list: %v\n%s", err, out)
	}
}

// TestShardsAreEnded ends shards as Kubernetes does when their Job is deleted: each leaves a record of what was done.
func TestShardsAreEnded(t *testing.T) {
	rig := newShardRig(t, `{mix: {short: 1}, arrivals: {process: constant, rate: 20/s}, stages: [{hold: 10h}]}`)
	begin := time.Now().Add(12 * time.Second).Truncate(time.Second) // three programs start until then
	job := fmt.Sprintf("--start-at=llm-prober-soak-%d+%ds", begin.Unix()/60, begin.Unix()%60)
	workers := []*worker{rig.worker(job, "--shard=0/2"), rig.worker(job, "--shard=1/2")}
	early := rig.worker("--start-at="+begin.Add(time.Hour).UTC().Format(time.RFC3339), "--shard=0/2") // it is waiting still
	settle(t, "requests to wait for", func() (int, int) { return max(20-rig.server.asked(), 0), 0 })
	for _, w := range append(workers, early) {
		if err := w.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range workers {
		w.end(t, 8) // cut short
	}
	early.end(t, 1)
	all, store := rig.records()
	if len(all) != 2 || all[0] == nil || all[1] == nil {
		t.Fatalf("%d records; want those of two shards", len(all))
	}
	recorded := map[string]prober.Outcome{}
	for i, run := range []*record.Run{all[0], all[1]} {
		if run.Verdict != record.CutShort || run.Stopped == "" || !run.Nominal.Equal(begin) {
			t.Errorf("shard %d: verdict %s, stopped %q, occasion %v; want cut_short at %v", i, run.Verdict, run.Stopped, run.Nominal, begin)
		}
		for _, r := range requestsOf(t, store, run) {
			recorded[r.ID] = r.Outcome
		}
	}
	asked := rig.server.draws(t)
	for id := range asked {
		if recorded[id] == "" {
			t.Errorf("the server had the request %s, which is not on record", id)
		}
	}
	for id, outcome := range recorded {
		if asked[id] == 0 && outcome != prober.Canceled { // it may not have come so far
			t.Errorf("request %s is on record as %s; the server had none such", id, outcome)
		}
	}
	if out, err := rig.merge(all[0].ID, all[1].ID); err != nil || !strings.Contains(out, "soak on chat (m): cut short") {
		t.Errorf("runs merge: %v\n%s", err, out)
	}
}

// TestShardsRefused has shards that cannot be one load refused.
func TestShardsRefused(t *testing.T) {
	rig := newShardRig(t, `{mix: {short: 1}, arrivals: {rate: 1/s}, stages: [{hold: 1s}]}`)
	text, err := os.ReadFile(rig.config)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, `  - {name: seedless, target: chat, mix: {short: 1}, shape: {soak: {load: 1/s, for: 1s}}}
  - {name: knee, seed: 1, target: chat, mix: {short: 1}, shape: {search: {from: 1/s, to: 2/s}}, objectives: [{indicator: ttft, threshold: 1s}]}
`...)
	if err := os.WriteFile(rig.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		ramp, at, want string
	}{
		{"soak", "2026-03-01T02:00:00Z", "is past"},
		{"soak", "tomorrow", "neither a time"},
		{"seedless", "2100-03-01T02:00:00Z", "has no seed"},
		{"knee", "2100-03-01T02:00:00Z", "a search, which cannot be spread"},
	} {
		out, err := rig.command("ramp", test.ramp, "--config.file="+rig.config, "--no-collector.gpu", "--shard=0/4", "--start-at="+test.at).CombinedOutput()
		if err == nil || !strings.Contains(string(out), test.want) {
			t.Errorf("ramp %s --shard=0/4 --start-at=%s: %v\n%s\nwant %q", test.ramp, test.at, err, out, test.want)
		}
	}
}

// ttftOf is the time to first token of all requests of a run.
func ttftOf(run *record.Run) *record.Histogram {
	sum := new(record.Histogram)
	for i := range run.Lanes[0].Stages {
		for _, stats := range run.Lanes[0].Stages[i].Probes {
			sum.Add(stats.TTFT)
		}
	}
	return sum
}

func inJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
