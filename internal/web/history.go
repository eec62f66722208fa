package web

import (
	"slices"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/wire"
)

// What is kept of each target and probe. A sample takes some 150 bytes and an exchange 1 KiB, so together with the day (see
// trend) a probe takes some 60 KiB, and its last question: BenchmarkHistory.
const (
	keptResults   = 120 // the newest results
	keptFailures  = 20  // the newest failures, which thus stay when successes have pushed them out of the results
	keptExchanges = 12  // the newest results whose course is kept, too
)

// The last question of each probe is kept for who wants to ask it by hand.
const (
	maxCall  = 32 << 10 // bytes of text; a longer question is not kept
	maxCalls = 32 << 20 // of all probes together
)

// Row is one target and probe, as the configuration has it.
type Row struct {
	Target, Model, Probe string
	Stream               bool
	Interval             time.Duration // between two requests; 0: no fixed interval
}

// rowKey is how a result finds its row.
type rowKey struct{ target, probe string }

// History keeps the last results of each target and probe, failures longer than successes, and a day of them in
// distributions. It is a prober.Sink. All methods may be called at the same time.
type History struct {
	mu     sync.RWMutex // protects rows and loaded; what a row holds has a lock of its own
	rows   map[rowKey]*rowHistory
	loaded map[rowKey]*savedRow // from a file, until the row comes

	callMu    sync.Mutex // protects callBytes
	callBytes int        // of all rows' calls
}

var _ prober.Sink = (*History)(nil)

// rowHistory is what is kept of one row.
type rowHistory struct {
	mu sync.Mutex // protects all following fields
	Row
	since     time.Time          // when the row came
	results   ring[packedSample] // in the order in which they were observed
	failures  ring[*exchange]    // never changed once they are in, but for what explains them
	exchanges ring[*exchange]    // the same
	trend     trend              // the last day
	call      *wire.Call         // the last question; nil: none, or it is too long
	callSize  int                // of it
	private   bool               // the last question was a user's own
	summary   *rowSummary        // of the results; nil: to be made anew
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
		if kept == nil || !kept.continues(row) {
			kept = newRowHistory(row, now)
			if saved := h.loaded[key]; saved != nil && saved.Model == row.Model && saved.Stream == row.Stream {
				saved.into(kept)
			}
			delete(h.loaded, key)
		}
		next[key] = kept
	}
	for key, row := range h.rows {
		if next[key] != row {
			row.mu.Lock()
			h.keepCall(row, nil, 0)
			row.mu.Unlock()
		}
	}
	h.rows = next
}

func newRowHistory(row Row, since time.Time) *rowHistory {
	return &rowHistory{
		Row: row, since: since, results: ring[packedSample]{limit: keptResults},
		failures: ring[*exchange]{limit: keptFailures}, exchanges: ring[*exchange]{limit: keptExchanges},
	}
}

// continues takes over a row of the configuration, if what is kept is about the same.
func (r *rowHistory) continues(row Row) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Model != row.Model || r.Stream != row.Stream {
		return false
	}
	r.Row, r.summary = row, nil
	return true
}

// Observe implements prober.Sink. Requests that say nothing of the target, and those of no row, are not kept.
func (h *History) Observe(r *prober.Result) { h.observe(r, nil) }

// ObserveExplained is Observe of a result of which more is known: where its time to first token went. Call one of the two.
func (h *History) ObserveExplained(r *prober.Result, report *queuewait.Report) { h.observe(r, report) }

// Explain adds to a result that was observed where its time to first token went. A result that is no longer kept is
// explained in the day's figures alone; one that was never kept is ignored.
func (h *History) Explain(r *prober.Result, report *queuewait.Report) {
	row := h.row(r)
	if row == nil || !r.Outcome.OfTarget() || !report.Broken {
		return
	}
	p := newParts(&report.Breakdown)
	id := idOf(r)
	row.mu.Lock()
	defer row.mu.Unlock()
	row.trend.explain(r.Timeline.End, p)
	row.summary = nil
	for i := range row.results.items {
		if !row.results.items[i].end.Equal(r.Timeline.End) {
			continue
		}
		if s := row.results.items[i].unpack(); s.id == id {
			s.parts = p
			row.results.items[i] = s.pack()
		}
	}
	for i, e := range row.exchanges.items {
		if e.id == id && e.end.Equal(r.Timeline.End) {
			explained := *e // the old one may be on its way to a page
			explained.parts = p
			row.exchanges.items[i] = &explained
		}
	}
}

func (h *History) row(r *prober.Result) *rowHistory {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.rows[rowKey{r.Request.Target, r.Request.Probe}]
}

