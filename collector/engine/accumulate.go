package engine

import (
	"math"
	"time"
)

// accumulator adds up what an engine's counters count, through restarts: see the package's formula.
type accumulator struct {
	counters   map[seriesID]float64
	histograms map[seriesID]*histogram
	restarts   float64

	kind    Kind      // of the newest reading; "" before the first
	at      time.Time // when the newest reading was asked for
	started float64   // when its process began; 0 where it does not say
	before  map[string]*past
}

// past is what one series of the engine said when it was last seen.
type past struct {
	value     float64
	histogram *histogram
	seen      time.Time
}

// forget is how long the value of a series that is gone is remembered: one that comes back within is no new one.
const forget = time.Hour

func newAccumulator() *accumulator {
	return &accumulator{
		counters:   make(map[seriesID]float64),
		histograms: make(map[seriesID]*histogram),
		before:     make(map[string]*past),
	}
}

// incarnation is how the process behind a reading relates to the one behind the reading before.
type incarnation int

const (
	sameProcess incarnation = iota
	newProcess              // began after the reading before: whatever it counted, it counted since
	strange                 // the first one ever, or one that has run beside the one before: what it counted is not of this interval
)

// add takes in the reading of a page that was asked for at a time.
func (a *accumulator) add(r *reading, at time.Time) {
	if r.drained {
		a.addDrained(r)
		a.kind, a.at = r.kind, at
		return
	}
	process := a.process(r)
	first := a.kind == ""
	fell := a.fell(r) // whether anything counted backwards
	if !first && (process != sameProcess || fell) {
		a.restarts++
	}
	for _, c := range r.counters {
		a.counters[c.id] += a.counterDelta(c, process, at)
	}
	bounds := make(map[seriesID]*histogram) // what the page says of each histogram, all its series together
	deltas := make(map[seriesID]*histogram)
	for _, h := range r.histograms {
		merge(bounds, h.id, h.histogram)
		merge(deltas, h.id, a.histogramDelta(h, process, fell, at))
	}
	for id, d := range deltas {
		a.addHistogram(id, d, bounds[id].bounds)
	}
	for _, id := range r.announced {
		a.counters[id] += 0
	}
	for source, p := range a.before {
		if at.Sub(p.seen) > forget {
			delete(a.before, source)
		}
	}
	a.kind, a.at, a.started = r.kind, at, r.started
}

// rebase makes the next reading a first one: what its counters say then is not ours.
func (a *accumulator) rebase() {
	a.kind, a.started = "", 0
	clear(a.before)
}

// process says whose counters r has. Clocks of machines differ, and a process' start is counted from that of its machine, which
// some systems correct: two seconds of difference are none.
func (a *accumulator) process(r *reading) incarnation {
	const tolerance = 2 // seconds
	switch {
	case a.kind == "" || a.kind != r.kind:
		return strange
	case a.started == 0 || r.started == 0 || math.Abs(r.started-a.started) <= tolerance:
		return sameProcess
	case r.started < a.started || r.started < float64(a.at.Unix())-tolerance:
		return strange
	}
	return newProcess
}

// fell reports whether a series of r counted further when it was last seen.
func (a *accumulator) fell(r *reading) bool {
	for _, c := range r.counters {
		if p := a.before[c.source]; p != nil && less(c.value, p.value) {
			return true
		}
	}
	for _, h := range r.histograms {
		if p := a.before[h.source]; p != nil && p.histogram != nil && h.histogram.below(p.histogram) {
			return true
		}
	}
	return false
}

// less reports whether a is below b by more than rounding: a sum over processes is added up anew for each page, in any order.
func less(a, b float64) bool { return a < b-1e-9*math.Abs(b) }

// counterDelta is what a series of the engine has counted since the reading before.
func (a *accumulator) counterDelta(c counterReading, process incarnation, at time.Time) float64 {
	p := a.before[c.source]
	a.before[c.source] = &past{value: c.value, seen: at}
	switch {
	case process == strange:
		return 0
	case process == newProcess || p == nil || less(c.value, p.value):
		return c.value
	}
	a.before[c.source].value = max(c.value, p.value)
	return max(0, c.value-p.value)
}

// histogramDelta is what a histogram of the engine has seen since the reading before.
func (a *accumulator) histogramDelta(h histogramReading, process incarnation, fell bool, at time.Time) *histogram {
	p := a.before[h.source]
	a.before[h.source] = &past{histogram: h.histogram, seen: at}
	switch {
	case process == strange:
		return &histogram{bounds: h.histogram.bounds, counts: make([]float64, len(h.histogram.counts))}
	case process == newProcess || p == nil || p.histogram == nil || h.histogram.below(p.histogram):
		return h.histogram
	case fell && less(h.histogram.sum, p.histogram.sum):
		return h.histogram // it began anew with the others, and has caught up in all buckets
	}
	return h.histogram.minus(p.histogram)
}

func merge(all map[seriesID]*histogram, id seriesID, h *histogram) {
	if was := all[id]; was != nil {
		h = was.plus(h)
	}
	all[id] = h
}

// addHistogram adds what was seen to what was seen before, on the bounds that the page has now. What was seen before on other
// bounds stands at the next bound above: no bucket ever shrinks.
func (a *accumulator) addHistogram(id seriesID, seen *histogram, bounds []float64) {
	was := a.histograms[id]
	if was == nil {
		was = &histogram{}
	}
	was, seen = was.onto(bounds), seen.onto(bounds)
	a.histograms[id] = was.plus(seen)
}

// addDrained adds what a page gives away once.
func (a *accumulator) addDrained(r *reading) {
	for _, c := range r.counters {
		a.counters[c.id] += c.value
	}
	for _, h := range r.histograms {
		a.addHistogram(h.id, h.histogram, h.histogram.bounds)
	}
}
