package web

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// sameTime is the group of all charts of a run over time: they share the axis, and a crosshair.
const sameTime = "run"

// timeline is what the charts of a run over time have in common.
type timeline struct {
	run  *record.Run
	room room
	axis chart.Axis
	most int     // points of each lane
	high float64 // of TTFT, over all lanes
	low  float64
}

// draw draws all charts.
func (v *runView) draw(run *record.Run, sums sums) {
	lanes := run.Lanes[:min(len(run.Lanes), v.room.lanes)]
	v.MoreLanes = len(run.Lanes) - len(lanes)
	tl := newTimeline(run, len(lanes), v.room)
	grouped := 1
	for i := range lanes {
		l := &lanes[i]
		v.Curves = append(v.Curves, curves(run, l, sums, v.room)...)
		ticks, each := ticksOf(l, tl.most)
		grouped = max(grouped, each)
		lane := laneView{Name: printable.Line(l.Name, maxName), Sub: laneSub(run, l), Stages: stagesTable(l, sums, max(8, v.room.stages/len(lanes)), v.room.series)}
		if s := l.Search; s != nil {
			lane.Search = capital(printable.Line(s.Words, maxSentence))
		}
		if len(ticks) > 0 {
			lane.Charts = tl.lane(l, ticks, len(lanes) == 1)
		}
		v.Lanes = append(v.Lanes, lane)
	}
	if len(v.Curves) == 0 {
		v.NoCurve = "The run had no two loads to draw a curve through."
	}
	if len(lanes) > 1 {
		v.Together = tl.together(lanes)
	}
	v.Beside, v.Notes = tl.beside()
	if len(run.Samples) == 0 {
		v.NoBeside = "Nothing is on record of the engine or the GPUs during this run."
	}
	if grouped > 1 {
		v.Notes = append(v.Notes, fmt.Sprintf("Each point of a lane stands for up to %d windows of the record: counts are added up, of percentiles the worst is shown.", grouped))
	}
}

func laneSub(run *record.Run, l *record.Lane) string {
	loop := "closed loop: a request begins when another has ended"
	if l.Open {
		loop = "open loop: requests begin when planned, whatever the server does"
		if l.Process != "" {
			loop += "; arrivals " + printable.Line(l.Process, 40)
		}
	}
	if l.Target != "" && l.Target != run.Target {
		loop += "; target " + printable.Line(l.Target, maxName)
	}
	return loop
}

func newTimeline(run *record.Run, lanes int, room room) *timeline {
	tl := &timeline{run: run, room: room, axis: chart.Axis{Scale: chart.Time}, low: math.Inf(1)}
	from, to := run.Started, run.Ended
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			s := &run.Lanes[i].Stages[j]
			if s.To.After(to) {
				to = s.To
			}
			for k := range s.Windows {
				q := &s.Windows[k].TTFT
				if q.N > 0 && q.P50 > 0 {
					tl.low, tl.high = min(tl.low, q.P50), max(tl.high, q.P99)
				}
			}
		}
		for _, r := range objectiveRules(run, &run.Lanes[i]) {
			tl.low, tl.high = min(tl.low, r.At), max(tl.high, r.At)
		}
	}
	if to.After(from) {
		tl.axis.Min, tl.axis.Max = chart.At(from), chart.At(to)
	}
	tl.most = max(24, min(240, room.points/max(lanes, 1)))
	return tl
}

// latency is the axis of times to first token, the same for each lane.
func (tl *timeline) latency() chart.Axis {
	a := chart.Axis{Format: chart.Seconds}
	switch {
	case !(tl.high > 0):
	case tl.high > 12*tl.low:
		a.Scale, a.Min, a.Max = chart.Log, tl.low/1.2, tl.high*1.2
	default:
		a.Max = tl.high * 1.08
	}
	return a
}

func (tl *timeline) frame(title string, high int, bands []chart.Band) chart.Frame {
	f := chart.Frame{Title: title, Height: high, Group: sameTime, X: tl.axis, Bands: bands, NoTable: !tl.room.numbers}
	if a := tl.run.Abort; a != nil {
		f.Rules = append(f.Rules, chart.Rule{At: chart.At(a.At), Label: "aborted", Class: "bad"})
	}
	return f
}

