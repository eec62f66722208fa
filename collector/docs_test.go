package collector

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

const (
	docsPath  = "../docs/metrics.md"
	docsBegin = "<!-- The text from here to the end marker is written from collector/names.go: go test ./collector -run TestDocs -update -->\n"
	docsEnd   = "<!-- end of the text from collector/names.go -->\n"
)

// docs/metrics.md must say what the table of families says.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), docsBegin)
	_, after, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s: no markers %q and %q", docsPath, docsBegin, docsEnd)
	}
	golden(t, docsPath, before+docsBegin+familiesMarkdown()+docsEnd+after)
}

func familiesMarkdown() string {
	var b strings.Builder
	for _, scope := range []Scope{PerStream, PerProbe, PerTarget, PerBudget, PerObjective, PerRamp, PerLane, PerStage, PerProber} {
		fmt.Fprintf(&b, "\n## %s%s\n\n%s\n", strings.ToUpper(string(scope[:1])), scope[1:], scopeText(scope))
		for _, f := range Families() {
			if f.Scope == scope {
				b.WriteString(familyMarkdown(f))
			}
		}
	}
	b.WriteString("\n")
	return b.String()
}

func scopeText(s Scope) string {
	switch s {
	case PerStream:
		return "Once for each target and probe that streams. They do not exist for the others."
	case PerProbe:
		return "Once for each target and probe."
	case PerTarget:
		return "Once for each target, with its labels but `probe`."
	case PerBudget:
		return "Once for each budget that is configured: of a target, with its labels but `probe`, and of all together, without."
	case PerRamp:
		return "Once for each ramp, with its `target` and the name as `ramp`."
	case PerLane:
		return "Once for each lane of a ramp, while it runs: with `target`, `ramp` and `lane`."
	case PerStage:
		return "Once for each lane, stage and probe of a ramp's latest run, with `target`, `ramp`, `lane`, `stage` and `probe`. They are there from the beginning of a stage to the beginning of the ramp's next run."
	case PerObjective:
		return "Once for each objective, with the labels of its target and probe."
	default:
		return "Once, without the labels of a target."
	}
}

func familyMarkdown(f Family) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### `%s`\n\n%s", f.Name, f.Kind)
	if len(f.Labels) > 0 {
		fmt.Fprintf(&b, " by `%s`", strings.Join(f.Labels, "`, `"))
	}
	fmt.Fprintf(&b, ". %s\n", f.Help)
	if f.Note != "" {
		fmt.Fprintf(&b, "\n%s\n", f.Note)
	}
	switch {
	case f.Kind != Histogram:
	case len(f.Buckets) == 0:
		b.WriteString("\nNo classic buckets: sum and count give the mean, the native side gives quantiles.\n")
	default:
		bounds := make([]string, 0, len(f.Buckets)+1)
		for _, v := range f.Buckets {
			bounds = append(bounds, strconv.FormatFloat(v, 'g', -1, 64))
		}
		fmt.Fprintf(&b, "\nClassic buckets: %s\n", strings.Join(append(bounds, "+Inf"), ", "))
	}
	return b.String()
}

func TestFamilies(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range Families() {
		if seen[f.Name] {
			t.Errorf("%s is in the table twice", f.Name)
		}
		seen[f.Name] = true
		if !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: help %q does not end with a full stop", f.Name, f.Help)
		}
		if got := strings.HasSuffix(f.Name, "_total"); got != (f.Kind == Counter) {
			t.Errorf("%s: a %s", f.Name, f.Kind)
		}
		if f.Kind != Histogram && f.Buckets != nil {
			t.Errorf("%s: a %s with buckets", f.Name, f.Kind)
		}
	}
}
