package web

import (
	"fmt"
	"slices"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// comparisonView is a comparison of runs.
type comparisonView struct {
	Title   string
	Verdict verdictView
	Words   []string
	Table   *runTable
	Test    string
}

func newComparisonView(c *record.Comparison, room room) *comparisonView {
	v := &comparisonView{Title: "Against " + runsText(c.Runs), Verdict: verdictOf(c.Verdict), Words: sentences(c.Words, room.words)}
	if len(c.Runs) == 0 {
		v.Title = "Comparison"
	}
	if c.Test != "" {
		v.Test = fmt.Sprintf("%s. False alarms: %s at most, over all judged figures together. Changes below %s count as none.",
			capital(printable.Line(c.Test, maxSentence)), sharePercent(c.Alpha), sharePercent(c.Least))
	}
	if len(c.Indicators) == 0 {
		return v
	}
	t := &runTable{Caption: "Figures compared", Heads: []runHead{{Name: "Figure"}, {Name: "Was"}, {Name: "Is"}, {Name: "Change"}, {Name: "Drawn", Title: "The middle is no change; shaded is what counts as none"}, {Name: "95 % confidence"},
		{Name: "p", Title: "Of a change for the worse by chance, adjusted for all that is judged"}, {Name: "Judged"}, {Name: ""}}}
	scale := changeScale(c)
	lanes := slices.ContainsFunc(c.Indicators, func(in record.Indicator) bool { return in.Lane != c.Indicators[0].Lane })
	shown := c.Indicators[:min(len(c.Indicators), room.rows)]
	for i := range shown {
		in := &shown[i]
		name := figureName(in.Name)
		if in.Probe != "" {
			name += " of " + printable.Line(in.Probe, maxCell)
		}
		row := []runCell{{Text: name}}
		if in.Lane != "" && lanes {
			row[0].Sub = "lane " + printable.Line(in.Lane, maxCell)
		}
		between, p, judged, word, class := "–", "–", "no", "", ""
		interval := chart.Interval{Scale: scale, Change: in.Change, Least: c.Least}
		if in.Low != nil && in.High != nil {
			between, p = changeText(in.Unit, *in.Low)+" to "+changeText(in.Unit, *in.High), chanceText(in.P)
			interval.Low, interval.High, interval.Known = *in.Low, *in.High, true
		}
		if in.Judged {
			judged = "yes"
		}
		switch {
		case in.Worse:
			word, class = "▲ worse", "bad"
			if in.Higher {
				word = "▼ worse"
			}
		case in.Better:
			word, class = "▼ better", "good"
			if in.Higher {
				word = "▲ better"
			}
		}
		interval.Class, interval.Label = class, changeText(in.Unit, in.Change)
		row = append(row, runCells(unitValue(in.Unit, in.Old), unitValue(in.Unit, in.New), changeText(in.Unit, in.Change), "", between, p, judged, word)...)
		row[3].Class, row[4].Drawing, row[8].Class = class, interval.SVG(), class
		t.add(map[bool]string{false: "aside"}[in.Judged], row)
	}
	t.More += len(c.Indicators) - len(shown)
	v.Table = t
	return v
}

// changeScale is the change that the drawings of a comparison reach to.
func changeScale(c *record.Comparison) float64 {
	scale := max(0.1, 2*c.Least)
	for i := range c.Indicators {
		in := &c.Indicators[i]
		scale = max(scale, min(1, max(in.Change, -in.Change)*1.3))
	}
	return scale
}

func runsText(ids []string) string {
	switch len(ids) {
	case 0:
		return "nothing"
	case 1:
		return "run " + printable.Line(ids[0], maxID)
	}
	return fmt.Sprintf("%d runs (%s to %s)", len(ids), printable.Line(ids[0], maxID), printable.Line(ids[len(ids)-1], maxID))
}
