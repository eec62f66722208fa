package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// outputTokens is how many tokens each answer has.
const outputTokens = 8

// found is what one run says.
type found struct {
	knee              float64
	requests, invalid int
}

// seed runs both shapes side by side, each against a server of its own.
func (s *settings) seed(ctx context.Context, seed uint64) (truth float64, search, step found, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		truth, search, err = s.find(ctx, "search", seed, func(l *ramp.Lane) {
			l.Search = &ramp.Search{From: s.from, To: s.to, Resolution: s.resolution, Stage: s.stage}
		})
		return err
	})
	group.Go(func() (err error) {
		_, step, err = s.find(ctx, "step", seed, func(l *ramp.Lane) {
			by := s.resolution * (s.from + s.to) / 2
			l.Stages = ramp.Steps{From: s.from, To: s.to, By: by, Each: s.stage * 10 / 9}.Stages() // of which a tenth is warm-up
		})
		return err
	})
	err = group.Wait()
	return truth, search, step, err
}

// find starts a server, runs a lane against it, and asks the judge for the knee.
func (s *settings) find(ctx context.Context, shape string, seed uint64, load func(*ramp.Lane)) (truth float64, f found, err error) {
	server, err := simulator.New(simulator.Options{
		Seed: seed, MaxRunning: 8, StepBase: 19 * time.Millisecond, StepPerSequence: 125 * time.Microsecond, PrefillPerToken: 10 * time.Microsecond,
	})
	if err != nil {
		return 0, f, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, f, err
	}
	serving, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var served error
	wg.Go(func() { served = server.Serve(serving, l) })
	defer func() {
		stop()
		wg.Wait()
		err = errors.Join(err, served)
	}()
	client, err := transport.New(transport.Options{Reuse: true, MaxIdle: 1000})
	if err != nil {
		return 0, f, err
	}
	defer client.Close()
	ask, err := asker(client, "http://"+l.Addr().String()+"/v1")
	if err != nil {
		return 0, f, err
	}
	var first one
	ask(ctx, time.Now(), &first)
	if first.r == nil || !first.r.Usage.Known || first.r.OutputTokens != outputTokens {
		return 0, f, fmt.Errorf("the first request: %+v", first.r)
	}
	truth = server.Capacity(first.r.Usage.PromptTokens, outputTokens).RequestsPerSecond
	lane := ramp.Lane{Name: "main", Process: s.process, MaxInFlight: 10_000, Probes: map[string]ramp.Probe{"chat": {Ask: ask}}, Mix: ramp.Mix{"chat": 1}}
	load(&lane)
	f, err = s.knee(ctx, shape, seed, lane)
	return truth, f, err
}

// knee runs a lane and asks the judge for the knee.
func (s *settings) knee(ctx context.Context, shape string, seed uint64, lane ramp.Lane) (found, error) {
	rec, err := ramp.Run(ctx, ramp.Plan{
		Name: shape, Shape: shape, Target: "simulator", Model: "sim-8b", Seed: seed, Lanes: []ramp.Lane{lane}, Drain: 30 * time.Second, LateBound: s.late,
		Objectives: []record.Objective{{Indicator: record.TTFT, Percentile: 95, Threshold: s.threshold.Seconds()}},
	}, nil)
	if err != nil {
		return found{}, err
	}
	if rec.Stopped != "" {
		return found{}, fmt.Errorf("%s: stopped: %s", shape, rec.Stopped)
	}
	f := found{}
	for _, stage := range rec.Lanes[0].Stages {
		for _, w := range stage.Windows {
			f.requests += w.Sent
		}
		if stage.Invalid != "" {
			f.invalid++
		}
	}
	judge.Judge(rec, nil, judge.Options{})
	if rec.Diagnosis == nil || rec.Diagnosis.Knee == nil {
		return f, fmt.Errorf("%s: no knee was found: verdict %s, %v", shape, rec.Verdict, rec.Reasons)
	}
	f.knee = rec.Diagnosis.Knee.Load
	return f, nil
}

// one is a sink for one result.
type one struct{ r *prober.Result }

// Observe implements prober.Sink.
func (o *one) Observe(r *prober.Result) { o.r = r }

// asker asks one short question of that base.
func asker(client *transport.Client, base string) (ramp.Ask, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		return nil, err
	}
	p := prober.New(prober.Options{URL: u, Protocol: protocol, Client: client})
	call := wire.Call{
		Model: "sim-8b", Stream: true, MaxOutputTokens: outputTokens, Options: wire.Options{IgnoreEOS: true},
		Messages: []wire.Message{{Role: "user", Content: "What is the way to the river?"}},
	}
	return func(ctx context.Context, intended time.Time, sink prober.Sink) {
		sink.Observe(p.Do(ctx, &prober.Request{
			ID: prober.NewID(), Target: "simulator", Probe: "chat", Intended: intended, Call: call, Limits: prober.Limits{Total: time.Minute},
		}))
	}, nil
}
