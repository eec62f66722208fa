package engine

import (
	"math"
	"slices"
	"strings"
)

// seriesID names one series of ours.
type seriesID struct {
	family string
	value  string // of the family's label; empty where it has none
}

// reading is what one page says in our words, before it is compared with earlier ones.
type reading struct {
	kind       Kind
	instances  int
	gauges     map[seriesID]float64
	counters   []counterReading
	histograms []histogramReading
	announced  []seriesID // counters that exist and have not counted yet
	started    float64    // when the process began, Unix time; 0 where it does not say
	drained    bool       // counters and histograms hold what came since the read before, not since the start
}

// counterReading is one series of the engine that counts for one of ours.
type counterReading struct {
	id     seriesID
	source string // tells it from the engine's other series
	value  float64
}

type histogramReading struct {
	id        seriesID
	source    string
	histogram *histogram
}

// normaliser turns pages into readings.
type normaliser struct {
	families familyTable
	match    map[string]string
}

// normalise reads a page of a kind by its rules. Its error says why nothing can be had.
func (n *normaliser) normalise(p *page, kind Kind, rules []rule) (*reading, error) {
	r := &reading{kind: kind, instances: 1, gauges: make(map[seriesID]float64)}
	found := p.samples == 0
	f := n.filter(p, kind)
	for _, rule := range rules {
		for _, a := range rule.any {
			if n.read(r, p, rule.family, a, f.keep) {
				found = found || !slices.Contains([]string{NameProcessCPU, NameProcessMemory, NameProcessStart}, rule.family)
				break
			}
		}
	}
	r.started = r.gauges[seriesID{family: NameProcessStart}]
	for name := range n.match {
		if !f.seen[name] && p.samples > 0 {
			return nil, fail(reasonUnrecognised, "no series of the page has the label %s, by which match chooses", name)
		}
	}
	if !found {
		return nil, fail(reasonUnrecognised, "nothing that is known of %s is on the page", kind)
	}
	return r, nil
}

// filter says which series count at all.
type filter struct {
	match  map[string]string
	models []string        // where not nil, the only values that the label model may have
	seen   map[string]bool // the labels of match that a series had
}

func (n *normaliser) filter(p *page, kind Kind) *filter {
	f := &filter{match: n.match, seen: make(map[string]bool)}
	// Triton shows each step of an ensemble as a model: the sum over them would count each request several times. Where it has
	// models that TensorRT-LLM runs, it is these that are meant.
	if llm := p.families[tritonLLM]; kind == KindTriton && llm != nil {
		for _, s := range llm.series {
			if m, ok := s.labels.get("model"); ok {
				f.models = append(f.models, m)
			}
		}
	}
	return f
}

func (f *filter) keep(l labels) bool {
	for name, want := range f.match {
		value, ok := l.get(name)
		f.seen[name] = f.seen[name] || ok
		if ok && value != want {
			return false
		}
	}
	m, ok := l.get("model")
	return f.models == nil || !ok || slices.Contains(f.models, m)
}

// read takes one alternative of a rule into r. It is false where the page has nothing of it.
func (n *normaliser) read(r *reading, p *page, family string, a alternative, keep func(labels) bool) bool {
	f := n.families[family]
	there := false
	for _, sel := range a {
		name, picked, announced := p.pick(sel, keep)
		if announced && f.Type == Counter {
			there = true
			r.announce(f, sel)
		} else if len(picked) > 0 && f.Type == Counter && f.Label != "" {
			r.announce(f, sel) // it has said some of what it can say
		}
		instances := 0
		for _, s := range picked {
			id, ok := sel.id(family, s.labels)
			if !ok {
				continue
			}
			source := family + " " + name + s.key
			switch {
			case f.Type == Histogram && s.histogram != nil:
				h := s.histogram.scaled(sel.factor())
				r.histograms = append(r.histograms, histogramReading{id, source, h})
			case f.Type == Counter && s.histogram == nil && countable(s.value*sel.factor()):
				r.counters = append(r.counters, counterReading{id, source, s.value * sel.factor()})
			case f.Type == Gauge && s.histogram == nil:
				value, ok := plausible(f, s.value*sel.factor())
				if !ok {
					continue
				}
				if was, more := r.gauges[id]; more && f.largest {
					value = max(value, was)
				} else if more {
					value += was
				}
				r.gauges[id] = value
			default:
				continue
			}
			instances++
		}
		there = there || instances > 0
		if family == NameRunning && instances > 0 {
			r.instances = instances
		}
	}
	return there
}

