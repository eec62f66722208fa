package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober/printable"
)

// targetView is the page of one target: all of its probes in short, and one of them at length.
type targetView struct {
	Status    statusTarget
	Fragment  string // where the part that changes is to be had, seen from the page
	Live      string
	At        time.Time
	Probes    []probeLink
	Row       *statusRow // of the probe that is shown
	Range     string     // recent or day
	Ranges    []probeLink
	Charts    []template.HTML
	Newest    *exchangeView  // nil: none
	Exchanges []exchangeView // the ones before, newest first
	Failures  []exchangeView // newest first
	Curl      string
	CurlNote  string // why there is no command
}

// probeLink leads to another view of the page.
type probeLink struct {
	Text, Class, Word, Href string
	Here                    bool
}

// target plans the page of the target that the request names. It may name a probe and a range beside it.
func (p *pages) target(name string) planner {
	return func(r *http.Request) plan {
		target, probe, ranged := r.PathValue("name"), r.FormValue("probe"), r.FormValue("range")
		return plan{key: fmt.Sprintf("%s %q %q %q", name, target, probe, ranged), template: name, data: func(now time.Time) (any, bool) {
			v, ok := p.newTargetView(target, probe, ranged, now)
			if !ok {
				return nil, false
			}
			page := p.newPage(v.Status.Name+": "+v.Status.Word, "../", "")
			page.Data, page.Live = v, true
			return page, true
		}}
	}
}

func (p *pages) newTargetView(target, probe, ranged string, now time.Time) (*targetView, bool) {
	views := p.History.view(target)
	if len(views) == 0 {
		return nil, false
	}
	var own []*rowSummary
	for _, s := range p.History.summaries(now) {
		if s.row.Target == target {
			own = append(own, s)
		}
	}
	s := newStatus(own, now, p.NextRun, p.readBehind())
	if len(s.Targets) == 0 {
		return nil, false
	}
	v := &targetView{Status: s.Targets[0], At: now}
	names := make(map[string]string) // of probes, by the id of their rows
	for _, view := range views {
		names[rowID(target, view.Probe)] = view.Probe
	}
	shown := v.Status.Lead
	for i := range v.Status.Rows {
		if r := &v.Status.Rows[i]; probe != "" && names[r.ID] == probe {
			shown = r
		}
	}
	v.Row = shown
	i := slices.IndexFunc(views, func(view rowView) bool { return view.Probe == names[shown.ID] })
	if i < 0 {
		return nil, false // it went between the two looks
	}
	row := &views[i]
	v.Range = rangeOf(ranged, row)
	link := func(probe, ranged string) string {
		return "?" + url.Values{"probe": {probe}, "range": {ranged}}.Encode()
	}
	for _, r := range slices.SortedFunc(slices.Values(v.Status.Rows), func(a, b statusRow) int { return cmp.Compare(a.Probe, b.Probe) }) {
		v.Probes = append(v.Probes, probeLink{r.Probe, r.Class, r.Word, link(names[r.ID], v.Range), r.ID == shown.ID})
	}
	for _, r := range []string{"recent", "day"} {
		text := map[string]string{"recent": "Last results", "day": "Last 25 hours"}[r]
		v.Ranges = append(v.Ranges, probeLink{Text: text, Href: link(row.Probe, r), Here: r == v.Range})
	}
	here := url.PathEscape(target)
	v.Fragment, v.Live = here+"/fragment"+link(row.Probe, v.Range), here+"/live"+link(row.Probe, v.Range)
	v.Charts = charts(row, v.Range, now, p.readBehind())
	for i, e := range slices.Backward(row.exchanges) {
		if view := newExchangeView(e, row, now); i == len(row.exchanges)-1 {
			v.Newest = &view
		} else {
			v.Exchanges = append(v.Exchanges, view)
		}
	}
	shown.Strip = nil // the newest request is shown at length
	for _, e := range slices.Backward(row.failures) {
		v.Failures = append(v.Failures, newExchangeView(e, row, now))
	}
	v.Curl, v.CurlNote = p.command(row)
	return v, true
}

