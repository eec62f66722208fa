package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// setting is what all rows of a run have in common.
type setting struct {
	pace     pace
	tokens   int
	duration time.Duration
	rounds   int  // of the comparison of costs; 0: none
	fresh    bool // a connection for each request
	together bool // all streams begin at once
	over     string
	url      string
	stderr   io.Writer
}

// transport is what all clients have in common.
func (s *setting) transport() transport.Options {
	return transport.Options{
		HTTP:  commoncfg.HTTPClientConfig{TLSConfig: commoncfg.TLSConfig{InsecureSkipVerify: true}},
		HTTP2: s.over == overHTTP2,
	}
}

// measure makes one row: streams that ask again and again, and then what an event costs.
func (s *setting) measure(ctx context.Context, target *server, streams int) (*row, error) {
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		return nil, err
	}
	options := s.transport()
	options.Reuse, options.MaxIdle = !s.fresh, streams
	client, err := transport.New(options)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	r := &row{
		Streams: streams, Tokens: s.tokens, Over: s.over, Connection: "reuse", Machine: describeMachine(),
		FirstToken: s.pace.firstToken.Seconds(), PerToken: s.pace.perToken.Seconds(),
	}
	if s.fresh {
		r.Connection = "fresh"
	}
	answer := s.pace.firstToken + time.Duration(s.tokens-1)*s.pace.perToken
	l := &load{
		target: target, client: client, protocol: protocol, streams: streams, tokens: s.tokens,
	}
	if !s.together {
		l.spread, l.scatter = answer, s.pace.perToken
	}
	var free func()
	if l.stamps, free, err = newSends(streams, s.tokens); err != nil {
		return nil, err
	}
	defer free()
	f := &figures{wall: newWallClock(), firstToken: s.pace.firstToken, tokens: s.tokens}
	madeBefore, err := target.made(ctx)
	if err != nil {
		return nil, err
	}

	runtime.GC()
	debug.FreeOSMemory() // of the row before
	resetPeak()
	var m meter
	before := m.start()
	l.run(ctx, before.at, before.at.Add(s.duration), f.add)
	after := m.stop()
	_, r.PeakRSS = memory()

	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	made, err := target.made(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.checkTruth(ctx, target, f, r); err != nil {
		return nil, err
	}
	r.Seconds = after.at.Sub(before.at).Seconds()
	r.EventsLost = max(made-madeBefore, f.expected()) - f.events
	if s.url != "" { // others may be asking it too
		r.EventsLost = f.expected() - f.events
	}
	r.CPUPerEvent = (after.cpu - before.cpu).Seconds() / float64(max(1, f.events))
	r.AllocsPerRequest = float64(after.mallocs-before.mallocs) / float64(max(1, f.requests))
	f.report(r)

	if s.rounds > 0 && s.over == overTCP { // the bare loops know nothing of TLS
		if err := s.compare(ctx, target, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// report fills in what f added up.
func (f *figures) report(r *row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.Requests, r.RequestsFailed, r.Degraded = f.requests, f.failed, f.degraded
	r.Failure = f.failure()
	r.Events, r.EventsUnmatched, r.EventsUnmarked = f.events, f.unmatched, f.unmarked
	r.EventsPerSecond = float64(f.events) / r.Seconds
	matched := float64(max(1, f.events-f.unmatched))
	r.KernelShare, r.SharedShare = float64(f.stamped)/matched, float64(f.shared)/matched
	r.TTFT = f.byClock(&f.ttftWhole)
	r.TTFTError, r.TTFTBound, r.OverConfig = f.byClock(&f.ttft), f.byClock(&f.ttftBound), f.byClock(&f.ttftOver)
	r.ReceiveError, r.OwnStamp, r.FirstReceive = f.byClock(&f.receive), f.byClock(&f.receiveOwn), f.byClock(&f.receiveFirst)
	r.Lateness, r.RequestDelay = f.lateness.summarise(), f.requestDelay.summarise()
	r.WriteBracket, r.Dispatch, r.Connect = f.bracket.summarise(), f.dispatch.summarise(), f.connect.summarise()
}

// byClock has no figure by the kernel's clock where the kernel stamped nothing.
func (f *figures) byClock(h *[clocks]histogram) byClock {
	b := byClock{User: h[byUser].summarise()}
	if f.stamped > 0 {
		b.Kernel = h[byKernel].summarise()
	}
	return b
}

// checkTruth makes sure that the figures stand on firm ground: the wall clock was not set meanwhile, and what was derived
// from the events is what the server says when it is asked.
func (s *setting) checkTruth(ctx context.Context, target *server, f *figures, r *row) error {
	moved, err := f.wall.moved()
	if err != nil {
		return err
	}
	r.ClockMoved = moved.Seconds()
	truth, err := target.arrivals(ctx)
	if err != nil {
		return err
	}
	var worst time.Duration
	for _, derived := range f.latest {
		if told, ok := truth[derived.id]; ok {
			r.TruthChecked++
			worst = max(worst, time.Duration(derived.at-told).Abs())
		}
	}
	r.TruthDistance = worst.Seconds()
	if worst > 10*time.Millisecond {
		return fmt.Errorf("the server had read a request %v from when its first event says it had: does it run with --first-token=%v?", worst, s.pace.firstToken)
	}
	return nil
}
