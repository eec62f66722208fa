package queuewait

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober/wire"
)

func TestReportKeepsSourcesApart(t *testing.T) {
	target := learned() // 100 ms without load
	timing := told(func(t *wire.ServerTiming) { t.QueueSeconds, t.PrefillSeconds = 0.035, 0.1 })
	header := http.Header{"X-Queue-Time": {"37"}, "X-Inference-Time": {"100"}}
	report := target.Judge(streamed(wrote+140*ms, timing), header)
	got := map[Source]time.Duration{}
	for _, w := range report.Waits() {
		got[w.Source] = w.Queue.Round(ms)
	}
	want := map[Source]time.Duration{Body: 35 * ms, Header: 37 * ms, Estimated: 40 * ms}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if report.Breakdown.Queue != Body {
		t.Errorf("the breakdown has its queue from %q; want body", report.Breakdown.Queue)
	}
}

func TestEstimatedWait(t *testing.T) {
	target := learned()
	r := streamed(wrote+140*ms, wire.ServerTiming{})
	wait := func() time.Duration {
		t.Helper()
		report := target.Judge(r, nil)
		for _, w := range report.Waits() {
			if w.Source == Estimated {
				return w.Queue.Round(ms)
			}
		}
		return -1
	}
	if got := wait(); got != 40*ms {
		t.Errorf("estimated wait = %v; want 40ms", got)
	}
	r.Timing = told(func(t *wire.ServerTiming) { t.LoadSeconds = 0.03 })
	if got := wait(); got != 10*ms {
		t.Errorf("estimated wait with 30 ms of loading = %v; want 10ms", got)
	}
	r.Timing = wire.ServerTiming{}
	r.Usage.PromptTokens = 5000
	if got := wait(); got != -1 {
		t.Errorf("estimated wait of a length never seen = %v; want none", got)
	}
	r.Usage = wire.Usage{}
	if got := wait(); got != -1 {
		t.Errorf("estimated wait without a count of tokens = %v; want none", got)
	}
	r = streamed(wrote+140*ms, wire.ServerTiming{})
	r.Usage.ReasoningTokens = 3
	if got := wait(); got != -1 {
		t.Errorf("estimated wait with hidden reasoning = %v; want none", got)
	}
	r.Timeline.FirstOutput = r.Timeline.FirstToken.Add(ms)
	if got := wait(); got != 40*ms {
		t.Errorf("estimated wait with shown reasoning = %v; want 40ms", got)
	}
}

// What a ramp asks, what failed and what the prober itself spoilt teaches nothing.
func TestLearnsFromSoundProbesAlone(t *testing.T) {
	target := NewTarget()
	for range 100 {
		r := streamed(wrote+10*ms, wire.ServerTiming{})
		target.Judge(r, nil)
		r = streamed(wrote+10*ms, wire.ServerTiming{})
		r.Degraded = true
		target.Observe(r, nil)
		target.Observe(failed(wire.ServerTiming{}), nil)
		target.Observe(whole(wrote+10*ms, wire.ServerTiming{}), nil)
	}
	if floor, _, ok := target.Unloaded(24); ok {
		t.Errorf("Unloaded(24) = %v; want none", floor)
	}
}

func TestTargetConcurrently(t *testing.T) {
	target := NewTarget()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				target.Observe(streamed(wrote+100*ms, wire.ServerTiming{}), nil)
				target.Unloaded(24)
				target.Trip()
				if _, err := target.MarshalJSON(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if floor, _, ok := target.Unloaded(24); !ok || floor.Round(time.Microsecond) != 100*ms {
		t.Errorf("Unloaded(24) = %v, %t; want 100ms", floor, ok)
	}
}
