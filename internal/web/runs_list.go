package web

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// What the list of runs shows at most.
const (
	runsPerPage = 30
	mostRamps   = 100
	kneesShown  = 14 // runs of a ramp, in its history of knees
	learnAtOnce = 16 // records that are read for one page; the others are for the next
	mostKnown   = 2000
)

// knownRun is what is remembered of a record.
type knownRun struct {
	knee float64 // the load; NaN: none
	open bool    // it is requests per second; else requests under way
}

// runsView is the list of ramps and runs.
type runsView struct {
	Fragment, LivePath string // where the script finds what changes
	At                 time.Time
	Headline           string
	Worst              string
	Ramps              []rampRow
	MoreRamps          int
	Live               []liveView
	Rows               []recordRow
	None               bool // nothing is on record, whatever is asked for
	Filter             filterView
	Older, Newest      string // links; empty: there is none
	Compare            bool
	CanStart           bool // there is something to start with
	CanStop            bool
	Problem            string
}

// rampRow is a ramp of the configuration.
type rampRow struct {
	Name, Target, Schedule, Next, NextAt, Takes string
	Link, Start                                 string
	Verdict                                     verdictView
	Running                                     bool
	Knees                                       template.HTML
	LastKnee                                    string
}

// recordRow is a run on record.
type recordRow struct {
	ID                                                string // empty: it cannot be chosen
	Ramp, Target, Started, Stamp, Took, Trigger, Knee string
	Link                                              string
	Verdict                                           verdictView
	A, B                                              bool // chosen for a comparison at first
}

// filterView is the form above the records.
type filterView struct {
	Ramps, Targets, Verdicts []choice
	Any                      bool // something is chosen
}

type choice struct {
	Value, Text string
	Chosen      bool
}

// list plans the list of runs, or the part of it that changes: all of it.
func (h *runsPages) list(name string) planner {
	return func(r *http.Request) plan {
		q := r.URL.Query()
		filter := runs.Filter{Ramp: q.Get("ramp"), Target: q.Get("target"), Verdict: record.Verdict(q.Get("verdict")), After: q.Get("after"), Limit: runsPerPage}
		query := url.Values{}
		for _, key := range []string{"ramp", "target", "verdict", "after"} {
			if v := q.Get(key); v != "" && len(v) <= 400 {
				query.Set(key, v)
			}
		}
		return plan{key: name + "?" + query.Encode(), template: name, data: func(now time.Time) (any, bool) {
			v := h.newRunsView(filter, query, now)
			page := h.newPage(v.Headline, "", "Runs")
			page.Data = v
			return page, true
		}}
	}
}

func (h *runsPages) newRunsView(filter runs.Filter, query url.Values, now time.Time) *runsView {
	v := &runsView{Fragment: "fragments/runs", LivePath: "live/runs", At: now, Compare: h.source.Compare != nil}
	if len(query) > 0 {
		v.Fragment, v.LivePath = v.Fragment+"?"+query.Encode(), v.LivePath+"?"+query.Encode()
	}
	v.CanStart = h.refusal(h.source.Start) == ""
	v.CanStop = h.refusal(h.source.Stop) == ""
	live := map[string]bool{}
	if h.source.Live != nil {
		for _, l := range h.source.Live() {
			live[l.Ramp] = true
			v.Live = append(v.Live, newLiveView(&l, len(v.Live), now))
		}
	}
	all, _, err := h.source.List(runs.Filter{})
	if err != nil {
		h.Logger.Error("list runs", "err", err)
		v.Problem = "The records cannot be listed: " + printable.Line(err.Error(), maxSentence)
	}
	v.None = err == nil && len(all) == 0
	v.ramps(h, all, live, now)
	v.records(h, filter, query)
	v.Filter = filters(all, filter)
	switch n := len(v.Live); {
	case n > 0:
		v.Headline, v.Worst = plain(n, "ramp is running", "ramps are running"), "pending"
	case err != nil:
		v.Headline, v.Worst = "Runs cannot be listed", "down"
	case v.None:
		v.Headline, v.Worst = "No runs yet", "pending"
	default:
		last := verdictOf(all[0].Verdict)
		v.Headline = "Last run: " + printable.Line(all[0].Ramp, maxName) + ", " + last.Word
		v.Worst = map[string]string{"good": "healthy", "bad": "down", "warn": "flaky"}[last.Class]
	}
	return v
}

// ramps lists the ramps of the configuration.
func (v *runsView) ramps(h *runsPages, all []runs.Info, live map[string]bool, now time.Time) {
	if h.source.Ramps == nil {
		return
	}
	ramps := h.source.Ramps()
	v.MoreRamps = max(0, len(ramps)-mostRamps)
	for _, r := range ramps[:min(len(ramps), mostRamps)] {
		row := rampRow{
			Name: printable.Line(r.Name, maxName), Target: printable.Line(r.Target, maxName), Schedule: printable.Line(r.Schedule, 120), Takes: takesText(r.Takes),
			Link: "runs?" + url.Values{"ramp": {r.Name}}.Encode(), Running: r.Running || live[r.Name],
		}
		if v.CanStart && !row.Running && plainName(r.Name) {
			row.Start = "runs/start?" + url.Values{"ramp": {r.Name}}.Encode()
		}
		for _, t := range r.Times {
			if t.After(now) {
				row.Next, row.NextAt = "in "+span(t.Sub(now).Round(time.Minute)), moment(t)
				break
			}
		}
		verdict := record.Verdict(r.Verdict)
		if i := slices.IndexFunc(all, func(i runs.Info) bool { return i.Ramp == r.Name }); i >= 0 {
			verdict = all[i].Verdict
		}
		row.Verdict = verdictOf(verdict)
		if verdict == "" {
			row.Verdict = verdictView{}
		}
		row.Knees, row.LastKnee = h.knees(r.Name, all)
		v.Ramps = append(v.Ramps, row)
	}
}

