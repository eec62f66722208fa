package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// shape is one length of request, and how many of a hundred probes have it.
type shape struct {
	prompt, output int
	share          int
}

// background is what the load consists of.
func background() shape { return shape{prompt: 400, output: 64} }

// probed are the shapes of the probes.
func probed() []shape {
	return []shape{{prompt: 40, output: 8, share: 60}, {prompt: 400, output: 8, share: 25}, {prompt: 2000, output: 8, share: 15}}
}

// probeRate is how many probes a second there are under load, on average.
const probeRate = 6.0

// asker asks one server.
type asker struct {
	dialect dialect
	server  *server
	prompts *workload.Generator
	lengths *workload.Calibration
	target  *url.URL
	proto   *wire.Protocol
	probes  *transport.Client // a connection for each
	load    *transport.Client // connections used again
	asked   atomic.Int64
}

func newAsker(ctx context.Context, d dialect, s *server, seed uint64) (_ *asker, err error) {
	a := &asker{dialect: d, server: s, lengths: new(workload.Calibration), target: s.root.JoinPath(d.path)}
	a.prompts = workload.NewGenerator(seed, a.lengths)
	if a.proto, err = wire.Lookup(d.protocol); err != nil {
		return nil, err
	}
	if a.probes, err = transport.New(transport.Options{}); err != nil {
		return nil, err
	}
	if a.load, err = transport.New(transport.Options{Reuse: true, MaxIdle: 256}); err != nil {
		a.probes.Close()
		return nil, err
	}
	err = a.prompts.Calibrate(ctx, func(ctx context.Context, messages []wire.Message) (int, error) {
		r := a.do(ctx, a.load, a.dialect.call(0, messages, 1, false))
		return r.Usage.PromptTokens, r.Err
	})
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *asker) close() {
	a.probes.Close()
	a.load.Close()
}

func (a *asker) do(ctx context.Context, c *transport.Client, call wire.Call) *prober.Result {
	p := prober.New(prober.Options{URL: a.target, Protocol: a.proto, Client: c})
	return p.Do(ctx, &prober.Request{ID: prober.NewID(), Target: a.dialect.name, Probe: "queuewait", Intended: time.Now(), Call: call})
}

// ask asks one probe of a shape.
func (a *asker) ask(ctx context.Context, s shape) *prober.Result {
	p := a.prompts.Prompt(workload.Shape{PromptTokens: workload.Range{Min: s.prompt, Max: s.prompt}, MaxOutputTokens: s.output})
	return a.do(ctx, a.probes, a.dialect.call(int(a.asked.Add(1)), p.Messages, s.output, a.dialect.stream))
}

// pick is a shape of the probes, by their shares.
func pick(r *rand.Rand) shape {
	n := r.IntN(100)
	for _, s := range probed() {
		if n -= s.share; n < 0 {
			return s
		}
	}
	return probed()[0]
}

// quiet asks one probe after the other for a time, so that none meets another.
func (a *asker) quiet(ctx context.Context, d time.Duration, r *rand.Rand, take func(*prober.Result)) error {
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		take(a.ask(ctx, pick(r)))
	}
	return ctx.Err()
}

// loaded asks probes while the background loads the server, both with Poisson arrivals, so that the load of all is the
// given share of what the server can bear. It returns when all have been answered.
func (a *asker) loaded(ctx context.Context, sim *simulator.Server, share float64, d time.Duration, r *rand.Rand, take func(*prober.Result)) error {
	work := func(s shape) float64 { return 1 / sim.Capacity(s.prompt, s.output).RequestsPerSecond } // seconds of the server
	byProbes := 0.0
	for _, s := range probed() {
		byProbes += probeRate * float64(s.share) / 100 * work(s)
	}
	rest := share - byProbes
	if rest <= 0 {
		return fmt.Errorf("the probes alone are %.0f %% of load", 100*byProbes)
	}
	var wg sync.WaitGroup
	var failed atomic.Int64
	settle := min(2*time.Second, d/4) // before the probes come
	begin := time.Now()
	theirs, own := rand.New(rand.NewPCG(r.Uint64(), 1)), rand.New(rand.NewPCG(r.Uint64(), 2))
	wg.Go(func() {
		poisson(ctx, rest/work(background()), begin, begin.Add(settle+d), theirs, func() {
			s := background()
			p := a.prompts.Prompt(workload.Shape{PromptTokens: workload.Range{Min: s.prompt, Max: s.prompt}})
			call := a.dialect.call(0, p.Messages, s.output, false)
			wg.Go(func() {
				if a.do(ctx, a.load, call).Outcome != prober.OK {
					failed.Add(1)
				}
			})
		})
	})
	var mu sync.Mutex
	poisson(ctx, probeRate, begin.Add(settle), begin.Add(settle+d), own, func() {
		s := pick(own)
		wg.Go(func() {
			answer := a.ask(ctx, s)
			mu.Lock()
			defer mu.Unlock()
			take(answer)
		})
	})
	wg.Wait()
	if n := failed.Load(); n > 0 && ctx.Err() == nil {
		return fmt.Errorf("%d requests of the background failed", n)
	}
	return ctx.Err()
}

// poisson calls do at random times, rate of them a second on average.
func poisson(ctx context.Context, rate float64, from, to time.Time, r *rand.Rand, do func()) {
	for at := from; ; {
		at = at.Add(time.Duration(r.ExpFloat64() / rate * float64(time.Second)))
		if !at.Before(to) || workload.SleepUntil(ctx, at) != nil {
			return
		}
		do()
	}
}
