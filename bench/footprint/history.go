package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/llmprober/llm_prober/internal/web"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/wire"
)

// remembered is how far back the pages' history reaches, and a little more.
const remembered = 26 * time.Hour

// writeHistory writes to path what the prober of a case would have kept of the last day.
func (c *kase) writeHistory(path string, now time.Time) error {
	h := web.NewHistory()
	var rows []web.Row
	for i := range c.targets {
		for _, s := range c.shapes {
			rows = append(rows, web.Row{Target: c.target(i), Model: model, Probe: s.name, Stream: s.stream, Interval: c.interval})
		}
	}
	h.Apply(rows)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, row := range rows {
		known := queuewait.NewTarget()
		for at := now.Add(-remembered); at.Before(now); at = at.Add(c.interval) {
			r := madeUp(row, at, rng)
			report := known.Observe(r, nil)
			h.ObserveExplained(r, &report)
		}
	}
	return h.Save(path)
}

// madeUp is a result as a server of a lively load has it: one in 200 fails.
func madeUp(row web.Row, at time.Time, rng *rand.Rand) *prober.Result {
	const tokens = 64
	ttft := time.Duration(float64(200*time.Millisecond) * (1 + rng.ExpFloat64()/4))
	gap := time.Duration(float64(20*time.Millisecond) * (1 + rng.ExpFloat64()/10))
	first, last := at.Add(ttft), at.Add(ttft+(tokens-1)*gap)
	r := &prober.Result{
		Request: &prober.Request{ID: fmt.Sprintf("%032x", rng.Uint64()), Target: row.Target, Probe: row.Probe, Intended: at,
			Call: wire.Call{Model: model, Stream: row.Stream}},
		Outcome: prober.OK, HTTPStatus: 200, Clock: prober.ClockKernel, OutputTokens: tokens, OutputSource: prober.TokensUsage,
		Usage:    wire.Usage{Known: true, PromptTokens: 40, OutputTokens: tokens},
		Timeline: prober.Timeline{Intended: at, Dispatched: at, WriteStart: at, Wrote: at, Headers: at.Add(time.Millisecond), End: last.Add(time.Millisecond)},
	}
	switch t := &r.Timeline; {
	case rng.IntN(200) == 0:
		r.Outcome, r.OutputTokens, r.OutputSource, r.Usage = prober.TimeoutFirstToken, 0, prober.TokensNone, wire.Usage{}
		r.Err = fmt.Errorf("no token within 30s")
	case row.Stream:
		t.FirstEvent, t.FirstToken, t.FirstOutput, t.LastToken = first, first, first, last
		r.Chunks = []prober.Chunk{{At: ttft, Tokens: 1}, {At: ttft + (tokens-1)*gap, Tokens: tokens - 1}}
	}
	return r
}
