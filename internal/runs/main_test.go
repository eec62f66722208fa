package runs

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/wire"
)

var update = flag.Bool("update", false, "rewrite golden files")

// roleEnv makes the test binary one of the processes that tests need beside their own.
const roleEnv = "LLM_PROBER_RUNS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role, os.Getenv(roleEnv+"_DIR")); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// play is what the other processes do.
func play(role, dir string) error {
	if role == "writer" {
		return writeForever(dir)
	}
	return playFull(role, dir)
}

func open(t *testing.T, dir string, opts Options) (*Store, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, log
}

var begin = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// sampleRun is a record with something in all that the store looks at.
func sampleRun(ramp string, started time.Time, verdict record.Verdict) *record.Run {
	h := &record.Histogram{}
	h.RecordN(120*time.Millisecond, 90)
	h.RecordN(900*time.Millisecond, 10)
	itl := &record.Histogram{}
	itl.RecordN(20*time.Millisecond, 6300)
	delay := &record.Histogram{}
	delay.RecordN(40*time.Microsecond, 104)
	return &record.Run{
		Schema: 1, Ramp: ramp, Target: "chat", Model: "llama", Shape: "step", Trigger: record.BySchedule,
		Nominal: started.Truncate(time.Minute), Started: started, Ended: started.Add(2 * time.Minute), Seed: 7,
		Environment: record.Environment{Version: "1.2.3", Host: "a", Currency: "USD", Labels: map[string]string{"zone": "eu"}},
		Config:      []byte(`{"name":"` + ramp + `"}`),
		Objectives:  []record.Objective{{Indicator: "ttft", Percentile: 95, Threshold: 0.8}},
		Verdict:     verdict,
		Reasons:     []string{"p95 TTFT is 0.9 s"},
		Lanes: []record.Lane{{Name: "interactive", Target: "chat", Model: "llama", Open: true, Process: "poisson", Stages: []record.Stage{{
			Name: "hold 1/s", Kind: record.Hold, Begin: 1, End: 1, Mix: map[string]float64{"chat": 1},
			Started: started, From: started.Add(10 * time.Second), To: started.Add(110 * time.Second), Ended: started.Add(2 * time.Minute),
			Planned: 110, Sent: 104, Shed: 6, InFlight: 1.5, MaxInFlight: 4, DispatchDelay: delay,
			Probes: map[string]*record.Stats{"chat": {
				Sent: 104, Outcomes: map[string]int{"ok": 100, "timeout_total": 4}, Shed: 6,
				TTFT: h, TTFTDispatched: h, Duration: h, DurationDispatched: h, ITL: itl, TPOT: itl,
				PromptTokens: 4000, CachedPromptTokens: 1000, OutputTokens: 6400, Cost: 0.02,
			}},
		}}}},
	}
}

// sampleResult is a streamed answer of three chunks.
func sampleResult(n int) *prober.Result {
	at := begin.Add(time.Duration(n) * time.Second)
	ms := func(n float64) time.Time { return at.Add(time.Duration(n * float64(time.Millisecond))) }
	r := &prober.Result{
		Request: &prober.Request{ID: fmt.Sprintf("%032x", n+1), Target: "chat", Probe: "chat", Turn: 2, Attempt: 1},
		Outcome: prober.OK, HTTPStatus: 200, RemoteAddr: "127.0.0.1:8000", Reused: true, Clock: prober.ClockKernel,
		Timeline: prober.Timeline{
			Intended: at, Dispatched: ms(1), WriteStart: ms(1.1), Wrote: ms(1.2), Headers: ms(80), FirstEvent: ms(81),
			FirstToken: ms(101), FirstOutput: ms(101), LastToken: ms(141), End: ms(142),
		},
		Chunks:       []prober.Chunk{{At: 100 * time.Millisecond, Delay: time.Microsecond, Tokens: 1}, {At: 120 * time.Millisecond, Tokens: 1}, {At: 140 * time.Millisecond, Tokens: -1}},
		Usage:        wire.Usage{Known: true, PromptTokens: 40, CachedTokens: 10, OutputTokens: 3},
		OutputTokens: 3, OutputSource: prober.TokensUsage, FinishReason: "stop", BodyBytes: 900, ReceiveDelay: time.Microsecond,
		Timing: wire.ServerTiming{Known: true, QueueSeconds: 0.05},
	}
	if n%3 == 2 {
		r.Outcome, r.Err, r.HTTPStatus, r.FinishReason = prober.HTTP5xx, errors.New("HTTP 500: =cmd()"), 500, "=cmd()"
		r.Chunks, r.OutputTokens, r.Usage, r.OutputSource = nil, 0, wire.Usage{}, prober.TokensNone
		r.Timeline.FirstToken, r.Timeline.LastToken, r.Timeline.FirstOutput = time.Time{}, time.Time{}, time.Time{}
	}
	return r
}

// put commits a run with n requests.
func put(t *testing.T, s *Store, run *record.Run, n int) string {
	t.Helper()
	w, err := s.Begin(NewID(run.Started, run.Ramp))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	for i := range n {
		w.Request("interactive", 0, sampleResult(i))
	}
	if err := w.Commit(run); err != nil {
		t.Fatal(err)
	}
	return w.ID()
}
