package web

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// runTable is a table as the page draws it. The first cell of a row is its heading.
type runTable struct {
	Caption string
	Note    string
	Class   string
	Groups  []runGroup // a line above Heads; may be empty
	Heads   []runHead
	Rows    []runRow
	More    int // rows left out

	most int // rows; 0: no bound
}

type runGroup struct {
	Name string
	Span int
}

type runHead struct{ Name, Title string }

type runRow struct {
	Class string
	Cells []runCell
}

type runCell struct {
	Text, Sub, Class string
	Drawing          template.HTML // instead of Text
}

func runHeads(names ...string) []runHead {
	all := make([]runHead, len(names))
	for i, n := range names {
		all[i].Name = n
	}
	return all
}

func runCells(texts ...string) []runCell {
	all := make([]runCell, len(texts))
	for i, t := range texts {
		all[i].Text = t
	}
	return all
}

// add adds a row, as far as there is room.
func (t *runTable) add(class string, row []runCell) {
	if t.most > 0 && len(t.Rows) >= t.most {
		t.More++
		return
	}
	t.Rows = append(t.Rows, runRow{class, row})
}

// timeCell is a quantile of a histogram.
func timeCell(h *record.Histogram, q float64) string {
	if h.Count() == 0 {
		return "–"
	}
	return chart.Seconds(h.Quantile(q).Seconds())
}

// stagesTable is what a lane's stages planned, did and measured: of all probes together, and of each where there are several.
func stagesTable(l *record.Lane, sums sums, most, series int) *runTable {
	t := &runTable{
		most: most, Caption: "Stages of lane " + printable.Line(l.Name, maxCell),
		Note: "Figures are of the measured part of each stage. From intended counts from when a request was planned to go out, and so has in it what waiting for a stalled server costs; " +
			"from dispatch counts from when it was sent, as closed-loop tools do. Percentiles are of the requests that succeeded.",
		Class:  "tight",
		Groups: []runGroup{{"", 2}, {"Requests", 4}, {"Throughput", 3}, {"TTFT from intended", 3}, {"TTFT from dispatch", 3}, {"", 3}},
		Heads: []runHead{{"Stage", ""}, {"Load", "Asked for: requests per second, or requests under way"}, {"planned", ""}, {"sent", ""}, {"shed", "Kept back by a cap or a budget"}, {"failed", ""},
			{"done/s", "Worked off per second: the tokens that came in during the measured part, in requests"}, {"tokens/s", "Output tokens that came in during the measured part, per second"}, {"under way", "Mean"},
			{"p50", ""}, {"p95", ""}, {"p99", ""}, {"p50", ""}, {"p95", ""}, {"p99", ""},
			{"Duration p95", "From the intended time"}, {"TPOT p50", "Time per output token"}, {"Sent late p99", "How late the prober itself was"}},
	}
	for i := range l.Stages[:min(len(l.Stages), most)] {
		s := &l.Stages[i]
		sum := sums.of(s)
		load := stageLoad(l.Open, s)
		row := append([]runCell{{Text: printable.Line(s.Name, maxStageName), Sub: stageSub(s)}}, runCells(load, grouped(s.Planned), grouped(s.Sent), grouped(s.Shed), grouped(sum.Sent-sum.Outcomes["ok"]))...)
		row = append(row, statsCells(sum, s)...)
		class := ""
		if s.Invalid != "" {
			class = "invalid"
		}
		row = append(row, runCell{Text: timeCell(s.DispatchDelay, .99)})
		t.add(class, row)
		if len(s.Probes) < 2 {
			continue
		}
		for _, name := range firstKeys(s.Probes, series) {
			st := s.Probes[name]
			row := runCells(printable.Line(name, maxCell), sharePercent(s.Mix[name]), grouped(st.Sent+st.Shed), grouped(st.Sent), grouped(st.Shed), grouped(st.Sent-st.Outcomes["ok"]))
			row = append(row, statsCells(st, s)...)
			row[6].Text, row[7].Text, row[8].Text = "", "", "" // what came in, and was under way, is not told by probe
			t.add("part", append(row, runCell{}))
		}
	}
	t.More += max(0, len(l.Stages)-most)
	return t
}