// stageBands shade a lane's stages: labels where they fit into a chart so many pixels wide.
func (tl *timeline) stageBands(l *record.Lane, wide float64) (named, bare []chart.Band) {
	whole := tl.axis.Max - tl.axis.Min
	var warm []chart.Band
	for i := range l.Stages[:min(len(l.Stages), tl.room.bands)] {
		s := &l.Stages[i]
		b := chart.Band{From: chart.At(s.Started), To: chart.At(s.To)}
		if s.Invalid != "" {
			b.Class = "bad"
		}
		bare = append(bare, b)
		label := stageLabel(l.Open, s)
		if s.Invalid != "" {
			label = "invalid"
		}
		if whole > 0 && float64(len([]rune(label)))*6.2+6 < wide*(b.To-b.From)/whole {
			b.Label = label
		}
		named = append(named, b)
		if s.From.After(s.Started) {
			warm = append(warm, chart.Band{From: chart.At(s.Started), To: chart.At(s.From), Class: "warm"})
		}
	}
	return append(named, warm...), append(bare, warm...)
}

// stageLabel is a stage in a word or two.
func stageLabel(open bool, s *record.Stage) string {
	load := chart.Number(s.End)
	if open {
		load += "/s"
	}
	switch s.Kind {
	case record.Hold, record.Unloaded:
		return load
	case record.Rising:
		return "to " + load
	case record.Idle:
		return "idle"
	}
	return printable.Line(string(s.Kind), 12) + " " + load
}

// lane draws one lane over time.
func (tl *timeline) lane(l *record.Lane, ticks []runTick, full bool) []template.HTML {
	wide := 1080.0
	if !full {
		wide = 480
	}
	named, bare := tl.stageBands(l, wide)
	quantile := func(name, class string, of func(*runTick) float64) chart.Series {
		return series(name, class, ticks, of)
	}
	ttft := chart.Plot{Frame: tl.frame("TTFT, from the intended time", 210, named), Series: []chart.Series{
		quantile("p50", "c1", func(t *runTick) float64 { return known(&t.ttft, t.ttft.P50) }),
		quantile("p95", "c2", func(t *runTick) float64 { return known(&t.ttft, t.ttft.P95) }),
		quantile("p99", "c8", func(t *runTick) float64 { return known(&t.ttft, t.ttft.P99) }),
	}}
	ttft.Y, ttft.Rules = tl.latency(), append(ttft.Rules, objectiveRules(tl.run, l)...)
	ttft.Summary = courseSummary(ticks)

	rate := chart.Plot{Frame: tl.frame("Requests per second", 130, bare)}
	if l.Open {
		rate.Series = append(rate.Series, chart.Series{Name: "load of the plan", Class: "c7", Dashed: true, Kind: chart.Line, Points: points(ticks, func(t *runTick) float64 { return t.load })})
	}
	rate.Series = append(rate.Series,
		quantile("planned", "c3", func(t *runTick) float64 { return float64(t.planned) / t.length }),
		quantile("sent", "c1", func(t *runTick) float64 { return float64(t.sent) / t.length }))
	flight := chart.Plot{Frame: tl.frame("Requests under way", 110, bare), Series: []chart.Series{
		{Name: "mean", Class: "c4", Kind: chart.Area, Points: points(ticks, func(t *runTick) float64 { return t.inFlight })},
	}}
	tokens := chart.Plot{Frame: tl.frame("Output tokens per second", 110, bare), Series: []chart.Series{
		{Name: "came in", Class: "c1", Kind: chart.Area, Points: points(ticks, func(t *runTick) float64 { return float64(t.arrived) / t.length })},
	}}
	each := chart.Plot{Frame: tl.frame("Time per output token", 110, bare), Series: []chart.Series{
		quantile("p50", "c1", func(t *runTick) float64 { return known(&t.perTk, t.perTk.P50) }),
		quantile("p95", "c2", func(t *runTick) float64 { return known(&t.perTk, t.perTk.P95) }),
	}}
	each.Y.Format = chart.Seconds
	charts := []template.HTML{ttft.Figure(), rate.Figure(), flight.Figure(), tokens.Figure()}
	if slices.ContainsFunc(ticks, func(t runTick) bool { return t.perTk.N > 0 }) {
		charts = append(charts, each.Figure())
	}
	if f := tl.failures(ticks, bare); f != "" {
		charts = append(charts, f)
	}
	return charts
}

