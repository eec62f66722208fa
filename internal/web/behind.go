package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
)

// behind is what is known of the targets beside their results, read once for each drawing.
type behind struct {
	objectives map[rowKey][]Objective
	engines    map[string][]Engine
	gpus       map[string][]GPU
	schedule   *Schedule // nil: not known
	budgets    map[string][]Budget
	pauses     map[string]time.Time
	ramps      map[string][]Ramp
}

// readBehind asks those that know.
func (o *Options) readBehind() *behind {
	b := &behind{
		objectives: map[rowKey][]Objective{}, engines: map[string][]Engine{}, gpus: map[string][]GPU{},
		budgets: map[string][]Budget{}, pauses: map[string]time.Time{}, ramps: map[string][]Ramp{},
	}
	if o.Objectives != nil {
		for _, objective := range o.Objectives() {
			key := rowKey{objective.Target, objective.Probe}
			b.objectives[key] = append(b.objectives[key], objective)
		}
	}
	if o.Engines != nil {
		for _, e := range o.Engines() {
			b.engines[e.Target] = append(b.engines[e.Target], e)
		}
	}
	if o.GPUs != nil {
		for _, g := range o.GPUs() {
			b.gpus[g.Target] = append(b.gpus[g.Target], g)
		}
	}
	if o.Schedule != nil {
		s := o.Schedule()
		b.schedule = &s
		for _, budget := range s.Budgets {
			b.budgets[budget.Target] = append(b.budgets[budget.Target], budget)
		}
		for _, p := range s.Pauses {
			b.pauses[p.Target] = p.Until
		}
		for _, r := range s.Ramps {
			b.ramps[r.Target] = append(b.ramps[r.Target], r)
		}
	}
	return b
}

// about fills in what is known of a target.
func (b *behind) about(t *statusTarget, name string, now time.Time) {
	var flags []string
	for _, e := range b.engines[name] {
		t.Engine, t.EngBad = engineText(&e)
		if t.EngBad {
			flags = append(flags, t.Engine)
		}
	}
	var wrong []string
	for _, g := range b.gpus[name] {
		t.GPUs++
		if text := gpuText(&g); text != "" {
			wrong = append(wrong, text)
		}
	}
	if len(wrong) > 0 {
		t.GPU = wrong[0]
		if len(wrong) > 1 {
			t.GPU += fmt.Sprintf(", and %d more", len(wrong)-1)
		}
		flags = append(flags, t.GPU)
	}
	if len(flags) > 0 {
		t.state, t.Why = flagged, strings.Join(flags, "; ")
	}
	for _, budget := range b.budgets[name] {
		if budget.Measure == "cost_per_day" && budget.Currency != "" {
			t.Cost = amount(budget.Used, budget.Currency)
		}
	}
	if until, ok := b.pauses[name]; ok && until.After(now) {
		t.Pause = "paused for " + span(until.Sub(now)) + ": the server asked for it"
	}
	t.Ramp = rampText(b.ramps[name], now)
}

// engineText says how an engine is, and whether that needs attention.
func engineText(e *Engine) (text string, bad bool) {
	if !e.Up {
		text = "engine metrics cannot be read"
		if e.Problem != "" {
			text += ": " + printable.Line(e.Problem, maxName)
			if e.Because != "" {
				text += ": " + printable.Line(e.Because, maxError)
			}
		}
		return text, true
	}
	var parts []string
	add := func(v *float64, word string) {
		if v != nil {
			parts = append(parts, strconv.FormatFloat(*v, 'f', 0, 64)+nbsp+word)
		}
	}
	add(e.Running, "running")
	add(e.Waiting, "waiting")
	if e.KVCache != nil {
		parts = append(parts, "KV"+nbsp+percent(*e.KVCache))
	}
	if len(parts) == 0 {
		return "", false
	}
	return strings.Join(parts, ", "), false
}

// gpuText says what is wrong with a GPU; empty: nothing.
func gpuText(g *GPU) string {
	name := printable.Line(g.Name, maxName)
	switch {
	case g.Lost:
		return name + " is lost"
	case g.XID != "":
		return name + ": XID " + printable.Line(g.XID, maxName)
	case g.Throttled != "":
		return name + " is throttled: " + printable.Line(g.Throttled, maxName)
	default:
		return ""
	}
}

// rampText says what runs, or what runs next.
func rampText(ramps []Ramp, now time.Time) string {
	var next *Ramp
	for i := range ramps {
		r := &ramps[i]
		if r.Running {
			return printable.Line(r.Name, maxName) + " is running"
		}
		if len(r.Times) > 0 && (next == nil || r.Times[0].Before(next.Times[0])) {
			next = r
		}
	}
	if next == nil {
		return ""
	}
	return printable.Line(next.Name, maxName) + " in " + span(max(0, next.Times[0].Sub(now)))
}

// spentAfter is how many requests an objective has to have seen before its budget can be spent: the first failure of the
// day is not yet a broken promise.
const spentAfter = 20

// goals are the objectives of a row.
func (b *behind) goals(s *rowSummary) []goalView {
	var views []goalView
	for _, o := range b.objectives[rowKey{s.row.Target, s.row.Probe}] {
		g := goalView{Name: printable.Line(o.Name, maxName), Text: promise(&o), left: 1}
		if o.Indicator == "ttft" && s.row.Stream && s.judged >= minP50 {
			threshold := time.Duration(o.Threshold * float64(time.Second))
			within, _ := slices.BinarySearch(s.latencies, threshold+1)
			kept := float64(within) / float64(s.judged)
			g.Now, g.Broken = percent(kept)+" kept it", kept < o.Goal
		}
		if o.Events > 0 && o.Goal < 1 {
			g.left = max(0, 1-o.Bad/o.Events/(1-o.Goal))
			g.Spent = g.left < 1e-9 && o.Events >= spentAfter
			g.Left = percent(g.left)
			if g.Spent {
				g.Left = percent(0)
			}
			since := "since the prober started"
			if !o.Since.IsZero() {
				since = "since " + o.Since.UTC().Format("Jan 2 15:04") + " UTC"
			}
			g.Title = fmt.Sprintf("%.0f of %.0f requests were bad %s; the goal allows %s", o.Bad, o.Events, since, chart.Percent(1-o.Goal))
		}
		views = append(views, g)
	}
	return views
}

// promise says what an objective promises.
func promise(o *Objective) string {
	share := chart.Percent(o.Goal)
	switch o.Indicator {
	case "availability":
		return share + " answer"
	case "output_tokens_per_second":
		return share + " at " + chart.Number(o.Threshold) + nbsp + "tokens/s or more"
	case "ttft":
		return share + " within " + chart.Seconds(o.Threshold)
	default:
		return share + " " + printable.Line(strings.ReplaceAll(o.Indicator, "_", " "), maxName) + " within " + chart.Seconds(o.Threshold)
	}
}
