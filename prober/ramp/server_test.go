package ramp

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeServer answers so many requests at once, each in the same time, and the others in the order in which they came. So
// its capacity is slots/service requests per second, and up to that nobody waits where arrivals are even.
type fakeServer struct {
	slots   int
	service time.Duration
	fail    func(now time.Time) prober.Outcome // OK: it does not; nil: never does
	stalls  func(now time.Time) time.Time      // until when it does nothing; nil: it never stalls
	late    time.Duration                      // by which the prober itself is late

	mu    sync.Mutex
	free  chan struct{} // holds a value for each slot that is taken
	asked int
	most  int
	now   int
}

func (f *fakeServer) capacity() float64 { return float64(f.slots) / f.service.Seconds() }

// serve has a request wait for a slot, in the order in which they came, and be served. It says when each began.
func (f *fakeServer) serve(ctx context.Context) (begin, end time.Time, err error) {
	f.mu.Lock()
	f.asked++
	f.now++
	f.most = max(f.most, f.now)
	if f.free == nil {
		f.free = make(chan struct{}, f.slots)
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now--
		f.mu.Unlock()
	}()
	select {
	case f.free <- struct{}{}:
	case <-ctx.Done():
		return begin, end, context.Cause(ctx)
	}
	defer func() { <-f.free }()
	if f.stalls != nil {
		if err := workload.SleepUntilTimer(ctx, f.stalls(time.Now())); err != nil {
			return begin, end, err
		}
	}
	begin = time.Now()
	err = workload.SleepUntilTimer(ctx, begin.Add(f.service))
	return begin, time.Now(), err
}

// ask is an Ask: a first token when the slot is there, one more at the end.
func (f *fakeServer) ask(ctx context.Context, intended time.Time, sink prober.Sink) {
	if f.late > 0 {
		_ = workload.SleepUntilTimer(context.WithoutCancel(ctx), intended.Add(f.late))
	}
	now := time.Now()
	r := &prober.Result{
		Request: &prober.Request{Probe: "chat", Intended: intended, Call: wire.Call{Stream: true}},
		Outcome: prober.OK, OutputSource: prober.TokensUsage, OutputTokens: 2,
		Usage:    wire.Usage{Known: true, PromptTokens: 10, OutputTokens: 2},
		Timeline: prober.Timeline{Intended: intended, Dispatched: now},
	}
	defer sink.Observe(r)
	if f.fail != nil {
		if o := f.fail(now); o != prober.OK {
			r.Outcome, r.Err = o, errors.New("refused")
			r.OutputTokens, r.Usage, r.OutputSource = 0, wire.Usage{}, prober.TokensNone
			r.Timeline.End = now
			return
		}
	}
	begin, end, err := f.serve(ctx)
	if err != nil {
		r.Outcome, r.Err = prober.Canceled, err
		r.OutputTokens, r.Usage, r.OutputSource = 0, wire.Usage{}, prober.TokensNone
		r.Timeline.End = time.Now()
		return
	}
	r.Timeline.FirstToken, r.Timeline.LastToken, r.Timeline.End = begin, end, end
	r.Chunks = []prober.Chunk{{At: begin.Sub(now), Tokens: 1}, {At: end.Sub(now), Tokens: 1}}
}

// planFor is a plan of one lane against the server, on a fake clock.
func planFor(f *fakeServer, stages ...Stage) Plan {
	return Plan{
		Name: "test", Target: "chat", Model: "m", Seed: 1, Sleep: workload.SleepUntilTimer,
		Lanes: []Lane{{Name: "main", Probes: map[string]Probe{"chat": {Ask: f.ask}}, Mix: Mix{"chat": 1}, Stages: stages, MaxInFlight: 100_000}},
	}
}

func ttftObjective(percentile float64, threshold time.Duration) record.Objective {
	return record.Objective{Indicator: record.TTFT, Percentile: percentile, Threshold: threshold.Seconds()}
}

func rngOf(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