// announce notes that a counter exists, with the values of its label that the engine may come to speak of.
func (r *reading) announce(f Family, sel selector) {
	switch {
	case f.Label == "" || sel.as != "":
		r.announced = append(r.announced, seriesID{f.Name, sel.as})
	default:
		for _, value := range sel.tells {
			r.announced = append(r.announced, seriesID{f.Name, value})
		}
	}
}

// plausible passes a gauge on if it can be one: all of ours count something or are shares of a whole.
func plausible(f Family, v float64) (float64, bool) {
	if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	if f.ratio {
		return min(v, 1), v <= 1.01 // rounding may lead above 1, percent far above it
	}
	return v, true
}

func (s selector) factor() float64 {
	if s.scale == 0 {
		return 1
	}
	return s.scale
}

// id is which series of ours a series of the engine's counts for.
func (s selector) id(family string, l labels) (seriesID, bool) {
	id := seriesID{family, s.as}
	if len(s.by) == 0 {
		return id, true
	}
	word := ""
	for _, name := range s.by {
		if v, ok := l.get(name); ok && v != "" {
			word = v
			break
		}
	}
	id.value = s.means(word)
	return id, id.value != ""
}

// pick returns the series that a selector means, under what name they are on the page, and whether the page does no more than to
// announce them.
func (p *page) pick(sel selector, keep func(labels) bool) (name string, picked []series, announced bool) {
	f, part, name := p.find(sel.metric)
	if f == nil {
		return "", nil, false
	}
	var counts map[string]float64
	if sel.count != "" {
		counts = make(map[string]float64)
		if c, _, _ := p.find(sel.count); c != nil {
			for _, s := range c.series {
				counts[s.key] = s.value
			}
		}
	}
	for _, s := range f.series {
		if !keep(s.labels) || !matches(s.labels, sel.match) {
			continue
		}
		switch {
		case part != "" && s.histogram == nil:
			continue
		case part == "_sum":
			s.value, s.histogram = s.histogram.sum, nil
		case part == "_count":
			s.value, s.histogram = s.histogram.count, nil
		}
		if counts != nil {
			n, ok := counts[s.key]
			if !ok || s.histogram != nil || s.value < 0 || n < 0 {
				continue
			}
			s.histogram = &histogram{count: n, sum: s.value}
		}
		picked = append(picked, s)
	}
	if sel.ranks {
		picked = onePerShard(picked)
	}
	return name, picked, f.announced()
}

// find looks for a metric in its forms, and of two that are there takes the one with samples: OpenMetrics announces x for what
// it then calls x_total. part is the suffix by which it is a part of a histogram.
func (p *page) find(metric string) (f *family, part, name string) {
	for _, form := range []string{metric, strings.TrimSuffix(metric, "_total")} {
		if found := p.families[form]; found != nil && (f == nil || f.announced()) {
			f, name = found, form
		}
	}
	if f != nil {
		return f, "", name
	}
	for _, suffix := range []string{"_sum", "_count"} {
		if base, ok := strings.CutSuffix(metric, suffix); ok && p.families[base] != nil {
			return p.families[base], suffix, metric
		}
	}
	return nil, "", ""
}

func matches(l labels, want map[string]string) bool {
	for name, v := range want {
		if got, _ := l.get(name); got != v {
			return false
		}
	}
	return true
}

// onePerShard leaves out what SGLang says twice. With --enable-metrics-for-all-schedulers each rank of a tensor-parallel,
// pipeline-parallel or expert-parallel group speaks of the same requests: the lowest is kept. Ranks of data parallelism have
// requests of their own, and a label that tells them apart. With priorities, the series whose priority is empty is the sum of the others.
func onePerShard(all []series) []series {
	ranks := []string{"tp_rank", "pp_rank", "moe_ep_rank"}
	totals := make(map[string]bool)
	for _, s := range all {
		if v, ok := s.labels.get("priority"); ok && v == "" {
			totals[s.labels.key("priority")] = true
		}
	}
	lowest := make(map[string]series)
	var order []string
	for _, s := range all {
		if v, _ := s.labels.get("priority"); v != "" && totals[s.labels.key("priority")] {
			continue
		}
		shard := s.labels.key(ranks...)
		was, more := lowest[shard]
		if !more {
			order = append(order, shard)
		}
		if !more || lower(s.labels, was.labels, ranks) {
			lowest[shard] = s
		}
	}
	var kept []series
	for _, shard := range order {
		kept = append(kept, lowest[shard])
	}
	return kept
}

// lower compares the ranks of a and b: by number, which are written in as few digits as it takes.
func lower(a, b labels, ranks []string) bool {
	for _, name := range ranks {
		x, _ := a.get(name)
		y, _ := b.get(name)
		if len(x) != len(y) {
			return len(x) < len(y)
		}
		if x != y {
			return x < y
		}
	}
	return false
}