// knees draws the history of a ramp's knees.
func (h *runsPages) knees(ramp string, all []runs.Info) (drawing template.HTML, last string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var values []float64
	for _, i := range all {
		if i.Ramp != ramp {
			continue
		}
		if k, ok := h.known[i.ID]; ok {
			values = append(values, k.knee)
			if last == "" && !math.IsNaN(k.knee) {
				last = loadText(k.open, k.knee)
			}
		}
		if len(values) == kneesShown {
			break
		}
	}
	if last == "" {
		return "", ""
	}
	slices.Reverse(values)
	s := chart.Spark{Label: fmt.Sprintf("Knees of the last %d runs, the newest %s", len(values), last), Values: values}
	return s.SVG(), last
}

// learn reads the records that the list needs something of and that were not read before: some for each page.
func (h *runsPages) learn() {
	all, _, err := h.source.List(runs.Filter{})
	if err != nil {
		return
	}
	var wanted []string
	h.mu.Lock()
	if len(h.known) > mostKnown {
		clear(h.known)
	}
	each := map[string]int{}
	for _, i := range all {
		if each[i.Ramp]++; each[i.Ramp] > kneesShown || len(wanted) == learnAtOnce {
			continue
		}
		if _, ok := h.known[i.ID]; !ok {
			wanted = append(wanted, i.ID)
		}
	}
	h.mu.Unlock()
	for _, id := range wanted {
		known := knownRun{knee: math.NaN()}
		if run, err := h.source.Load(id); err == nil && run.Diagnosis != nil && run.Diagnosis.Knee != nil && run.Diagnosis.Knee.HeldAt > 0 {
			known = knownRun{run.Diagnosis.Knee.Load, run.Diagnosis.Knee.Open}
		}
		h.mu.Lock()
		h.known[id] = known
		h.mu.Unlock()
	}
}

// records lists the runs on record.
func (v *runsView) records(h *runsPages, filter runs.Filter, query url.Values) {
	infos, next, err := h.source.List(filter)
	if err != nil {
		if v.Problem == "" {
			v.Problem = "These records cannot be listed: " + printable.Line(err.Error(), maxSentence)
		}
		return
	}
	// At first the newest run that has one of the same ramp before it is chosen, and that one.
	first, second := 0, 1
	for i := range infos {
		if j := slices.IndexFunc(infos[i+1:], func(o runs.Info) bool { return o.Ramp == infos[i].Ramp }); j >= 0 {
			first, second = i, i+1+j
			break
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range infos {
		info := &infos[i]
		row := recordRow{
			ID: info.ID, Ramp: printable.Line(info.Ramp, maxName), Target: printable.Line(info.Target, maxName), Started: info.Started.UTC().Format("Mon 2 Jan 15:04"),
			Stamp: info.Started.UTC().Format(time.RFC3339), Trigger: string(info.Trigger), Link: "runs/" + url.PathEscape(info.ID), Verdict: verdictOf(info.Verdict),
			A: i == second, B: i == first,
		}
		row.Trigger = printable.Line(row.Trigger, 20)
		if !plainName(row.ID) {
			row.ID = ""
		}
		if took := info.Ended.Sub(info.Started); took > 0 {
			row.Took = span(took)
		}
		if info.Sets > 0 {
			row.Trigger += fmt.Sprintf(", set %d of %d", info.Set, info.Sets)
		}
		if k, ok := h.known[info.ID]; ok && !math.IsNaN(k.knee) {
			row.Knee = loadText(k.open, k.knee)
		}
		v.Rows = append(v.Rows, row)
	}
	v.Compare = v.Compare && len(v.Rows) > 1
	link := func(after string) string {
		q := url.Values{}
		for key := range query {
			q.Set(key, query.Get(key))
		}
		q.Del("after")
		if after != "" {
			q.Set("after", after)
		}
		if len(q) == 0 {
			return "runs"
		}
		return "runs?" + q.Encode()
	}
	if next != "" {
		v.Older = link(next)
	}
	if query.Get("after") != "" {
		v.Newest = link("")
	}
}

// plainName is whether a name can stand in a form as it is: nobody gives another one on purpose.
func plainName(s string) bool { return s != "" && printable.Line(s, maxName) == s }

// filters are the choices of the form: what there is on record.
func filters(all []runs.Info, chosen runs.Filter) filterView {
	const most = 200
	ramps, targets, verdicts := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, i := range all {
		ramps[i.Ramp], targets[i.Target], verdicts[string(i.Verdict)] = true, true, true
	}
	choices := func(values map[string]bool, chosen string, text func(string) string) []choice {
		if chosen != "" {
			values[chosen] = true
		}
		var all []choice
		for _, v := range firstKeys(values, most) {
			if plainName(v) {
				all = append(all, choice{v, text(v), v == chosen})
			}
		}
		return all
	}
	name := func(s string) string { return printable.Line(s, maxName) }
	return filterView{
		Ramps: choices(ramps, chosen.Ramp, name), Targets: choices(targets, chosen.Target, name),
		Verdicts: choices(verdicts, string(chosen.Verdict), func(s string) string { return verdictOf(record.Verdict(s)).Word }),
		Any:      cmp.Or(chosen.Ramp, chosen.Target, string(chosen.Verdict)) != "",
	}
}