func points(ticks []runTick, of func(*runTick) float64) []chart.Point {
	all := make([]chart.Point, len(ticks))
	for i := range ticks {
		all[i] = chart.Point{X: chart.At(ticks[i].start), Y: of(&ticks[i])}
	}
	return all
}

func series(name, class string, ticks []runTick, of func(*runTick) float64) chart.Series {
	return chart.Series{Name: name, Class: class, Points: points(ticks, of)}
}

// courseSummary is a lane's TTFT over time in a sentence.
func courseSummary(ticks []runTick) string {
	var worst, first *runTick
	for i := range ticks {
		if t := &ticks[i]; t.ttft.N > 0 {
			if first == nil {
				first = t
			}
			if worst == nil || t.ttft.P95 > worst.ttft.P95 {
				worst = t
			}
		}
	}
	if first == nil {
		return "no request got a token"
	}
	return fmt.Sprintf("p95 is %s at first, at most %s at %s", chart.Seconds(first.ttft.P95), chart.Seconds(worst.ttft.P95), worst.start.UTC().Format("15:04:05"))
}

// failures are the requests that failed or were shed, by when they were intended; nothing where there were none.
func (tl *timeline) failures(ticks []runTick, bands []chart.Band) template.HTML {
	sums, shed := map[string]int{}, 0
	for i := range ticks {
		shed += ticks[i].shed
		for o, n := range ticks[i].outcomes {
			sums[o] += n
		}
	}
	if len(sums) == 0 && shed == 0 {
		return ""
	}
	names := slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		if sums[a] != sums[b] {
			return sums[b] - sums[a]
		}
		return strings.Compare(a, b)
	})
	s := chart.Stack{Frame: tl.frame("Requests that came to nothing", 110, bands), Bars: true}
	for i := range ticks {
		s.At = append(s.At, chart.At(ticks[i].start))
	}
	layer := func(name, class string, of func(*runTick) int) {
		l := chart.Layer{Name: name, Class: class}
		for i := range ticks {
			l.Values = append(l.Values, float64(of(&ticks[i])))
		}
		s.Layers = append(s.Layers, l)
	}
	classes := []string{"bad", "c2", "c4", "c8", "c6", "c5", "c3"}
	for i, name := range names[:min(len(names), len(classes))] {
		layer(printable.Line(name, maxKey), classes[i], func(t *runTick) int { return t.outcomes[name] })
	}
	if len(names) > len(classes) {
		layer("others", "unknown", func(t *runTick) int {
			n := 0
			for _, name := range names[len(classes):] {
				n += t.outcomes[name]
			}
			return n
		})
	}
	if shed > 0 {
		layer("shed by the prober", "c7", func(t *runTick) int { return t.shed })
	}
	return s.Figure()
}

// together lays the lanes over each other.
func (tl *timeline) together(lanes []record.Lane) []template.HTML {
	_, bands := tl.stageBands(&lanes[0], 0)
	p := chart.Plot{Frame: tl.frame("p95 TTFT of each lane", 200, bands)}
	p.Y = tl.latency()
	r := chart.Plot{Frame: tl.frame("Requests sent per second, by lane", 130, bands)}
	for i := range lanes {
		l := &lanes[i]
		ticks, _ := ticksOf(l, tl.most)
		if len(ticks) == 0 {
			continue
		}
		class, name := fmt.Sprintf("c%d", i%8+1), printable.Line(l.Name, maxKey)
		p.Series = append(p.Series, series(name, class, ticks, func(t *runTick) float64 { return known(&t.ttft, t.ttft.P95) }))
		r.Series = append(r.Series, series(name, class, ticks, func(t *runTick) float64 { return float64(t.sent) / t.length }))
		p.Rules = append(p.Rules, objectiveRules(tl.run, l)...)
	}
	p.Rules = slices.CompactFunc(p.Rules, func(a, b chart.Rule) bool { return a == b })
	if len(p.Series) == 0 {
		return nil
	}
	return []template.HTML{p.Figure(), r.Figure()}
}

