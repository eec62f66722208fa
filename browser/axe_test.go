package browser

import (
	"fmt"
	"strings"
)

// violation is a rule of axe-core that a page breaks.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		Target  []any
		HTML    string
		Summary string `json:"failureSummary"`
	}
}

// violations has axe-core judge the page by WCAG 2.2, levels A and AA, and its own best practices. No rule is left out.
func (p *tab) violations(axe string) []violation {
	p.t.Helper()
	look[bool](p, axe+"; true")
	type verdict struct {
		Violations []violation
		Passes     int
	}
	got := look[verdict](p, `axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
		resultTypes: ["violations"],
	}).then((r) => ({
		Violations: r.violations.map(({id, impact, help, nodes}) => ({id, impact, help, nodes: nodes.map(({target, html, failureSummary}) => ({target, html, failureSummary}))})),
		Passes: r.passes.length,
	}))`)
	if got.Passes < 5 {
		p.t.Errorf("axe-core had only %d rules to apply", got.Passes)
	}
	return got.Violations
}

// judge fails the test for each rule of axe-core that the page breaks.
func (p *tab) judge(axe, view string) {
	p.t.Helper()
	if axe == "" {
		return
	}
	for _, v := range p.violations(axe) {
		var b strings.Builder
		for i, n := range v.Nodes {
			if i == 4 {
				fmt.Fprintf(&b, "\n\t... and %d more", len(v.Nodes)-i)
				break
			}
			fmt.Fprintf(&b, "\n\t%v %s\n\t\t%s", n.Target, brief(n.HTML), brief(n.Summary))
		}
		p.t.Errorf("%s: %s (%s): %s%s", view, v.ID, v.Impact, v.Help, b.String())
	}
}
