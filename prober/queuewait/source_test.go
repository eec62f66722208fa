package queuewait

import (
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestSources(t *testing.T) {
	want := []Source{"body", "header", "derived", "engine", "estimated"}
	if diff := cmp.Diff(want, Sources()); diff != "" {
		t.Errorf("Sources() (-want +got):\n%s", diff)
	}
}

func TestFromBody(t *testing.T) {
	queue := func(s float64) wire.ServerTiming {
		return told(func(t *wire.ServerTiming) { t.QueueSeconds = s })
	}
	for _, c := range []struct {
		name string
		r    *prober.Result
		want time.Duration // -1: none
	}{
		{"a wait", streamed(200*ms, queue(0.0123)), 12300 * time.Microsecond},
		{"no wait", streamed(200*ms, queue(0)), 0},
		{"in one piece", whole(200*ms, queue(0.1)), 100 * ms},
		{"the server said nothing", streamed(200*ms, wire.ServerTiming{}), -1},
		{"the server said something else", streamed(200*ms, unknown()), -1},
		{"all of the time", streamed(200*ms, queue((200*ms - wrote).Seconds())), 200*ms - wrote},
		{"more than the time there was", streamed(200*ms, queue(0.19)), -1},
		{"milliseconds where seconds should be", streamed(200*ms, queue(12.3)), -1},
		{"not a number", streamed(200*ms, queue(math.NaN())), -1},
		{"infinite", streamed(200*ms, queue(math.Inf(1))), -1},
		{"a failed request", failed(queue(0.01)), -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := FromBody(c.r)
			check(t, "FromBody", got, ok, Wait{Source: Body, Queue: c.want})
		})
	}
}

// check compares a wait with the one that is wanted; a Queue of -1 wants none.
func check(t *testing.T, what string, got Wait, ok bool, want Wait) {
	t.Helper()
	if want.Queue < 0 {
		if ok {
			t.Errorf("%s() = %v; want none", what, got)
		}
		return
	}
	if !ok || got != want {
		t.Errorf("%s() = %v, %t; want %v", what, got, ok, want)
	}
}

func TestFromHeader(t *testing.T) {
	h := func(pairs ...string) http.Header {
		h := http.Header{}
		for pair := range slices.Chunk(pairs, 2) {
			h.Set(pair[0], pair[1])
		}
		return h
	}
	for _, c := range []struct {
		name string
		h    http.Header
		want Wait
	}{
		{"none", nil, Wait{Queue: -1}},
		{"TGI", h("x-queue-time", "17", "x-inference-time", "80"), Wait{Header, 17 * ms, ms}},
		{"TGI, no wait", h("x-queue-time", "0", "x-inference-time", "80"), Wait{Header, 0, ms}},
		{"a queue time of somebody else", h("x-queue-time", "17"), Wait{Queue: -1}},
		{"TGI, not a number", h("x-queue-time", "t=17", "x-inference-time", "80"), Wait{Queue: -1}},
		{"TGI, below zero", h("x-queue-time", "-3", "x-inference-time", "80"), Wait{Queue: -1}},
		{"TGI, longer than the request", h("x-queue-time", "170", "x-inference-time", "80"), Wait{Queue: -1}},
		{"Fireworks", h("fireworks-prefill-queue-duration", "0.010", "fireworks-generation-queue-duration", "0.002", "fireworks-tokenizer-queue-duration", "0.0005"), Wait{Header, 12500 * time.Microsecond, 0}},
		{"Fireworks, one of them", h("fireworks-prefill-queue-duration", "0.010"), Wait{Header, 10 * ms, 0}},
		{"Fireworks, one unreadable", h("fireworks-prefill-queue-duration", "0.010", "fireworks-generation-queue-duration", "-"), Wait{Queue: -1}},
		{"Fireworks, not a number", h("fireworks-prefill-queue-duration", "NaN"), Wait{Queue: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := FromHeader(whole(180*ms, wire.ServerTiming{}), c.h)
			check(t, "FromHeader", got, ok, c.want)
		})
	}
	if _, ok := FromHeader(failed(wire.ServerTiming{}), h("x-queue-time", "17", "x-inference-time", "80")); ok {
		t.Error("FromHeader() of a failed request gave a wait; want none")
	}
	for _, name := range Headers() {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("Headers() has %q; want %q", name, http.CanonicalHeaderKey(name))
		}
	}
}

