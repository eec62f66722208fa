package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// factsOf are the figures of a run that people ask for first.
func factsOf(run *record.Run) []runFact {
	var facts []runFact
	if a := run.Abort; a != nil {
		sub := "limit " + limitText(a.Limit, a.Bound)
		if a.Over > 0 {
			sub += ", over " + span(a.Over)
		}
		facts = append(facts, runFact{"Aborted by " + strings.ReplaceAll(printable.Line(a.Limit, 60), "_", " "), limitText(a.Limit, a.Value), sub + ", after " + span(a.At.Sub(run.Started)), "bad"})
	}
	if d := run.Diagnosis; d != nil {
		facts = append(facts, diagnosisFacts(d)...)
	}
	return append(facts, requestsFact(run), latenessFact(run))
}

func limitText(limit string, v float64) string {
	switch limit {
	case "error_share":
		return sharePercent(v)
	case "ttft":
		return chart.Seconds(v)
	}
	return chart.Number(v)
}

func diagnosisFacts(d *record.Diagnosis) []runFact {
	var facts []runFact
	if k := d.Knee; k != nil {
		f := runFact{Name: "Knee", Value: loadText(k.Open, k.Load), Sub: "objectives held at " + loadText(k.Open, k.HeldAt) + ", confidence " + sure(k.Confidence)}
		switch {
		case k.HeldAt == 0:
			f.Value, f.Sub, f.Class = "none", "the objectives held at no load", "bad"
		case k.MissedAt > 0:
			f.Sub += "; missed at " + loadText(k.Open, k.MissedAt)
		default:
			f.Value, f.Sub = "≥"+nbsp+f.Value, f.Sub+"; none was missed up to here"
		}
		facts = append(facts, f)
	}
	if c := d.Capacity; c != nil {
		f := runFact{Name: "Capacity", Value: capacityText(c)}
		switch {
		case !c.Identified:
			f.Value, f.Sub = "≥"+nbsp+chart.Number(c.AtLeast)+"/s", "not levelled off at the highest load"
		case c.Method == "usl":
			f.Sub = fmt.Sprintf("scalability law over %d loads, misfit %s", c.Loads, sharePercent(c.Residual))
		default:
			f.Sub = "where throughput no longer rose"
		}
		facts = append(facts, f)
	}
	if h := d.Headroom; h != nil {
		facts = append(facts, runFact{"Headroom", sharePercent(h.Ratio), fmt.Sprintf("%s running before the run, %s at the knee", chart.Number(h.Before), chart.Number(h.AtKnee)), ""})
	}
	if r := d.Recovery; r != nil {
		f := runFact{Name: "Recovery", Value: chart.Span(r.Seconds), Sub: "until p95 " + indicatorName(r.Indicator) + " was normal again"}
		if !r.Recovered {
			f.Value, f.Sub, f.Class = "not within "+chart.Span(r.Seconds), "p95 "+indicatorName(r.Indicator)+" stayed above "+chart.Seconds(r.Band), "bad"
		} else if r.Expected > 0 {
			f.Sub += "; the backlog alone takes " + chart.Span(r.Expected)
		}
		facts = append(facts, f)
	}
	if c := d.Cost; c != nil {
		by := map[string]string{"tokens": "by the price of tokens", "hour": "by the price of an hour"}[c.By]
		unit := ""
		if c.Currency != "" {
			unit = nbsp + printable.Line(c.Currency, 12)
		}
		sub := by
		if c.PerMillionTokens > 0 {
			sub = strings.TrimPrefix(by+", ", ", ") + chart.Number(c.PerMillionTokens) + unit + " per 1M output tokens"
		}
		facts = append(facts, runFact{"Cost of 1,000 requests", chart.Number(c.PerThousandRequests) + unit, sub, ""})
	}
	return facts
}

// capacityText is a capacity with its standard error, which has two digits at most.
func capacityText(c *record.Capacity) string {
	err, _ := strconv.ParseFloat(strconv.FormatFloat(c.StdErr, 'g', 2, 64), 64)
	return chart.Number(c.RequestsPerSecond) + " ± " + chart.Number(err) + "/s"
}

// requestsFact says how the requests of the measured parts fared.
func requestsFact(run *record.Run) runFact {
	planned, ok, sent, shed := 0, 0, 0, 0
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			s := &run.Lanes[i].Stages[j]
			planned, shed = planned+s.Planned, shed+s.Shed
			for _, st := range s.Probes {
				sent, ok = sent+st.Sent, ok+st.Outcomes["ok"]
			}
		}
	}
	f := runFact{Name: "Measured requests", Value: grouped(planned)}
	if sent > 0 {
		f.Sub = sharePercent(float64(ok)/float64(sent)) + " ok"
		if failed := sent - ok; failed > 0 {
			f.Sub += ", " + grouped(failed) + " failed"
		}
	}
	if shed > 0 {
		f.Sub += ", " + grouped(shed) + " shed"
	}
	f.Sub = strings.TrimPrefix(f.Sub, ", ")
	return f
}

// latenessFact says how far the prober itself is to be trusted.
func latenessFact(run *record.Run) runFact {
	var late record.Histogram
	invalid, stages := 0, 0
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			s := &run.Lanes[i].Stages[j]
			late.Add(s.DispatchDelay)
			stages++
			if s.Invalid != "" {
				invalid++
			}
		}
	}
	f := runFact{Name: "Sent late, p99", Value: "–", Sub: "not recorded"}
	if late.Count() > 0 {
		f.Value, f.Sub = chart.Seconds(late.Quantile(.99).Seconds()), "after the intended time, by this prober; worst "+chart.Seconds(late.Max().Seconds())
	}
	if invalid > 0 {
		f.Sub, f.Class = fmt.Sprintf("%d of %d stages invalid", invalid, stages), "warn"
	}
	return f
}

// took is how long a stage's measured part lasted, in seconds.
func took(s *record.Stage) float64 { return max(0, float64(s.Measured())/float64(time.Second)) }
