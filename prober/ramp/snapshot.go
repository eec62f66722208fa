package ramp

import (
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// snapshot is the run at a moment.
func (r *run) snapshot(now time.Time, done bool) *Snapshot {
	r.mu.Lock()
	s := &Snapshot{At: now, Started: r.started, Ending: r.ending, Done: done}
	r.mu.Unlock()
	if left := r.started.Add(r.longest).Sub(now); left > 0 && !done && s.Ending == "" {
		s.Left = left
	}
	for _, l := range r.lanes {
		s.Lanes = append(s.Lanes, l.snapshot(now))
		s.Cost += s.Lanes[len(s.Lanes)-1].cost
	}
	return s
}

func (l *lane) snapshot(now time.Time) LaneSnapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := LaneSnapshot{Where: Where{Lane: l.name, Target: l.target, Model: l.model}, Open: !l.plan.Closed, InFlight: l.flight.level, cost: l.cost}
	lately := l.lately.sum(now)
	span := l.lately.span(now).Seconds()
	p.Achieved, p.TokenRate = float64(lately.sent)/span, float64(lately.tokens)/span
	s := l.current
	if s == nil {
		return p
	}
	p.Where = s.where("", s.measures(now))
	p.Kind = s.rec.Kind
	if !s.over {
		p.Planned = l.share(s.load(now))
	}
	p.Sent, p.Ended, p.OK, p.Failed, p.Shed = s.asked, s.done, s.ok, s.failed, s.shed
	var ttft record.Histogram
	for _, st := range s.rec.Probes {
		ttft.Add(st.TTFT)
	}
	p.TTFTN, p.TTFTP50, p.TTFTP95 = ttft.Count(), ttft.Quantile(.5), ttft.Quantile(.95)
	for _, o := range l.objectives {
		p.Objectives = append(p.Objectives, s.rec.Judge(o))
	}
	return p
}
