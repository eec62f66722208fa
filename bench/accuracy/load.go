package main

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// load is a number of streams that the prober measures side by side.
type load struct {
	target   *server
	client   *transport.Client
	protocol *wire.Protocol
	streams  int
	tokens   int           // of each answer
	spread   time.Duration // the streams begin evenly over it,
	scatter  time.Duration // and up to so much later each
	stamps   []sends       // of each stream, where the server shall stamp its events; nil: it shall not
}

// call is the question: the same one every time, so that all answers are alike, byte for byte.
func call(tokens int, stamped bool) wire.Call {
	c := wire.Call{
		Model: model, MaxOutputTokens: tokens, Stream: true,
		Messages: []wire.Message{{Role: "user", Content: "How long does it take you to answer this?"}},
		Options:  wire.Options{Seed: new(int64(1)), IgnoreEOS: true},
	}
	if stamped {
		c.Options.Extra = map[string]json.RawMessage{"stamp_events": json.RawMessage("true")}
	}
	return c
}

// begin is when stream i of n begins: evenly over spread, so that the server never has to begin many at once, and up to
// scatter later, so that with the gap between two tokens as scatter their events do not come in step ever after.
func begin(i, n int, spread, scatter time.Duration) time.Duration {
	const golden = 0.6180339887498949
	_, part := math.Modf(float64(i) * golden)
	return time.Duration(float64(spread)*float64(i)/float64(n)) + time.Duration(part*float64(scatter))
}

// run begins the streams, has each ask again and again until end has passed, and waits for the last answers. Each answer
// is handed to judge, on the stream's own goroutine. Without stamps, what judge gets of them is empty.
func (l *load) run(ctx context.Context, start, end time.Time, judge func(r *prober.Result, s *sends)) {
	question := call(l.tokens, l.stamps != nil)
	const limit = 24 * time.Hour // the server ends an answer, or ctx does
	var wg sync.WaitGroup
	for i := range l.streams {
		wg.Go(func() {
			protocol, stamps := l.protocol, new(sends)
			if l.stamps != nil {
				stamps = &l.stamps[i]
				protocol = watched(protocol, stamps)
			}
			p := prober.New(prober.Options{URL: l.target.url, Protocol: protocol, Client: l.client})
			if !sleepUntil(ctx, start.Add(begin(i, l.streams, l.spread, l.scatter))) {
				return
			}
			for ctx.Err() == nil {
				stamps.reset()
				r := p.Do(ctx, &prober.Request{
					ID: prober.NewID(), Target: "simulator", Probe: "accuracy", Intended: time.Now(), Call: question,
					Limits: prober.Limits{Total: limit},
				})
				judge(r, stamps)
				if !time.Now().Before(end) {
					return
				}
			}
		})
	}
	wg.Wait()
}

// sleepUntil waits for t and reports whether it came before the end of ctx.
func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
