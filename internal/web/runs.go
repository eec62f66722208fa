package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// formPolicy is policy for pages that have forms, which go to us alone.
var formPolicy = strings.Replace(policy, "form-action 'none'", "form-action 'self'", 1)

// runsPages serve ramps and their runs.
type runsPages struct {
	*pages
	source *RunsSource
	origin *http.CrossOriginProtection

	mu    sync.Mutex // protects all following fields
	drawn []drawnRun // the latest pages of runs, the newest last
	known map[string]knownRun
}

// drawnRun is the page of a run, which is kept as records do not change.
type drawnRun struct {
	id   string
	at   time.Time
	body []byte
}

// What is kept of drawn runs.
const (
	mostDrawn = 8
	drawnLife = time.Minute
)

// runsRoutes puts the pages of runs in their places, where there are any.
func (p *pages) runsRoutes(mux *http.ServeMux) {
	if p.Runs == nil {
		return
	}
	h := &runsPages{pages: p, source: p.Runs, origin: http.NewCrossOriginProtection(), known: map[string]knownRun{}}
	mux.HandleFunc("GET /runs", h.formed(h.list("runs.html")))
	mux.HandleFunc("GET /fragments/runs", h.formed(h.list("runs_fragment.html")))
	mux.HandleFunc("GET /live/runs", h.liveList)
	mux.HandleFunc("GET /runs/start", h.confirm)
	mux.HandleFunc("POST /runs/start", h.change(h.source.Start))
	mux.HandleFunc("POST /runs/stop", h.change(h.source.Stop))
	mux.HandleFunc("GET /runs/compare", h.compare)
	mux.HandleFunc("GET /runs/{id}", h.run)
	mux.HandleFunc("GET /runs/{id}/requests", h.requests)
	mux.HandleFunc("GET /runs/{id}/{file}", h.file)
}

// formed serves the pages of a planner, which have forms.
func (h *runsPages) formed(which planner) http.HandlerFunc {
	next := h.serve(which)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", formPolicy)
		h.learn()
		next(w, r)
	}
}

// liveList sends the list again and again.
func (h *runsPages) liveList(w http.ResponseWriter, r *http.Request) {
	h.learn()
	h.live(h.list("runs_fragment.html"))(w, r)
}

// show draws a page and sends it.
func (h *runsPages) show(w http.ResponseWriter, code int, name string, data page) {
	var body bytes.Buffer
	if err := h.templates.ExecuteTemplate(&body, name, data); err != nil {
		h.Logger.Error("page", "template", name, "err", err)
		http.Error(w, "the page could not be drawn; the log says why", http.StatusInternalServerError)
		return
	}
	send(w, code, body.Bytes())
}

func send(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Security-Policy", formPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	w.Write(body) // a viewer who went away is no error of ours
}

// problem is a page that says why there is nothing else.
func (h *runsPages) problem(w http.ResponseWriter, root string, code int, title, words string) {
	data := h.newPage(title, root, "Runs")
	data.Data = struct{ Title, Words string }{title, capital(printable.Line(words, maxSentence))}
	h.show(w, code, "runs_problem.html", data)
}

// loadProblem is a page about a record that cannot be shown.
func (h *runsPages) loadProblem(w http.ResponseWriter, root string, err error) {
	if errors.Is(err, runs.ErrNotFound) {
		h.problem(w, root, http.StatusNotFound, "No such run", "There is no such run on record. Old ones are removed as the storage's retention says.")
		return
	}
	h.problem(w, root, http.StatusInternalServerError, "This record cannot be read", err.Error())
}

