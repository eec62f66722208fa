package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
)

// timetableView is the schedule's page.
type timetableView struct {
	Now      time.Time
	InFlight string
	Chart    template.HTML // the ramps of the next day; empty: none
	Ramps    []rampView
	Pauses   []pauseView
	Budgets  []budgetView
	Jobs     []jobView
	More     int // jobs that are not shown
}

type rampView struct {
	Name, Target, Href, Schedule, Takes, Verdict, Missed string
	Times                                                []string
	Running                                              bool
}

type pauseView struct{ Target, Href, For, Until string }

type budgetView struct {
	Target, Href, What, Used, Limit, Share string
	Value                                  float64 // used of the limit, 0 to 1; for a meter
	Full                                   bool
	Room                                   string // when the next request fits in; empty: it does
}

type jobView struct {
	Target, Href, Probe, Every, Next, Day string
	At                                    time.Time // zero: not known
	Running                               bool
}

// maxJobs bounds the rows of the schedule's page.
const maxJobs = 2000

// timetable plans the page that says what runs when.
func (p *pages) timetable(*http.Request) plan {
	return plan{key: "schedule", template: "schedule.html", data: func(now time.Time) (any, bool) {
		page := p.newPage("Schedule", "", "Schedule")
		page.Data = newTimetable(p.Schedule(), now)
		return page, true
	}}
}

func newTimetable(s Schedule, now time.Time) timetableView {
	v := timetableView{Now: now, InFlight: plural(s.InFlight, "request", "requests") + " under way"}
	if s.MaxInFlight > 0 {
		v.InFlight += fmt.Sprintf(", of %d at most", s.MaxInFlight)
	}
	v.ramps(s.Ramps, now)
	for _, p := range s.Pauses {
		if p.Until.After(now) {
			v.Pauses = append(v.Pauses, pauseView{printable.Line(p.Target, maxName), targetHref(p.Target), span(p.Until.Sub(now)), p.Until.UTC().Format("15:04:05")})
		}
	}
	for _, b := range s.Budgets {
		if b.Limit > 0 || b.Used > 0 {
			v.Budgets = append(v.Budgets, newBudgetView(&b))
		}
	}
	jobs := slices.SortedFunc(slices.Values(s.Jobs), func(a, b Job) int {
		return cmp.Or(a.Next.Compare(b.Next), strings.Compare(a.Target, b.Target), strings.Compare(a.Probe, b.Probe))
	})
	v.More = max(0, len(jobs)-maxJobs)
	for _, j := range jobs[:min(len(jobs), maxJobs)] {
		v.Jobs = append(v.Jobs, newJobView(&j, now))
	}
	return v
}

func newJobView(j *Job, now time.Time) jobView {
	v := jobView{
		Target: printable.Line(j.Target, maxName), Href: targetHref(j.Target), Probe: printable.Line(j.Probe, maxName),
		Every: "every " + span(j.Interval), At: j.Next, Running: j.Running,
	}
	if j.Interval > 0 {
		v.Day = fmt.Sprintf("%d", int((24*time.Hour-1)/j.Interval)+1)
	}
	if j.Burst > 1 {
		v.Every = fmt.Sprintf("%d together, after %s of silence", j.Burst, span(j.Interval))
		v.Day = ""
	}
	if j.Jitter > 0 {
		v.Every += ", up to " + span(j.Jitter) + " later"
	}
	switch {
	case !j.Next.IsZero():
		v.Next = "in " + span(max(0, j.Next.Sub(now)))
	case j.Running:
		v.Next = "after the one under way"
	default:
		v.Next = "not known"
	}
	return v
}

func newBudgetView(b *Budget) budgetView {
	v := budgetView{Target: "all targets", Limit: "no bound"}
	if b.Target != "" {
		v.Target, v.Href = printable.Line(b.Target, maxName), targetHref(b.Target)
	}
	write := chart.Number
	switch b.Measure {
	case "requests_per_minute":
		v.What = "requests in the last minute"
	case "output_tokens_per_hour":
		v.What = "output tokens in the last hour"
	case "cost_per_day":
		v.What = "cost in the last 24 hours"
		write = func(x float64) string { return amount(x, b.Currency) }
	default:
		v.What = printable.Line(b.Measure, maxName)
	}
	v.Used = write(b.Used)
	if b.Limit > 0 {
		v.Limit, v.Value = write(b.Limit), min(1, max(0, b.Used/b.Limit))
		v.Share, v.Full = percent(b.Used/b.Limit), b.RoomIn != 0
	}
	switch {
	case b.RoomIn > 0:
		v.Room = "room in " + span(b.RoomIn)
	case b.RoomIn < 0:
		v.Room = "no probe fits in"
	}
	return v
}

// ramps fills in the load runs, and draws those of the next day.
func (v *timetableView) ramps(ramps []Ramp, now time.Time) {
	day := now.Add(24 * time.Hour)
	w := &chart.Waterfall{
		Title: "Load runs of the next 24 hours (UTC)",
		X:     chart.Axis{Scale: chart.Time, Min: chart.At(now), Max: chart.At(day)},
	}
	for _, r := range ramps {
		view := rampView{
			Name: printable.Line(r.Name, maxName), Target: printable.Line(r.Target, maxName), Href: targetHref(r.Target),
			Schedule: printable.Line(r.Schedule, maxName), Verdict: printable.Line(r.Verdict, maxName), Running: r.Running,
			Missed: missedWords(r.Missed, r.Reason),
		}
		if r.Takes > 0 {
			view.Takes = span(r.Takes)
		}
		var stretches []chart.Stretch
		for _, at := range r.Times {
			if at.Before(now.Add(-r.Takes)) || at.After(day) || len(stretches) >= 500 {
				continue
			}
			if len(view.Times) < 6 {
				view.Times = append(view.Times, stamp(at))
			}
			end := at.Add(max(r.Takes, time.Minute))
			stretches = append(stretches, chart.Stretch{Name: view.Name, Class: "c2", From: chart.At(at), To: chart.At(end), Note: at.UTC().Format("15:04") + " UTC"})
		}
		if len(stretches) > 0 && len(w.Rows) < 50 {
			w.Rows = append(w.Rows, chart.WaterfallRow{Name: shorten(view.Name, 16), Stretches: stretches})
		}
		v.Ramps = append(v.Ramps, view)
	}
	if len(w.Rows) > 0 {
		v.Chart = w.Figure()
	}
}

// stamp writes a time of a load run.
func stamp(at time.Time) string { return at.UTC().Format("Jan 2 15:04") + " UTC" }

// shorten cuts what has no room.
func shorten(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}
