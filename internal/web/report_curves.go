package web

import (
	"fmt"
	"html/template"
	"math"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// curves are a lane's latency by throughput, and its throughput by concurrency with the fitted law. None where it had one load only.
func curves(run *record.Run, l *record.Lane, sums sums, room room) []template.HTML {
	steps := stepsOf(l, sums)
	if len(steps) < 2 || steps[0].load == steps[len(steps)-1].load {
		return nil
	}
	name := ""
	if len(run.Lanes) > 1 {
		name = " of " + printable.Line(l.Name, maxKey)
	}
	charts := []template.HTML{latencyCurve(run, l, steps, name, room)}
	if c := throughputCurve(run, l, steps, name, room); c != "" {
		charts = append(charts, c)
	}
	return charts
}

// latencyCurve is the time to first token by what was done.
func latencyCurve(run *record.Run, l *record.Lane, steps []runLoad, name string, room room) template.HTML {
	p := chart.Plot{Frame: chart.Frame{
		Title: "TTFT by throughput" + name, Height: 280, NoTable: !room.numbers,
		X: chart.Axis{Label: "Requests per second done"}, Y: chart.Axis{Format: chart.Seconds},
	}}
	low, high := math.Inf(1), 0.0
	line := func(title, class string, of func(*runLoad) float64) {
		var points []chart.Point
		part := false
		for i := range steps {
			s := &steps[i]
			if v := of(s); v > 0 {
				points = append(points, chart.Point{X: s.flow.requests, Y: v})
				low, high = min(low, v), max(high, v)
				part = part || s.part
			}
		}
		if len(points) == 0 {
			return
		}
		if !part && !wanders(points) {
			p.Series = append(p.Series, chart.Series{Class: class, Points: points}) // its name stands with the dots
		}
		p.Series = append(p.Series, chart.Series{Name: title, Class: class, Kind: chart.Scatter, Points: points})
	}
	probes := probesOf(l)
	if len(probes) > 1 && steps[0].probes != nil {
		for i, probe := range probes[:min(len(probes), room.series)] {
			line("p95 "+printable.Line(probe, maxKey), fmt.Sprintf("c%d", i%8+1), func(s *runLoad) float64 { return s.probes[probe] })
		}
	} else {
		line("p50", "c1", func(s *runLoad) float64 { return s.p50 })
		line("p95", "c2", func(s *runLoad) float64 { return s.p95 })
		line("p99", "c8", func(s *runLoad) float64 { return s.p99 })
	}
	p.Rules = objectiveRules(run, l)
	for _, r := range p.Rules {
		low, high = min(low, r.At), max(high, r.At)
	}
	if high > 12*low {
		p.Y.Scale = chart.Log
	}
	first, last := &steps[0], &steps[len(steps)-1]
	p.Summary = fmt.Sprintf("p95 from %s at %s to %s at %s", chart.Seconds(first.p95), loadText(l.Open, first.load), chart.Seconds(last.p95), loadText(l.Open, last.load))
	if k := kneeOf(run, l); k != nil && k.HeldAt > 0 {
		p.Rules = append(p.Rules, chart.Rule{At: k.RequestsPerSecond, Label: "knee: held at " + loadText(k.Open, k.HeldAt), Class: "knee"})
		p.Summary += ". The objectives held at " + loadText(k.Open, k.HeldAt)
	}
	return p.Figure()
}

// wanders reports whether a line through the points, from the lowest load to the highest, would turn more than once: where a server
// is overloaded its throughput turns back once, and the rest is chance, which dots show better.
func wanders(points []chart.Point) bool {
	turns, rising := 0, true
	for i := 1; i < len(points); i++ {
		if up := points[i].X >= points[i-1].X; up != rising {
			turns, rising = turns+1, up
		}
	}
	return turns > 1
}

func kneeOf(run *record.Run, l *record.Lane) *record.Knee {
	if run.Diagnosis != nil && run.Diagnosis.Knee != nil && run.Diagnosis.Knee.Lane == l.Name {
		return run.Diagnosis.Knee
	}
	return nil
}

// probesOf are the probes of a lane.
func probesOf(l *record.Lane) []string {
	seen := map[string]bool{}
	for i := range l.Stages {
		for p := range l.Stages[i].Probes {
			seen[p] = true
		}
	}
	return firstKeys(seen, len(seen))
}

// objectiveRules are lines at the thresholds of a lane's times to first token.
func objectiveRules(run *record.Run, l *record.Lane) []chart.Rule {
	var rules []chart.Rule
	drawn := map[float64]bool{}
	for i := range run.Objectives {
		o := &run.Objectives[i]
		if o.Indicator != record.TTFT || !o.Applies(l.Name) || drawn[o.Threshold] || len(rules) == 4 {
			continue
		}
		drawn[o.Threshold] = true
		rules = append(rules, chart.Rule{At: o.Threshold, Across: true, Class: "goal", Label: fmt.Sprintf("objective p%g %s", o.Percentile, chart.Seconds(o.Threshold))})
	}
	return rules
}

// throughputCurve is what was done by how much was under way, and the law that was fitted to it.
func throughputCurve(run *record.Run, l *record.Lane, steps []runLoad, name string, room room) template.HTML {
	p := chart.Plot{Frame: chart.Frame{
		Title: "Throughput by concurrency" + name, Height: 280, NoTable: !room.numbers,
		X: chart.Axis{Label: "Requests under way, mean"}, Y: chart.Axis{Label: "Requests per second"},
	}}
	var points []chart.Point
	most := 0.0
	for _, s := range steps {
		if s.inFlight > 0 && s.flow.requests > 0 {
			points = append(points, chart.Point{X: s.inFlight, Y: s.flow.requests})
			most = max(most, s.inFlight)
		}
	}
	if len(points) < 2 {
		return ""
	}
	p.Summary = fmt.Sprintf("up to %s requests per second with %s under way", chart.Number(points[len(points)-1].Y), chart.Number(most))
	if c := capacityOf(run, l); c != nil {
		if c.Lambda > 0 {
			name := "fitted scalability law"
			if c.Method != "usl" || !c.Identified {
				name = "fitted scalability law, not relied on"
			}
			p.Series = append(p.Series, chart.Series{Name: name, Class: "c7", Dashed: true, Points: law(c, most*1.04)})
		}
		if c.Identified {
			label := "capacity " + capacityText(c)
			p.Rules = append(p.Rules, chart.Rule{At: c.RequestsPerSecond, Across: true, Label: label, Class: "knee"})
			p.Summary += "; " + label
		}
	}
	if k := kneeOf(run, l); k != nil && k.InFlight > 0 {
		p.Rules = append(p.Rules, chart.Rule{At: k.InFlight, Label: "knee"})
	}
	p.Series = append(p.Series, chart.Series{Name: "measured", Kind: chart.Scatter, Class: "c1", Points: points})
	p.X.Min, p.X.Max = 0, most*1.04
	return p.Figure()
}

func capacityOf(run *record.Run, l *record.Lane) *record.Capacity {
	if run.Diagnosis != nil && run.Diagnosis.Capacity != nil && run.Diagnosis.Capacity.Lane == l.Name {
		return run.Diagnosis.Capacity
	}
	return nil
}

// law is throughput(N) = λN / (1 + σ(N-1) + κN(N-1)) up to N = most.
func law(c *record.Capacity, most float64) []chart.Point {
	const points = 80
	var curve []chart.Point
	for i := range points + 1 {
		n := most * float64(i) / points
		if d := 1 + c.Sigma*(n-1) + c.Kappa*n*(n-1); d > 0 {
			curve = append(curve, chart.Point{X: n, Y: c.Lambda * n / d})
		}
	}
	return curve
}
