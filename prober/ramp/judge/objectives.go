package judge

import (
	"math"
	"slices"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// searches reports whether the run goes beyond the knee on purpose: then only its lowest load is a promise.
func searches(run *record.Run) bool {
	return slices.Contains([]string{"search", "step", "linear"}, run.Shape)
}

// counted reports whether the stage says anything of the server.
func counted(s *record.Stage) bool { return s.Kind != record.Idle && s.Planned > 0 }

// promised reports whether the verdict counts the objectives of a stage. It does of all, but of those of runs that look for
// the limit (there of the lowest load), of the overload that a run of the shape recovery makes, and of what follows an
// overload, the way down included: that has a rule of its own.
func promised(run *record.Run, l *record.Lane, s *record.Stage) bool {
	switch {
	case s.Kind == record.Recovery, s.End < s.Begin:
		return false
	case run.Shape == "recovery":
		return s.Kind != record.Spike && s.End <= usual(l)
	case searches(run):
		return s.Begin == s.End && s.End <= lowest(l)
	}
	return true
}

// usual is the load that a lane comes back to: that of its stage of recovery, or of its last.
func usual(l *record.Lane) float64 {
	for i := range l.Stages {
		if l.Stages[i].Kind == record.Recovery {
			return l.Stages[i].End
		}
	}
	if n := len(l.Stages); n > 0 {
		return l.Stages[n-1].End
	}
	return 0
}

// lowest is the lowest load of a lane at which something was asked.
func lowest(l *record.Lane) float64 {
	load := math.Inf(1)
	for i := range l.Stages {
		if s := &l.Stages[i]; counted(s) && s.Invalid == "" && s.Kind != record.Recovery {
			load = min(load, s.End)
		}
	}
	return load
}

// judged holds each objective against each stage that it speaks of.
func judged(run *record.Run) []record.Judged {
	var all []record.Judged
	for _, o := range run.Objectives {
		for i := range run.Lanes {
			l := &run.Lanes[i]
			if !o.Applies(l.Name) {
				continue
			}
			for j := range l.Stages {
				s := &l.Stages[j]
				if !counted(s) || s.Invalid != "" {
					continue
				}
				h := s.Held(o)
				if h.Total == 0 {
					continue
				}
				all = append(all, record.Judged{
					Lane: l.Name, Stage: s.Index, Name: s.Name, Load: s.End, Probe: h.Probe,
					Indicator: o.Indicator, Percentile: o.Percentile, Threshold: o.Threshold,
					Promised: promised(run, l, s), Held: h.Held, Missed: h.Missed, Confidence: h.Confidence,
					Value: finite(h.Value), Good: h.Good, Total: h.Total,
				})
			}
		}
	}
	return all
}

// finite is v, and nil where it is no number: JSON has no infinity.
func finite(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}
