package ramp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// progressEvery is how often the run is looked at: for the observer's progress, and for the abort limits.
const progressEvery = 500 * time.Millisecond

// watch tells of the progress and ends the run where an abort limit has been exceeded for long enough.
func (r *run) watch(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	w := newWatchdog(&r.plan, r.started)
	tripped := false
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if a := w.look(now, r.state(now)); a != nil && !tripped {
				tripped = true
				r.plan.Logger.Warn("the ramp is aborted", "ramp", r.plan.Name, "limit", a.Limit, "reason", a.Words)
				stop(&aborted{*a})
			}
			r.observer.Progress(r.snapshot(now, false))
		}
	}
}

// state is what abort limits look at.
type state struct {
	lanes    []laneState
	inFlight int
	cost     float64
	sample   *record.Sample // the latest; nil: there is none
}

type laneState struct {
	name string
	tally
}

func (r *run) state(now time.Time) state {
	var s state
	for _, l := range r.lanes {
		l.mu.Lock()
		s.lanes = append(s.lanes, laneState{l.name, l.judged.sum(now)})
		s.inFlight += l.flight.level
		s.cost += l.cost
		l.mu.Unlock()
	}
	r.mu.Lock()
	s.sample = r.latest
	r.mu.Unlock()
	return s
}

// A watchdog knows since when each limit has been exceeded.
type watchdog struct {
	plan   *Plan
	begun  time.Time
	since  map[string]time.Time // by limit and what it is of
	normal map[string]float64   // TTFT of victims
}

func newWatchdog(p *Plan, begun time.Time) *watchdog {
	w := &watchdog{plan: p, begun: begun, since: map[string]time.Time{}, normal: map[string]float64{}}
	maps.Copy(w.normal, p.Victims)
	return w
}

// look returns the limit that trips, or nil.
func (w *watchdog) look(now time.Time, s state) *record.Abort {
	limits := &w.plan.Abort
	if limits.Cost > 0 && s.cost > limits.Cost {
		return &record.Abort{At: now, Limit: "cost", Value: s.cost, Bound: limits.Cost,
			Words: fmt.Sprintf("the run has cost %.4g of the %.4g allowed", s.cost, limits.Cost)}
	}
	if a := w.held(now, "in_flight", "", limits.InFlight > 0 && s.inFlight > limits.InFlight, float64(s.inFlight), float64(limits.InFlight),
		"%s%.0f requests were under way, more than %.0f"); a != nil {
		return a
	}
	if a := w.lanes(now, s); a != nil {
		return a
	}
	if s.sample == nil {
		return nil
	}
	if e := s.sample.Engine; e != nil && e.Waiting != nil {
		if a := w.held(now, "waiting", "", limits.Waiting > 0 && *e.Waiting > limits.Waiting, *e.Waiting, limits.Waiting,
			"%s%.0f requests were waiting in the engine, more than %.0f"); a != nil {
			return a
		}
	}
	for _, victim := range slices.Sorted(maps.Keys(s.sample.Victims)) {
		ttft := s.sample.Victims[victim]
		if _, known := w.normal[victim]; !known && ttft > 0 {
			w.normal[victim] = ttft
		}
		ratio := 0.0
		if usual := w.normal[victim]; usual > 0 {
			ratio = ttft / usual
		}
		if a := w.held(now, "victims", victim, limits.Victims > 0 && ratio > limits.Victims, ratio, limits.Victims,
			"the first token of %s took %.1f times as long as usual, more than %.1f"); a != nil {
			return a
		}
	}
	return nil
}

// lanes looks at the limits of each lane, which speak of all requests that ended in the time of the limits.
func (w *watchdog) lanes(now time.Time, s state) *record.Abort {
	limits := &w.plan.Abort
	if now.Sub(w.begun) < limits.Over {
		return nil
	}
	for _, l := range s.lanes {
		if l.ended >= minJudged && limits.ErrorShare > 0 {
			if share := float64(l.failed) / float64(l.ended); share > limits.ErrorShare {
				return &record.Abort{At: now, Limit: "error_share", Lane: l.name, Value: share, Bound: limits.ErrorShare, Over: limits.Over,
					Words: fmt.Sprintf("%d of %d requests of lane %s failed in %v, more than %.4g %%", l.failed, l.ended, l.name, limits.Over, 100*limits.ErrorShare)}
			}
		}
		if l.timed < minJudged {
			continue
		}
		for i, limit := range limits.TTFT {
			if l.timed-l.slow[i] < record.Rank(limit.Percentile/100, l.timed) {
				return &record.Abort{At: now, Limit: "ttft", Lane: l.name, Value: float64(l.slow[i]) / float64(l.timed), Bound: 1 - limit.Percentile/100, Over: limits.Over,
					Words: fmt.Sprintf("the p%v of the time to first token of lane %s was above %v for %v: %d of %d requests were slower, or failed", limit.Percentile, l.name, limit.Bound, limits.Over, l.slow[i], l.timed)}
			}
		}
	}
	return nil
}

// held returns the limit once it has been exceeded for as long as it takes.
func (w *watchdog) held(now time.Time, limit, of string, exceeded bool, value, bound float64, words string) *record.Abort {
	key := limit + "\x00" + of
	if !exceeded {
		delete(w.since, key)
		return nil
	}
	since, ok := w.since[key]
	if !ok {
		w.since[key], since = now, now
	}
	over := now.Sub(since)
	if over < w.plan.Abort.Over {
		return nil
	}
	return &record.Abort{At: now, Limit: limit, Value: value, Bound: bound, Over: over,
		Words: fmt.Sprintf(words, of, value, bound) + fmt.Sprintf(", for %v", over)}
}

// sample looks at what stands beside the requests, again and again.
func (r *run) sample(ctx context.Context) {
	if r.plan.Sample == nil {
		return
	}
	ticker := time.NewTicker(r.sampleEvery())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.look(ctx)
		}
	}
}

// look takes one sample.
func (r *run) look(ctx context.Context) {
	if r.plan.Sample == nil {
		return
	}
	looking, cancel := context.WithTimeout(ctx, max(r.sampleEvery(), time.Second))
	defer cancel()
	s := r.plan.Sample(looking)
	if s.At.IsZero() {
		s.At = time.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latest = &s
	if len(r.samples) < 2*mostSamples { // a run can take longer than planned by its drain
		r.samples = append(r.samples, s)
	}
}

func (r *run) sampleEvery() time.Duration { return max(r.plan.SampleInterval, r.longest/mostSamples) }
