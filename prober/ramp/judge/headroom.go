package judge

import (
	"fmt"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// headroomOf is what was left beside the load that the engine had before the run; nil where the engine told nothing then,
// or there is no knee.
func headroomOf(run *record.Run, k *record.Knee, at *point) *record.Headroom {
	if k == nil || k.HeldAt == 0 {
		return nil
	}
	first := time.Time{}
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			if s := &run.Lanes[i].Stages[j]; first.IsZero() || s.Started.Before(first) {
				first = s.Started
			}
		}
	}
	var before, during []float64
	for _, s := range run.Samples {
		if s.Engine == nil || s.Engine.Running == nil {
			continue
		}
		if s.At.Before(first) {
			before = append(before, *s.Engine.Running)
		}
		if at != nil && at.at(s.At) {
			during = append(during, *s.Engine.Running)
		}
	}
	if len(before) == 0 {
		return nil
	}
	h := &record.Headroom{Before: average(before)}
	h.AtKnee = h.Before + k.InFlight
	if len(during) > 0 {
		h.AtKnee = average(during)
	}
	if h.AtKnee <= 0 {
		return nil
	}
	h.Ratio = min(max(1-h.Before/h.AtKnee, 0), 1)
	return h
}

// at reports whether the moment lies in one of the point's windows, or in its stage where that has none.
func (p *point) at(t time.Time) bool {
	for _, w := range p.windows {
		if !t.Before(w.Start) && t.Before(w.Start.Add(w.Length)) {
			return true
		}
	}
	return len(p.windows) == 0 && p.stage != nil && !t.Before(p.stage.From) && t.Before(p.stage.To)
}

func headroomWords(h *record.Headroom) string {
	atKnee := amount(h.AtKnee, "request")
	if h.Before > 0 {
		return fmt.Sprintf("Headroom is %s: %s ran in the engine before the run, %s at the knee.", percent(h.Ratio), amount(h.Before, "request"), number(h.AtKnee))
	}
	if atKnee == "1 request" {
		return "The engine was idle before the run: its 1 request at the knee is free."
	}
	return fmt.Sprintf("The engine was idle before the run: all of its %s at the knee are free.", atKnee)
}
