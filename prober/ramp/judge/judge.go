package judge

import (
	"fmt"
	"slices"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Options are what a judgement needs beside the record.
type Options struct {
	Compare *Against // nil: it is compared with nothing
	PerHour float64  // price of an hour of the target, in the environment's currency; 0: none, or tokens have a price
}

// Against is what a run is compared with.
type Against struct {
	With          string      // as the configuration has it: previous, previous_passed, last_N, baseline:NAME; or the id of a run. Empty: previous_passed
	Baseline      *record.Run // the run that was saved under the name, with baseline:NAME; nil: there is none
	MaxRegression float64     // see Margin
	Confidence    float64     // see Margin
}

// Judge fills in the run's Verdict, Reasons, Diagnosis and Comparison. History are other runs, of any ramp and in any order;
// they are not changed.
func Judge(run *record.Run, history []*record.Run, o Options) {
	run.Diagnosis = diagnose(run, o)
	run.Comparison = nil
	if o.Compare != nil {
		with := o.Compare.With
		if with == "" {
			with = PreviousPassed
		}
		run.Comparison = compare(run, Select(run, history, with, o.Compare.Baseline), with, o.Compare)
	}
	run.Verdict, run.Reasons = verdict(run)
}

func compare(run *record.Run, s Selection, with string, a *Against) *record.Comparison {
	var c *record.Comparison
	if s.Early {
		c = &record.Comparison{
			News: idsOf(s.News), Runs: []string{}, Verdict: record.NotEnoughRuns,
			Words: []string{fmt.Sprintf("Not enough runs: this is run %d of a set of %d, which is judged as a whole.", run.Set, run.Sets)},
		}
	} else {
		c = Compare(s.News, s.Olds, s.Spread, Margin{MaxRegression: a.MaxRegression, Confidence: a.Confidence, Median: s.Median})
	}
	c.With = with
	return c
}

// verdict is the first that applies, in the order of record.Verdict.
func verdict(run *record.Run) (record.Verdict, []string) {
	switch {
	case run.Abort != nil:
		// An abort limit ends the run: that it was stopped follows from it.
		words := run.Abort.Words
		if words == "" {
			words = fmt.Sprintf("the limit on %s tripped: %s, at most %s", run.Abort.Limit, number(run.Abort.Value), number(run.Abort.Bound))
		}
		if run.Verdict != record.CutShort {
			return record.Aborted, []string{closed(words)}
		}
		return record.CutShort, []string{closed(words)}
	case run.Stopped != "":
		return record.CutShort, []string{closed(run.Stopped)}
	}
	if reasons := invalid(run); len(reasons) > 0 {
		return record.Invalid, reasons
	}
	missed, open := promises(run)
	if len(missed) > 0 {
		return record.Fail, missed
	}
	if c := run.Comparison; c != nil && c.Verdict != record.Pass {
		return c.Verdict, slices.Concat(c.Words, open)
	}
	reasons := []string{"No objective was missed."}
	switch {
	case len(run.Objectives) == 0:
		reasons = []string{"There are no objectives to miss."}
	case len(open) == 0 && len(run.Diagnosis.Objectives) > 0:
		reasons = []string{"All objectives held."}
	}
	reasons = append(reasons, open...)
	if run.Comparison != nil {
		reasons = append(reasons, run.Comparison.Words...)
	}
	return record.Pass, reasons
}

// invalid says why nothing is said of the server. In a run that looks for the limit an invalid load counts only if it may
// hide what is looked for.
func invalid(run *record.Run) (reasons []string) {
	asked := 0
	for i := range run.Lanes {
		l := &run.Lanes[i]
		for j := range l.Stages {
			s := &l.Stages[j]
			asked += s.Planned
			if s.Invalid == "" {
				continue
			}
			if k := run.Diagnosis.Knee; searches(run) && k != nil && k.Lane == l.Name && k.MissedAt > 0 && (s.End > k.MissedAt || s.End < k.HeldAt) {
				continue
			}
			reasons = append(reasons, fmt.Sprintf("%s of %s says nothing of the server: %s", s.Name, l.Name, closed(s.Invalid)))
		}
	}
	if asked == 0 {
		reasons = append(reasons, "No request was intended in a measured part: the stages are too short for their warm-up and load.")
	}
	return reasons
}

// promises says which objectives were missed where they are promised, and which could not be decided: at loads that were held
// first, for those tell most.
func promises(run *record.Run) (missed, open []string) {
	var between []string // not decided while the load changed
	for i := range run.Diagnosis.Objectives {
		j := &run.Diagnosis.Objectives[i]
		switch {
		case !j.Promised:
		case j.Missed:
			missed = append(missed, judgedWords(run, j))
		case !j.Held:
			if _, changes := duringWords(run, j); changes {
				between = append(between, judgedWords(run, j))
			} else {
				open = append(open, judgedWords(run, j))
			}
		}
	}
	open = append(open, between...)
	switch more := len(open) - 3; {
	case more == 1:
		open = append(open[:3], "1 more was not decided: too few requests.")
	case more > 1:
		open = append(open[:3], fmt.Sprintf("%d more were not decided: too few requests.", more))
	}
	if k := run.Diagnosis.Knee; searches(run) && k != nil && k.HeldAt == 0 && len(missed) == 0 {
		missed = append(missed, kneeWords(k))
	}
	if r := run.Diagnosis.Recovery; r != nil && !r.Recovered && len(run.Objectives) > 0 {
		missed = append(missed, recoveryWords(r))
	}
	return missed, open
}

// closed ends a text with a full stop.
func closed(s string) string {
	s = capital(s)
	if s != "" && s[len(s)-1] != '.' {
		s += "."
	}
	return s
}

// diagnose answers the questions of capacity planning.
func diagnose(run *record.Run, o Options) *record.Diagnosis {
	d := &record.Diagnosis{Objectives: judged(run)}
	points := make([][]point, len(run.Lanes))
	main := -1 // the lane whose load says most: the one with the widest range of loads
	widest := 0.0
	for i := range run.Lanes {
		points[i] = pointsOf(&run.Lanes[i])
		if n := len(points[i]); n > 0 && !hasSpikes(&run.Lanes[i]) || n > 1 {
			if wide := points[i][n-1].load / points[i][0].load; wide > widest*1.001 {
				main, widest = i, wide
			}
		}
	}
	var knee *point
	if main >= 0 {
		l := &run.Lanes[main]
		d.Knee = kneeOf(run, l, points[main])
		if d.Knee != nil && d.Knee.HeldAt == 0 && len(points[main]) == 1 {
			d.Knee = nil // one load that missed says nothing of where the knee is
		}
		d.Capacity = capacityOf(l, points[main])
		d.Beyond = beyondOf(l, d.Knee, points[main])
		for i := range points[main] {
			if d.Knee != nil && d.Knee.HeldAt > 0 && points[main][i].load == d.Knee.HeldAt {
				knee = &points[main][i]
			}
		}
		d.Cost = costOf(run, knee, o.PerHour)
		d.Headroom = headroomOf(run, d.Knee, knee)
	}
	d.Losses = lossesOf(run)
	d.Neighbours = neighboursOf(run)
	found := func(f *record.Finding) {
		if f != nil {
			d.Findings = append(d.Findings, *f)
		}
	}
	for i := range run.Lanes {
		l := &run.Lanes[i]
		d.Mix = append(d.Mix, mixEffects(l)...)
		found(saturated(l, points[i]))
		found(queueing(run, l, points[i]))
		found(decoding(l, points[i]))
		found(errorsInSpikes(l))
		found(drift(run, l))
		r, before, after := recoveryOf(l)
		if r != nil && d.Recovery == nil {
			d.Recovery = r
			found(slow(r, before, after))
		}
	}
	for i := range d.Neighbours {
		found(noisy(&d.Neighbours[i], len(d.Neighbours)))
	}
	d.Words = words(run, d)
	return d
}

// words are the answers, the weightiest first.
func words(run *record.Run, d *record.Diagnosis) (w []string) {
	open := true
	if d.Knee != nil {
		open = d.Knee.Open
		w = append(w, kneeWords(d.Knee))
	}
	if d.Beyond != nil {
		w = append(w, d.Beyond.Words)
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Cause != "" {
			w = append(w, f.Words+" Beside it: "+f.Cause+".")
		} else {
			w = append(w, f.Words)
		}
	}
	if d.Recovery != nil {
		w = append(w, recoveryWords(d.Recovery))
	}
	if d.Capacity != nil {
		w = append(w, capacityWords(d.Capacity))
	}
	if d.Headroom != nil {
		w = append(w, headroomWords(d.Headroom))
	}
	for i := range d.Mix {
		w = append(w, mixWords(&d.Mix[i]))
	}
	for i := range d.Neighbours {
		w = append(w, neighbourWords(&d.Neighbours[i]))
	}
	if d.Losses != nil {
		w = append(w, lossesWords(d.Losses))
	}
	if d.Cost != nil {
		w = append(w, costWords(d.Cost, open))
	}
	return w
}
