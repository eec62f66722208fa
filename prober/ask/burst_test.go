package ask_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
)

func TestBurst(t *testing.T) {
	const size = 8
	// The first token is so late that a busy machine has dispatched them all by then.
	target := simulated(t, simulator.Options{FirstToken: 2 * time.Second, PerToken: 100 * time.Microsecond})
	p, sink := probe(t, target, ask.Spec{Burst: ask.Burst{Size: size}})
	beside, _ := probe(t, target, ask.Spec{})
	beside.Ask(t.Context(), time.Time{}) // which is nothing to a burst that asks for no silence
	intended := time.Now()
	spent := p.Ask(t.Context(), intended)
	all := sink.take()
	if len(all) != size || spent.Requests != size || spent.OutputTokens != size*16 {
		t.Fatalf("%d results, spent %+v; want %d of 16 tokens", len(all), spent, size)
	}
	texts := map[string]bool{}
	var cold *prober.Result
	first, last, firstEnd := all[0].Timeline.Dispatched, all[0].Timeline.Dispatched, all[0].Timeline.FirstToken
	for _, r := range all {
		q := r.Request
		if r.Outcome != prober.OK || q.Burst != size || !q.Intended.Equal(intended) || q.Group() != all[0].Request.Group() {
			t.Errorf("%s (%v), Burst = %d, Intended = %v; want ok, %d and %v", r.Outcome, r.Err, q.Burst, q.Intended, size, intended)
		}
		texts[q.Call.Messages[0].Content] = true
		if q.Cold {
			if cold != nil {
				t.Error("two are cold")
			}
			cold = r
		}
		first, last, firstEnd = earlier(first, r.Timeline.Dispatched), later(last, r.Timeline.Dispatched), earlier(firstEnd, r.Timeline.FirstToken)
	}
	if len(texts) != size {
		t.Errorf("%d texts; want %d", len(texts), size)
	}
	if cold == nil || !cold.Timeline.Dispatched.Equal(first) {
		t.Errorf("cold = %+v; want the first one dispatched", cold)
	}
	if !last.Before(firstEnd) {
		t.Errorf("the last of the burst was dispatched %v after the first, which had a token by then", last.Sub(first))
	}
	if most := p.Most(); most.Requests != size || most.OutputTokens != size*16 || most.PromptTokens != size*60 {
		t.Errorf("Most() = %+v; want that of %d requests", most, size)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// The first request is cold if nothing was under way, for as long as was wanted.
func TestCold(t *testing.T) {
	inBubble(t, []func(writer){answer(time.Second, "a")}, func(t *testing.T, server *scripted, target *ask.Target) {
		burst, sink := probe(t, target, ask.Spec{Burst: ask.Burst{Size: 2, AfterIdle: 10 * time.Minute}})
		plain, _ := probe(t, target, ask.Spec{})
		for _, step := range []struct {
			idle time.Duration
			want bool
		}{{time.Minute, false}, {10*time.Minute - 1, false}, {10 * time.Minute, true}, {time.Second, false}, {time.Hour, true}} {
			if idle, ok := target.IdleFor(); !ok || len(server.asked()) > 0 && idle != 0 {
				t.Fatalf("IdleFor() = %v, %v; want 0", idle, ok)
			}
			time.Sleep(step.idle)
			burst.Ask(t.Context(), time.Time{})
			cold := 0
			for _, r := range sink.take() {
				if r.Request.Cold {
					cold++
				}
			}
			if want := map[bool]int{true: 1}[step.want]; cold != want {
				t.Errorf("after %v without a request %d are cold; want %d", step.idle, cold, want)
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			plain.Ask(t.Context(), time.Time{})
		}()
		synctest.Wait()
		now, nowSink := probe(t, target, ask.Spec{Burst: ask.Burst{Size: 1, AfterIdle: 1}})
		if _, ok := target.IdleFor(); ok {
			t.Error("IdleFor says that nothing is under way, and something is")
		}
		now.Ask(t.Context(), time.Time{})
		<-done
		time.Sleep(time.Nanosecond)
		now.Ask(t.Context(), time.Time{})
		if all := nowSink.take(); all[0].Request.Cold || !all[1].Request.Cold {
			t.Errorf("Cold = %v beside another request, %v alone; want false and true", all[0].Request.Cold, all[1].Request.Cold)
		}
	})
}

// Each of a burst is asked again for itself.
func TestBurstWithRetry(t *testing.T) {
	inBubble(t, []func(writer){refuse(429, "Retry-After: 2"), refuse(429, "Retry-After: 1"), answer(0, "a")}, func(t *testing.T, _ *scripted, target *ask.Target) {
		p, sink := probe(t, target, ask.Spec{Burst: ask.Burst{Size: 3}, Retry: ask.Retry{Attempts: 2, On: failures(t, "429")}})
		if spent := p.Ask(t.Context(), time.Time{}); spent.Requests != 5 || !spent.PauseUntil.IsZero() {
			t.Errorf("spent %+v; want 5 requests, and no pause after the waits", spent)
		}
		again, ok := 0, 0
		for _, r := range sink.take() {
			if r.Retried {
				again++
			} else if r.Outcome == prober.OK {
				ok++
			}
			if r.Request.Burst != 3 {
				t.Errorf("Burst = %d; want 3, at each try", r.Request.Burst)
			}
		}
		if again != 2 || ok != 3 {
			t.Errorf("%d asked again, %d ok; want 2 and 3", again, ok)
		}
	})
}

type panicking struct{}

func (panicking) Observe(*prober.Result) { panic("the sink is full") }

// What panics on a burst's goroutines can be caught where Ask was called.
func TestPanicInABurst(t *testing.T) {
	inBubble(t, []func(io.Writer){answer(0, "a")}, func(t *testing.T, _ *scripted, target *ask.Target) {
		p, _ := probe(t, target, ask.Spec{Burst: ask.Burst{Size: 3}})
		defer func() {
			if err, ok := recover().(error); !ok || !strings.HasPrefix(err.Error(), "the sink is full\n") || !strings.Contains(err.Error(), "burst_test.go") {
				t.Errorf("recovered %v; want the panic and where it was", err)
			}
		}()
		p.With(panicking{}, nil).Ask(t.Context(), time.Time{})
		t.Error("Ask returned")
	})
}