// run serves the page of a run.
func (h *runsPages) run(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if body := h.kept(id); body != nil {
		send(w, http.StatusOK, body)
		return
	}
	if h.source.Live != nil && slices.ContainsFunc(h.source.Live(), func(l LiveRun) bool { return l.ID == id }) {
		w.Header().Set("Location", "../runs#live")
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	run, err := h.source.Load(id)
	if err != nil {
		h.loadProblem(w, "../", err)
		return
	}
	previous := h.before(run)
	body, err := fitted(run, func(w io.Writer, v *runView) error {
		data := h.newPage(v.Title+": "+v.Verdict.Word, "../", "Runs")
		data.Data = struct {
			Run      *runView
			Link     string // of the run, from here
			Requests bool
			Ramp     string
			Previous string // link to the comparison with the run before
		}{v, url.PathEscape(run.ID), h.source.Requests != nil, url.QueryEscape(run.Ramp), previous}
		return h.templates.ExecuteTemplate(w, "runs_run.html", data)
	})
	if err != nil {
		h.Logger.Error("page", "template", "runs_run.html", "err", err)
		http.Error(w, "the page could not be drawn; the log says why", http.StatusInternalServerError)
		return
	}
	h.keep(id, body)
	send(w, http.StatusOK, body)
}

// before is the link to a comparison with the run of the same ramp that came before; empty where there is none.
func (h *runsPages) before(run *record.Run) string {
	if h.source.Compare == nil {
		return ""
	}
	infos, _, err := h.source.List(runs.Filter{Ramp: run.Ramp, Target: run.Target})
	if err != nil {
		return ""
	}
	for _, i := range infos {
		if i.ID != run.ID && i.Started.Before(run.Started) {
			return "compare?" + url.Values{"a": {i.ID}, "b": {run.ID}}.Encode()
		}
	}
	return ""
}

func (h *runsPages) kept(id string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.drawn {
		if d.id == id && time.Since(d.at) < drawnLife {
			return d.body
		}
	}
	return nil
}

func (h *runsPages) keep(id string, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drawn = slices.DeleteFunc(h.drawn, func(d drawnRun) bool { return d.id == id || time.Since(d.at) >= drawnLife })
	if len(h.drawn) >= mostDrawn {
		h.drawn = slices.Delete(h.drawn, 0, 1)
	}
	h.drawn = append(h.drawn, drawnRun{id, time.Now(), body})
}

// file serves what can be taken away of a run.
func (h *runsPages) file(w http.ResponseWriter, r *http.Request) {
	id, file := r.PathValue("id"), r.PathValue("file")
	types := map[string]string{
		"stages.csv": "text/csv; charset=utf-8", "stages.json": "application/json", "run.json": "application/json",
		"requests.csv": "text/csv; charset=utf-8", "requests.jsonl": "application/jsonl", "report.html": "text/html; charset=utf-8",
	}
	if types[file] == "" || strings.HasPrefix(file, "requests.") && h.source.Requests == nil {
		h.problem(w, "../../", http.StatusNotFound, "No such page", "There is no such page of a run.")
		return
	}
	run, err := h.source.Load(id)
	if err != nil {
		h.loadProblem(w, "../../", err)
		return
	}
	var write func(io.Writer) error
	switch file {
	case "stages.csv":
		write = func(w io.Writer) error { return runs.WriteStagesCSV(w, run) }
	case "stages.json":
		write = func(w io.Writer) error { return runs.WriteStagesJSON(w, run) }
	case "requests.csv":
		write = func(w io.Writer) error { return runs.WriteRequestsCSV(w, h.source.Requests(id)) }
	case "requests.jsonl":
		write = func(w io.Writer) error { return runs.WriteRequestsJSON(w, h.source.Requests(id)) }
	case "report.html":
		write = func(w io.Writer) error { return Report(w, run) }
	default:
		write = func(w io.Writer) error { return json.NewEncoder(w).Encode(run) }
	}
	header := w.Header()
	header.Set("Content-Type", types[file])
	header.Set("Content-Disposition", `attachment; filename="`+fileName(run.ID)+"-"+file+`"`) // the report has a policy of its own: it is to be opened from disk
	header.Set("Cache-Control", "no-store")
	out := &begunWriter{w: w}
	if err := write(out); err != nil && r.Context().Err() == nil {
		h.Logger.Warn("export", "run", id, "file", file, "err", err)
		if !out.begun {
			header.Del("Content-Disposition")
			h.loadProblem(w, "../../", err)
			return
		}
		panic(http.ErrAbortHandler) // so that nobody takes half of it for all of it
	}
}

// begunWriter knows whether anything was written.
type begunWriter struct {
	w     io.Writer
	begun bool
}

func (b *begunWriter) Write(data []byte) (int, error) {
	b.begun = true
	return b.w.Write(data)
}

// fileName is an id as part of a file's name.
func fileName(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, printable.Line(id, maxID))
}
