package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// engineWindow is how long the intervals are over which the engine's mean is taken.
const engineWindow = 4 * time.Second

// measureDialect asks a server of one dialect at all loads.
func (s *setting) measureDialect(ctx context.Context, d dialect, r *report) (err error) {
	sim, err := simulator.New(d.options()) // never run: it knows the constants
	if err != nil {
		return err
	}
	process, err := startServer(ctx, d, s.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.stop()) }()
	a, err := newAsker(ctx, d, process, 1)
	if err != nil {
		return err
	}
	defer a.close()

	target := queuewait.NewTarget()
	random := rand.New(rand.NewPCG(7, 7)) // not for the quiet time, which draws as often as it comes to
	duration := s.duration / 2
	if d.source == queuewait.Body {
		duration = s.duration
		answers := &answers{target: target, cold: queuewait.NewTarget()}
		if err := a.quiet(ctx, s.quiet, rand.New(rand.NewPCG(7, 8)), answers.take); err != nil {
			return err
		}
		if err := answers.compare(ctx, process, d, sim, r.at(0)); err != nil {
			return err
		}
	}
	for _, load := range s.loads {
		answers := &answers{target: target, cold: queuewait.NewTarget()}
		var readings []reading
		watched, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		if d.source == queuewait.Body {
			wg.Go(func() { readings = process.watch(watched) })
		}
		err := a.loaded(ctx, sim, load, duration, random, answers.take)
		stop()
		wg.Wait()
		if err != nil {
			return fmt.Errorf("at %.0f %% load: %w", 100*load, err)
		}
		if err := answers.compare(ctx, process, d, sim, r.at(load)); err != nil {
			return err
		}
		if d.source == queuewait.Body {
			if err := compareEngine(ctx, process, readings, r.at(load)); err != nil {
				return err
			}
		}
	}
	return nil
}

// watch takes readings of the engine until ctx ends.
func (s *server) watch(ctx context.Context) (all []reading) {
	ticks := time.NewTicker(engineWindow)
	defer ticks.Stop()
	for {
		if r, err := s.read(ctx); err == nil {
			all = append(all, r)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return all
		}
	}
}

// answers are what the sources said at one load.
type answers struct {
	target, cold *queuewait.Target
	list         []said
	failed       int
	failure      error
}

// said is what the sources said of one request.
type said struct {
	result *prober.Result
	waits  map[string]time.Duration // by row of the report
	sure   map[string]float64       // of the model's rows, before it learned from the request
}

// take has the sources judge one answer.
func (a *answers) take(r *prober.Result) {
	if r.Outcome != prober.OK {
		a.failed++
		a.failure = r.Err
		return
	}
	s := said{result: r, waits: map[string]time.Duration{}, sure: map[string]float64{}}
	if tokens, ok := queuewait.Uncached(r); ok {
		_, s.sure[estimatedRow], _ = a.target.Unloaded(tokens)
		_, s.sure[coldRow], _ = a.cold.Unloaded(tokens)
	}
	report := a.target.Observe(r, r.Header)
	for _, w := range report.Waits() {
		s.waits[string(w.Source)] = w.Queue
	}
	report = a.cold.Observe(r, r.Header)
	for _, w := range report.Waits() {
		if w.Source == queuewait.Estimated {
			s.waits[coldRow] = w.Queue
		}
	}
	a.list = append(a.list, s)
}

// compare holds what was said against the truth.
//
// The engine keeps its time line whatever its process is late by, and so do the sources that are its own figures. For a
// client that lateness is waiting like any other. It is no error of what the client makes of it, so it is part of the
// truth of derived and estimated, and told apart:
//
//	client:   wrote ──────────────────────────────────────────────────────────> first token
//	server:         ──late──> arrival ──queue──> ──prefill──> due ──late──> sent
func (a *answers) compare(ctx context.Context, process *server, d dialect, sim *simulator.Server, load *loadReport) error {
	if a.failed > 0 {
		return fmt.Errorf("%d probes failed: %w", a.failed, a.failure)
	}
	for _, s := range a.list {
		truth, err := process.truth(ctx, s.result.Request.ID)
		if err != nil {
			return err
		}
		before := time.Duration(truth.ArrivalUnixNano - s.result.Timeline.Wrote.UnixNano())
		c := compared{queue: time.Duration(*truth.QueueWait), late: before}
		if d.stream { // an answer in one piece is sent with its last token
			c.late += time.Duration(truth.Tokens[0].Sent - truth.Tokens[0].Due)
		}

		if wait, ok := s.waits[string(d.source)]; ok {
			c.said, c.truth = wait, c.queue
			switch {
			case s.result.Timing.Progress.Known:
				// When the progress was sent is not kept, so requests at which the server was late tell nothing.
				if row := load.row(progressRow); c.late < time.Millisecond {
					row.add(c)
				} else {
					row.LeftOut++
				}
			case d.row == derivedRow:
				c.truth += c.late
				load.row(derivedRow).add(c)
			default:
				load.row(d.row).add(c)
			}
		}
		if d.source != queuewait.Body {
			continue // the model is the same for all dialects
		}
		c.truth = c.late + time.Duration(*truth.FirstToken) - sim.Capacity(truth.PromptTokens, 1).UnloadedTTFT
		for _, name := range []string{estimatedRow, coldRow} {
			if wait, ok := s.waits[name]; ok {
				c.said, c.sure = wait, s.sure[name]
				load.row(name).add(c)
			} else {
				load.row(name).LeftOut++
			}
		}
	}
	return nil
}

// compareEngine holds the engine's means against those of the requests that finished between the readings.
func compareEngine(ctx context.Context, process *server, readings []reading, load *loadReport) error {
	truths, err := process.truths(ctx)
	if err != nil {
		return err
	}
	for i := 1; i < len(readings); i++ {
		mean, _, ok := queuewait.EngineMean(readings[i-1].totals, readings[i].totals)
		if !ok {
			continue
		}
		var sum, n int64
		from, to := readings[i-1].at.UnixNano(), readings[i].at.UnixNano()
		for _, t := range truths {
			if t.LastToken == nil || t.State != "finished" {
				continue
			}
			if end := t.ArrivalUnixNano + *t.LastToken; end > from && end <= to {
				sum += *t.QueueWait
				n++
			}
		}
		if n > 0 {
			truth := time.Duration(sum / n)
			load.row(engineRow).add(compared{said: mean, truth: truth, queue: truth})
		}
	}
	return nil
}