func TestFromDerived(t *testing.T) {
	trip := Trip{Known: true, Time: 3 * ms, Error: 1 * ms}
	llama := func(prompt float64) wire.ServerTiming {
		return told(func(t *wire.ServerTiming) {
			t.PrefillSeconds, t.DecodeSeconds, t.PrefillTokens, t.GeneratedTokens = prompt, 0.04, 24, 5
		})
	}
	progress := func(seconds float64) wire.ServerTiming {
		return told(func(t *wire.ServerTiming) {
			t.PrefillSeconds, t.DecodeSeconds, t.PrefillTokens, t.GeneratedTokens = 0.1, 0.04, 24, 5
			t.Progress = wire.PromptProgress{Known: true, Seconds: seconds, Total: 40}
		})
	}
	ollama := func(total, load, prefill, decode float64) wire.ServerTiming {
		return told(func(t *wire.ServerTiming) {
			t.TotalSeconds, t.LoadSeconds, t.PrefillSeconds, t.DecodeSeconds = total, load, prefill, decode
		})
	}
	const bracket = 100 * time.Microsecond
	for _, c := range []struct {
		name string
		r    *prober.Result
		trip Trip
		want Wait
	}{
		{"llama.cpp", streamed(200*ms+wrote, llama(0.150)), trip, Wait{Derived, 47 * ms, ms + bracket}},
		{"llama.cpp, below zero within the error", streamed(152*ms+wrote, llama(0.150)), trip, Wait{Derived, 0, ms + bracket}},
		{"llama.cpp, below zero", streamed(150*ms+wrote, llama(0.150)), trip, Wait{Queue: -1}},
		{"llama.cpp, trip unknown", streamed(200*ms+wrote, llama(0.150)), Trip{}, Wait{Queue: -1}},
		{"llama.cpp, in one piece", whole(200*ms+wrote, llama(0.100)), trip, Wait{Derived, 57 * ms, ms + bracket}},
		{"llama.cpp, progress", streamed(200*ms, progress(0.010)), trip, Wait{Derived, 40*ms - wrote - 3*ms - 10*ms, 2*ms + bracket}},
		{"llama.cpp, failed", failed(llama(0.1)), trip, Wait{Queue: -1}},
		{"Ollama", streamed(300*ms, ollama(0.290, 0.020, 0.100, 0.040)), Trip{}, Wait{Derived, 130 * ms, time.Microsecond}},
		{"Ollama, no wait", whole(300*ms, ollama(0.160, 0.020, 0.100, 0.040)), Trip{}, Wait{Derived, 0, time.Microsecond}},
		{"Ollama, parts exceed the total", streamed(300*ms, ollama(0.150, 0.020, 0.100, 0.040)), trip, Wait{Queue: -1}},
		{"Ollama, longer than the request", streamed(100*ms, ollama(0.290, 0.020, 0.100, 0.040)), trip, Wait{Queue: -1}},
		{"Ollama, prefill not measured", streamed(300*ms, ollama(0.290, 0.020, -1, 0.040)), trip, Wait{Queue: -1}},
		{"total without load is not Ollama's", streamed(300*ms, ollama(0.140, -1, 0.100, 0.040)), trip, Wait{Queue: -1}},
		{"a server that tells its queue", streamed(300*ms, told(func(t *wire.ServerTiming) {
			t.QueueSeconds, t.PrefillSeconds, t.DecodeSeconds = 0.01, 0.1, 0.1
		})), trip, Wait{Queue: -1}},
		{"nothing", streamed(300*ms, wire.ServerTiming{}), trip, Wait{Queue: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := FromDerived(c.r, c.trip)
			check(t, "FromDerived", got, ok, c.want)
		})
	}
}