// statsCells are the columns from done/s to TPOT.
func statsCells(st *record.Stats, s *record.Stage) []runCell {
	done, tokens := "–", "–"
	if f := flowOf(s, st); st.Sent > 0 {
		done, tokens = chart.Number(f.requests), chart.Number(f.tokens)
		if st.EstimatedTokens > 0 {
			tokens = "≈" + nbsp + tokens
		}
	}
	return runCells(done, tokens, chart.Number(s.InFlight),
		timeCell(st.TTFT, .5), timeCell(st.TTFT, .95), timeCell(st.TTFT, .99),
		timeCell(st.TTFTDispatched, .5), timeCell(st.TTFTDispatched, .95), timeCell(st.TTFTDispatched, .99),
		timeCell(st.Duration, .95), timeCell(st.TPOT, .5))
}

// stageSub says what is to be known of a stage beside its figures.
func stageSub(s *record.Stage) string {
	var parts []string
	if s.Invalid != "" {
		parts = append(parts, "Invalid: "+printable.Line(s.Invalid, 160))
	}
	if s.Early != "" {
		parts = append(parts, "Ended early: "+printable.Line(s.Early, 120))
	}
	if s.Unended > 0 {
		parts = append(parts, grouped(s.Unended)+" not over when the drain was")
	}
	for _, reason := range firstKeys(s.ShedBy, 4) {
		parts = append(parts, grouped(s.ShedBy[reason])+" shed: "+strings.ReplaceAll(printable.Line(reason, 60), "_", " "))
	}
	return strings.Join(parts, ". ")
}

// sums are the figures of stages, of all probes together: they are looked at more than once.
type sums map[*record.Stage]*record.Stats

// of adds up a stage's probes.
func (m sums) of(s *record.Stage) *record.Stats {
	if len(s.Probes) == 1 {
		for _, st := range s.Probes {
			return st
		}
	}
	if sum := m[s]; sum != nil {
		return sum
	}
	sum := &record.Stats{Outcomes: map[string]int{}, TTFT: &record.Histogram{}, TTFTDispatched: &record.Histogram{}, Duration: &record.Histogram{}, TPOT: &record.Histogram{}}
	for _, st := range s.Probes {
		sum.Sent += st.Sent
		sum.Shed += st.Shed
		sum.OutputTokens += st.OutputTokens
		sum.EstimatedTokens += st.EstimatedTokens
		for o, n := range st.Outcomes {
			sum.Outcomes[o] += n
		}
		sum.TTFT.Add(st.TTFT)
		sum.TTFTDispatched.Add(st.TTFTDispatched)
		sum.Duration.Add(st.Duration)
		sum.TPOT.Add(st.TPOT)
	}
	for _, h := range []*record.Histogram{sum.TTFT, sum.TTFTDispatched, sum.Duration, sum.TPOT} {
		h.Pack() // else each of many stages takes 170 KB for each
	}
	m[s] = sum
	return sum
}

// firstKeys are the first keys of m.
func firstKeys[V any](m map[string]V, most int) []string {
	keys := slices.Sorted(maps.Keys(m))
	return keys[:min(len(keys), most)]
}

