package web

import (
	"slices"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// What is kept of each target and probe. A sample takes a few hundred bytes, so a hundred probes take a few megabytes.
const (
	keptResults  = 120 // the newest results
	keptFailures = 20  // the newest failures, which thus stay when successes have pushed them out of the results
)

// Row is one target and probe, as the configuration has it.
type Row struct {
	Target, Model, Probe string
	Stream               bool
	Interval             time.Duration // between two requests; 0: no fixed interval
}

// rowKey is how a result finds its row.
type rowKey struct{ target, probe string }

// History keeps the last results of each target and probe, failures longer than successes. It is a prober.Sink.
// All methods may be called at the same time.
type History struct {
	mu   sync.Mutex // protects rows and what they hold
	rows map[rowKey]*rowHistory
}

var _ prober.Sink = (*History)(nil)

// rowHistory is what is kept of one row.
type rowHistory struct {
	Row
	since    time.Time // when the row came
	results  ring      // in the order in which they were observed
	failures ring
	strip    *strip // the newest result's course; nil before the first
}

// NewHistory returns a History without rows; Apply makes them.
func NewHistory() *History { return &History{rows: make(map[rowKey]*rowHistory)} }

// Apply makes rows what there is. Rows that stay keep what they hold, unless they are about another model or turned
// streaming on or off; rows that are missing go.
func (h *History) Apply(rows []Row) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	next := make(map[rowKey]*rowHistory, len(rows))
	for _, row := range rows {
		key := rowKey{row.Target, row.Probe}
		kept := h.rows[key]
		if kept == nil || kept.Model != row.Model || kept.Stream != row.Stream {
			kept = &rowHistory{since: now, results: ring{limit: keptResults}, failures: ring{limit: keptFailures}}
		}
		kept.Row = row
		next[key] = kept
	}
	h.rows = next
}

// Observe implements prober.Sink. Canceled requests, and those of no row, are not kept.
func (h *History) Observe(r *prober.Result) {
	if r.Outcome == prober.Canceled {
		return
	}
	s, course := newSample(r), newStrip(r) // before the lock: a long answer takes a while to sum up
	h.mu.Lock()
	defer h.mu.Unlock()
	row := h.rows[rowKey{r.Request.Target, r.Request.Probe}]
	if row == nil {
		return
	}
	row.results.add(s)
	if s.outcome.Failed() {
		row.failures.add(s)
	}
	row.strip = course
}

// rowView is a copy of one row's history.
type rowView struct {
	Row
	since    time.Time
	results  []sample // oldest first
	failures []sample // oldest first
	strip    *strip   // shared, never changed
}

// view returns a copy of all rows, in no order.
func (h *History) view() []rowView {
	h.mu.Lock()
	defer h.mu.Unlock()
	views := make([]rowView, 0, len(h.rows))
	for _, r := range h.rows {
		views = append(views, rowView{
			Row: r.Row, since: r.since, results: r.results.slice(), failures: r.failures.slice(), strip: r.strip,
		})
	}
	return views
}

// ring keeps the newest samples, up to its limit. It grows to that as they come.
type ring struct {
	limit   int
	samples []sample
	next    int // where the next sample goes once the ring is full: the oldest one's place
}

func (r *ring) add(s sample) {
	if len(r.samples) < r.limit {
		r.samples = append(r.samples, s)
		return
	}
	r.samples[r.next] = s
	r.next = (r.next + 1) % r.limit
}

// slice returns a copy, oldest first.
func (r *ring) slice() []sample { return slices.Concat(r.samples[r.next:], r.samples[:r.next]) }
