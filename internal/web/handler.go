package web

import (
	"bytes"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options are what the pages are made of.
type Options struct {
	History *History     // required
	Logger  *slog.Logger // required
	Version string       // shown in the footer; may be empty
	Prefix  string       // path under which the pages are served: "" or "/", or as "/llm_prober" behind a proxy that keeps the path
	NextRun NextRun      // nil where it is not known
}

// policy allows what is ours and nothing else. There is no inline script or style to be allowed.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the pages: the status at the root, its table alone for the script, and static files.
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
	o.Version = printable(o.Version, maxName)
	p := &pages{Options: o, templates: templates, assets: static.hash, drawn: make(map[string]drawing)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.serve("status.html"))
	mux.HandleFunc("GET /fragments/status", p.serve("fragment.html"))
	mux.Handle("GET /static/", http.StripPrefix("/static/", static))
	return secured(under(prefix, mux)), nil
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
	assets    string // version of the static files

	mu    sync.Mutex // one drawing at a time; protects drawn
	drawn map[string]drawing
}

// drawing is a page as it was drawn.
type drawing struct {
	at   time.Time
	body []byte
}

// drawingLife is how long a drawing is good for: the viewers of a second share one.
const drawingLife = time.Second

// serve serves the status through the named template.
func (p *pages) serve(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := p.draw(name)
		if err != nil {
			p.Logger.Error("page", "template", name, "err", err)
			http.Error(w, "the page could not be drawn; the log says why", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(body) // a viewer who went away is no error of ours
	}
}

// draw returns the page, drawn anew where the last drawing is too old.
func (p *pages) draw(name string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if d, ok := p.drawn[name]; ok && now.Sub(d.at) < drawingLife {
		return d.body, nil
	}
	var buf bytes.Buffer
	err := p.templates.ExecuteTemplate(&buf, name, page{
		Status: newStatus(p.History.view(), now.UTC(), p.NextRun), Version: p.Version, Assets: p.assets,
	})
	if err != nil {
		return nil, err
	}
	p.drawn[name] = drawing{at: now, body: buf.Bytes()}
	return buf.Bytes(), nil
}

// page is what the templates see.
type page struct {
	Status  *status
	Version string
	Assets  string
}