// sampleAt is some samples in a row as one point.
type sampleAt struct {
	at   float64
	some []record.Sample
}

// beside draws what stood beside the requests: the engine, the GPUs, and continuous probes of other targets.
func (tl *timeline) beside() (charts []template.HTML, notes []string) {
	all := tl.run.Samples
	if len(all) == 0 || len(tl.run.Lanes) == 0 {
		return nil, nil
	}
	each := max(1, (len(all)+tl.room.samples-1)/tl.room.samples)
	var samples []sampleAt
	for some := range slices.Chunk(all, each) {
		samples = append(samples, sampleAt{chart.At(some[0].At), some})
	}
	if each > 1 {
		notes = append(notes, fmt.Sprintf("Each point of engine and GPUs is the mean of %d samples.", each))
	}
	_, bands := tl.stageBands(&tl.run.Lanes[0], 0)
	add := func(title string, format func(float64) string, bands []chart.Band, lines ...chart.Series) {
		p := chart.Plot{Frame: tl.frame(title, 100, bands)}
		p.Y.Format = format
		for _, s := range lines {
			if slices.ContainsFunc(s.Points, func(pt chart.Point) bool { return !math.IsNaN(pt.Y) }) {
				p.Series = append(p.Series, s)
			}
		}
		if len(p.Series) > 0 {
			charts = append(charts, p.Figure())
		}
	}
	engine := func(name, class string, kind chart.Kind, of func(*record.EngineSample) *float64) chart.Series {
		return chart.Series{Name: name, Class: class, Kind: kind, Points: means(samples, func(s *record.Sample) *float64 {
			if s.Engine == nil {
				return nil
			}
			return of(s.Engine)
		})}
	}
	add("Engine: requests", nil, bands,
		engine("running", "c1", chart.Line, func(e *record.EngineSample) *float64 { return e.Running }),
		engine("waiting", "c2", chart.Line, func(e *record.EngineSample) *float64 { return e.Waiting }))
	add("Engine: KV cache in use", chart.Percent, bands, engine("in use", "c3", chart.Area, func(e *record.EngineSample) *float64 { return e.KVUsage }))
	add("Engine: queue wait", chart.Seconds, bands, engine("mean of the interval", "c2", chart.Line, func(e *record.EngineSample) *float64 { return e.QueueWait }))
	if slices.ContainsFunc(all, func(s record.Sample) bool {
		return s.Engine != nil && s.Engine.Preemptions != nil && *s.Engine.Preemptions > 0
	}) {
		add("Engine: preemptions since the run began", nil, bands, engine("preemptions", "c8", chart.Step, func(e *record.EngineSample) *float64 { return e.Preemptions }))
	}
	tl.gpus(samples, bands, add, &notes)

	victims := map[string]bool{}
	for _, s := range all {
		for name := range s.Victims {
			victims[name] = true
		}
	}
	var lines []chart.Series
	for i, name := range firstKeys(victims, tl.room.series) {
		lines = append(lines, chart.Series{Name: printable.Line(name, maxKey), Class: fmt.Sprintf("c%d", i%8+1), Points: means(samples, func(s *record.Sample) *float64 {
			if v, ok := s.Victims[name]; ok {
				return &v
			}
			return nil
		})})
	}
	if len(lines) > 0 {
		add("TTFT of continuous probes of other targets", chart.Seconds, bands, lines...)
	}
	return charts, notes
}

// means are points of what is known in each group of samples.
func means(samples []sampleAt, of func(*record.Sample) *float64) []chart.Point {
	all := make([]chart.Point, len(samples))
	for i, group := range samples {
		sum, n := 0.0, 0
		for j := range group.some {
			if v := of(&group.some[j]); v != nil {
				sum += *v
				n++
			}
		}
		all[i] = chart.Point{X: group.at, Y: sum / float64(n)} // not a number where nothing is known
	}
	return all
}

