package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/wire"
)

// canary is planted wherever a secret could come from.
const canary = "canary-5up3r-s3cret"

// fixture is an API over values of a test's own.
type fixture struct {
	Options
	targets []Target
	ramps   []Ramp
	store   *runs.Store
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{Options: Options{Lifecycle: true, Logger: slog.New(slog.DiscardHandler), Recent: NewRecent(nil)}}
	f.targets = []Target{
		{
			Name: "chat", Model: "llama", Protocol: "openai_chat", Labels: map[string]string{"zone": "eu"},
			Probes: []Probe{{Name: "fast", Stream: true, Interval: 15 * time.Second, Next: time.Now().Add(time.Second)}, {Name: "batch", Interval: time.Minute}},
			Objectives: []Objective{
				{Name: "fast_ttft", Probe: "fast", Indicator: "ttft", Threshold: 0.5, Goal: 0.9},
				{Name: "up", Probe: "batch", Indicator: "availability", Goal: 0.99},
			},
			Engine: &Engine{Kind: "vllm", Up: true, At: time.Now(), Running: new(3.0), Waiting: new(0.0), KVCache: new(0.25)},
			GPUs:   []GPU{{UUID: "GPU-1", Known: true}},
		},
		{Name: "quiet", Model: "llama", Protocol: "openai_chat", Probes: []Probe{{Name: "fast", Stream: true, Interval: 15 * time.Second}}},
	}
	f.ramps = []Ramp{
		{Name: "nightly", Targets: []string{"chat"}, Schedule: "0 2 * * *", Next: time.Now().Add(time.Hour)},
		{Name: "soak", Targets: []string{"chat", "quiet"}},
	}
	store, err := runs.Open(t.TempDir(), runs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	f.store = store
	f.Targets = func() []Target { return f.targets }
	f.Ramps = func() []Ramp { return f.ramps }
	f.Runs = func() *runs.Store { return f.store }
	f.Recent.Apply(f.targets)
	return f
}

// running makes the second ramp one that runs.
func (f *fixture) running() {
	now := time.Now()
	f.ramps[1].Running = &Running{ID: runs.NewID(now, "soak"), Ramp: "soak", Trigger: record.ByAPI, Started: now, Progress: &ramp.Snapshot{
		At: now, Started: now, Left: time.Minute, Lanes: []ramp.LaneSnapshot{{
			Where: ramp.Where{Lane: "a", Target: "chat", Index: 1, Stage: "hold 5/s"}, Kind: record.Hold, Open: true, Planned: 5, Achieved: 4.9,
			InFlight: 3, Sent: 12, Ended: 9, OK: 9, TTFTN: 9, TTFTP50: 80 * time.Millisecond, TTFTP95: 120 * time.Millisecond, TokenRate: 300,
			Objectives: []record.Judgement{{Objective: record.Objective{Indicator: "ttft", Percentile: 95, Threshold: 0.5}, Probe: "fast", N: 9, Good: 9, Held: true, Confidence: 0.6}},
		}},
	}}
}

// result is a request that ended a while ago.
func result(target, probe string, ago time.Duration, outcome prober.Outcome, ttft time.Duration) *prober.Result {
	end := time.Now().Add(-ago)
	begin := end.Add(-time.Second)
	r := &prober.Result{
		Request: &prober.Request{
			ID: prober.NewID(), Target: target, Probe: probe, Attempt: 1,
			Call: wire.Call{Model: "llama", Stream: probe != "batch", Messages: []wire.Message{{Role: "user", Content: "the prompt " + canary}}},
		},
		Outcome: outcome, HTTPStatus: 200, RemoteAddr: "127.0.0.1:8000", Clock: prober.ClockKernel,
		Header:   http.Header{"X-Request-Id": {canary}},
		Timeline: prober.Timeline{Intended: begin, Dispatched: begin.Add(time.Millisecond), ConnectStart: begin.Add(2 * time.Millisecond), ConnectDone: begin.Add(3 * time.Millisecond), WriteStart: begin.Add(4 * time.Millisecond), Wrote: begin.Add(5 * time.Millisecond), Headers: begin.Add(9 * time.Millisecond), End: end},
		Usage:    wire.Usage{Known: true, PromptTokens: 30, OutputTokens: 11}, OutputTokens: 11, OutputSource: prober.TokensUsage, FinishReason: "stop",
	}
	if outcome.Failed() {
		r.HTTPStatus, r.Err = 401, errors.New("http 401: wrong key: Bearer sk-"+canary+"\x1b[31m\n<script>")
		return r
	}
	if r.Request.Call.Stream {
		r.Timeline.FirstToken = r.Timeline.Dispatched.Add(ttft)
		r.Timeline.LastToken = end
		r.Chunks = []prober.Chunk{{At: ttft, Tokens: 1}, {At: time.Second, Tokens: 10}}
	}
	return r
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request, and holds the answer against openapi.yaml and against the canary.
func (f *fixture) ask(t *testing.T, method, path string, body ...string) answer {
	t.Helper()
	return f.send(t, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(strings.Join(body, ""))))
}

func (f *fixture) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(f.Options).ServeHTTP(w, r)
	all, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{w.Code, w.Result().Header, string(all)}
	for _, hidden := range []string{canary, "the prompt", "\x1b", "\u009b"} {
		if strings.Contains(a.body, hidden) {
			t.Errorf("%s %s tells %q:\n%s", r.Method, r.URL, hidden, a.body)
		}
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s: header = %v", r.Method, r.URL, a.header)
	}
	if r.Method != http.MethodOptions && r.Method != http.MethodHead {
		conforms(t, r.Method, r.URL.Path, a.status, a.header, all)
	}
	return a
}