// rangeOf is the range that is asked for, or the one that has something to show.
func rangeOf(asked string, row *rowView) string {
	if asked == "recent" || asked == "day" {
		return asked
	}
	if n := len(row.day); n > 0 && row.day[n-1].Number-row.day[0].Number >= 12 {
		return "day"
	}
	return "recent"
}

// command is the last question of a row as a command, or why there is none.
func (p *pages) command(row *rowView) (command, note string) {
	switch {
	case p.Endpoint == nil:
		return "", ""
	case row.private:
		return "", "The questions are those of a file, which is not shown."
	case row.call == nil && row.tooLong:
		return "", "The last question is too long to be kept."
	case row.call == nil:
		return "", "Nothing was asked yet."
	}
	endpoint, ok := p.Endpoint(row.Target)
	if !ok {
		return "", "The target is no longer configured."
	}
	command, err := curl(endpoint, row.call)
	if err != nil {
		return "", "There is no command for it: " + printable.Line(err.Error(), maxError)
	}
	return printable.Lines(command, 8*maxCall), ""
}

// exchangeView is one request on the page.
type exchangeView struct {
	ID, Key   string // Key: for the page's own use
	At        time.Time
	Age       string
	Outcome   string
	Failed    bool
	Status    int
	Err       string
	Latency   string
	Took      string
	Tokens    string
	Facts     []fact
	Headers   []header
	Waterfall template.HTML
	Stalls    string
	Together  string // turn, burst and try
	Group     string
	Degraded  bool
}

// fact is a name and what is known under it.
type fact struct{ Name, Value string }

func newExchangeView(e *exchange, row *rowView, now time.Time) exchangeView {
	v := exchangeView{
		ID: e.id, Key: rowID(row.Target+"\x00"+row.Probe, e.id), At: e.end, Age: age(now.Sub(e.end)), Outcome: string(e.outcome), Failed: e.outcome.Failed(),
		Status: e.status, Err: e.err, Headers: e.headers, Group: e.group, Degraded: e.degraded, Together: together(e),
	}
	if e.timed {
		v.Latency = duration(e.latency)
	}
	add := func(name, value string) {
		if value != "" {
			v.Facts = append(v.Facts, fact{name, value})
		}
	}
	if e.strip != nil {
		v.Took = duration(e.strip.took)
		v.Tokens = tokensText(e.strip)
		v.Waterfall = waterfall(e, row.Stream)
	}
	add("Finish", e.finish)
	if e.prompt > 0 {
		text := plural(e.prompt, "token", "tokens")
		if e.cached > 0 {
			text += fmt.Sprintf(", %d of them cached", e.cached)
		}
		add("Prompt", text)
	}
	if e.tpot > 0 {
		add("Per output token", duration(e.tpot))
	}
	if e.rate > 0 {
		add("Tokens/s", rate(e.rate, e.exact))
	}
	if e.parts != nil && e.parts.source != "" {
		queue, _ := e.parts.queue()
		add("Queue", duration(queue)+" ("+string(e.parts.source)+")")
	}
	if e.remote != "" {
		text := e.remote
		if e.reused {
			text += ", open connection"
		}
		add("Server", text)
	}
	if e.late > 0 {
		add("Sent late by", duration(e.late))
	}
	if e.received > 0 {
		add("Read late by", duration(e.received))
	}
	var longest time.Duration
	for _, s := range e.stalls {
		longest = max(longest, s.took)
	}
	if n := len(e.stalls); n > 0 {
		v.Stalls = plural(n, "stall", "stalls") + ", the longest of " + duration(longest)
	}
	return v
}

// together says of which conversation, burst or asking a request was part.
func together(e *exchange) string {
	var parts []string
	if e.attempt > 1 || e.retried {
		text := fmt.Sprintf("try %d", max(1, e.attempt))
		if e.retried {
			text += ", another followed"
		}
		parts = append(parts, text)
	}
	if e.turn > 0 {
		parts = append(parts, fmt.Sprintf("turn %d of a conversation", e.turn))
	}
	if e.burst > 1 {
		parts = append(parts, fmt.Sprintf("one of %d at once", e.burst))
	}
	if e.cold {
		parts = append(parts, "the first after a silence")
	}
	return strings.Join(parts, ", ")
}
