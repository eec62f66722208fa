package web

import (
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// comparePage is two runs side by side: A is the one that B is compared with.
type comparePage struct {
	A, B       comparedRun
	Sides      *runTable
	Comparison *comparisonView
	Problem    string // why they are not compared
	Curves     []template.HTML
	Courses    []template.HTML
	Swapped    string // link to the comparison the other way round
}

type comparedRun struct {
	Link, Title, When string
	Verdict           verdictView
}

// mostCompared is how many lanes of two runs are drawn over each other.
const mostCompared = 4

// compare serves the comparison of two runs.
func (h *runsPages) compare(w http.ResponseWriter, r *http.Request) {
	a, b := r.URL.Query().Get("a"), r.URL.Query().Get("b")
	if a == "" || b == "" {
		h.problem(w, "../", http.StatusBadRequest, "Which two runs?", "Choose two runs in the list, and compare them there.")
		return
	}
	old, err := h.source.Load(a)
	if err != nil {
		h.loadProblem(w, "../", err)
		return
	}
	run, err := h.source.Load(b)
	if err != nil {
		h.loadProblem(w, "../", err)
		return
	}
	v := &comparePage{A: newComparedRun(old), B: newComparedRun(run), Sides: sides(old, run), Swapped: "compare?" + url.Values{"a": {b}, "b": {a}}.Encode()}
	switch {
	case h.source.Compare == nil:
		v.Problem = "This prober cannot compare runs."
	case a == b:
		v.Problem = "This is one and the same run."
	default:
		c, err := h.source.Compare(a, b)
		if err != nil {
			v.Problem = capital(printable.Line(err.Error(), maxSentence))
		} else if c != nil {
			v.Comparison = newComparisonView(c, rooms()[0])
		}
	}
	v.draw(old, run)
	data := h.newPage("Compare "+v.A.Title+" and "+v.B.Title, "../", "Runs")
	data.Data = v
	h.show(w, http.StatusOK, "compare.html", data)
}

func newComparedRun(run *record.Run) comparedRun {
	return comparedRun{Link: url.PathEscape(run.ID), Title: printable.Line(run.Ramp, maxName) + " on " + printable.Line(run.Target, maxName), When: moment(run.Started), Verdict: verdictOf(run.Verdict)}
}

// sides are the figures and circumstances of both runs. What differs is marked.
func sides(a, b *record.Run) *runTable {
	t := &runTable{Caption: "Side by side", Heads: runHeads("", "A", "B", ""), Class: "sides"}
	add := func(name, left, right string) {
		if left == "" && right == "" {
			return
		}
		mark, class := "", "aside"
		if left != right {
			mark, class = "≠ differs", ""
		}
		row := runCells(name, left, right, mark)
		t.add(class, row)
	}
	add("Ramp", printable.Line(a.Ramp, maxName), printable.Line(b.Ramp, maxName))
	add("Target", printable.Line(a.Target, maxName), printable.Line(b.Target, maxName))
	add("Model", printable.Line(a.Model, maxName), printable.Line(b.Model, maxName))
	add("Verdict", verdictOf(a.Verdict).Word, verdictOf(b.Verdict).Word)
	add("Took", span(a.Ended.Sub(a.Started)), span(b.Ended.Sub(b.Started)))
	left, right := factsOf(a), factsOf(b)
	for _, name := range factNames(left, right) {
		add(name, factValue(left, name), factValue(right, name))
	}
	here, there := environmentOf(a), environmentOf(b)
	value := func(all []runPair, name string) string {
		for _, p := range all {
			if p.Name == name {
				return p.Value
			}
		}
		return ""
	}
	for _, name := range []string{"llm_prober", "Host", "System", "CPUs of the prober", "Engine", "GPUs", "Labels"} {
		add(name, value(here, name), value(there, name))
	}
	if len(a.Config)+len(b.Config) > 0 {
		if configText(a.Config) == configText(b.Config) {
			t.add("aside", runCells("Configuration of the ramp", "as used", "the same", ""))
		} else {
			t.add("", runCells("Configuration of the ramp", "as used", "another", "≠ differs"))
		}
	}
	return t
}

func factNames(left, right []runFact) (names []string) {
	seen := map[string]bool{}
	for _, f := range append(left[:len(left):len(left)], right...) {
		if !seen[f.Name] {
			seen[f.Name] = true
			names = append(names, f.Name)
		}
	}
	return names
}

func factValue(all []runFact, name string) string {
	for _, f := range all {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// draw lays the curves of both runs over each other, lane by lane.
func (v *comparePage) draw(a, b *record.Run) {
	drawn := 0
	for i := range a.Lanes {
		for j := range b.Lanes {
			if a.Lanes[i].Name == b.Lanes[j].Name && drawn < mostCompared {
				drawn++
				v.lane(a, b, &a.Lanes[i], &b.Lanes[j], len(a.Lanes) > 1 || len(b.Lanes) > 1)
			}
		}
	}
}

func (v *comparePage) lane(a, b *record.Run, left, right *record.Lane, named bool) {
	name := ""
	if named {
		name = " of " + printable.Line(left.Name, maxName)
	}
	latency := chart.Plot{Frame: chart.Frame{Title: "p95 TTFT by throughput" + name, Height: 280, X: chart.Axis{Label: "Requests per second done"}, Y: chart.Axis{Format: chart.Seconds}}}
	through := chart.Plot{Frame: chart.Frame{Title: "Throughput by concurrency" + name, Height: 280, X: chart.Axis{Label: "Requests under way, mean"}, Y: chart.Axis{Label: "Requests per second"}}}
	course := chart.Plot{Frame: chart.Frame{Title: "p95 TTFT over time" + name, Height: 220, Group: "compared", X: chart.Axis{Scale: chart.Elapsed, Label: "Since the run began"}, Y: chart.Axis{Format: chart.Seconds}}}
	low, high := math.Inf(1), 0.0
	for _, side := range []struct {
		run  *record.Run
		lane *record.Lane
		name string
		kind string
	}{{a, left, "A", "c3"}, {b, right, "B", "c2"}} {
		loads := stepsOf(side.lane, sums{})
		var l, t []chart.Point
		for _, s := range loads {
			if s.p95 > 0 && !s.part {
				l = append(l, chart.Point{X: s.flow.requests, Y: s.p95})
				low, high = min(low, s.p95), max(high, s.p95)
			}
			if s.inFlight > 0 {
				t = append(t, chart.Point{X: s.inFlight, Y: s.flow.requests})
			}
		}
		if len(l) > 1 {
			latency.Series = append(latency.Series, chart.Series{Class: side.kind, Points: l, Dashed: side.name == "A"}, chart.Series{Name: side.name, Class: side.kind, Kind: chart.Scatter, Points: l})
			if k := kneeOf(side.run, side.lane); k != nil && k.HeldAt > 0 {
				latency.Rules = append(latency.Rules, chart.Rule{At: k.RequestsPerSecond, Label: fmt.Sprintf("%s: knee", side.name), Class: "knee"})
			}
		}
		if len(t) > 1 {
			through.Series = append(through.Series, chart.Series{Name: side.name, Class: side.kind, Kind: chart.Scatter, Points: t})
		}
		ticks, _ := ticksOf(side.lane, 240)
		var c []chart.Point
		for i := range ticks {
			q := &ticks[i].ttft
			c = append(c, chart.Point{X: ticks[i].start.Sub(side.run.Started).Seconds(), Y: known(q, q.P95)})
			if q.N > 0 && q.P95 > 0 {
				low, high = min(low, q.P95), max(high, q.P95)
			}
		}
		if len(c) > 0 {
			course.Series = append(course.Series, chart.Series{Name: side.name, Class: side.kind, Points: c, Dashed: side.name == "A"})
		}
	}
	rules := objectiveRules(b, right)
	latency.Rules, course.Rules = append(latency.Rules, rules...), append(course.Rules, rules...)
	if high > 12*low {
		latency.Y.Scale, course.Y.Scale = chart.Log, chart.Log
	}
	for _, p := range []*chart.Plot{&latency, &through} {
		if len(p.Series) > 0 {
			v.Curves = append(v.Curves, p.Figure())
		}
	}
	if len(course.Series) > 0 {
		v.Courses = append(v.Courses, course.Figure())
	}
}