func (h *History) observe(r *prober.Result, report *queuewait.Report) {
	row := h.row(r)
	if row == nil || !r.Outcome.OfTarget() {
		return
	}
	s := newSample(r)
	if report != nil && report.Broken {
		s.parts = newParts(&report.Breakdown)
	}
	e := newExchange(r, s) // before the lock: a long answer takes a while to sum up
	size := callSize(&r.Request.Call)
	row.mu.Lock()
	defer row.mu.Unlock()
	row.summary = nil
	row.results.add(s.pack())
	row.exchanges.add(e)
	if s.outcome.Failed() {
		row.failures.add(e)
	}
	row.trend.add(&s)
	if s.parts != nil {
		row.trend.explain(s.end, s.parts)
	}
	if row.private = r.Request.Private; row.private {
		size = maxCall + 1 // what is not kept cannot be shown
	}
	h.keepCall(row, &r.Request.Call, size)
}

// keepCall makes c the last question of a row, whose lock is held, as far as there is room for it.
func (h *History) keepCall(row *rowHistory, c *wire.Call, size int) {
	h.callMu.Lock()
	defer h.callMu.Unlock()
	h.callBytes -= row.callSize
	if size > maxCall || h.callBytes+size > maxCalls {
		c, size = nil, 0
	}
	row.call, row.callSize = c, size
	h.callBytes += size
}

// callSize is how many bytes of text a question holds.
func callSize(c *wire.Call) int {
	n := len(c.Model) + len(c.Options.Tools) + len(c.Options.ResponseFormat)
	for _, m := range c.Messages {
		n += len(m.Role) + len(m.Content)
	}
	for name, v := range c.Options.Extra {
		n += len(name) + len(v)
	}
	return n
}

// rowView is a copy of one row's history.
type rowView struct {
	Row
	since     time.Time
	results   []sample    // oldest first
	failures  []*exchange // oldest first; never changed
	exchanges []*exchange // oldest first; never changed
	day       []slot      // oldest first
	call      *wire.Call  // nil: not kept
	tooLong   bool        // there was a question, too long to be kept
	private   bool        // the last question was a user's own, and is not kept
}

// view returns a copy of all rows of a target, in no order.
func (h *History) view(target string) []rowView {
	var views []rowView
	for _, r := range h.all() {
		if r.key().target != target {
			continue
		}
		r.mu.Lock()
		views = append(views, rowView{
			Row: r.Row, since: r.since, results: r.samples(), failures: r.failures.slice(), exchanges: r.exchanges.slice(),
			day: r.trend.clone(), call: r.call, tooLong: r.call == nil && len(r.exchanges.items) > 0, private: r.private,
		})
		r.mu.Unlock()
	}
	return views
}

// key does not change while the row is there.
func (r *rowHistory) key() rowKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return rowKey{r.Target, r.Probe}
}

// all are the rows that there are now.
func (h *History) all() []*rowHistory {
	h.mu.RLock()
	defer h.mu.RUnlock()
	rows := make([]*rowHistory, 0, len(h.rows))
	for _, r := range h.rows {
		rows = append(rows, r)
	}
	return rows
}

// summaries are what the status page shows of each row, in no order. What did not change is not made anew.
func (h *History) summaries(now time.Time) []*rowSummary {
	rows := h.all()
	summaries := make([]*rowSummary, 0, len(rows))
	for _, r := range rows {
		r.mu.Lock()
		if r.summary == nil || now.Sub(r.summary.made) >= slotSpan {
			r.summary = newRowSummary(r, now)
		}
		summaries = append(summaries, r.summary)
		r.mu.Unlock()
	}
	return summaries
}

// ring keeps the newest items, up to its limit. It grows to that as they come.
type ring[T any] struct {
	limit int
	items []T
	next  int // where the next item goes once the ring is full: the oldest one's place
}

func (r *ring[T]) add(s T) {
	if len(r.items) < r.limit {
		if len(r.items) == cap(r.items) { // to its limit, not beyond
			r.items = slices.Grow(r.items, min(max(len(r.items), 4), r.limit-len(r.items)))
		}
		r.items = append(r.items, s)
		return
	}
	r.items[r.next] = s
	r.next = (r.next + 1) % r.limit
}

// slice returns a copy, oldest first.
func (r *ring[T]) slice() []T { return slices.Concat(r.items[r.next:], r.items[:r.next]) }

// newest is the item that came last; false where there is none.
func (r *ring[T]) newest() (item T, ok bool) {
	n := len(r.items)
	if n == 0 {
		return item, false
	}
	return r.items[(r.next+n-1)%n], true
}