func TestTrip(t *testing.T) {
	var p path
	if got := p.trip(); got.Known {
		t.Errorf("trip() of no handshake = %v; want unknown", got)
	}
	r := streamed(200*ms, wire.ServerTiming{})
	p.observe(r)
	if got, want := p.trip(), (Trip{true, 3 * ms, 0}); got != want {
		t.Errorf("trip() after one handshake = %v; want %v", got, want)
	}
	p.add(1033 * ms) // a packet was lost
	p.add(5 * ms)
	p.add(2 * ms)
	if got, want := p.trip(), (Trip{true, 2 * ms, 1500 * time.Microsecond}); got != want {
		t.Errorf("trip() = %v; want %v", got, want)
	}
	r.Reused = true
	r.Timeline.ConnectStart, r.Timeline.ConnectDone = time.Time{}, time.Time{}
	for range handshakes {
		p.observe(r) // nothing to see
	}
	if got, want := p.trip().Time, 2*ms; got != want {
		t.Errorf("trip() after reused connections = %v; want %v", got, want)
	}
	for range handshakes {
		p.add(8 * ms) // another way
	}
	if got, want := p.trip(), (Trip{true, 8 * ms, 0}); got != want {
		t.Errorf("trip() after the way changed = %v; want %v", got, want)
	}
}

func TestEngineMean(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after Totals
		want          time.Duration // -1: none
	}{
		{"some", Totals{10, 1}, Totals{20, 3}, 200 * ms},
		{"waits of zero count", Totals{10, 1}, Totals{20, 1}, 0},
		{"from the start", Totals{}, Totals{4, 1}, 250 * ms},
		{"nothing counted", Totals{10, 1}, Totals{10, 1}, -1},
		{"started anew", Totals{10, 1}, Totals{3, 0.1}, -1},
		{"started anew and already beyond", Totals{10, 1}, Totals{30, 0.1}, -1},
		{"not a number", Totals{10, 1}, Totals{20, math.NaN()}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, n, ok := EngineMean(c.before, c.after)
			if ok != (c.want >= 0) || ok && (got != c.want || n != c.after.Count-c.before.Count) {
				t.Errorf("EngineMean(%v, %v) = %v, %v, %t; want %v", c.before, c.after, got, n, ok, c.want)
			}
		})
	}
}

func TestUncached(t *testing.T) {
	usage := func(u wire.Usage, timing wire.ServerTiming) *prober.Result {
		r := streamed(100*ms, timing)
		r.Usage = u
		return r
	}
	for _, c := range []struct {
		name string
		r    *prober.Result
		want int // -1: unknown
	}{
		{"usage", usage(wire.Usage{Known: true, PromptTokens: 40, CachedTokens: 16}, wire.ServerTiming{}), 24},
		{"all from the cache", usage(wire.Usage{Known: true, PromptTokens: 40, CachedTokens: 40}, wire.ServerTiming{}), 0},
		{"more cached than there are", usage(wire.Usage{Known: true, PromptTokens: 40, CachedTokens: 50}, wire.ServerTiming{}), 0},
		{"the server's own count wins", usage(wire.Usage{Known: true, PromptTokens: 40}, told(func(t *wire.ServerTiming) { t.PrefillTokens = 7 })), 7},
		{"usage without a prompt", usage(wire.Usage{Known: true, OutputTokens: 4}, wire.ServerTiming{}), -1},
		{"nothing", usage(wire.Usage{}, wire.ServerTiming{}), -1},
		{"progress", usage(wire.Usage{}, told(func(t *wire.ServerTiming) {
			t.Progress = wire.PromptProgress{Known: true, Total: 100, Cached: 30}
		})), 70},
		{"progress, cache unknown", usage(wire.Usage{}, told(func(t *wire.ServerTiming) {
			t.Progress = wire.PromptProgress{Known: true, Total: 100, Cached: -1}
		})), 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Uncached(c.r)
			if ok != (c.want >= 0) || ok && got != c.want {
				t.Errorf("Uncached() = %d, %t; want %d", got, ok, c.want)
			}
		})
	}
}