// gpus draws a row for each quantity, a line for each GPU, and shades the times at which one was throttled.
func (tl *timeline) gpus(samples []sampleAt, bands []chart.Band, add func(string, func(float64) string, []chart.Band, ...chart.Series), notes *[]string) {
	ids := map[string]bool{}
	for i := range tl.run.Samples {
		for j := range tl.run.Samples[i].GPUs {
			ids[tl.run.Samples[i].GPUs[j].UUID] = true
		}
	}
	shown := firstKeys(ids, tl.room.series)
	if len(ids) > len(shown) {
		*notes = append(*notes, fmt.Sprintf("%d of %d GPUs are drawn.", len(shown), len(ids)))
	}
	throttled := tl.throttled()
	if len(throttled) > 0 {
		bands = append(throttled, bands...)
		*notes = append(*notes, "Red shading on the GPUs' rows: a GPU was throttled, for the reason that stands there.")
	}
	for _, q := range []struct {
		title  string
		format func(float64) string
		of     func(*record.GPUSample) *float64
	}{
		{"GPU: utilization", chart.Percent, func(g *record.GPUSample) *float64 { return g.Utilization }},
		{"GPU: SM clock", func(v float64) string { return unit(v, "Hz") }, func(g *record.GPUSample) *float64 { return g.SMClock }},
		{"GPU: memory in use", func(v float64) string { return chart.Number(v) + nbsp + "GiB" }, func(g *record.GPUSample) *float64 {
			if g.MemoryUsed == nil {
				return nil
			}
			return new(*g.MemoryUsed / (1 << 30))
		}},
		{"GPU: temperature", func(v float64) string { return chart.Number(v) + nbsp + "°C" }, func(g *record.GPUSample) *float64 { return g.Temperature }},
		{"GPU: power", func(v float64) string { return chart.Number(v) + nbsp + "W" }, func(g *record.GPUSample) *float64 { return g.Power }},
	} {
		var lines []chart.Series
		for i, id := range shown {
			lines = append(lines, chart.Series{Name: gpuName(id), Class: fmt.Sprintf("c%d", i%8+1), Points: means(samples, func(s *record.Sample) *float64 {
				for k := range s.GPUs {
					if s.GPUs[k].UUID == id {
						return q.of(&s.GPUs[k])
					}
				}
				return nil
			})})
		}
		add(q.title, q.format, bands, lines...)
	}
}

// unit writes a number with its unit: 1.98 GHz.
func unit(v float64, name string) string {
	text := chart.Number(v)
	if strings.Contains(text, nbsp) {
		return text + name
	}
	return text + nbsp + name
}

// gpuName is a GPU's UUID, as short as people use it.
func gpuName(uuid string) string {
	name := printable.Line(uuid, maxKey)
	if head, rest, ok := strings.Cut(name, "-"); ok && head == "GPU" && len(rest) > 8 {
		return "GPU-" + rest[:8] + "…"
	}
	return name
}

// throttled are the times at which any GPU was.
func (tl *timeline) throttled() []chart.Band {
	var bands []chart.Band
	var open *chart.Band
	gap := 0.0
	for i := range tl.run.Samples {
		s := &tl.run.Samples[i]
		at := chart.At(s.At)
		if i > 0 {
			gap = at - chart.At(tl.run.Samples[i-1].At)
		}
		var reasons []string
		for j := range s.GPUs {
			for _, r := range s.GPUs[j].Throttled {
				if r = strings.ReplaceAll(printable.Line(r, 40), "_", " "); !slices.Contains(reasons, r) && len(reasons) < 3 {
					reasons = append(reasons, r)
				}
			}
		}
		if len(reasons) == 0 {
			if open != nil {
				open.To = at
				bands, open = append(bands, *open), nil
			}
			continue
		}
		label := strings.Join(reasons, ", ")
		if open != nil && open.Label != label {
			open.To = at
			bands, open = append(bands, *open), nil
		}
		if open == nil {
			open = &chart.Band{From: at, Class: "bad", Label: label}
		}
		open.To = at + gap
	}
	if open != nil {
		bands = append(bands, *open)
	}
	for i := range bands { // labels where they fit
		if whole := tl.axis.Max - tl.axis.Min; whole > 0 && float64(len(bands[i].Label))*6.2+6 > 1000*(bands[i].To-bands[i].From)/whole {
			bands[i].Label = ""
		}
	}
	return bands[:min(len(bands), tl.room.bands)]
}
