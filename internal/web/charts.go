package web

import (
	"html/template"
	"math"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// period is what happened in a stretch of time.
type period struct {
	begin time.Time
	slot
}

// charts are the charts of one probe over a range of time.
func charts(row *rowView, ranged string, now time.Time, b *behind) []template.HTML {
	var periods []period
	var span time.Duration
	var from time.Time
	if ranged == "day" {
		span, from = slotSpan, now.Add(-25*time.Hour)
		for _, s := range row.day {
			if s.begin().After(from) {
				periods = append(periods, period{s.begin(), s})
			}
		}
	} else {
		periods, span = recent(row.results, now)
		if len(periods) > 0 {
			from = periods[0].begin
		}
	}
	if len(periods) == 0 {
		return nil
	}
	x := chart.Axis{Scale: chart.Time, Min: chart.At(from), Max: chart.At(now.Add(time.Second))}
	d := &drawer{row: row, x: x, periods: periods, span: span, day: ranged == "day", bands: rampBands(b.ramps[row.Target], from, now)}
	d.goal(b)
	all := []template.HTML{d.heat()}
	if d.day {
		all = append(all, d.quantiles("Time to the end of the answer", func(s *slot) sketch { return s.Took }))
		if row.Stream {
			all = append(all, d.quantiles("Time per output token", func(s *slot) sketch { return s.TPOT }))
		}
	} else {
		all = append(all, d.dots("Time to the end of the answer", func(s *sample) time.Duration { return s.took }))
		if row.Stream {
			all = append(all, d.dots("Time per output token", func(s *sample) time.Duration { return s.tpot }))
		}
	}
	if c := d.breakdown(); c != "" {
		all = append(all, c)
	}
	return append(all, d.outcomes())
}

// drawer draws the charts of one probe.
type drawer struct {
	row     *rowView
	x       chart.Axis
	periods []period
	span    time.Duration
	day     bool
	bands   []chart.Band
	rules   []chart.Rule // of the time to first token
}

// crosshair is the group of the charts of a page: they share their axis of time.
const crosshair = "time"

func (d *drawer) frame(title, summary string) chart.Frame {
	return chart.Frame{Title: title, Summary: summary, Group: crosshair, X: d.x, Y: chart.Axis{Format: chart.Seconds}, Bands: d.bands, Height: 150}
}

// latency is what the probe is judged by.
func (d *drawer) latency() string {
	if d.row.Stream {
		return "Time to first token"
	}
	return "Time to the whole answer"
}

// goal draws the objective on the time to first token, if there is one.
func (d *drawer) goal(b *behind) {
	for _, o := range b.objectives[rowKey{d.row.Target, d.row.Probe}] {
		if o.Indicator == "ttft" && d.row.Stream && o.Threshold > 0 {
			d.rules = append(d.rules, chart.Rule{At: o.Threshold, Across: true, Label: printable.Line(o.Name, 40) + " " + chart.Seconds(o.Threshold), Class: "goal"})
		}
	}
}

// rampBands shade when a load run is or was under way, as far as that is known.
func rampBands(ramps []Ramp, from, to time.Time) []chart.Band {
	var bands []chart.Band
	for _, r := range ramps {
		for _, at := range r.Times {
			if r.Takes > 0 && at.Before(to) && at.Add(r.Takes).After(from) {
				bands = append(bands, chart.Band{From: chart.At(at), To: chart.At(at.Add(r.Takes)), Label: printable.Line(r.Name, 40), Class: "warm"})
			}
		}
	}
	return bands
}

// The grid of the heat map: from the fastest to the slowest, in equal steps of a logarithm.
const heatRows = 14

func (d *drawer) heat() template.HTML {
	low, high := math.Inf(1), 0.0
	for _, p := range d.periods {
		for _, b := range p.TTFT {
			low, high = min(low, b.value().Seconds()), max(high, b.value().Seconds())
		}
	}
	if high == 0 {
		low, high = 0.1, 1
	}
	for _, r := range d.rules {
		low, high = min(low, r.At), max(high, r.At)
	}
	low, high = low/1.1, high*1.1
	if high/low < 2 {
		low, high = low/1.4, high*1.4
	}
	bounds := make([]float64, heatRows+1)
	for i := range bounds {
		bounds[i] = low * math.Pow(high/low, float64(i)/heatRows)
	}
	h := &chart.Heat{Frame: d.frame(d.latency(), "How many results took how long"), Span: d.span.Seconds(), Bounds: bounds}
	h.Frame.Height, h.Frame.Rules = 190, d.rules
	h.Frame.Y.Scale = chart.Log
	for _, p := range d.periods {
		c := chart.Column{At: chart.At(p.begin), Counts: make([]int, heatRows), Bad: p.Failed}
		for _, b := range p.TTFT {
			i := int(float64(heatRows) * math.Log(b.value().Seconds()/low) / math.Log(high/low))
			c.Counts[min(max(i, 0), heatRows-1)] += int(b.Count)
		}
		if n := p.TTFT.count(); n > 0 {
			c.Note = "p50 " + duration(p.TTFT.quantile(0.5))
			if n >= minP95 {
				c.Note += ", p95 " + duration(p.TTFT.quantile(0.95))
			}
		}
		h.Columns = append(h.Columns, c)
	}
	return h.Figure()
}

// linePeriods are how many slots one point of a line stands for, so that it has a percentile worth the name.
const linePeriods = 3

// quantiles draws percentiles over the day.
func (d *drawer) quantiles(title string, of func(*slot) sketch) template.HTML {
	var p50, p95 []chart.Point
	for i := 0; i < len(d.periods); {
		first := d.periods[i]
		group := first.Number / linePeriods
		var all sketch
		for ; i < len(d.periods) && d.periods[i].Number/linePeriods == group; i++ {
			all.merge(of(&d.periods[i].slot))
		}
		begin := time.Unix(0, group*linePeriods*int64(slotSpan))
		at := chart.At(begin.Add(linePeriods * slotSpan / 2))
		if n := len(p50); n > 0 && at-p50[n-1].X > 1.5*linePeriods*slotSpan.Seconds() {
			gap := chart.Point{X: (at + p50[n-1].X) / 2, Y: math.NaN()}
			p50, p95 = append(p50, gap), append(p95, gap)
		}
		n := all.count()
		p50 = append(p50, chart.Point{X: at, Y: orGap(n >= minP50, all.quantile(0.5))})
		p95 = append(p95, chart.Point{X: at, Y: orGap(n >= minP95, all.quantile(0.95))})
	}
	c := &chart.Plot{Frame: d.frame(title, "Percentiles of half an hour each"), Series: []chart.Series{
		{Name: "p50", Points: p50}, {Name: "p95", Points: p95, Class: "c2", Dashed: true},
	}}
	return c.Figure()
}

func orGap(known bool, v time.Duration) float64 {
	if !known {
		return math.NaN()
	}
	return v.Seconds()
}

// dots draws the kept results one by one.
func (d *drawer) dots(title string, of func(*sample) time.Duration) template.HTML {
	var points []chart.Point
	for i := range d.row.results {
		s := &d.row.results[i]
		if v := of(s); v > 0 {
			points = append(points, chart.Point{X: chart.At(s.end), Y: v.Seconds()})
		}
	}
	c := &chart.Plot{Frame: d.frame(title, "Each kept success"), Series: []chart.Series{{Name: "each success", Kind: chart.Scatter, Points: points}}}
	return c.Figure()
}

// breakdown draws where the time to first token went; nothing where that is not known.
func (d *drawer) breakdown() template.HTML {
	var at []float64
	names := queuewait.Parts()
	layers := make([]chart.Layer, len(names))
	for i, name := range names {
		layers[i] = chart.Layer{Name: partName(name), Class: string(name)}
	}
	summary := "Of each kept success"
	if d.day {
		summary = "Means of ten minutes"
		for _, p := range d.periods {
			if p.Broken == 0 {
				continue
			}
			at = append(at, chart.At(p.begin.Add(slotSpan/2)))
			for i := range layers {
				layers[i].Values = append(layers[i].Values, float64(p.Parts[i])/float64(p.Broken))
			}
		}
	} else {
		for _, s := range slices.SortedFunc(slices.Values(d.row.results), func(a, b sample) int { return a.end.Compare(b.end) }) {
			if s.parts == nil {
				continue
			}
			at = append(at, chart.At(s.end))
			for i := range layers {
				layers[i].Values = append(layers[i].Values, s.parts.took[i].Seconds())
			}
		}
	}
	if len(at) == 0 {
		return ""
	}
	layers = slices.DeleteFunc(layers, func(l chart.Layer) bool { return slices.Max(l.Values) == 0 })
	c := &chart.Stack{Frame: d.frame("Where the time to first token went", summary), At: at, Layers: layers}
	return c.Figure()
}

// outcomes draws what became of the requests.
func (d *drawer) outcomes() template.HTML {
	var at []float64
	ok := chart.Layer{Name: "ok", Class: "good"}
	failed := make(map[string]*chart.Layer)
	for i, p := range d.periods {
		at = append(at, chart.At(p.begin))
		ok.Values = append(ok.Values, float64(p.OK))
		for _, o := range p.Outcomes {
			l := failed[o.Outcome]
			if l == nil {
				l = &chart.Layer{Name: o.Outcome, Values: make([]float64, len(d.periods))}
				failed[o.Outcome] = l
			}
			l.Values[i] += float64(o.Count)
		}
	}
	layers := []chart.Layer{ok}
	classes := []string{"bad", "c2", "c4", "c6", "c5", "c3", "c8", "c7"}
	for _, o := range prober.Outcomes() {
		if l := failed[string(o)]; l != nil {
			l.Class = classes[(len(layers)-1)%len(classes)]
			layers = append(layers, *l)
		}
	}
	f := d.frame("Outcomes", "How many requests ended in which way")
	f.Y.Format, f.Height = chart.Number, 90
	c := &chart.Stack{Frame: f, Bars: true, Span: d.span.Seconds(), At: at, Layers: layers}
	return c.Figure()
}

// recentColumns is into how many periods the kept results are cut, at most.
const recentColumns = 48

// recent cuts the kept results into periods of equal length.
func recent(results []sample, now time.Time) ([]period, time.Duration) {
	if len(results) == 0 {
		return nil, 0
	}
	oldest, newest := results[0].end, results[0].end
	for _, s := range results {
		if s.end.Before(oldest) {
			oldest = s.end
		}
		if s.end.After(newest) {
			newest = s.end
		}
	}
	if now.After(newest) {
		newest = now
	}
	span := 24 * time.Hour
	for _, s := range []time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 12 * 3600} {
		if newest.Sub(oldest) <= recentColumns*s*time.Second {
			span = s * time.Second
			break
		}
	}
	first := oldest.Truncate(span)
	var periods []period
	for begin := first; !begin.After(newest) && len(periods) <= 4*recentColumns; begin = begin.Add(span) {
		periods = append(periods, period{begin: begin})
	}
	for i := range results {
		s := &results[i]
		n := int(s.end.Sub(first) / span)
		if n < 0 || n >= len(periods) {
			continue
		}
		p := &periods[n]
		if s.outcome.Failed() {
			p.Failed++
			p.count(s.outcome)
		} else {
			p.OK++
		}
		if s.timed {
			p.TTFT.add(s.latency)
		}
	}
	return periods, span
}

