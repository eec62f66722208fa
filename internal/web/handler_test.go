package web

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

func get(t testing.TB, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestStatusGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		evil := Row{Target: hostile, Model: hostile, Probe: hostile, Stream: true, Interval: time.Minute}
		h := newHistory(chat, batch, evil, Row{Target: "new", Model: "", Probe: "interactive", Stream: true})
		for i := range 25 {
			time.Sleep(15 * time.Second)
			h.Observe(answer(chat, time.Duration(200+i*10)*ms, 20*ms, 16))
			if i == 20 {
				h.Observe(failed(chat, prober.RateLimited, "HTTP 429: slow down"))
			}
		}
		r := answer(batch, 4*time.Second, 0, 200)
		r.Clock, r.Degraded = prober.ClockUser, true
		h.Observe(r)
		r = unconnected(evil, hostile)
		r.Request.ID = hostile
		h.Observe(r)
		time.Sleep(3 * time.Second)
		pages := newHandler(t, Options{History: h, Version: "1.2.3", NextRun: func(target, probe string) (time.Time, bool) {
			return time.Now().Add(12 * time.Second), probe == "interactive"
		}})
		w := get(t, pages, "/")
		body := regexp.MustCompile(`\?v=[0-9a-f]{12}`).ReplaceAllString(w.Body.String(), "?v=HASH")
		golden(t, "testdata/status.html", body)
		golden(t, "testdata/empty.html", regexp.MustCompile(`\?v=[0-9a-f]{12}`).ReplaceAllString(get(t, newHandler(t, Options{History: newHistory()}), "/").Body.String(), "?v=HASH"))
	})
}

// Whatever names, errors and ids hold, the page has no markup but the templates'.
func TestHostileTextStaysText(t *testing.T) {
	tags := func(row Row, text string) []string {
		h := newHistory(row)
		r := failed(row, prober.StreamError, text)
		r.Request.ID = text
		h.Observe(r)
		body := get(t, newHandler(t, Options{History: h, Version: text}), "/").Body.String()
		if strings.Contains(body, "\u202e") || strings.Contains(body, "\x1b") {
			t.Errorf("control characters on the page")
		}
		return regexp.MustCompile(`</?[a-zA-Z]+|\s(on\w+|style|href|src)=`).FindAllString(body, -1)
	}
	want := tags(Row{Target: "t", Model: "m", Probe: "p", Stream: true}, "harmless")
	got := tags(Row{Target: hostile, Model: hostile, Probe: hostile, Stream: true}, hostile)
	// The hostile text itself has onerror= and src=, as text within quotes or tags' content: html/template escapes its < and its
	// quotes, so count tags alone.
	count := func(all []string) (n int) {
		for _, s := range all {
			if s[0] == '<' {
				n++
			}
		}
		return n
	}
	if count(got) != count(want) {
		t.Errorf("%d tags; want the %d of a harmless page", count(got), count(want))
	}
}

// The policy forbids inline scripts, inline styles and other hosts, so the pages must not have any.
func TestPagesKeepThePolicy(t *testing.T) {
	h := newHistory(chat)
	h.Observe(answer(chat, 300*ms, 20*ms, 16))
	pages := newHandler(t, Options{History: h})
	for _, path := range []string{"/", "/fragments/status", "/static/style.css", "/static/refresh.js", "/static/icon.svg", "/nowhere"} {
		w := get(t, pages, path)
		for header, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("GET %s: %s = %q; want %q", path, header, got, want)
			}
		}
		body := strings.ReplaceAll(w.Body.String(), `xmlns="http://www.w3.org/2000/svg"`, "")
		for _, pattern := range []string{`\sstyle=`, `<style`, `\son[a-z]+=`, `<script(\s*>|[^>]*>[^<])`, `https?://`, `(src|href)="//`, `url\(`, `@import`} {
			if found := regexp.MustCompile(pattern).FindString(body); found != "" {
				t.Errorf("GET %s has %q, which the policy forbids", path, found)
			}
		}
	}
	for _, part := range []string{"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Error("the policy allows something unsafe")
	}
}

