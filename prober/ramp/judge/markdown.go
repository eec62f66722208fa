package judge

import (
	"fmt"
	"strings"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Markdown is a run as a comment on a change, or a page of a wiki, has it.
func Markdown(run *record.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s on %s: **%s**\n\n", escaped(run.Ramp), escaped(targetWords(run)), verdictWords(run.Verdict))
	bullets(&b, run.Reasons)
	fmt.Fprintf(&b, "%s\n\n", escaped(whenWords(run)))
	if d := run.Diagnosis; d != nil && len(d.Words) > 0 {
		b.WriteString("### What it says of the server\n\n")
		bullets(&b, d.Words)
		var evidence []string
		for _, f := range d.Findings {
			evidence = append(evidence, string(f.Pattern)+": "+f.Evidence)
		}
		if len(evidence) > 0 {
			b.WriteString("Evidence:\n\n")
			bullets(&b, evidence)
		}
	}
	for i := range run.Lanes {
		fmt.Fprintf(&b, "### %s\n\n", escaped(capital(laneWords(&run.Lanes[i]))))
		grid(&b, stageHeads(), stageRows(&run.Lanes[i]))
	}
	if c := run.Comparison; c != nil && len(c.Indicators) > 0 {
		fmt.Fprintf(&b, "### Against %s\n\n", escaped(runsWords(c.Runs)))
		comparisonGrid(&b, c)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// ComparisonMarkdown is a comparison as a comment on a change has it.
func ComparisonMarkdown(c *record.Comparison) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s against %s: **%s**\n\n", escaped(runsWords(c.News)), escaped(runsWords(c.Runs)), verdictWords(c.Verdict))
	bullets(&b, c.Words)
	if len(c.Indicators) > 0 {
		comparisonGrid(&b, c)
	}
	if c.Test != "" {
		fmt.Fprintf(&b, "%s; false alarms %s at most, least effect %s.\n", capital(c.Test), percent(c.Alpha), percent(c.Least))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func comparisonGrid(b *strings.Builder, c *record.Comparison) {
	var rows [][]string
	for i := range c.Indicators {
		rows = append(rows, comparisonRow(&c.Indicators[i]))
	}
	grid(b, comparisonHeads(), rows)
}

func bullets(b *strings.Builder, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", escaped(line))
	}
	if len(lines) > 0 {
		b.WriteString("\n")
	}
}

func grid(b *strings.Builder, heads []string, rows [][]string) {
	line := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(b, "| %s ", escaped(c))
		}
		b.WriteString("|\n")
	}
	line(heads)
	b.WriteString(strings.Repeat("| --- ", len(heads)) + "|\n")
	for _, row := range rows {
		line(row)
	}
	b.WriteString("\n")
}

// escaped makes one line of a text and keeps it from being read as markup: names come from files and from servers.
func escaped(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "<", "&lt;", ">", "&gt;", "[", "\\[").Replace(oneLine(s))
}
