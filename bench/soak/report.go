package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/bench/internal/process"
)

// report is what came of a run.
type report struct {
	Rate          float64 `json:"rate"` // times the demo's
	Seconds       float64 `json:"seconds"`
	Requests      float64 `json:"requests"`
	Failed        float64 `json:"requests_failed"`
	Skipped       float64 `json:"probes_skipped"`
	NormalPerHour float64 `json:"normal_requests_per_hour"` // of the demo
	NormalHours   float64 `json:"normal_hours"`             // that the run stands for
	Scrapes       int     `json:"scrapes"`
	Reloads       int     `json:"reloads"`
	CPUShare      float64 `json:"cpu_share"` // of one core

	RSS  trend `json:"rss"`
	Heap trend `json:"live_heap"`

	Goroutines trend `json:"goroutines"`
	Files      trend `json:"files"`
	Threads    trend `json:"threads"`
	Series     trend `json:"series"`

	First delay `json:"dispatch_delay_first_third"`
	Last  delay `json:"dispatch_delay_last_third"`

	Grew    []string        `json:"grew"`
	Windows int             `json:"windows"` // that were watched, of which all else here is the last
	Machine process.Machine `json:"machine"`

	odd bool // this was not the demo's mix
}

// trend is how something went: of memory in bytes, and in MB for each hour of the demo's rate; of the rest in numbers of it, and
// over the whole run.
type trend struct {
	Begin float64 `json:"begin"` // medians of the first and the last third
	End   float64 `json:"end"`
	Slope float64 `json:"slope"`
	Low   float64 `json:"slope_low"` // of an interval that has the slope by 99 %
	High  float64 `json:"slope_high"`
}

// delay is how late requests were dispatched, in seconds.
type delay struct {
	P50 float64 `json:"p50_seconds"`
	P99 float64 `json:"p99_seconds"`
}

// stretches is how many points the lines through memory have.
const stretches = 24

// newTrend fits a line to points and states it in units of scale for each x.
func newTrend(points []point, fitted []point, scale float64) trend {
	l := fit(fitted)
	third := len(points) / 3
	middle := func(points []point) float64 {
		var values []float64
		for _, p := range points {
			values = append(values, p.y)
		}
		slices.Sort(values)
		return median(values)
	}
	return trend{Begin: middle(points[:third]), End: middle(points[len(points)-third:]), Slope: l.slope * scale, Low: l.low * scale, High: l.high * scale}
}

// report says what came of what was seen.
func (k *soak) report(cpuShare float64) (*report, error) {
	n := len(k.samples)
	if n < 6 || len(k.memories) < 6 {
		return nil, errors.New("too little was seen: choose a longer --duration")
	}
	first, last := k.samples[0], k.samples[n-1]
	seconds := last.at.Sub(first.at).Seconds()
	r := &report{
		Rate: float64(k.mix.copies) * k.mix.faster, Seconds: seconds, Requests: last.requests - first.requests, Scrapes: n, Reloads: k.reloads,
		CPUShare: cpuShare, Machine: process.DescribeMachine(), Grew: []string{},
	}
	if r.Requests <= 0 {
		return nil, errors.New("nothing was asked: choose a longer --duration")
	}
	r.NormalPerHour = k.mix.normalRate(r.Requests, seconds)
	r.NormalHours = r.Requests / r.NormalPerHour

	r.Failed, r.Skipped = last.failed-first.failed, last.skipped-first.skipped
	r.odd = k.odd(r)

	var errs []error
	if refused, err := last.page.Sum("llm_prober_config_reloads_total", "result", "failure"); err != nil || refused > 0 {
		errs = append(errs, err, fmt.Errorf("%v of the reloads failed", refused))
	}

	perHour := r.NormalPerHour / 1e6 // bytes for each request, in MB for each hour
	rate := r.Requests / seconds
	var rss, heap, files, threads, goroutines, series []point
	for _, m := range k.memories {
		x := m.at.Sub(first.at).Seconds() * rate
		rss, files, threads = append(rss, point{x, m.rss}), append(files, point{x, m.files}), append(threads, point{x, m.threads})
	}
	for _, s := range k.samples {
		x := s.requests - first.requests
		heap = append(heap, point{x, s.heap})
		goroutines, series = append(goroutines, point{x, s.goroutines}), append(series, point{x, s.series})
	}
	r.RSS = newTrend(rss, floors(rss, stretches), perHour)
	r.Heap = newTrend(heap, floors(heap, stretches), perHour)
	r.Files, r.Threads = newTrend(files, floors(files, stretches), r.Requests), newTrend(threads, floors(threads, stretches), r.Requests)
	r.Goroutines, r.Series = newTrend(goroutines, floors(goroutines, stretches), r.Requests), newTrend(series, floors(series, stretches), r.Requests)
	r.First, r.Last = k.delayOf(0, n/3), k.delayOf(n-1-n/3, n-1)
	r.Grew = append(r.Grew, r.judge(k.limit)...)
	r.Grew = append(r.Grew, k.later(r.Seconds >= longRun.Seconds())...)
	return r, errors.Join(errs...)
}

