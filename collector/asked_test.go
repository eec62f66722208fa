package collector

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
	"github.com/llmprober/llm_prober/prober/wire"
)

// Retries, bursts and turns: what depends on how a request was asked.

// A request that this machine could not send is a skipped one: neither a success nor a failure of its target.
func TestUnsent(t *testing.T) {
	p := newProbes(t, everything)
	p.Observe(probertest.Failed("own", "chat", prober.Unsent, 0))
	checkValues(t, p, map[string]string{
		`llm_probe_skipped_total{model="llama",probe="chat",reason="prober_resources",target="own"}`: "1",
		`llm_probe_requests_total{model="llama",outcome="connect",probe="chat",target="own"}`:        "0",
		`llm_probe_canceled_total{model="llama",probe="chat",target="own"}`:                          "0",
		`llm_probe_up{model="llama",probe="chat",target="own"}`:                                      "0",
		`llm_probe_last_run_timestamp_seconds{model="llama",probe="chat",target="own"}`:              "0",
		`llm_prober_unfiled_results_total`:                                                           "0",
	})
}

func TestRetries(t *testing.T) {
	p := newProbes(t, everything)
	first := probertest.Failed("own", "chat", prober.RateLimited, 100*ms)
	first.Retried = true
	second := probertest.Streamed("own", "chat", 300*ms, 20*ms, 16)
	second.Request.Attempt = 2
	second.Request.FirstDispatched = second.Timeline.Dispatched.Add(-time.Second)
	p.Observe(first)
	p.Observe(second)
	p.Observe(probertest.Streamed("own", "chat", 300*ms, 20*ms, 16))
	checkValues(t, p, map[string]string{
		`llm_probe_retries_total{model="llama",probe="chat",target="own"}`:                          "1",
		`llm_probe_user_time_to_first_token_seconds_sum{model="llama",probe="chat",target="own"}`:   "1.6",
		`llm_probe_user_time_to_first_token_seconds_count{model="llama",probe="chat",target="own"}`: "2",
		`llm_probe_time_to_first_token_seconds_sum{model="llama",probe="chat",target="own"}`:        "0.6",
		`llm_probe_requests_total{model="llama",outcome="rate_limited",probe="chat",target="own"}`:  "1",
		`llm_probe_requests_total{model="llama",outcome="ok",probe="chat",target="own"}`:            "2",
		`llm_probe_cold_time_to_first_token_seconds_count{model="llama",probe="chat",target="own"}`: "0",
	})
}

// member is one request of a burst of three.
func member(at time.Duration, r *prober.Result) *prober.Result {
	r.Request.Intended = probertest.Epoch.Add(at)
	r.Request.ID = fmt.Sprintf("%016x%016x", at.Nanoseconds()+1, rand.Uint64()|1)
	r.Request.Burst = 3
	return r
}

func TestBursts(t *testing.T) {
	p := newProbes(t, everything)
	streamed := func(ttft time.Duration) *prober.Result { return probertest.Streamed("own", "chat", ttft, 20*ms, 16) }
	cold := member(0, streamed(2*time.Second))
	cold.Request.Cold = true
	retried := member(0, probertest.Failed("own", "chat", prober.Overloaded, 100*ms))
	retried.Retried = true // its next try is what counts
	for _, r := range []*prober.Result{
		member(0, streamed(500*ms)), retried, cold, member(0, streamed(2500*ms)), // a spread of 2 s
		member(time.Hour, streamed(500*ms)), // cut by a reload: its others never came
		member(2*time.Hour, streamed(500*ms)), member(2*time.Hour, streamed(600*ms)),
		member(time.Hour, streamed(time.Second)),                                         // late, of the one that was given up
		member(2*time.Hour, probertest.Failed("own", "chat", prober.Overloaded, 100*ms)), // a spread of 0.1 s
		member(3*time.Hour, streamed(500*ms)),
		member(3*time.Hour, probertest.Failed("own", "chat", prober.Overloaded, 100*ms)),
		member(3*time.Hour, probertest.Failed("own", "chat", prober.Overloaded, 100*ms)), // one success has no spread
	} {
		p.Observe(r)
	}
	checkValues(t, p, map[string]string{
		`llm_probe_burst_ttft_spread_seconds_count{model="llama",probe="chat",target="own"}`:        "2",
		`llm_probe_burst_ttft_spread_seconds_sum{model="llama",probe="chat",target="own"}`:          "2.1",
		`llm_probe_cold_time_to_first_token_seconds_sum{model="llama",probe="chat",target="own"}`:   "2",
		`llm_probe_cold_time_to_first_token_seconds_count{model="llama",probe="chat",target="own"}`: "1",
		`llm_probe_time_to_first_token_seconds_count{model="llama",probe="chat",target="own"}`:      "7",
	})
}

func TestTurns(t *testing.T) {
	p := newProbes(t, everything)
	for turn := range 4 { // 0: no conversation; 3: more than the series has
		r := probertest.Streamed("own", "chat", time.Duration(turn+1)*100*ms, 20*ms, 16)
		r.Request.Turn = turn
		r.Usage = wire.Usage{Known: true, PromptTokens: 100 * turn, CachedTokens: 90 * (turn - 1), OutputTokens: 16}
		p.Observe(r)
	}
	checkValues(t, p, map[string]string{
		`llm_probe_turn_time_to_first_token_seconds_sum{model="llama",probe="chat",target="own",turn="1"}`: "0.2",
		`llm_probe_turn_time_to_first_token_seconds_sum{model="llama",probe="chat",target="own",turn="2"}`: "0.3",
		`llm_probe_turn_prompt_tokens_total{model="llama",probe="chat",target="own",turn="1"}`:             "100",
		`llm_probe_turn_prompt_tokens_total{model="llama",probe="chat",target="own",turn="2"}`:             "200",
		`llm_probe_turn_cached_prompt_tokens_total{model="llama",probe="chat",target="own",turn="1"}`:      "0",
		`llm_probe_turn_cached_prompt_tokens_total{model="llama",probe="chat",target="own",turn="2"}`:      "90",
	})
}
