package judge

import (
	"math"
	"slices"
	"strconv"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// key names a number of a run.
type key struct{ lane, probe, name string }

// figure is one number of a run.
type figure struct {
	value float64
	n     int // requests behind it
}

// figuresOf are a run's numbers: of its promised stages, and of a run that looks for the limit those of the loads up to top
// that its lanes have in common with the runs it is compared with.
func figuresOf(run *record.Run, loads map[string][]float64, percentiles map[string][]float64) map[key]figure {
	f := map[key]figure{}
	d := run.Diagnosis
	if d == nil {
		d = diagnose(run, Options{})
	}
	for i := range run.Lanes {
		l := &run.Lanes[i]
		var stages []*record.Stage
		for j := range l.Stages {
			s := &l.Stages[j]
			if !counted(s) || s.Invalid != "" {
				continue
			}
			if searches(run) {
				if steadyKind(s.Kind) && s.Begin == s.End && slices.Contains(loads[l.Name], s.End) {
					stages = append(stages, s)
				}
			} else if promised(run, l, s) {
				stages = append(stages, s)
			}
		}
		if len(stages) == 0 {
			continue
		}
		sum := sumOf(stages)
		for probe, s := range sum.Probes {
			ended := s.Sent + s.Shed
			if ended > 0 {
				f[key{l.Name, probe, "failed"}] = figure{float64(s.Failed()) / float64(ended), ended}
			}
			for _, indicator := range []string{record.TTFT, record.Duration, record.TPOT, record.OutputRate, record.QueueWait} {
				h := s.Indicator(indicator)
				for _, p := range percentiles[indicator] {
					// A percentile takes a few requests beyond it.
					if v := figureOf(h, indicator, p); v > 0 && float64(h.Count())*(1-p/100) >= 1 {
						f[key{l.Name, probe, nameOf(indicator, p)}] = figure{v, h.Count()}
					}
				}
			}
		}
	}
	if d.Knee != nil && searches(run) && d.Knee.Load > 0 {
		f[key{lane: d.Knee.Lane, name: "knee"}] = figure{value: d.Knee.Load}
	}
	if d.Capacity != nil && d.Capacity.Identified {
		f[key{lane: d.Capacity.Lane, name: "capacity"}] = figure{value: d.Capacity.RequestsPerSecond}
	}
	if d.Recovery != nil && d.Recovery.Recovered && d.Recovery.Seconds > 0 {
		f[key{lane: d.Recovery.Lane, name: "recovery"}] = figure{value: d.Recovery.Seconds}
	}
	return f
}

// figureOf is a percentile of an indicator: of rates the one that so many per cent of the answers reach.
func figureOf(h *record.Histogram, indicator string, p float64) float64 {
	if indicator == record.OutputRate {
		return record.TimeRate(h.Reached(p / 100))
	}
	return h.Quantile(p / 100).Seconds()
}

func nameOf(indicator string, p float64) string {
	return indicator + "_p" + strconv.FormatFloat(p, 'g', 6, 64)
}

// unitOf is the unit of a number, and whether more of it is better.
func unitOf(k key) (unit string, higher bool) {
	switch {
	case k.name == "failed":
		return "ratio", false
	case k.name == "knee", k.name == "capacity":
		return "requests_per_second", true
	case len(k.name) > len(record.OutputRate) && k.name[:len(record.OutputRate)] == record.OutputRate:
		return "tokens_per_second", true
	}
	return "seconds", false
}

// percentilesOf are the percentiles that are looked at, by indicator: those of the objectives, and a few that people ask
// for.
func percentilesOf(objectives []record.Objective) map[string][]float64 {
	p := map[string][]float64{
		record.TTFT: {50, 95}, record.Duration: {50, 95}, record.TPOT: {50}, record.OutputRate: nil, record.QueueWait: nil,
	}
	for _, o := range objectives {
		if list, ok := p[o.Indicator]; ok && !slices.Contains(list, o.Percentile) {
			p[o.Indicator] = append(list, o.Percentile)
		}
	}
	for _, list := range p {
		slices.Sort(list)
	}
	return p
}

// judgedKeys are the numbers that a verdict looks at: those that the objectives speak of; without any, the p95 TTFT of each
// probe, or of one that has none its p95 duration. Of runs that look for the limit it is the knee, too.
func judgedKeys(run *record.Run, all []key) map[key]bool {
	judged := map[key]bool{}
	for _, k := range all {
		if k.name == "knee" {
			judged[k] = true
		}
		for _, o := range run.Objectives {
			if o.Applies(k.lane) && (o.Probe == "" || o.Probe == k.probe) && k.name == nameOf(o.Indicator, o.Percentile) {
				judged[k] = true
			}
		}
	}
	if len(run.Objectives) == 0 {
		for _, k := range all {
			first := key{k.lane, k.probe, nameOf(record.TTFT, 95)}
			switch {
			case k == first:
				judged[k] = true
			case k.name == nameOf(record.Duration, 95) && !slices.Contains(all, first):
				judged[k] = true
			}
		}
	}
	return judged
}

// commonLoads are the loads of each lane that all runs have and at which none of the old ones missed an objective.
func commonLoads(news, olds []*record.Run) map[string][]float64 {
	loads := map[string][]float64{}
	runs := slices.Concat(news, olds)
	for i := range runs[0].Lanes {
		l := &runs[0].Lanes[i]
		for j := range l.Stages {
			load := l.Stages[j].End
			if slices.Contains(loads[l.Name], load) {
				continue
			}
			good := true
			for n, run := range runs {
				good = good && holds(run, l.Name, load, n >= len(news))
			}
			if good {
				loads[l.Name] = append(loads[l.Name], load)
			}
		}
	}
	return loads
}

// holds reports whether the run's lane has that load, and, where it matters, missed nothing at it.
func holds(run *record.Run, lane string, load float64, matters bool) bool {
	for i := range run.Lanes {
		l := &run.Lanes[i]
		if l.Name != lane {
			continue
		}
		found := false
		for j := range l.Stages {
			s := &l.Stages[j]
			if s.End != load || s.Begin != load || !counted(s) || s.Invalid != "" || !steadyKind(s.Kind) {
				continue
			}
			found = true
			for _, o := range run.Objectives {
				if matters && o.Applies(lane) && s.Held(o).Missed {
					return false
				}
			}
		}
		return found
	}
	return false
}

// scaled is a number on the scale on which its noise is even: logarithms, and for shares the arc of the root.
func scaled(k key, v float64) float64 {
	if k.name == "failed" {
		return math.Asin(math.Sqrt(v))
	}
	return math.Log(v)
}
