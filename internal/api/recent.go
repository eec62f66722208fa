package api

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// What is kept of each target and probe: some 200 bytes a request, so 25 KB a probe.
const (
	keptRequests = 100 // the newest
	keptFailures = 20  // the newest failures, which thus stay when successes have pushed them out
)

// Recent keeps the newest requests of each target and probe. It is a prober.Sink. All methods may be called at the same time.
type Recent struct {
	wait func(*prober.Result) (time.Duration, bool)

	mu   sync.RWMutex // protects what follows
	rows map[row]*recentRow
}

// row is one probe of one target.
type row struct{ target, probe string }

type recentRow struct {
	model    string
	mu       sync.Mutex // protects what follows
	newest   []*packed  // in the order in which they came
	failures []*packed
}

var _ prober.Sink = (*Recent)(nil)

// NewRecent returns a Recent without rows; Apply makes them. wait tells how long a request waited at the server, and whether
// that is known; nil: it never is.
func NewRecent(wait func(*prober.Result) (time.Duration, bool)) *Recent {
	return &Recent{wait: wait, rows: map[row]*recentRow{}}
}

// Apply makes the probes of targets what there is. What stays keeps its requests, unless it is about another model.
func (r *Recent) Apply(targets []Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows := map[row]*recentRow{}
	for _, t := range targets {
		for _, p := range t.Probes {
			key := row{t.Name, p.Name}
			if rows[key] = r.rows[key]; rows[key] == nil || rows[key].model != t.Model {
				rows[key] = &recentRow{model: t.Model}
			}
		}
	}
	r.rows = rows
}

// Observe implements prober.Sink. Requests that say nothing of the target, and those of no row, are not kept.
func (r *Recent) Observe(result *prober.Result) {
	r.mu.RLock()
	kept := r.rows[row{result.Request.Target, result.Request.Probe}]
	r.mu.RUnlock()
	if kept == nil || !result.Outcome.OfTarget() {
		return
	}
	q := newRequest(result, r.wait).pack()
	kept.mu.Lock()
	defer kept.mu.Unlock()
	kept.newest = push(kept.newest, q, keptRequests)
	if q.failed {
		kept.failures = push(kept.failures, q, keptFailures)
	}
}

// push adds q, and drops the oldest where there are too many.
func push(to []*packed, q *packed, limit int) []*packed {
	if len(to) >= limit {
		copy(to, to[1:])
		to = to[:len(to)-1]
	}
	return append(to, q)
}

// newest lists the newest requests of a probe, the newest first, without those that are kept for being failures: a share of
// these would mislead.
func (r *Recent) newest(target, probe string) []*request {
	newest, _ := r.kept(target, probe)
	return unpackAll(newest, target, probe)
}

// all lists whatever is kept of a probe, the newest first.
func (r *Recent) all(target, probe string) []*request {
	newest, failures := r.kept(target, probe)
	failures = slices.DeleteFunc(failures, func(p *packed) bool { return slices.Contains(newest, p) })
	return unpackAll(append(newest, failures...), target, probe)
}

// unpackAll are the requests of a probe, the newest first.
func unpackAll(kept []*packed, target, probe string) []*request {
	block, all := make([]request, len(kept)), make([]*request, len(kept))
	for i, p := range kept {
		all[i] = &block[i]
		p.unpackInto(all[i], target, probe)
	}
	slices.SortFunc(all, byAge)
	return all
}

// kept copies what is kept of a probe. The requests themselves are not changed any more.
func (r *Recent) kept(target, probe string) (newest, failures []*packed) {
	r.mu.RLock()
	kept := r.rows[row{target, probe}]
	r.mu.RUnlock()
	if kept == nil {
		return nil, nil
	}
	kept.mu.Lock()
	defer kept.mu.Unlock()
	return slices.Clone(kept.newest), slices.Clone(kept.failures)
}

// byAge has the one that ended last first.
func byAge(a, b *request) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.id, a.id)) }