// odd reports whether more than one request in a hundred failed, or was skipped. In a short run that must be so of the typical
// stretch, too: a machine that stands still twice for a second has skipped as many.
func (k *soak) odd(r *report) bool {
	if k.duration >= longRun {
		return max(r.Failed, r.Skipped) > r.Requests/100
	}
	typical := func(so func(s *sample) float64) float64 {
		var shares []float64
		for i := range len(k.samples) - 1 {
			a, b := &k.samples[i], &k.samples[i+1]
			shares = append(shares, (so(b)-so(a))/max(b.requests-a.requests, 1))
		}
		slices.Sort(shares)
		return median(shares)
	}
	return r.Failed > r.Requests/100 && typical(func(s *sample) float64 { return s.failed }) > .01 ||
		r.Skipped > r.Requests/100 && typical(func(s *sample) float64 { return s.skipped }) > .01
}

// delayOf is the delay of what was dispatched between two samples.
func (k *soak) delayOf(from, to int) delay {
	h := k.samples[to].delay.Since(k.samples[from].delay)
	return delay{h.Quantile(.5), h.Quantile(.99)}
}

// lasting watches a window. Of a short one that finds something, an interval has not what it should in one of a hundred, and a
// machine that stands still once leaves connections open, or lets requests wait. So it watches as often again as is asked for, and
// believes what each window found: two more make a false alarm of 1 % one of 0.0001 %, and what leaks in one leaks in all.
func (s *settings) lasting(window func() (*report, error)) (*report, error) {
	r, err := window()
	if err != nil {
		return nil, err
	}
	r.Windows = 1
	for s.duration < longRun && r.Windows <= s.again && r.err() != nil {
		fmt.Fprintf(s.stderr, "window %d: %v; watched again\n", r.Windows, r.err())
		next, err := window()
		if err != nil {
			return nil, err
		}
		next.Windows = r.Windows + 1
		next.odd = next.odd && r.odd
		next.Grew = slices.DeleteFunc(next.Grew, func(now string) bool {
			return !slices.ContainsFunc(r.Grew, func(before string) bool { return subject(now) == subject(before) })
		})
		r = next
	}
	return r, nil
}

// subject is what a finding is about.
func subject(finding string) string {
	name, _, _ := strings.Cut(finding, ":")
	return name
}

// fewMore is how many goroutines, descriptors, threads or series more at the end are none that grow: so many come and go.
const fewMore = 5

// judge names what grew, and by how much.
func (r *report) judge(limit float64) (grew []string) {
	for _, m := range []struct {
		name string
		trend
	}{{"rss", r.RSS}, {"live_heap", r.Heap}} {
		// In a long run, what is not shown to be below the limit is above it.
		if m.Low > limit || m.Slope > limit && r.Seconds >= longRun.Seconds() {
			grew = append(grew, fmt.Sprintf("%s: %.2f MB (%.2f to %.2f) for each hour of the demo's rate, over %g MB", m.name, m.Slope, m.Low, m.High, limit))
		}
	}
	for _, c := range []struct {
		name string
		trend
	}{{"goroutines", r.Goroutines}, {"descriptors", r.Files}, {"threads", r.Threads}, {"series", r.Series}} {
		if c.Low > 0 && c.Slope > fewMore {
			grew = append(grew, fmt.Sprintf("%s: %.0f more (%.0f to %.0f) at the end than at the begin", c.name, c.Slope, c.Low, c.High))
		}
	}
	return grew
}