func TestRoutes(t *testing.T) {
	h := newHistory(chat)
	h.Observe(answer(chat, 300*ms, 20*ms, 16))
	for _, test := range []struct {
		prefix, method, path string
		code                 int
		kind, holds          string
	}{
		{"", "GET", "/", 200, "text/html; charset=utf-8", "<!doctype html>"},
		{"/", "GET", "/", 200, "text/html; charset=utf-8", "<!doctype html>"},
		{"", "HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"", "GET", "/fragments/status", 200, "text/html; charset=utf-8", `id="` + rowID("chat", "interactive")},
		{"", "GET", "/static/style.css", 200, "text/css; charset=utf-8", "--paper"},
		{"", "GET", "/static/refresh.js", 200, "text/javascript; charset=utf-8", "use strict"},
		{"", "GET", "/static/icon.svg", 200, "image/svg+xml", "<svg"},
		{"", "GET", "/static/", 404, "", ""},
		{"", "GET", "/static", 307, "", ""},
		{"", "GET", "/static/../templates/status.html", 307, "", ""},
		{"", "GET", "/static/nothing.css", 404, "", ""},
		{"", "GET", "/nothing", 404, "", ""},
		{"", "GET", "/metrics", 404, "", ""}, // mounted beside us
		{"", "POST", "/", 405, "", ""},
		{"/llm", "GET", "/llm/", 200, "text/html; charset=utf-8", `href="static/style.css`},
		{"/llm/", "GET", "/llm/", 200, "text/html; charset=utf-8", `href="metrics"`},
		{"/llm", "GET", "/llm", 307, "", ""},
		{"/llm", "GET", "/llm/static/style.css", 200, "text/css; charset=utf-8", "--paper"},
		{"/llm", "GET", "/llm/fragments/status", 200, "text/html; charset=utf-8", "<h1>"},
		{"/llm", "GET", "/", 404, "", ""},
	} {
		t.Run(fmt.Sprintf("%s %s under %q", test.method, test.path, test.prefix), func(t *testing.T) {
			w := httptest.NewRecorder()
			newHandler(t, Options{History: h, Prefix: test.prefix}).ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
			if w.Code != test.code {
				t.Fatalf("code = %d; want %d", w.Code, test.code)
			}
			if got := w.Header().Get("Content-Type"); test.kind != "" && got != test.kind {
				t.Errorf("Content-Type = %q; want %q", got, test.kind)
			}
			if !strings.Contains(w.Body.String(), test.holds) {
				t.Errorf("body lacks %q", test.holds)
			}
		})
	}
	t.Run("a prefix that is no path", func(t *testing.T) {
		if _, err := Handler(Options{History: h, Prefix: "llm"}); err == nil {
			t.Error("Handler() = nil; want an error")
		}
	})
}

func TestStaticFilesMayBeKept(t *testing.T) {
	pages := newHandler(t, Options{History: newHistory()})
	href := regexp.MustCompile(`static/style\.css\?v=[0-9a-f]{12}`).FindString(get(t, pages, "/").Body.String())
	if href == "" {
		t.Fatal("the page has no style sheet with a version")
	}
	if got := get(t, pages, "/"+href).Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("Cache-Control of this version = %q; want immutable", got)
	}
	if got := get(t, pages, "/static/style.css?v=old").Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of another version = %q; want no-cache", got)
	}
	if got := get(t, pages, "/").Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of the page = %q; want no-store", got)
	}
}

func TestViewersShareADrawing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat)
		pages := newHandler(t, Options{History: h})
		first := get(t, pages, "/fragments/status").Body.String()
		h.Observe(answer(chat, 300*ms, 20*ms, 16))
		if got := get(t, pages, "/fragments/status").Body.String(); got != first {
			t.Error("a second drawing within a second")
		}
		time.Sleep(drawingLife)
		if got := get(t, pages, "/fragments/status").Body.String(); !strings.Contains(got, "300\u00a0ms") {
			t.Error("no new drawing after a second")
		}
	})
}

func TestDrawingThatFails(t *testing.T) {
	var log bytes.Buffer
	p := &pages{Options: Options{History: newHistory(), Logger: slog.New(slog.NewTextHandler(&log, nil))}, drawn: make(map[string]drawing)}
	var err error
	if p.templates, err = parseTemplates(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.serve("missing.html")(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), "missing.html") {
		t.Errorf("code %d, log %q; want 500, and the cause in the log", w.Code, log.String())
	}
}

// The script asks for what the handler serves, and finds what the templates have.
func TestScriptFitsThePage(t *testing.T) {
	script, err := fs.ReadFile(staticFiles, "static/refresh.js")
	if err != nil {
		t.Fatal(err)
	}
	page := get(t, newHandler(t, Options{History: newHistory(chat)}), "/").Body.String()
	for _, id := range regexp.MustCompile(`getElementById\("(\w+)"\)`).FindAllSubmatch(script, -1) {
		if !strings.Contains(page, fmt.Sprintf("id=%q", id[1])) {
			t.Errorf("the page has no element %q, which the script looks for", id[1])
		}
	}
	for _, want := range []string{`data-source="fragments/status"`, `data-refresh="5"`, "<h1>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s, which the script looks for", want)
		}
	}
}

// BenchmarkPage is what drawing the page of 500 rows costs.
func BenchmarkPage(b *testing.B) {
	h := NewHistory()
	var rows []Row
	for i := range 500 {
		row := chat
		row.Target = fmt.Sprintf("target-%03d", i)
		rows = append(rows, row)
	}
	h.Apply(rows)
	for _, row := range rows {
		for range keptResults {
			h.Observe(answer(row, 300*ms, 20*ms, 64))
		}
	}
	templates, err := parseTemplates()
	if err != nil {
		b.Fatal(err)
	}
	var buf bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := templates.ExecuteTemplate(&buf, "status.html", page{Status: newStatus(h.view(), time.Now(), nil)}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(buf.Len()), "bytes/page")
}

// BenchmarkObserve is what keeping one answer of 64 tokens costs.
func BenchmarkObserve(b *testing.B) {
	h := newHistory(chat)
	r := answer(chat, 300*ms, 20*ms, 64)
	b.ReportAllocs()
	for b.Loop() {
		h.Observe(r)
	}
}