// decode reads an answer of the given status.
func decode[T any](t *testing.T, a answer, status int) (v T) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status = %d; want %d:\n%s", a.status, status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// record puts runs on record and returns their ids, the oldest first.
func (f *fixture) record(t *testing.T, n int) (ids []string) {
	t.Helper()
	begin := time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)
	for i := range n {
		started := begin.Add(time.Duration(i) * time.Hour)
		id := runs.NewID(started, "nightly")
		w, err := f.store.Begin(id)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.Request("a", 0, result("chat", "fast", time.Minute, prober.OK, 100*time.Millisecond))
		}
		w.Request("a", 0, result("chat", "fast", time.Minute, prober.HTTP4xx, 0))
		ttft := &record.Histogram{}
		ttft.RecordN(120*time.Millisecond, 3)
		run := &record.Run{
			Ramp: "nightly", Target: "chat", Model: "llama", Trigger: record.BySchedule, Nominal: started, Started: started, Ended: started.Add(time.Minute),
			Verdict: record.Verdicts()[i%len(record.Verdicts())], Reasons: []string{"a reason"}, Config: []byte(`{"name":"nightly"}`),
			Environment: record.Environment{Host: "here"}, Objectives: []record.Objective{{Indicator: "ttft", Percentile: 95, Threshold: 0.5}},
			Diagnosis: &record.Diagnosis{Words: []string{"all is well"}}, Comparison: &record.Comparison{With: "previous_passed"},
			Lanes: []record.Lane{{Name: "a", Target: "chat", Model: "llama", Open: true, Search: &record.Search{Knee: 4, Words: "the knee is at 4/s"}, Stages: []record.Stage{{
				Name: "hold", Kind: record.Hold, Begin: 1, End: 1, Started: started, From: started, To: started.Add(time.Minute), Ended: started.Add(time.Minute),
				Planned: 4, Sent: 4, Probes: map[string]*record.Stats{"fast": {Sent: 4, Outcomes: map[string]int{"ok": 3, "http_4xx": 1}, TTFT: ttft}},
			}}}},
		}
		if err := w.Commit(run); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// started makes Start one that notes what it was asked for.
func (f *fixture) starts(run *Running, err error) *[]string {
	var names []string
	f.Start = func(_ context.Context, name string) (*Running, error) {
		names = append(names, name)
		return run, err
	}
	return &names
}
