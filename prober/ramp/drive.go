package ramp

import (
	"context"
	"time"

	"github.com/llmprober/llm_prober/prober/workload"
)

// drive does all that the lane has to do, and returns when all is dispatched. The error is of loads that cannot be.
func (l *lane) drive(ctx context.Context) error {
	defer func() { l.close(time.Now()) }()
	switch {
	case l.plan.Search != nil:
		return l.find(ctx)
	case l.plan.Trace != nil:
		return l.replay(ctx)
	}
	stages := l.plan.Stages
	begin, before := l.run.started, 0.0
	for len(stages) > 0 && ctx.Err() == nil {
		n := 1
		var err error
		switch {
		case l.plan.Closed:
			s := stages[0]
			if len(stages) == 1 && l.plan.Background {
				s.Over = max(s.Over, endless)
			}
			begin = l.keep(ctx, ctx, l.open(begin, s, before))
		case stages[0].Burst > 0:
			begin = l.burst(ctx, begin, stages[0], before)
		default:
			for n < len(stages) && stages[n].Burst == 0 {
				n++
			}
			begin, err = l.follow(ctx, begin, stages[:n], before, n == len(stages))
		}
		if err != nil {
			return err
		}
		before = stages[n-1].To
		stages = stages[n:]
	}
	return nil
}

// follow dispatches the arrivals of stages that follow each other, and returns when the last one ends. They have one
// schedule of absolute times: a stage boundary neither adds nor loses an arrival.
func (l *lane) follow(ctx context.Context, begin time.Time, stages []Stage, before float64, last bool) (time.Time, error) {
	var profile workload.Profile
	for i, s := range stages {
		if last && i == len(stages)-1 && l.plan.Background {
			s.Over = max(s.Over, endless)
		}
		profile = append(profile, workload.Segment{From: s.From, To: s.To, Over: s.Over})
	}
	arrivals, err := workload.NewArrivals(profile, l.plan.Process, l.seed^uint64(l.begun))
	if err == nil {
		arrivals, err = arrivals.Shard(l.run.plan.Shard, l.run.plan.Shards)
	}
	if err != nil {
		return begin, err
	}
	boundary, next := begin, 0
	at, more := arrivals.Next()
	for {
		if wanted := begin.Add(at); more && wanted.Before(boundary) {
			if l.run.plan.Sleep(ctx, wanted) != nil {
				return boundary, nil
			}
			l.dispatch(wanted)
			at, more = arrivals.Next()
			continue
		}
		if l.run.plan.Sleep(ctx, boundary) != nil || next == len(stages) {
			return boundary, nil
		}
		s := stages[next]
		s.Over = profile[next].Over
		l.open(boundary, s, before)
		boundary, before = boundary.Add(s.Over), s.To
		next++
	}
}

// endless is longer than any run: a century.
const endless = 100 * 365 * 24 * time.Hour

// replay dispatches the arrivals of the trace.
func (l *lane) replay(ctx context.Context) error {
	arrivals, err := l.plan.Trace.Arrivals().Shard(l.run.plan.Shard, l.run.plan.Shards)
	if err != nil {
		return err
	}
	over := l.plan.traceLength()
	rate := float64(l.plan.Trace.Len()) / over.Seconds()
	l.open(l.run.started, Stage{Name: "trace", From: rate, To: rate, Over: over, WarmUp: -1}, rate)
	for at, more := arrivals.Next(); more; at, more = arrivals.Next() {
		wanted := l.run.started.Add(time.Duration(float64(at) / l.plan.Speed))
		if l.run.plan.Sleep(ctx, wanted) != nil {
			return nil
		}
		l.dispatch(wanted)
	}
	_ = l.run.plan.Sleep(ctx, l.run.started.Add(over)) // its end is seen by the caller
	return nil
}

// burst sends all requests of a stage at once, and returns when all have ended.
func (l *lane) burst(ctx context.Context, begin time.Time, s Stage, before float64) time.Time {
	if l.run.plan.Sleep(ctx, begin) != nil {
		return begin
	}
	opened := l.open(begin, s, before)
	for range l.run.plan.part(s.Burst) {
		if ctx.Err() != nil {
			break
		}
		l.dispatch(begin)
	}
	l.await(ctx, opened, begin.Add(s.Over))
	now := time.Now()
	if planned := begin.Add(s.Over); now.After(planned) {
		now = planned
	}
	l.close(now)
	return now
}

// await returns when no request of the stage is under way any more, at the latest at t.
func (l *lane) await(ctx context.Context, s *stage, t time.Time) {
	for {
		l.mu.Lock()
		idle := s.pending == 0
		l.mu.Unlock()
		if idle || !s.wait(ctx, t) {
			return
		}
	}
}

// wait returns true when the stage may have become idle, and false at t, or when ctx ends.
func (s *stage) wait(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-s.idle:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// most is this prober's part of a cap, rounded up. 0 stays 0.
func (p *Plan) most(n int) int { return (n + p.Shards - 1) / p.Shards }

// part is this prober's part of so many.
func (p *Plan) part(n int) int { return n*(p.Shard+1)/p.Shards - n*p.Shard/p.Shards }
