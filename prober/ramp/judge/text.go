package judge

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Text is a run for people: the verdict and why, what it says of the server, and the figures of each stage.
func Text(run *record.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", oneLine(run.Ramp+" on "+targetWords(run)+": "+verdictWords(run.Verdict)))
	for _, r := range run.Reasons {
		fmt.Fprintf(&b, "  %s\n", oneLine(r))
	}
	fmt.Fprintf(&b, "\n%s\n", oneLine(whenWords(run)))
	if d := run.Diagnosis; d != nil && len(d.Words) > 0 {
		b.WriteString("\n")
		for _, w := range d.Words {
			fmt.Fprintf(&b, "- %s\n", oneLine(w))
		}
		for _, f := range d.Findings {
			fmt.Fprintf(&b, "  evidence of %s: %s\n", f.Pattern, oneLine(f.Evidence))
		}
	}
	for i := range run.Lanes {
		l := &run.Lanes[i]
		fmt.Fprintf(&b, "\n%s\n", oneLine(laneWords(l)))
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, strings.Join(stageHeads(), "\t")+"\t")
		for _, row := range stageRows(l) {
			fmt.Fprintln(w, cells(row)+"\t")
		}
		w.Flush() //nolint:errcheck // a builder takes all
	}
	if c := run.Comparison; c != nil && len(c.Indicators) > 0 {
		b.WriteString("\n")
		b.WriteString(comparisonTable(c))
	}
	return b.String()
}

// maxLine bounds a line of a record, in characters: sentences of ours are shorter.
const maxLine = 4000

// oneLine makes a line of what a record says: names and errors in it are other people's.
func oneLine(s string) string { return printable.Line(s, maxLine) }

// cells are a row of a table.
func cells(row []string) string {
	shown := make([]string, len(row))
	for i, cell := range row {
		shown[i] = oneLine(cell)
	}
	return strings.Join(shown, "\t")
}

// ComparisonText is a comparison for people.
func ComparisonText(c *record.Comparison) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", oneLine(runsWords(c.News)+" against "+runsWords(c.Runs)+": "+verdictWords(c.Verdict)))
	for _, w := range c.Words {
		fmt.Fprintf(&b, "  %s\n", oneLine(w))
	}
	if len(c.Indicators) > 0 {
		b.WriteString("\n")
		b.WriteString(comparisonTable(c))
	}
	if c.Test != "" {
		fmt.Fprintf(&b, "\n%s; false alarms %s at most, least effect %s.\n", oneLine(capital(c.Test)), percent(c.Alpha), percent(c.Least))
	}
	return b.String()
}

func comparisonTable(c *record.Comparison) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(comparisonHeads(), "\t"))
	for i := range c.Indicators {
		fmt.Fprintln(w, cells(comparisonRow(&c.Indicators[i])))
	}
	w.Flush() //nolint:errcheck // a builder takes all
	return b.String()
}

func comparisonHeads() []string {
	return []string{"indicator", "was", "is", "change", "95 %", "p", "judged", ""}
}

func comparisonRow(in *record.Indicator) []string {
	between, judged, word := "-", "no", ""
	if in.Low != nil && in.High != nil {
		between = changeWords(in, *in.Low) + " to " + changeWords(in, *in.High)
	}
	if in.Judged {
		judged = "yes"
	}
	switch {
	case in.Worse:
		word = "worse"
	case in.Better:
		word = "better"
	}
	p := "-"
	if between != "-" {
		p = strings.TrimPrefix(strings.TrimPrefix(chanceOf(in.P), "p = "), "p ")
	}
	return []string{figureWords(in), figureValue(in, in.Old), figureValue(in, in.New), changeWords(in, in.Change), between, p, judged, word}
}

// verdictWords is a verdict as people say it.
func verdictWords(v record.Verdict) string {
	switch v {
	case record.CutShort:
		return "cut short"
	case record.NotEnoughRuns:
		return "not enough runs"
	case "":
		return "not judged"
	}
	return string(v)
}

func targetWords(run *record.Run) string {
	if run.Model == "" {
		return run.Target
	}
	return run.Target + " (" + run.Model + ")"
}

func runsWords(ids []string) string {
	switch len(ids) {
	case 0:
		return "nothing"
	case 1:
		return ids[0]
	}
	return fmt.Sprintf("%d runs (%s to %s)", len(ids), ids[0], ids[len(ids)-1])
}

func whenWords(run *record.Run) string {
	planned := 0
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			planned += run.Lanes[i].Stages[j].Planned
		}
	}
	return fmt.Sprintf("%s, %s, %s in measured parts; run %s",
		run.Started.UTC().Format("2006-01-02 15:04:05 UTC"), seconds(run.Ended.Sub(run.Started).Round(time.Second).Seconds()), count(planned, "request"), run.ID)
}

func laneWords(l *record.Lane) string {
	loop := "closed loop"
	if l.Open {
		loop = "open loop"
		if l.Process != "" {
			loop += ", " + l.Process
		}
	}
	return fmt.Sprintf("lane %s (%s)", l.Name, loop)
}

func stageHeads() []string {
	return []string{"stage", "load", "planned", "failed", "shed", "TTFT p50", "p95", "p99", "duration p95", "TPOT p50", "tokens/s", "under way"}
}

func stageRows(l *record.Lane) (rows [][]string) {
	for i := range l.Stages {
		s := &l.Stages[i]
		row := []string{s.Name, loadWords(l.Open, s.End)}
		if s.Begin != s.End {
			row[1] = number(s.Begin) + " to " + row[1]
		}
		if s.Planned == 0 {
			rows = append(rows, append(row, "0", "-", "-", "-", "-", "-", "-", "-", "-", "-"))
			continue
		}
		sum := &record.Stats{Outcomes: map[string]int{}}
		for _, stats := range s.Probes {
			addTo(sum, stats)
		}
		p := pointOf(l, s.End, []*record.Stage{s})
		name := s.Name
		if s.Invalid != "" {
			name += " (invalid)"
		}
		row[0] = name
		rows = append(rows, append(row,
			fmt.Sprint(s.Planned), fmt.Sprint(failedOf(s)-s.Shed), fmt.Sprint(s.Shed),
			timeCell(sum.TTFT, .5), timeCell(sum.TTFT, .95), timeCell(sum.TTFT, .99), timeCell(sum.Duration, .95), timeCell(sum.TPOT, .5),
			number(p.tokens), number(s.InFlight)))
	}
	return rows
}

func timeCell(h *record.Histogram, q float64) string {
	if h.Count() == 0 {
		return "-"
	}
	return seconds(h.Quantile(q).Seconds())
}
