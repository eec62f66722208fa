package web

import (
	"bytes"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober/printable"
)

// Options are what the pages are made of. A function that is nil says that its subject is not known; the others are called
// for each drawing, at most once a second, from one goroutine at a time, and should answer at once.
type Options struct {
	History *History     // required
	Logger  *slog.Logger // required
	Version string       // shown in the footer; may be empty
	Prefix  string       // path under which the pages are served: "" or "/", or as "/llm_prober" behind a proxy that keeps the path
	NextRun NextRun      // nil where it is not known

	Objectives func() []Objective
	Engines    func() []Engine
	GPUs       func() []GPU
	Schedule   func() Schedule
	Endpoint   func(target string) (Endpoint, bool) // how a target is asked, for a command to copy
	Config     func() string                        // the configuration in force, secrets hidden
	Metrics    []Metric                             // for the guide; nil: there is none

	Runs      *RunsSource // ramps and their runs; nil: there are none
	Lifecycle bool        // the pages may start and stop ramps

	Closing <-chan struct{} // closed when live pages shall end, for a server to shut down; nil: never
}

// policy allows what is ours and nothing else. There is no inline script or style to be allowed.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the pages, what their script asks for, and static files.
// Links within the pages are relative, so that they hold behind a proxy that takes a prefix away as well.
func Handler(o Options) (http.Handler, error) {
	prefix := strings.TrimSuffix(o.Prefix, "/")
	if prefix != "" && !strings.HasPrefix(prefix, "/") {
		return nil, fmt.Errorf("web prefix %q: does not begin with /", o.Prefix)
	}
	templates, err := parseTemplates()
	if err != nil {
		return nil, err
	}
	static, err := newAssets()
	if err != nil {
		return nil, err
	}
	o.Version = printable.Line(o.Version, maxName)
	p := &pages{Options: o, templates: templates, assets: static.hash, drawn: make(map[string]drawing), viewers: make(chan struct{}, maxViewers)}
	mux := http.NewServeMux()
	p.routes(mux)
	mux.Handle("GET /static/", http.StripPrefix("/static/", static))
	return secured(under(prefix, mux)), nil
}

// routes puts the pages in their places. Each has a fragment: what of it changes, alone.
func (p *pages) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.serve(p.status("status.html")))
	mux.HandleFunc("GET /fragments/status", p.serve(p.status("fragment.html")))
	mux.HandleFunc("GET /live/status", p.live(p.status("fragment.html")))
	mux.HandleFunc("GET /targets/{name}", p.serve(p.target("target.html")))
	mux.HandleFunc("GET /targets/{name}/fragment", p.serve(p.target("target_fragment.html")))
	mux.HandleFunc("GET /targets/{name}/live", p.live(p.target("target_fragment.html")))
	p.runsRoutes(mux)
	if p.Schedule != nil {
		mux.HandleFunc("GET /schedule", p.serve(p.timetable))
	}
	if p.Config != nil {
		mux.HandleFunc("GET /config", p.serve(p.config))
	}
	if p.Metrics != nil {
		mux.HandleFunc("GET /metrics-guide", p.serve(p.guide))
	}
}

// under serves h below prefix, and sends those who ask for the prefix without its slash there.
func under(prefix string, h http.Handler) http.Handler {
	if prefix == "" {
		return h
	}
	mux := http.NewServeMux()
	mux.Handle(prefix+"/", http.StripPrefix(prefix, h))
	return mux
}

// secured sets the headers that hold a browser to what the pages are.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		h.ServeHTTP(w, r)
	})
}

// pages draws the pages.
type pages struct {
	Options
	templates *template.Template
	assets    string        // version of the static files
	viewers   chan struct{} // holds one for each live viewer

	mu    sync.Mutex // one drawing at a time; protects drawn
	drawn map[string]drawing
}

// plan is a page that is to be drawn.
type plan struct {
	key      string // of the drawing; the same key, the same page
	template string
	data     func(now time.Time) (any, bool) // false: there is no such page
}

// planner finds out which page a request wants.
type planner func(r *http.Request) plan

// drawing is a page as it was drawn.
type drawing struct {
	at    time.Time
	body  []byte // nil: there is no such page
	every time.Duration
}

// A drawing is good for drawingLife: the viewers of a second share one. No more than maxDrawings are kept.
const (
	drawingLife = time.Second
	maxDrawings = 64
)

// serve serves the pages of a planner.
func (p *pages) serve(which planner) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d, err := p.draw(which(r))
		switch {
		case err != nil:
			http.Error(w, "the page could not be drawn; the log says why", http.StatusInternalServerError)
		case d.body == nil:
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.Write(d.body) // a viewer who went away is no error of ours
		}
	}
}

// draw returns the page, drawn anew where the last drawing is too old. The error is in the log.
func (p *pages) draw(pl plan) (drawing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if d, ok := p.drawn[pl.key]; ok && now.Sub(d.at) < drawingLife {
		return d, nil
	}
	data, ok := pl.data(now.UTC())
	if !ok {
		return drawing{}, nil // and not kept: anyone may ask for any name
	}
	var buf bytes.Buffer
	if err := p.templates.ExecuteTemplate(&buf, pl.template, data); err != nil {
		p.Logger.Error("page", "template", pl.template, "err", err)
		return drawing{}, err
	}
	d := drawing{at: now, body: buf.Bytes(), every: liveEvery(data)}
	if len(p.drawn) >= maxDrawings {
		maps.DeleteFunc(p.drawn, func(_ string, d drawing) bool { return now.Sub(d.at) >= drawingLife })
	}
	if len(p.drawn) < maxDrawings {
		p.drawn[pl.key] = d
	}
	return d, nil
}

// page is what the templates see.
type page struct {
	Title   string
	Root    string // how the root is reached from here: "" or "../"
	Here    string // the place in the navigation that this is
	Nav     []navItem
	Version string
	Assets  string
	Live    bool // the page has a part that is swapped

	Status *status
	Data   any
}

// navItem is one entry of the navigation.
type navItem struct{ Href, Text string }

// newPage is the frame of a page.
func (p *pages) newPage(title, root, here string) page {
	return page{Title: title, Root: root, Here: here, Nav: p.nav(), Version: p.Version, Assets: p.assets}
}

// nav lists the pages that there are.
func (p *pages) nav() []navItem {
	items := []navItem{{"./", "Status"}}
	if p.Runs != nil {
		items = append(items, navItem{"runs", "Runs"})
	}
	if p.Schedule != nil {
		items = append(items, navItem{"schedule", "Schedule"})
	}
	if p.Config != nil {
		items = append(items, navItem{"config", "Configuration"})
	}
	if p.Metrics != nil {
		items = append(items, navItem{"metrics-guide", "Metrics guide"})
	}
	return append(items, navItem{"metrics", "Metrics"})
}

// status plans the status page, or the part of it that changes.
func (p *pages) status(name string) planner {
	return func(*http.Request) plan {
		return plan{key: name, template: name, data: func(now time.Time) (any, bool) {
			s := newStatus(p.History.summaries(now), now, p.NextRun, p.readBehind())
			page := p.newPage(s.Summary, "", "Status")
			page.Status, page.Live = s, true
			return page, true
		}}
	}
}