// longRun is one that is long enough to take its slope for what it is.
const longRun = 30 * time.Minute

// later tells whether requests are dispatched later in the last third than in the first, by more than chance and by enough to
// matter: nearly all of its stretches are worse than those of the first third, and the typical one by half, and a tenth of a
// millisecond. The slowest hundredth is judged in long runs alone: in a short one, another program that wakes up at the end is it.
func (k *soak) later(long bool) (grew []string) {
	n := len(k.samples)
	quantiles := []float64{.5}
	if long {
		quantiles = append(quantiles, .99)
	}
	for _, q := range quantiles {
		of := func(from, to int) (values []float64) {
			for i := from; i < to; i++ {
				if h := k.samples[i+1].delay.Since(k.samples[i].delay); h.Count > 0 {
					values = append(values, h.Quantile(q))
				}
			}
			slices.Sort(values)
			return values
		}
		first, last := of(0, n/3), of(n-1-n/3, n-1)
		a, b := median(first), median(last)
		if worse(first, last) > .95 && b > 1.5*a+1e-4 {
			grew = append(grew, fmt.Sprintf("dispatch delay: its quantile %g is %.2f ms in the last third, and was %.2f ms in the first", q, 1e3*b, 1e3*a))
		}
	}
	return grew
}

// worse is the share of pairs of which the one of b is larger: one half by chance alone.
func worse(a, b []float64) float64 {
	larger := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case y > x:
				larger++
			case y == x:
				larger += .5
			}
		}
	}
	return larger / float64(max(1, len(a)*len(b)))
}

// err is what fails the run.
func (r *report) err() error {
	var errs []error
	if len(r.Grew) > 0 {
		errs = append(errs, fmt.Errorf("it grew: %s", strings.Join(r.Grew, "; ")))
	}
	if r.odd {
		errs = append(errs, fmt.Errorf("%.0f of %.0f requests failed and %.0f were skipped: this was not the demo's mix", r.Failed, r.Requests, r.Skipped))
	}
	return errors.Join(errs...)
}

// write writes the report for people.
func (r *report) write(w io.Writer) error {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("the demo's mix at %.0f times its rate for %.0f s: %.0f requests (%.0f failed, %.0f skipped), as in %.1f hours of the demo; %d scrapes, %d reloads; %.1f %% of one core",
		r.Rate, r.Seconds, r.Requests, r.Failed, r.Skipped, r.NormalHours, r.Scrapes, r.Reloads, 100*r.CPUShare)
	for _, m := range []struct {
		name string
		trend
	}{{"resident", r.RSS}, {"heap goal", r.Heap}} {
		say("  %-11s %.1f MB, then %.1f MB; %+.3f MB (%+.3f to %+.3f) for each hour of the demo's rate", m.name, m.Begin/1e6, m.End/1e6, m.Slope, m.Low, m.High)
	}
	for _, c := range []struct {
		name string
		trend
	}{{"goroutines", r.Goroutines}, {"descriptors", r.Files}, {"threads", r.Threads}, {"series", r.Series}} {
		say("  %-11s %.0f, then %.0f; %+.0f (%+.0f to %+.0f) over the run", c.name, c.Begin, c.End, c.Slope, c.Low, c.High)
	}
	say("  dispatch    p50 %.3f ms, then %.3f ms; p99 %.2f ms, then %.2f ms", 1e3*r.First.P50, 1e3*r.Last.P50, 1e3*r.First.P99, 1e3*r.Last.P99)
	if r.Windows > 1 {
		say("  this is window %d: what was found before must be found again", r.Windows)
	}
	if half := (r.Heap.High - r.Heap.Low) / 2; !math.IsInf(half, 0) {
		say("  a run as this one can tell %.2f MB more of heap for each hour from nothing", half)
	}
	say("on %s", r.Machine)
	_, err := io.WriteString(w, b.String())
	return err
}
