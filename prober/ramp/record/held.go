package record

import "math"

// Confidence is what it takes to say that an objective was held, or that it was missed.
const Confidence = 0.95

// Held is whether the requests of a stage held an objective: with confidence, or there are too few of them to tell.
//
//	missed          too few to tell          held
//	|────────|──────────────────────────|─────────|
//	0       0.05                       0.95       1    Judgement.Confidence
type Held struct {
	Held       bool    // it was held, with confidence
	Missed     bool    // it was missed, with confidence; never both
	Confidence float64 // of what is said; where nothing is said, of the likelier of the two
	Value      float64 // the percentile, failed requests being infinitely slow: seconds, tokens per second or a share; NaN: nothing is known
	Good       int     // requests within the threshold
	Total      int     // requests that count; 0: nothing is known
	Probe      string  // the one that is told of: the farthest from holding it
}

// Applies reports whether the objective speaks of that lane.
func (o *Objective) Applies(lane string) bool { return o.Lane == "" || o.Lane == lane }

// Held judges the stage by the objective, whichever lane that speaks of. Of an objective of each probe, the one that is
// farthest from holding it is told of.
func (s *Stage) Held(o Objective) Held {
	j := s.Judge(o)
	h := Held{Good: j.Good, Total: j.N, Probe: j.Probe, Value: math.NaN()}
	if j.N == 0 {
		return h
	}
	h.Held, h.Missed = j.Confidence >= Confidence, j.Confidence <= 1-Confidence
	h.Confidence = max(j.Confidence, 1-j.Confidence)
	h.Value = s.Probes[j.Probe].worst(o, j)
	return h
}

// worst is the value that the goal's share of all requests is no worse than.
func (s *Stats) worst(o Objective, j Judgement) float64 {
	if o.Indicator == Availability {
		return j.Share()
	}
	times := s.Indicator(o.Indicator)
	rank, n := Rank(o.Goal(), j.N), times.Count() // of all, failed ones too; of those that have a time
	switch {
	case o.Indicator == OutputRate && rank > n:
		return 0
	case o.Indicator == OutputRate:
		return TimeRate(times.at(n + 1 - rank))
	case rank > n:
		return math.Inf(1)
	}
	return times.at(rank).Seconds()
}
