package web

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
)

// What the page of a run's single requests shows at most.
const (
	slowestShown  = 12
	failuresShown = 12
	mostTicks     = 400 // chunks of one answer
	mostStalls    = 20
	leastStall    = 500 * time.Millisecond // a shorter pause is none
)

// requestsView is the slowest and the first failed requests of a run.
type requestsView struct {
	Run, Link          string
	Read, Failed       string
	Slowest, Failures  []requestView
	Problem            string
	NothingWasRecorded bool
}

type requestView struct {
	ID, Where, When, Took, TTFT, Tokens, Outcome, Error string
	Drawing                                             template.HTML
}

// requests serves the slowest and the first failed requests, each with its course.
func (h *runsPages) requests(w http.ResponseWriter, r *http.Request) {
	if h.source.Requests == nil {
		h.problem(w, "../../", http.StatusNotFound, "No such page", "Single requests are not kept.")
		return
	}
	id := r.PathValue("id")
	v := &requestsView{Run: printable.Line(id, maxID), Link: "../" + url.PathEscape(id)}
	var slowest, failures []*runs.Request
	read, failed := 0, 0
	took := func(q *runs.Request) time.Duration { d, _ := q.Between("", runs.StepEnd); return d }
	for q, err := range h.source.Requests(id) {
		if r.Context().Err() != nil {
			return
		}
		if errors.Is(err, runs.ErrNotFound) {
			h.problem(w, "../../", http.StatusNotFound, "No requests on record", "There is no such run, or its single requests were not kept.")
			return
		}
		if err != nil {
			v.Problem = "The file cannot be read to its end: " + printable.Line(err.Error(), maxSentence)
			break
		}
		read++
		if q.Outcome != prober.OK {
			if failed++; len(failures) < failuresShown {
				failures = append(failures, q)
			}
			continue
		}
		if len(slowest) < slowestShown || took(q) > took(slowest[len(slowest)-1]) {
			at, _ := slices.BinarySearchFunc(slowest, took(q), func(e *runs.Request, d time.Duration) int { return int(min(1, max(-1, d-took(e)))) })
			slowest = slices.Insert(slowest, at, q)
			slowest = slowest[:min(len(slowest), slowestShown)]
		}
	}
	v.Read, v.Failed, v.NothingWasRecorded = plain(read, "request", "requests"), grouped(failed), read == 0
	for _, q := range slowest {
		v.Slowest = append(v.Slowest, newRequestView(q))
	}
	for _, q := range failures {
		v.Failures = append(v.Failures, newRequestView(q))
	}
	data := h.newPage("Requests of "+v.Run, "../../", "Runs")
	data.Data = v
	h.show(w, http.StatusOK, "runs_requests.html", data)
}

func newRequestView(q *runs.Request) requestView {
	v := requestView{
		ID: printable.Line(q.ID, maxID), Where: printable.Line(q.Lane, maxName) + ", stage " + strconv.Itoa(q.Stage+1) + ", " + printable.Line(q.Probe, maxName),
		When: q.Intended.UTC().Format("15:04:05.000"), Outcome: printable.Line(string(q.Outcome), 40), Error: printable.Line(q.Error, maxError),
	}
	if q.HTTPStatus > 0 && q.Outcome != prober.OK {
		v.Outcome += ", HTTP " + strconv.Itoa(q.HTTPStatus)
	}
	if d, ok := q.Between("", runs.StepEnd); ok {
		v.Took = chart.Seconds(d.Seconds())
	}
	if d, ok := q.Between("", runs.StepFirstToken); ok {
		v.TTFT = "TTFT " + chart.Seconds(d.Seconds())
	}
	if q.OutputTokens > 0 {
		v.Tokens = plain(q.OutputTokens, "token", "tokens")
	}
	v.Drawing = waterfallOf(q)
	return v
}

// waterfallOf is the course of a request from its intended time on.
func waterfallOf(q *runs.Request) template.HTML {
	wf := chart.Waterfall{Title: "Course of the request", Failed: q.Outcome != prober.OK}
	row := func(name string, stretches ...chart.Stretch) {
		stretches = slices.DeleteFunc(stretches, func(s chart.Stretch) bool { return s.Name == "" })
		if len(stretches) > 0 {
			wf.Rows = append(wf.Rows, chart.WaterfallRow{Name: name, Stretches: stretches})
		}
	}
	stretch := func(name, class, from, to string) chart.Stretch {
		begin, ok := q.Between("", from)
		end, ok2 := q.Between("", to)
		if !ok || !ok2 || end <= begin {
			return chart.Stretch{}
		}
		return chart.Stretch{Name: name, Class: class, From: begin.Seconds(), To: end.Seconds(), Note: chart.Seconds((end - begin).Seconds())}
	}
	row("sent late", stretch("sent late by this prober", "bad", "", runs.StepDispatched))
	row("connection", stretch("DNS", "c7", runs.StepDNSStart, runs.StepDNSDone), stretch("TCP", "c3", runs.StepConnectStart, runs.StepConnectDone), stretch("TLS", "network", runs.StepTLSStart, runs.StepTLSDone))
	row("request", stretch("request written", "c7", runs.StepWriteStart, runs.StepWrote))
	row("headers", stretch("wait for the headers", "queue", runs.StepWrote, runs.StepHeaders))
	row("first token", stretch("wait for the first token", "prefill", runs.StepHeaders, runs.StepFirstToken))
	row("tokens", stretch("tokens", "first_decode", runs.StepFirstToken, runs.StepLastToken))
	if end, ok := q.Between("", runs.StepEnd); ok {
		wf.End = end.Seconds()
	}
	if dispatched, ok := q.Between("", runs.StepDispatched); ok && len(q.Chunks) > 0 {
		every := (len(q.Chunks) + mostTicks - 1) / mostTicks
		var gaps []time.Duration
		for i := 1; i < len(q.Chunks); i++ {
			gaps = append(gaps, q.Chunks[i].At-q.Chunks[i-1].At)
		}
		bound := leastStall
		if len(gaps) > 0 {
			sorted := slices.Sorted(slices.Values(gaps))
			bound = max(bound, 5*sorted[len(sorted)/2])
		}
		for i, c := range q.Chunks {
			at := (dispatched + c.At).Seconds()
			if i%every == 0 {
				wf.Ticks = append(wf.Ticks, at)
			}
			if i > 0 && gaps[i-1] > bound && len(wf.Stalls) < mostStalls {
				wf.Stalls = append(wf.Stalls, chart.Stretch{Name: "no token for", Class: "stall", From: at - gaps[i-1].Seconds(), To: at, Note: chart.Seconds(gaps[i-1].Seconds())})
			}
		}
	}
	if len(wf.Rows) == 0 {
		return ""
	}
	return wf.SVG()
}