// waterfall draws the course of one request.
func waterfall(e *exchange, stream bool) template.HTML {
	s := e.strip
	seconds := s.took.Seconds()
	w := &chart.Waterfall{Title: "The course of this request: " + newStripView(s).Title, End: seconds, Failed: s.outcome.Failed()}
	stretch := func(name, class string, from, to float64, took time.Duration) chart.Stretch {
		return chart.Stretch{Name: name, Class: class, From: from * seconds, To: to * seconds, Note: duration(took)}
	}
	var connection []chart.Stretch
	for _, st := range s.steps {
		name := stepName(st.name, st.done)
		switch st.class {
		case "dns", "connect", "tls":
			connection = append(connection, stretch(name, map[string]string{"dns": "c7", "connect": "network", "tls": "c3"}[st.class], st.from, st.to, st.took))
			continue
		}
		if connection != nil {
			w.Rows = append(w.Rows, chart.WaterfallRow{Name: "connection", Stretches: connection})
			connection = nil
		}
		class := map[string]string{"wait": "prefill", "first": "queue", "decode": "first_decode"}[st.class]
		w.Rows = append(w.Rows, chart.WaterfallRow{Name: name, Stretches: []chart.Stretch{stretch(name, class, st.from, st.to, st.took)}})
	}
	if connection != nil {
		w.Rows = append(w.Rows, chart.WaterfallRow{Name: "connection", Stretches: connection})
	}
	if e.parts != nil { // where the time to first token went, beside what was seen of it
		row := chart.WaterfallRow{Name: "of which"}
		at := time.Duration(0)
		for i, name := range queuewait.Parts() {
			if took := e.parts.took[i]; took > 0 {
				row.Stretches = append(row.Stretches, stretch(partName(name), string(name), share(at, s.took), share(at+took, s.took), took))
				at += took
			}
		}
		if n := len(w.Rows); n > 0 && stream && s.steps[len(s.steps)-1].class == "decode" {
			w.Rows = slices.Insert(w.Rows, n-1, row)
		}
	}
	for _, t := range s.ticks {
		w.Ticks = append(w.Ticks, float64(t)*seconds)
	}
	for _, st := range e.stalls {
		w.Stalls = append(w.Stalls, stretch("no token for", "stall", st.from, st.to, st.took))
	}
	return w.SVG()
}
