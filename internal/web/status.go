package web

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// state is how a row is, by what needs attention first.
type state int

// The states, worst first.
const (
	down    state = iota // the newest result failed
	overdue              // there should have been a newer result
	flaky                // ok, but one of the last few failed
	blurred              // ok, but the prober itself was often late: the numbers are not to be trusted
	pending              // no result yet
	healthy              // ok
)

// class names the state for the style sheet, word for people.
func (s state) class() string {
	return [...]string{"down", "overdue", "flaky", "blurred", "pending", "healthy"}[s]
}

func (s state) word() string {
	return [...]string{"Failing", "Overdue", "Unsteady", "Measured late", "Waiting", "Answering"}[s]
}

// The bounds between the states.
const (
	flakyWindow  = 20  // how many of the newest results a failure is remembered for
	blurredShare = 0.1 // of the kept results that were measured late, for a row's numbers to be in doubt
	blurredLeast = 3   // and how many at least: one hiccup is none
	patience     = 3   // intervals without a result before a row is overdue
	minPatience  = 2 * time.Minute
	minP50       = 5  // fewer samples than this have no median worth the name
	minP95       = 20 // and fewer than this no 95th percentile: it would be the maximum
	shownBars    = 60 // the newest results
)

// status is the page.
type status struct {
	At      time.Time
	Rows    []statusRow
	Worst   string // class of the worst state
	Summary string
	Detail  string
	Refresh int // seconds until the page asks again
}

// statusRow is one target and probe on the page. Texts are ready to be shown; an empty one is not there.
type statusRow struct {
	ID                   string // for the page's own use
	Target, Model, Probe string
	Stream               bool

	Class, Word string
	Why         string // what is wrong: the last error, or what is missing
	Outcome     string // the newest outcome, where it is a failure
	Streak      string // how long it has been failing

	Latency  string // the newest success
	P50, P95 string
	Timed    int // successes behind the percentiles
	Bars     bars
	Rate     string
	RateP50  string

	OK, Kept int // of the kept results
	Outcomes []outcomeCount
	Failures []failure

	Interval   string
	LastRun    time.Time // zero before the first
	Age        string
	Next       string
	Clock      string
	ClockTitle string
	Degraded   string // share of the kept results
	Strip      *stripView

	state state
}

type outcomeCount struct {
	Outcome string
	Count   int
}

// failure is one kept failure.
type failure struct {
	At      time.Time
	Age     string
	Outcome string
	Status  int // 0: no response
	Err     string
	ID      string
}

// NextRun says when a target's probe runs next, where that is known.
type NextRun func(target, probe string) (time.Time, bool)

// newStatus makes the page of what the history holds.
func newStatus(views []rowView, now time.Time, next NextRun) *status {
	s := &status{At: now, Worst: healthy.class(), Refresh: refreshSeconds(len(views))}
	for _, v := range views {
		s.Rows = append(s.Rows, newStatusRow(v, now, next))
	}
	slices.SortFunc(s.Rows, func(a, b statusRow) int {
		return cmp.Or(cmp.Compare(a.state, b.state), strings.Compare(a.Target, b.Target), strings.Compare(a.Probe, b.Probe))
	})
	count := make(map[state]int)
	for _, r := range s.Rows {
		count[r.state]++
	}
	s.Summary, s.Detail = summary(len(s.Rows), count)
	if len(s.Rows) > 0 {
		s.Worst = s.Rows[0].Class
	} else {
		s.Worst = pending.class()
	}
	return s
}

// summary says how all is, in a sentence and some detail.
func summary(total int, count map[state]int) (sentence, detail string) {
	switch {
	case total == 0:
		return "Nothing is being probed", "the configuration has no target with a probe"
	case count[down] > 0:
		sentence = some(count[down], total, "failing")
	case count[overdue] > 0:
		sentence = some(count[overdue], total, "overdue")
	case count[pending] == total:
		sentence = "Waiting for the first results"
	default:
		sentence = some(total-count[pending], total, "answering")
	}
	var parts []string
	for _, p := range []struct {
		state state
		text  string
	}{{overdue, "overdue"}, {flaky, "failed lately"}, {blurred, "measured late"}, {pending, "not run yet"}} {
		if n := count[p.state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.text))
		}
	}
	return sentence, strings.Join(parts, ", ")
}

