// Package probertest makes results up, for the tests of whoever takes results.
package probertest

import (
	"fmt"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/wire"
)

// Epoch is when all results of the tests begin.
var Epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Streamed is a successful streaming result: header after 40 ms, first token after ttft, then one chunk of one token per gap.
func Streamed(target, probe string, ttft, gap time.Duration, tokens int) *prober.Result {
	at := func(d time.Duration) time.Time { return Epoch.Add(d) }
	r := &prober.Result{
		Request: &prober.Request{
			ID: "req-1", Target: target, Probe: probe, Intended: Epoch.Add(-50 * time.Microsecond),
			Call: wire.Call{Model: "m", Stream: true},
		},
		Outcome:    prober.OK,
		HTTPStatus: 200,
		Clock:      prober.ClockKernel,
		Timeline: prober.Timeline{
			Intended: at(-50 * time.Microsecond), Dispatched: at(0),
			DNSStart: at(0), DNSDone: at(2 * time.Millisecond),
			ConnectStart: at(2 * time.Millisecond), ConnectDone: at(5 * time.Millisecond),
			TLSStart: at(5 * time.Millisecond), TLSDone: at(20 * time.Millisecond),
			WriteStart: at(20 * time.Millisecond), Wrote: at(20100 * time.Microsecond),
			Headers: at(40 * time.Millisecond), FirstEvent: at(40 * time.Millisecond),
			FirstToken: at(ttft), FirstOutput: at(ttft),
			LastToken: at(ttft + time.Duration(tokens-1)*gap),
			End:       at(ttft + time.Duration(tokens-1)*gap + time.Millisecond),
		},
		Usage:        wire.Usage{Known: true, PromptTokens: 40, CachedTokens: 16, OutputTokens: tokens},
		OutputTokens: tokens,
		OutputSource: prober.TokensUsage,
		ReceiveDelay: 120 * time.Microsecond,
	}
	for i := range tokens {
		r.Chunks = append(r.Chunks, prober.Chunk{At: ttft + time.Duration(i)*gap, Tokens: 1})
	}
	return r
}

// Whole is a successful result that was not streamed.
func Whole(target, probe string, d time.Duration, tokens int) *prober.Result {
	r := Streamed(target, probe, d, 0, tokens)
	r.Request.Call.Stream = false
	r.Chunks = nil
	t := &r.Timeline
	t.Headers = t.FirstToken
	t.FirstEvent, t.FirstToken, t.FirstOutput, t.LastToken = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return r
}

// Failed is a result that got no token.
func Failed(target, probe string, o prober.Outcome, after time.Duration) *prober.Result {
	r := Streamed(target, probe, after, 0, 1)
	r.Outcome, r.Err = o, fmt.Errorf("%s", o)
	r.Chunks, r.Usage, r.OutputTokens, r.OutputSource = nil, wire.Usage{}, 0, prober.TokensNone
	t := &r.Timeline
	t.Headers, t.FirstEvent, t.FirstToken, t.FirstOutput, t.LastToken = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return r
}

// Chunked is a successful streaming result with the given chunks, a final usage of total tokens (0: none), and its first
// token and last token where the chunks say.
func Chunked(total int, chunks ...prober.Chunk) *prober.Result {
	r := Streamed("t", "p", 100*time.Millisecond, 0, 1)
	r.Chunks = chunks
	t := &r.Timeline
	t.FirstToken = t.Dispatched.Add(chunks[0].At)
	t.FirstOutput = t.FirstToken
	t.LastToken = t.Dispatched.Add(chunks[len(chunks)-1].At)
	r.OutputTokens, r.OutputSource, r.Usage.OutputTokens = total, prober.TokensUsage, total
	if total == 0 {
		r.OutputTokens, r.OutputSource, r.Usage.Known = len(chunks), prober.TokensEvents, false
	}
	return r
}