// outcomesTable is what became of all measured requests.
func outcomesTable(run *record.Run, most int) *runTable {
	type column struct {
		name     string
		outcomes map[string]int
		shed     int
	}
	total := column{"all", map[string]int{}, 0}
	var columns []column
	for i := range run.Lanes {
		l := &run.Lanes[i]
		byProbe := map[string]*column{}
		for j := range l.Stages {
			for probe, st := range l.Stages[j].Probes {
				c := byProbe[probe]
				if c == nil {
					c = &column{printable.Line(probe, maxCell), map[string]int{}, 0}
					if len(run.Lanes) > 1 {
						c.name = printable.Line(l.Name, maxCell) + ": " + c.name
					}
					byProbe[probe] = c
				}
				for o, n := range st.Outcomes {
					c.outcomes[o] += n
					total.outcomes[o] += n
				}
				c.shed += st.Shed
				total.shed += st.Shed
			}
		}
		for _, probe := range slices.Sorted(maps.Keys(byProbe)) {
			columns = append(columns, *byProbe[probe])
		}
	}
	sum := 0
	for _, n := range total.outcomes {
		sum += n
	}
	if sum+total.shed == 0 {
		return nil
	}
	if len(columns) == 1 {
		columns = nil
	}
	t := &runTable{most: most, Caption: "Outcomes of the measured requests"}
	if len(columns) > mostColumns {
		t.Note = fmt.Sprintf("%d more lanes and probes are in the total alone.", len(columns)-mostColumns)
		columns = columns[:mostColumns]
	}
	t.Heads = runHeads("Outcome", "Requests", "Share")
	for _, c := range columns {
		t.Heads = append(t.Heads, runHead{Name: c.name})
	}
	names := slices.SortedFunc(maps.Keys(total.outcomes), func(a, b string) int {
		return cmp.Or(-cmp.Compare(b2i(a == "ok"), b2i(b == "ok")), -cmp.Compare(total.outcomes[a], total.outcomes[b]), cmp.Compare(a, b))
	})
	for _, o := range names {
		row := runCells(printable.Line(o, 60), grouped(total.outcomes[o]), sharePercent(float64(total.outcomes[o])/float64(max(sum, 1))))
		if o == "canceled" {
			row[0].Sub = "not over when the drain was"
		}
		for _, c := range columns {
			row = append(row, runCell{Text: grouped(c.outcomes[o])})
		}
		class := "failed"
		if o == "ok" {
			class = "ok"
		}
		t.add(class, row)
	}
	if total.shed > 0 {
		row := runCells("shed", grouped(total.shed), "")
		row[0].Sub = "kept back by the prober, not sent"
		for _, c := range columns {
			row = append(row, runCell{Text: grouped(c.shed)})
		}
		t.add("", row)
	}
	return t
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lossesTable is who gave up on the requests that came to nothing.
func lossesTable(run *record.Run) *runTable {
	if run.Diagnosis == nil || run.Diagnosis.Losses == nil {
		return nil
	}
	l := run.Diagnosis.Losses
	t := &runTable{Caption: "Whose doing the losses were", Heads: runHeads("Requests that came to nothing", "Requests", "Share of planned")}
	for _, row := range []struct {
		name string
		n    int
	}{
		{"Shed: kept back by this prober's own caps and budgets", l.Shed},
		{"Timed out by this prober", l.Client},
		{"Timed out by the server, or a proxy before it", l.Timeouts},
		{"Refused: rate limited or overloaded", l.Refused},
		{"Connection refused, reset or lost", l.Reset},
		{"Not over when the drain was", l.Unended},
		{"All other failures", l.Other},
	} {
		if row.n > 0 {
			t.add("", runCells(row.name, grouped(row.n), sharePercent(float64(row.n)/float64(max(l.Requests, 1)))))
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// objectivesTable is each objective in each stage that it speaks of.
func objectivesTable(run *record.Run, most int) *runTable {
	if run.Diagnosis == nil || len(run.Diagnosis.Objectives) == 0 {
		return nil
	}
	t := &runTable{
		most: most, Caption: "Objectives by stage",
		Note:  "Held and missed are said with 95 % confidence. The verdict counts what is promised; other stages are there to find the limit, or to recover from it.",
		Heads: runHeads("Stage", "Load", "Objective", "State", "Value", "Good requests", "Confidence", "Promised"),
	}
	for i := range run.Diagnosis.Objectives {
		j := &run.Diagnosis.Objectives[i]
		name := printable.Line(j.Name, maxStageName)
		if len(run.Lanes) > 1 {
			name = printable.Line(j.Lane, maxCell) + ": " + name
		}
		state, class := "too few requests to tell", ""
		switch {
		case j.Held:
			state, class = "✓ held", "good"
		case j.Missed:
			state, class = "✕ missed", "bad"
		}
		value := "no answer"
		if j.Value != nil {
			value = indicatorValue(j.Indicator, *j.Value)
		}
		row := runCells(name, judgedLoad(run, j), promiseText(j.Indicator, j.Percentile, j.Threshold, j.Probe), state, value,
			grouped(j.Good)+" of "+grouped(j.Total), sure(j.Confidence), "yes")
		row[3].Class = class
		rowClass := ""
		if !j.Promised {
			rowClass, row[7].Text = "aside", "no"
		}
		t.add(rowClass, row)
	}
	return t
}

// stageLoad is the load of a stage: both, where it changes.
func stageLoad(open bool, s *record.Stage) string {
	load := loadText(open, s.End)
	if s.Begin != s.End {
		load = chart.Number(s.Begin) + " to " + load
	}
	return load
}

// judgedLoad is the load of the stage in which an objective was judged.
func judgedLoad(run *record.Run, j *record.Judged) string {
	for i := range run.Lanes {
		l := &run.Lanes[i]
		if l.Name != j.Lane {
			continue
		}
		for k := range l.Stages {
			if s := &l.Stages[k]; s.Index == j.Stage {
				return stageLoad(l.Open, s)
			}
		}
		return loadText(l.Open, j.Load)
	}
	return loadText(true, j.Load)
}

// promiseText is an objective: p95 TTFT of chat ≤ 800 ms.
func promiseText(indicator string, percentile, threshold float64, probe string) string {
	if probe != "" {
		probe = " of " + printable.Line(probe, maxCell)
	}
	switch indicator {
	case record.Availability:
		return "availability" + probe + " ≥ " + sharePercent(threshold)
	case record.OutputRate:
		return sharePercent(percentile/100) + " of answers" + probe + " ≥ " + indicatorValue(indicator, threshold)
	}
	return "p" + strconv.FormatFloat(percentile, 'g', 6, 64) + " " + indicatorName(indicator) + probe + " ≤ " + chart.Seconds(threshold)
}

// beyondTables is what a diagnosis says of mixes and of neighbours.
func beyondTables(d *record.Diagnosis, most int) []*runTable {
	var tables []*runTable
	if len(d.Mix) > 0 {
		t := &runTable{most: most, Caption: "What a larger share of one probe does to the others", Heads: runHeads("Share of", "from", "to", "Changes", "per 10 points", "95 % confidence", "p")}
		for _, m := range d.Mix {
			t.add("", runCells(printable.Line(m.Probe, maxCell), sharePercent(m.From), sharePercent(m.To), figureName(m.Indicator)+" of "+printable.Line(m.Victim, maxCell),
				changeText("", m.PerTenth), changeText("", m.Low)+" to "+changeText("", m.High), chanceText(m.P)))
		}
		tables = append(tables, t)
	}
	if len(d.Neighbours) > 0 {
		t := &runTable{most: most, Caption: "What one lane's bursts do to another", Heads: runHeads("Victim", "Neighbour", "Indicator", "p95 between bursts", "p95 during", "times", "95 % confidence", "p")}
		for _, n := range d.Neighbours {
			t.add("", runCells(printable.Line(n.Victim, maxCell), printable.Line(n.Neighbour, maxCell), indicatorName(n.Indicator), chart.Seconds(n.Between), chart.Seconds(n.During),
				chart.Number(n.Ratio), chart.Number(n.Low)+" to "+chart.Number(n.High), chanceText(n.P)))
		}
		tables = append(tables, t)
	}
	return tables
}
