package web

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"html/template"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
)

// state is how a row is, by what needs attention first.
type state int

// The states, worst first.
const (
	down    state = iota // the newest result failed
	overdue              // there should have been a newer result
	missed               // ok now, but an objective's error budget is spent
	flaky                // ok, but one of the last few failed
	flagged              // ok, but the engine or a GPU behind it is in trouble
	blurred              // ok, but the prober itself was often late: the numbers are not to be trusted
	pending              // no result yet
	healthy              // ok
)

// class names the state for the style sheet, word for people.
func (s state) class() string {
	return [...]string{"down", "overdue", "missed", "flaky", "flagged", "blurred", "pending", "healthy"}[s]
}

func (s state) word() string {
	return [...]string{"Failing", "Overdue", "Over budget", "Unsteady", "Look at it", "Measured late", "Waiting", "Answering"}[s]
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

// How much of each probe there is room for.
const (
	stripsUpTo = 24 // probes: each with the course of its newest request
	cardsUpTo  = 60 // probes: each with a line of its own; beyond, a line for each target
)

// status is the page.
type status struct {
	At      time.Time
	Targets []statusTarget
	Dense   bool   // a line for each target
	Worst   string // class of the worst state
	Summary string
	Detail  string
	Refresh int // seconds until the page is drawn anew
}

// statusTarget is one target on the page.
type statusTarget struct {
	ID, Name, Href, Model string

	Class, Word string
	Why         string // of the worst probe, or of what is behind the target
	Rows        []statusRow
	Lead        *statusRow // the probe that stands for all of them: one that needs attention, else the most frequent one that streams
	Others      string     // of the probes beside Lead

	Budget string // the least error budget that is left
	Spent  bool   // it is none
	Engine string // running, waiting, cache; or why it cannot be read
	EngBad bool
	GPU    string // what is wrong with one; empty: nothing, or none is known
	GPUs   int    // how many are known
	Cost   string // of the last 24 hours
	Ramp   string // running, or when the next one is
	Pause  string

	state state
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
	Day      dayBefore
	Goals    []goalView
	Bars     bars
	Spark    template.HTML
	Rate     string
	RateP50  string
	Queue    string // its share of the time to first token
	QueueOf  string // where that is from

	OK, Kept int // of the kept results
	Outcomes []outcomeCount

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

// dayBefore is what was measured around the same time yesterday.
type dayBefore struct {
	P50, P95 string // empty: not kept, or too few
	Change   string // of p50 since, such as "+ 12 %"; empty where one of both is not known
	Worse    bool   // by a tenth or more
	Count    int
}

// goalView is one objective of a probe.
type goalView struct {
	Name   string
	Text   string // what is promised
	Now    string // how the kept results keep it; empty where that cannot be told from them
	Broken bool   // they do not
	Left   string // of the error budget
	Spent  bool
	Title  string

	left float64
}

type outcomeCount struct {
	Outcome string
	Count   int
}

// rowSummary is what does not change until the next result comes.
type rowSummary struct {
	statusRow
	row       Row
	made      time.Time
	since     time.Time
	newest    time.Time       // end of the newest result; zero: none
	latencies []time.Duration // of the successes, rising
	judged    int             // results that have a latency or failed
}

// NextRun says when a target's probe runs next, where that is known.
type NextRun func(target, probe string) (time.Time, bool)

// newStatus makes the page.
func newStatus(summaries []*rowSummary, now time.Time, next NextRun, b *behind) *status {
	s := &status{At: now, Worst: healthy.class(), Refresh: refreshSeconds(len(summaries)), Dense: len(summaries) > cardsUpTo}
	targets := make(map[string]*statusTarget)
	count := make(map[state]int)
	for _, sum := range summaries {
		r := sum.at(now, next, b)
		if s.Dense || len(summaries) > stripsUpTo {
			r.Strip = nil
		}
		count[r.state]++
		t := targets[sum.row.Target]
		if t == nil {
			t = newStatusTarget(sum.row.Target, now, b)
			targets[sum.row.Target] = t
		}
		t.Rows = append(t.Rows, r)
	}
	for _, t := range targets {
		t.settle()
		if t.state == flagged {
			count[flagged]++
		}
		s.Targets = append(s.Targets, *t)
	}
	slices.SortFunc(s.Targets, func(a, b statusTarget) int {
		return cmp.Or(cmp.Compare(a.state, b.state), strings.Compare(a.Name, b.Name), strings.Compare(a.Href, b.Href))
	})
	s.Summary, s.Detail = summary(len(summaries), count)
	if len(s.Targets) > 0 {
		s.Worst = s.Targets[0].Class
	} else {
		s.Worst = pending.class()
	}
	return s
}

// newStatusTarget is what is known of a target beside its probes.
func newStatusTarget(name string, now time.Time, b *behind) *statusTarget {
	t := &statusTarget{ID: rowID(name, ""), Name: printable.Line(name, maxName), Href: targetHref(name), state: healthy}
	b.about(t, name, now)
	return t
}

// settle finds the order of the probes, and how the target is.
func (t *statusTarget) settle() {
	slices.SortFunc(t.Rows, func(a, b statusRow) int {
		return cmp.Or(cmp.Compare(a.state, b.state), strings.Compare(a.Probe, b.Probe))
	})
	worst := &t.Rows[0]
	t.Model = worst.Model
	if worst.state <= t.state {
		if worst.state < t.state || t.Why == "" {
			t.Why = worst.Why
		}
		t.state = worst.state
	}
	t.Class, t.Word = t.state.class(), t.state.word()
	if t.Why != "" && len(t.Rows) > 1 && t.state == worst.state && worst.Why == t.Why {
		t.Why = worst.Probe + ": " + t.Why
	}
	t.Lead = lead(t.Rows)
	t.Others = others(t.Rows, t.Lead)
	least := math.Inf(1)
	for _, r := range t.Rows {
		for _, g := range r.Goals {
			if g.Left != "" && g.left < least {
				least, t.Budget, t.Spent = g.left, g.Left, g.Spent
			}
		}
	}
}

// lead is the probe that stands for a target where there is room for one.
func lead(rows []statusRow) *statusRow {
	best := &rows[0]
	for i := range rows {
		r := &rows[i]
		if best.state < pending && r.state != best.state {
			break // rows begin with the worst
		}
		if r.Stream && (!best.Stream || r.Kept > best.Kept) {
			best = r
		}
	}
	return best
}

// others says how the probes beside the lead are.
func others(rows []statusRow, lead *statusRow) string {
	if len(rows) < 2 {
		return ""
	}
	bad := 0
	for i := range rows {
		if &rows[i] != lead && rows[i].state < pending {
			bad++
		}
	}
	text := fmt.Sprintf("+ %d", len(rows)-1)
	if bad > 0 {
		text += fmt.Sprintf(", %d not well", bad)
	}
	return text
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
	}{{overdue, "overdue"}, {missed, "over the error budget"}, {flaky, "failed lately"}, {flagged, "with trouble behind"}, {blurred, "measured late"}, {pending, "not run yet"}} {
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

// refreshSeconds lets a page of many rows be drawn less often.
func refreshSeconds(rows int) int {
	switch {
	case rows <= stripsUpTo:
		return 1
	case rows <= 200:
		return 5
	default:
		return 15
	}
}

// newRowSummary sums up what is kept of a row, whose lock is held.
func newRowSummary(h *rowHistory, now time.Time) *rowSummary {
	results := h.samples()
	r := &rowSummary{row: h.Row, made: now, since: h.since}
	r.statusRow = statusRow{
		ID: rowID(h.Target, h.Probe), Target: printable.Line(h.Target, maxName), Model: printable.Line(h.Model, maxName), Probe: printable.Line(h.Probe, maxName),
		Stream: h.Stream,
		Kept:   len(results), Bars: newBars(results),
	}
	if h.Interval > 0 {
		r.Interval = span(h.Interval)
	}
	r.countOutcomes(results)
	r.measure(results)
	for _, s := range results {
		if s.timed {
			r.latencies = append(r.latencies, s.latency)
		}
		if s.timed || s.outcome.Failed() {
			r.judged++
		}
	}
	slices.Sort(r.latencies)
	r.Spark = spark(results, r.Bars.Title)
	r.Queue, r.QueueOf = queueShare(results)
	r.Day = newDayBefore(&h.trend, now, r.latencies)
	if newest, ok := h.exchanges.newest(); ok && newest.strip != nil {
		r.Strip = newStripView(newest.strip)
	}
	if n := len(results); n > 0 {
		newest := results[n-1]
		r.LastRun, r.newest = newest.end, newest.end
		r.Clock, r.ClockTitle = clockWords(newest.clock)
	}
	r.judge(results, h.failures.slice())
	return r
}

// at is the row as it is now.
func (s *rowSummary) at(now time.Time, next NextRun, b *behind) statusRow {
	r := s.statusRow
	waited := now.Sub(s.since)
	if !s.newest.IsZero() {
		r.Age = age(now.Sub(s.newest))
		waited = min(waited, now.Sub(s.newest))
	}
	if next != nil {
		if at, ok := next(s.row.Target, s.row.Probe); ok {
			r.Next = span(max(0, at.Sub(now)))
		}
	}
	r.Goals = b.goals(s)
	for _, g := range r.Goals {
		if g.Spent && r.state > missed {
			r.state, r.Why = missed, fmt.Sprintf("the error budget of %s is spent: %s", g.Name, g.Title)
		}
	}
	if r.state > down && s.row.Interval > 0 && waited > max(minPatience, patience*s.row.Interval) {
		r.state, r.Why = overdue, fmt.Sprintf("no result for %s, although one is due every %s", span(waited), span(s.row.Interval))
	}
	r.Class, r.Word = r.state.class(), r.state.word()
	return r
}

// judge finds the state of the row and why it is so, as far as the clock has no say in it.
func (r *statusRow) judge(results []sample, kept []*exchange) {
	n := len(results)
	switch {
	case n == 0:
		r.state, r.Why = pending, "no result yet"
	case results[n-1].outcome.Failed():
		newest := results[n-1]
		r.state, r.Outcome, r.Why, r.Streak = down, string(newest.outcome), newest.err, streak(results)
	default:
		r.state = healthy
		if bad := failures(results[max(0, n-flakyWindow):]); bad > 0 && len(kept) > 0 {
			newest := kept[len(kept)-1]
			r.state, r.Why = flaky, fmt.Sprintf("%d of the last %d failed; the newest of them: %s", bad, min(n, flakyWindow), cmp.Or(newest.err, string(newest.outcome)))
		} else if late := degraded(results); late >= blurredLeast && float64(late) >= blurredShare*float64(n) {
			r.state, r.Why = blurred, fmt.Sprintf("this prober was late itself in %d of the last %d: it may be short of processor time", late, n)
		}
	}
}

// shownSpark is how many results a spark shows.
const shownSpark = 40

// spark is the newest results as a line.
func spark(results []sample, label string) template.HTML {
	var values []float64
	for _, s := range results[max(0, len(results)-shownSpark):] {
		switch {
		case s.timed:
			values = append(values, s.latency.Seconds())
		case s.outcome.Failed():
			values = append(values, math.NaN())
		}
	}
	if len(values) == 0 {
		return ""
	}
	return (&chart.Spark{Label: label, Values: values}).SVG()
}

// queueShare is how much of the time to first token the kept results spent in a queue, by the source of the newest of them
// alone: sources are not mixed.
func queueShare(results []sample) (share, source string) {
	var of string
	var queued, all time.Duration
	n := 0
	for _, s := range slices.Backward(results) {
		q, ok := s.parts.queue()
		if !ok || of != "" && string(s.parts.source) != of {
			continue
		}
		of = string(s.parts.source)
		queued, all = queued+q, all+s.latency
		n++
	}
	if n < minP50 || all <= 0 {
		return "", ""
	}
	return percent(float64(queued) / float64(all)), of
}

// newDayBefore looks at the hour around the same time yesterday.
func newDayBefore(t *trend, now time.Time, latencies []time.Duration) dayBefore {
	yesterday := now.Add(-24 * time.Hour)
	all := t.around(yesterday.Add(-30*time.Minute-slotSpan), yesterday.Add(30*time.Minute))
	d := dayBefore{Count: all.count()}
	if d.Count < minP50 {
		return dayBefore{}
	}
	p50 := all.quantile(0.5)
	d.P50 = duration(p50)
	if d.Count >= minP95 {
		d.P95 = duration(all.quantile(0.95))
	}
	if len(latencies) >= minP50 {
		change := float64(sortedQuantile(latencies, 0.5))/float64(p50) - 1
		d.Change, d.Worse = signed(change), change >= 0.1
	}
	return d
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
	return sortedQuantile(slices.Sorted(slices.Values(values)), q)
}

// sortedQuantile is quantile of values that are rising already; there is at least one.
func sortedQuantile[T cmp.Ordered](values []T, q float64) T {
	return values[max(0, int(math.Ceil(q*float64(len(values))))-1)]
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

// targetHref is the address of a target's page, seen from the root.
func targetHref(name string) string { return "targets/" + url.PathEscape(name) }
