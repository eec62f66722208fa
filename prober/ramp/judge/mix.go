package judge

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/llmprober/llm_prober/prober/ramp/chance"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// mixEffects are what a growing share of one probe does to the others of its lane, at one load: the slope of the logarithm
// of their p95 over the share, one stage one value.
func mixEffects(l *record.Lane) []record.MixEffect {
	byLoad := map[float64][]*record.Stage{}
	for i := range l.Stages {
		s := &l.Stages[i]
		if s.Kind == record.Hold && s.Invalid == "" && s.Planned > 0 && s.Begin == s.End {
			byLoad[s.End] = append(byLoad[s.End], s)
		}
	}
	var effects []record.MixEffect
	for _, load := range slices.Sorted(maps.Keys(byLoad)) {
		stages := byLoad[load]
		grown := growing(stages)
		if len(stages) < 4 || grown == "" {
			continue
		}
		probes := map[string]bool{}
		for _, s := range stages {
			for probe := range s.Probes {
				probes[probe] = true
			}
		}
		for _, victim := range slices.Sorted(maps.Keys(probes)) {
			if victim == grown {
				continue
			}
			for _, indicator := range []string{record.TTFT, record.TPOT, record.Duration} {
				if e, ok := mixEffect(stages, grown, victim, indicator); ok {
					e.Lane = l.Name
					effects = append(effects, e)
				}
			}
		}
	}
	return effects
}

// growing is the probe whose share differs most between the stages; empty where none does by 5 points.
func growing(stages []*record.Stage) string {
	low, high := map[string]float64{}, map[string]float64{}
	for _, s := range stages {
		for probe := range s.Mix {
			low[probe], high[probe] = 1, 0
		}
	}
	for _, s := range stages {
		for probe := range low {
			low[probe], high[probe] = min(low[probe], s.Mix[probe]), max(high[probe], s.Mix[probe])
		}
	}
	best, by := "", .05-1e-9
	for _, probe := range slices.Sorted(maps.Keys(low)) {
		// Of two probes whose shares mirror each other, the one that is the rarer is the one that is moved.
		if d := high[probe] - low[probe]; d > by+1e-9 || d > by-1e-9 && best != "" && high[probe] < high[best] {
			best, by = probe, d
		}
	}
	return best
}

func mixEffect(stages []*record.Stage, grown, victim, indicator string) (e record.MixEffect, ok bool) {
	var x, y []float64
	for _, s := range stages {
		stats := s.Probes[victim]
		if stats == nil {
			continue
		}
		if h := stats.Indicator(indicator); h.Count() >= 20 {
			x = append(x, s.Mix[grown])
			y = append(y, math.Log(max(h.Quantile(.95).Seconds(), 1e-6)))
		}
	}
	n := float64(len(x))
	if n < 4 {
		return e, false
	}
	_, b, left := line(x, y)
	mx, xx := average(x), 0.0
	for _, v := range x {
		xx += (v - mx) * (v - mx)
	}
	if xx == 0 {
		return e, false
	}
	err := math.Sqrt(left / (n - 2) / xx)
	t := chance.StudentQuantile(.975, n-2)
	e = record.MixEffect{
		Probe: grown, Victim: victim, Indicator: indicator, From: slices.Min(x), To: slices.Max(x), Loads: len(x),
		PerTenth: math.Expm1(b / 10), Low: math.Expm1((b - t*err) / 10), High: math.Expm1((b + t*err) / 10),
	}
	if err > 0 {
		e.P = 2 * (1 - chance.Student(math.Abs(b)/err, n-2))
	}
	return e, true
}

func mixWords(e *record.MixEffect) string {
	what := fmt.Sprintf("p95 %s of %s", indicatorWords(e.Indicator), e.Victim)
	if e.P > .05 {
		return fmt.Sprintf("%s did not move clearly with the share of %s, %s to %s (%s for each 10 points, 95 %% between %s and %s).",
			capital(what), e.Probe, percent(e.From), percent(e.To), change(e.PerTenth), change(e.Low), change(e.High))
	}
	return fmt.Sprintf("Each 10 points more of %s, %s to %s, change the %s by %s (95 %% between %s and %s).",
		e.Probe, percent(e.From), percent(e.To), what, change(e.PerTenth), change(e.Low), change(e.High))
}
