package collector

import (
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestCost(t *testing.T) {
	price := TokenPrice{Currency: "USD", Input: 1, CachedInput: 0.25, Output: 4} // per million
	for _, test := range []struct {
		name   string
		usage  wire.Usage
		output int
		source prober.TokenSource
		want   float64 // per million requests
	}{
		{"counted", wire.Usage{Known: true, PromptTokens: 40, CachedTokens: 16, OutputTokens: 10}, 10, prober.TokensUsage, 24 + 4 + 40},
		{"nothing cached", wire.Usage{Known: true, PromptTokens: 40, OutputTokens: 10}, 10, prober.TokensUsage, 40 + 40},
		{"cut off, counted on each chunk", wire.Usage{Known: true, PromptTokens: 40, OutputTokens: 3}, 3, prober.TokensChunks, 40 + 12},
		{"estimated output", wire.Usage{Known: true, PromptTokens: 40}, 10, prober.TokensEvents, 40},
		{"not counted", wire.Usage{}, 10, prober.TokensEvents, 0},
		{"more cached than there was", wire.Usage{Known: true, PromptTokens: 40, CachedTokens: 50}, 0, prober.TokensNone, 10},
		{"counted below zero", wire.Usage{Known: true, PromptTokens: -40, CachedTokens: -5}, -1, prober.TokensUsage, 0},
	} {
		r := &prober.Result{Usage: test.usage, OutputTokens: test.output, OutputSource: test.source}
		if got := price.Result(r) * 1e6; math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: cost() = %v; want %v", test.name, got, test.want)
		}
	}
}

func TestCurve(t *testing.T) {
	c := Curve{{time.Second, 0.1}, {5 * time.Second, 0.5}, {10 * time.Second, 0.5}}
	for _, test := range []struct {
		after time.Duration
		want  float64
	}{
		{-time.Second, 0}, {0, 0}, {500 * ms, 0.05}, {time.Second, 0.1}, {3 * time.Second, 0.3}, {5 * time.Second, 0.5},
		{7 * time.Second, 0.5}, {10 * time.Second, 0.5}, {time.Hour, 0.5},
	} {
		if got := c.share(test.after); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("share(%s) = %v; want %v", test.after, got, test.want)
		}
	}
	if got := Curve(nil).share(time.Second); got != 0 {
		t.Errorf("share without a curve = %v; want 0", got)
	}
}

func TestWaited(t *testing.T) {
	streamed := func() *prober.Result { return probertest.Streamed("own", "chat", 300*ms, 20*ms, 16) }
	for _, test := range []struct {
		name string
		in   *prober.Result
		want time.Duration
		ok   bool
	}{
		{"ok", streamed(), 300 * ms, true},
		{"broken off after the first token", with(streamed(), func(r *prober.Result) { r.Outcome = prober.TruncatedStream }), 300 * ms, true},
		{"no first token in time", probertest.Failed("own", "chat", prober.TimeoutFirstToken, 20*time.Second), 20*time.Second + ms, true},
		{"no answer in time", probertest.Failed("own", "chat", prober.TimeoutTotal, 60*time.Second), 60*time.Second + ms, true},
		{"refused", probertest.Failed("own", "chat", prober.Connect, ms), 0, false},
		{"an error", probertest.Failed("own", "chat", prober.Overloaded, time.Second), 0, false},
	} {
		if got, ok := waited(test.in); got != test.want || ok != test.ok {
			t.Errorf("%s: waited() = %s, %v; want %s, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestQueueWait(t *testing.T) {
	const (
		body      = `llm_probe_queue_wait_seconds_sum{model="llama",probe="chat",source="body",target="own"}`
		estimated = `llm_probe_queue_wait_seconds_count{model="llama",probe="chat",source="estimated",target="own"}`
		engine    = `llm_probe_queue_wait_seconds_count{model="llama",probe="chat",source="engine",target="own"}`
		queue     = `llm_probe_ttft_breakdown_seconds_sum{model="llama",part="queue",probe="chat",target="own"}`
		prefill   = `llm_probe_ttft_breakdown_seconds_count{model="llama",part="prefill",probe="chat",target="own"}`
		unfiled   = NameUnfiled
	)
	p := newProbes(t, everything, batch)
	checkValues(t, p, map[string]string{body: "0", estimated: "0", engine: "absent", queue: "0", prefill: "0", unfiled: "0"})
	p.QueueWait("own", "chat", queuewait.Body, 250*ms, "req-1")
	p.QueueWait("own", "chat", queuewait.Body, -ms, "") // below zero is none
	p.QueueWait("own", "chat", queuewait.Estimated, ms, strings.Repeat("x", 500))
	p.TTFTBreakdown("own", "chat", maps.All(map[queuewait.Part]time.Duration{queuewait.PartQueue: 250 * ms, queuewait.PartNetwork: -ms, "elsewhere": time.Hour}))
	checkValues(t, p, map[string]string{body: "0.25", estimated: "1", queue: "0.25", prefill: "0", unfiled: "0"})

	p.QueueWait("own", "chat", queuewait.Engine, ms, "") // not named by the Series
	p.QueueWait("own", "gone", queuewait.Body, ms, "")
	p.TTFTBreakdown("own", "gone", maps.All(map[queuewait.Part]time.Duration{}))
	p.TTFTBreakdown("chat", "batch", maps.All(map[queuewait.Part]time.Duration{queuewait.PartQueue: ms})) // not streamed
	checkValues(t, p, map[string]string{body: "0.25", engine: "absent", unfiled: "4"})
}

func TestUnloadedTTFT(t *testing.T) {
	const (
		short  = `llm_probe_unloaded_ttft_seconds{model="llama",prompt_tokens="128",target="own"}`
		middle = `llm_probe_unloaded_ttft_seconds{model="llama",prompt_tokens="1024",target="own"}`
		long   = `llm_probe_unloaded_ttft_seconds{model="llama",prompt_tokens="8192",target="own"}`
		hourly = `llm_target_price_per_hour{currency="EUR",model="llama",target="own"}`
	)
	p := newProbes(t, everything, batch)
	if text := page(t, p); strings.Contains(text, NameUnloadedTTFT) {
		t.Error("the family is on the page before anything is known")
	}
	p.UnloadedTTFT("own", map[int]time.Duration{128: 20 * ms, 8192: 90 * ms, 77: time.Hour})
	p.UnloadedTTFT("gone", map[int]time.Duration{128: ms})
	p.UnloadedTTFT("chat", map[int]time.Duration{128: ms}) // nothing of it streams
	checkValues(t, p, map[string]string{short: "0.02", middle: "absent", long: "0.09", hourly: "2.5"})

	changed := everything
	changed.HourlyPrice = &HourlyPrice{Currency: "EUR", Amount: 3}
	second := everything
	second.Probe = "second"
	second.HourlyPrice = changed.HourlyPrice
	mustApply(t, p, changed, second)
	checkValues(t, p, map[string]string{short: "0.02", long: "0.09", hourly: "3"})
	p.UnloadedTTFT("own", map[int]time.Duration{128: 30 * ms})
	checkValues(t, p, map[string]string{short: "0.03", long: "absent"})

	moved := everything
	moved.Model = "other"
	mustApply(t, p, moved)
	if text := page(t, p); strings.Contains(text, NameUnloadedTTFT) {
		t.Error("what was learnt of one model is said of another")
	}
}
