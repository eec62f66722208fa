package record

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/chance"
)

// Judgement is what a stage says of an objective, of the probe for which it says the worst.
//
// An objective of a percentile p is that a share p of all requests is within the threshold. A failed request never is, nor
// is one that was shed, nor one that had not ended when the drain was over.
//
// Confidence is how likely that share is reached, given what was seen and Jeffreys' prior: Beta(good + ½, bad + ½). It
// takes requests as independent: those of one stage share its luck, so it speaks of this stage and not of the next.
// Even if all are good there must be enough of them: 37 for a confidence of 0.95 in a p95, 191 in a p99.
type Judgement struct {
	Objective  Objective `json:"objective"`
	Probe      string    `json:"probe"`            // empty: no probe says anything
	N          int       `json:"requests"`         // judged; 0: nothing is known
	Good       int       `json:"good_requests"`    // of them, those within the threshold
	Value      float64   `json:"value"`            // the percentile itself, of successful requests, in the unit of the threshold; 0 where there is none
	Held       bool      `json:"held"`             // the share was reached
	Confidence float64   `json:"confidence_ratio"` // 0 to 1 that it is: near 1 it holds, near 0 it is missed
}

// Share is the good ones' share of all; 0 where there are none.
func (j *Judgement) Share() float64 {
	if j.N == 0 {
		return 0
	}
	return float64(j.Good) / float64(j.N)
}

// The indicators of objectives.
const (
	TTFT         = "ttft"
	Duration     = "duration"
	TPOT         = "tpot"
	OutputRate   = "output_tokens_per_second"
	QueueWait    = "queue_wait"
	Availability = "availability"
)

// Check says what is wrong with an objective.
func (o *Objective) Check() error {
	known := []string{TTFT, Duration, TPOT, OutputRate, QueueWait, Availability}
	switch {
	case !slices.Contains(known, o.Indicator):
		return fmt.Errorf("there is no indicator %q; take one of %v", o.Indicator, known)
	case !(o.Threshold > 0) || math.IsInf(o.Threshold, 1):
		return fmt.Errorf("the threshold of %s is %v; give a number above 0", o.Indicator, o.Threshold)
	case o.Indicator == Availability && o.Threshold > 1:
		return fmt.Errorf("the availability is to be %v; give a share, at most 1", o.Threshold)
	case o.Indicator != Availability && !(o.Percentile > 0 && o.Percentile < 100):
		return fmt.Errorf("the percentile of %s is %v; give a number between 0 and 100", o.Indicator, o.Percentile)
	}
	return nil
}

// Goal is the share of requests that must be good, 0 to 1.
func (o *Objective) Goal() float64 {
	if o.Indicator == Availability {
		return o.Threshold
	}
	return o.Percentile / 100
}

// Judge says whether an objective held in the stage. Whether it speaks of the stage's lane is for the caller to know.
func (s *Stage) Judge(o Objective) Judgement { return s.JudgeWith(o, nil, nil) }

// JudgeWith is Judge if so many more requests of each probe had been good, and so many bad: to bound what those that are
// still under way can change. One probe that is only in them is not looked at.
func (s *Stage) JudgeWith(o Objective, good, bad map[string]int) Judgement {
	worst := Judgement{Objective: o}
	for _, probe := range slices.Sorted(maps.Keys(s.Probes)) {
		if o.Probe != "" && o.Probe != probe {
			continue
		}
		j := s.Probes[probe].judge(o, good[probe], bad[probe])
		j.Probe = probe
		if j.N > 0 && (worst.N == 0 || j.Confidence < worst.Confidence) {
			worst = j
		}
	}
	return worst
}

// judge is what one probe's requests say.
func (s *Stats) judge(o Objective, moreGood, moreBad int) Judgement {
	j := Judgement{Objective: o}
	ok := s.Outcomes["ok"]
	if o.Indicator == Availability {
		j.Good, j.N = ok, ok+s.Failed()
		j.Value = j.Share()
	} else {
		h := s.Indicator(o.Indicator)
		if h.Count() == 0 && ok > 0 {
			return j // the probe has no such thing: one that does not stream has no TTFT
		}
		j.N = h.Count() + s.Failed()
		if o.Indicator == OutputRate {
			j.Good = h.Count() - h.AtMost(RateTime(o.Threshold)-unit)
			j.Value = TimeRate(h.Reached(o.Goal()))
		} else {
			j.Good = h.AtMost(time.Duration(math.Round(min(o.Threshold, (2*time.Hour).Seconds()) * float64(time.Second))))
			j.Value = h.Quantile(o.Goal()).Seconds()
		}
	}
	j.Good += moreGood
	j.N += moreGood + moreBad
	if j.N == 0 {
		return j
	}
	j.Held = j.Share() >= o.Goal()
	j.Confidence = 1 - chance.Beta(o.Goal(), float64(j.Good)+.5, float64(j.N-j.Good)+.5)
	return j
}

// Failed is how many requests were not answered as they should: those with another outcome than ok, canceled by the end of
// the drain included, and those that were shed.
func (s *Stats) Failed() int { return s.Sent - s.Outcomes["ok"] + s.Shed }

// Indicator is the histogram of an indicator; nil where there is none. For queue_wait it is that of the source that is to
// be trusted most.
func (s *Stats) Indicator(name string) *Histogram {
	switch name {
	case TTFT:
		return s.TTFT
	case Duration:
		return s.Duration
	case "itl":
		return s.ITL
	case TPOT:
		return s.TPOT
	case OutputRate:
		return s.OutputRate
	case QueueWait:
		for _, source := range Sources() {
			if h := s.QueueWait[source]; h.Count() > 0 {
				return h
			}
		}
	}
	return nil
}

// Sources lists the sources of queue waits, the one that is to be trusted most first.
func Sources() []string { return []string{"body", "header", "derived", "engine", "estimated"} }

// RateTime is the time as which a histogram holds a rate: one token per second is a millisecond.
func RateTime(tokensPerSecond float64) time.Duration {
	return time.Duration(math.Round(min(max(tokensPerSecond, 0), 7e6) * float64(time.Millisecond)))
}

// TimeRate is the rate that a histogram holds as such a time.
func TimeRate(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
