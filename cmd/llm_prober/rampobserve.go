package main

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// rampMetrics files a run with the collector.
type rampMetrics struct {
	ramp.Unobserved
	run     *collector.RampRun
	open    map[string]bool            // by lane
	streams map[string]map[string]bool // by lane and probe
	waits   func(*prober.Result) []queuewait.Wait
}

func newRampMetrics(run *collector.RampRun, cfg *config.Config, rc *config.Ramp, plan *ramp.Plan) *rampMetrics {
	m := &rampMetrics{run: run, open: map[string]bool{}, streams: map[string]map[string]bool{}, waits: plan.Waits}
	for i := range plan.Lanes {
		l := &plan.Lanes[i]
		m.open[l.Name] = !l.Closed
		m.streams[l.Name] = map[string]bool{}
		for name := range l.Probes {
			m.streams[l.Name][name] = *cfg.Probes[name].Stream
		}
	}
	return m
}

// StageStarted implements ramp.Observer.
func (m *rampMetrics) StageStarted(w ramp.Where, _ record.Kind, _, _ float64) {
	m.run.Stage(w.Lane, m.open[w.Lane], w.Index, w.Stage, m.streams[w.Lane])
}

// Result implements ramp.Observer.
func (m *rampMetrics) Result(w ramp.Where, r *prober.Result) {
	m.run.Observe(w.Lane, w.Stage, r)
	for _, wait := range m.waits(r) {
		m.run.QueueWait(w.Lane, w.Stage, w.Probe, wait.Source, wait.Queue.Seconds(), r.Request.ID)
	}
}

// Shed implements ramp.Observer.
func (m *rampMetrics) Shed(w ramp.Where, _ string) { m.run.Shed(w.Lane, w.Stage, w.Probe, 1) }

// Progress implements ramp.Observer.
func (m *rampMetrics) Progress(s *ramp.Snapshot) {
	for _, l := range s.Lanes {
		m.run.Progress(l.Lane, l.Planned, l.InFlight)
	}
}

// rampRequests writes the requests of a run beside its record.
type rampRequests struct {
	ramp.Unobserved
	writer *runs.Writer
}

// Result implements ramp.Observer.
func (w rampRequests) Result(where ramp.Where, r *prober.Result) {
	w.writer.Request(where.Lane, where.Index, r)
}

// rampLive keeps the newest look at a run.
type rampLive struct {
	ramp.Unobserved
	latest atomic.Pointer[ramp.Snapshot]
}

// Progress implements ramp.Observer.
func (l *rampLive) Progress(s *ramp.Snapshot) { l.latest.Store(s) }

// figuresOf are what a run found, for the metrics.
func figuresOf(run *record.Run) collector.RampFigures {
	f := collector.RampFigures{Ended: run.Ended, Verdict: run.Verdict, Currency: run.Environment.Currency}
	d := run.Diagnosis
	if d == nil {
		return f
	}
	if d.Knee != nil && d.Knee.HeldAt > 0 {
		f.Knee = new(d.Knee.RequestsPerSecond)
		if d.Knee.Open {
			f.Knee = new(d.Knee.Load)
		}
	}
	if d.Capacity != nil && d.Capacity.Identified {
		f.Capacity = new(d.Capacity.RequestsPerSecond)
	}
	if d.Headroom != nil {
		f.Headroom = new(d.Headroom.Ratio)
	}
	if d.Recovery != nil && d.Recovery.Recovered {
		f.Recovery = new(d.Recovery.Seconds)
	}
	if d.Cost != nil {
		f.CostPerThousand, f.CostPerMillionTo = new(d.Cost.PerThousandRequests), new(d.Cost.PerMillionTokens)
		f.Currency = cmp.Or(d.Cost.Currency, f.Currency)
	}
	return f
}

// baselinesOf are the values of an unloaded run that later ones can be held against: of its stages without load, by probe.
func baselinesOf(run *record.Run) []runs.BaselineValue {
	var values []runs.BaselineValue
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			s := &run.Lanes[i].Stages[j]
			if s.Kind != record.Unloaded || s.Invalid != "" {
				continue
			}
			for _, probe := range slices.Sorted(maps.Keys(s.Probes)) {
				st := s.Probes[probe]
				for _, ind := range []struct {
					name string
					h    *record.Histogram
				}{{string(collector.IndicatorTTFT), st.TTFTDispatched}, {string(collector.IndicatorDuration), st.DurationDispatched}, {string(collector.IndicatorTPOT), st.TPOT}} {
					if ind.h.Count() < leastOfBaseline {
						continue
					}
					for _, q := range []float64{0.5, 0.9} {
						values = append(values, runs.BaselineValue{
							Probe: probe, Indicator: ind.name, Quantile: q, Seconds: ind.h.Quantile(q).Seconds(), Run: run.ID, SavedAt: run.Ended,
						})
					}
				}
			}
		}
	}
	return values
}

// leastOfBaseline is how many requests a baseline needs: of fewer, the 90th percentile is one of the largest two.
const leastOfBaseline = 20