// some says that n of all probes are as the word says.
func some(n, total int, word string) string {
	switch {
	case total == 1:
		return "The probe is " + word
	case n == total:
		return fmt.Sprintf("All %d probes are %s", total, word)
	case n == 1:
		return fmt.Sprintf("1 of %d probes is %s", total, word)
	default:
		return fmt.Sprintf("%d of %d probes are %s", n, total, word)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// refreshSeconds lets a page of many rows ask less often.
func refreshSeconds(rows int) int {
	switch {
	case rows <= 50:
		return 5
	case rows <= 200:
		return 15
	default:
		return 30
	}
}

func newStatusRow(v rowView, now time.Time, next NextRun) statusRow {
	r := statusRow{
		ID: rowID(v.Target, v.Probe), Target: printable(v.Target, maxName), Model: printable(v.Model, maxName), Probe: printable(v.Probe, maxName),
		Stream: v.Stream,
		Kept:   len(v.results), Bars: newBars(v.results),
	}
	if v.Interval > 0 {
		r.Interval = span(v.Interval)
	}
	if next != nil {
		if at, ok := next(v.Target, v.Probe); ok {
			r.Next = span(max(0, at.Sub(now)))
		}
	}
	r.countOutcomes(v.results)
	r.measure(v.results)
	for _, f := range slices.Backward(v.failures) {
		r.Failures = append(r.Failures, failure{
			At: f.end, Age: age(now.Sub(f.end)), Outcome: string(f.outcome), Status: f.status, Err: f.err, ID: f.id,
		})
	}
	if v.strip != nil {
		r.Strip = newStripView(v.strip)
	}
	if n := len(v.results); n > 0 {
		newest := v.results[n-1]
		r.LastRun, r.Age = newest.end, age(now.Sub(newest.end))
		r.Clock, r.ClockTitle = clockWords(newest.clock)
	}
	r.judge(v, now)
	r.Class, r.Word = r.state.class(), r.state.word()
	return r
}

// judge finds the state of the row and why it is so.
func (r *statusRow) judge(v rowView, now time.Time) {
	n := len(v.results)
	waited := now.Sub(v.since)
	if n > 0 {
		waited = min(waited, now.Sub(v.results[n-1].end))
	}
	late := v.Interval > 0 && waited > max(minPatience, patience*v.Interval)
	switch {
	case n > 0 && v.results[n-1].outcome.Failed():
		newest := v.results[n-1]
		r.state, r.Outcome, r.Why, r.Streak = down, string(newest.outcome), newest.err, streak(v.results)
	case late:
		r.state, r.Why = overdue, fmt.Sprintf("no result for %s, although one is due every %s", span(waited), span(v.Interval))
	case n == 0:
		r.state, r.Why = pending, "no result yet"
	default:
		r.state = healthy
		if bad := failures(v.results[max(0, n-flakyWindow):]); bad > 0 {
			newest := v.failures[len(v.failures)-1]
			r.state, r.Why = flaky, fmt.Sprintf("%d of the last %d failed; the newest of them: %s", bad, min(n, flakyWindow), cmp.Or(newest.err, string(newest.outcome)))
		} else if late := degraded(v.results); late >= blurredLeast && float64(late) >= blurredShare*float64(n) {
			r.state, r.Why = blurred, fmt.Sprintf("this prober was late itself in %d of the last %d: it may be short of processor time", late, n)
		}
	}
}

// countOutcomes counts the kept results by outcome, the most frequent failure first.
func (r *statusRow) countOutcomes(results []sample) {
	counts := make(map[prober.Outcome]int)
	for _, s := range results {
		counts[s.outcome]++
	}
	r.OK = counts[prober.OK]
	for _, o := range prober.Outcomes() {
		if n := counts[o]; n > 0 && o != prober.OK {
			r.Outcomes = append(r.Outcomes, outcomeCount{string(o), n})
		}
	}
	slices.SortStableFunc(r.Outcomes, func(a, b outcomeCount) int { return b.Count - a.Count })
}

// measure fills in what the successes say.
func (r *statusRow) measure(results []sample) {
	var latencies []time.Duration
	var rates []float64
	exact := true
	for _, s := range results {
		if s.timed {
			latencies = append(latencies, s.latency)
			r.Latency = duration(s.latency)
		}
		if s.rate > 0 {
			rates = append(rates, s.rate)
			exact = exact && s.exact
			r.Rate = rate(s.rate, s.exact)
		}
	}
	r.Timed = len(latencies)
	if r.Timed >= minP50 {
		r.P50 = duration(quantile(latencies, 0.5))
	}
	if r.Timed >= minP95 {
		r.P95 = duration(quantile(latencies, 0.95))
	}
	if len(rates) >= minP50 {
		r.RateP50 = rate(quantile(rates, 0.5), exact)
	}
	if n := degraded(results); n > 0 {
		r.Degraded = percent(float64(n) / float64(len(results)))
	}
}

// quantile is the smallest value that at least a share q of the values does not exceed (nearest rank).
func quantile[T cmp.Ordered](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func failures(results []sample) (n int) {
	for _, s := range results {
		if s.outcome.Failed() {
			n++
		}
	}
	return n
}

// streak says how many of the newest results in a row failed, and since when.
func streak(results []sample) string {
	first := len(results)
	for first > 0 && results[first-1].outcome.Failed() {
		first--
	}
	n := len(results) - first
	if n < 2 {
		return ""
	}
	atLeast := ""
	if n == keptResults {
		atLeast = "at least " // what was before is no longer kept
	}
	return fmt.Sprintf("%s%d in a row, since %s UTC", atLeast, n, results[first].end.UTC().Format("15:04:05"))
}

func degraded(results []sample) (n int) {
	for _, s := range results {
		if s.degraded {
			n++
		}
	}
	return n
}

// clockWords says whose clock it is, and what that means.
func clockWords(c prober.Clock) (word, title string) {
	switch c {
	case prober.ClockKernel:
		return "kernel clock", "Arrivals are stamped by the kernel: what this process was busy with is not in the numbers."
	case prober.ClockUser:
		return "own clock", "Arrivals are stamped when this process had read them: its own waiting is in the numbers."
	default:
		return "", ""
	}
}

// rowID is an id for the page that is the same on each drawing, whatever the names hold.
func rowID(target, probe string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q%q", target, probe)
	return fmt.Sprintf("r%016x", h.Sum64())
}
