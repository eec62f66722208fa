package ramp

import (
	"context"
	"errors"
	"net"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// A short run over TCP, on the real clock, against a server that says what really happened.
func TestAgainstTheSimulator(t *testing.T) {
	server, err := simulator.New(simulator.Options{MaxRunning: 4, StepBase: 5 * time.Millisecond, PerRequestMetrics: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		if err := server.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	client, err := transport.New(transport.Options{Reuse: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	u, err := url.Parse("http://" + l.Addr().String() + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		t.Fatal(err)
	}
	p := prober.New(prober.Options{URL: u, Protocol: protocol, Client: client})
	ask := func(ctx context.Context, intended time.Time, sink prober.Sink) {
		sink.Observe(p.Do(ctx, &prober.Request{
			ID: prober.NewID(), Target: "chat", Probe: "chat", Intended: intended, Limits: prober.Limits{Total: 20 * time.Second},
			Call: wire.Call{Model: "sim-8b", Stream: true, MaxOutputTokens: 10, Messages: []wire.Message{{Role: "user", Content: "Tell me."}}},
		}))
	}
	plan := planFor(nil, Stage{From: 40, To: 40, Over: 2 * time.Second, WarmUp: 500 * time.Millisecond})
	plan.Sleep = nil
	plan.LateBound = time.Minute // this is no test of the machine
	plan.Lanes[0].Probes = map[string]Probe{"chat": {Ask: ask}}
	plan.Waits = func(r *prober.Result) []queuewait.Wait {
		if !r.Timing.Known {
			return nil
		}
		return []queuewait.Wait{{Source: queuewait.Body, Queue: time.Duration(r.Timing.QueueSeconds * float64(time.Second))}}
	}
	rec, err := Run(t.Context(), plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := rec.Lanes[0].Stages[0]
	st := s.Probes["chat"]
	if s.Planned != 60 || st.Sent != 60 || st.Outcomes["ok"] != 60 || st.OutputTokens != 600 || st.PromptTokens == 0 || st.EstimatedTokens != 0 {
		t.Fatalf("planned %d, sent %d, outcomes %v, %d output and %d prompt tokens; want 60, 60, 60 ok, 600, some", s.Planned, st.Sent, st.Outcomes, st.OutputTokens, st.PromptTokens)
	}
	for name, h := range map[string]*record.Histogram{"ttft": st.TTFT, "duration": st.Duration, "queue wait": st.QueueWait["body"]} {
		if h.Count() != 60 {
			t.Errorf("%s: %d values; want 60", name, h.Count())
		}
	}
	if n := st.TPOT.Count(); n == 0 || n > 60 { // none where all tokens came in one read, on a busy machine
		t.Errorf("tpot: %d values; want 60, or a few less", n)
	}
	if st.ITL.Count() != 540 {
		t.Errorf("itl: %d values; want 540", st.ITL.Count())
	}
	if st.TTFTDispatched.Quantile(.5) > st.TTFT.Quantile(.5) || st.TTFT.Quantile(.5) < 5*time.Millisecond || st.Duration.Quantile(.5) < 50*time.Millisecond {
		t.Errorf("p50 of ttft %v, from dispatch %v, duration %v", st.TTFT.Quantile(.5), st.TTFTDispatched.Quantile(.5), st.Duration.Quantile(.5))
	}
}

// Neither a long stage nor many stages make a run's memory grow: what is finished is packed.
func TestMemoryIsBounded(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, tt := range []struct {
		name   string
		stages []Stage
		most   uint64 // bytes of growth over the second half
	}{
		{"one long stage", []Stage{{From: 5, To: 5, Over: 2 * time.Hour}}, 1 << 20},
		{"a hundred stages", Steps{From: 1, To: 10, Count: 100, Each: time.Minute}.Stages(), 4 << 20}, // 40 KB each, with its windows; unpacked they would be 1 MB each
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeServer{slots: 100, service: 100 * time.Millisecond}
				plan := planFor(f, tt.stages...)
				half := plan.Longest() / 2
				begun := time.Now()
				var middle, end uint64
				seen := &journal{onTick: func(s *Snapshot) {
					switch since := s.At.Sub(begun); {
					case middle == 0 && since >= half:
						middle = heap()
					case end == 0 && since >= 2*half-5*time.Second:
						end = heap()
					}
				}}
				if _, err := Run(t.Context(), plan, seen); err != nil {
					t.Fatal(err)
				}
				if middle == 0 || end == 0 {
					t.Fatal(errors.New("the run was not looked at"))
				}
				t.Logf("%d KB after half of the time, %d KB at the end", middle>>10, end>>10)
				if end > middle+tt.most {
					t.Errorf("the heap grew from %d KB to %d KB in the second half; want at most %d KB more", middle>>10, end>>10, tt.most>>10)
				}
			})
		})
	}
}
