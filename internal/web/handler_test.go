package web

import (
	"bytes"
	"fmt"
	"html"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
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
	for _, path := range []string{"/", "/fragments/status", "/static/style.css", "/static/live.js", "/static/icon.svg", "/nowhere"} {
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
		{"", "GET", "/static/live.js", 200, "text/javascript; charset=utf-8", "use strict"},
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
	p.serve(p.status("missing.html"))(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), "missing.html") {
		t.Errorf("code %d, log %q; want 500, and the cause in the log", w.Code, log.String())
	}
}

// The scripts ask for what the handler serves, and find what the templates have.
func TestScriptsFitThePages(t *testing.T) {
	script, err := fs.ReadFile(staticFiles, "static/live.js")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat)
		h.Observe(answer(chat, 300*ms, 20*ms, 16))
		pages := newHandler(t, Options{History: h})
		for _, path := range []string{"/", "/targets/chat"} {
			page := get(t, pages, path).Body.String()
			for _, id := range regexp.MustCompile(`getElementById\("(\w+)"\)`).FindAllSubmatch(script, -1) {
				if !strings.Contains(page, fmt.Sprintf("id=%q", id[1])) {
					t.Errorf("GET %s has no element %q, which the script looks for", path, id[1])
				}
			}
			if !strings.Contains(page, `<main id="main" class="live"`) || !strings.Contains(page, "<h1>") {
				t.Errorf("GET %s lacks what the script swaps", path)
			}
			source := regexp.MustCompile(`data-source="([^"]+)"`).FindStringSubmatch(page)
			if source == nil {
				t.Fatalf("GET %s does not say where its fragment is", path)
			}
			to, err := url.Parse(html.UnescapeString(source[1]))
			if err != nil {
				t.Fatal(err)
			}
			base, _ := url.Parse(path)
			if w := get(t, pages, base.ResolveReference(to).String()); w.Code != http.StatusOK || !strings.Contains(page, strings.TrimSpace(w.Body.String())) {
				t.Errorf("the fragment %s of %s: code %d, or it is not the part of the page", to, path, w.Code)
			}
		}
	})
}

// crowd is a history of n targets with five probes each, all that is kept of each of them.
func crowd(n int) *History {
	h := NewHistory()
	var rows []Row
	for i := range n {
		for j := range 5 {
			rows = append(rows, Row{Target: fmt.Sprintf("target-%03d", i), Model: "llama-3.1-8b-instruct", Probe: fmt.Sprintf("probe-%d", j), Stream: j != 3, Interval: 15 * time.Second})
		}
	}
	h.Apply(rows)
	for i, row := range rows {
		for n := range keptResults {
			if (n+i)%37 == 0 {
				h.Observe(failed(row, prober.TimeoutFirstToken, "no token within 10 s: the server has sent a header and nothing else"))
			} else {
				h.Observe(answer(row, time.Duration(200+(n*i)%200)*ms, 20*ms, 16))
			}
		}
	}
	return h
}

// behindCrowd is what is known behind the targets of crowd.
func behindCrowd(n int) Options {
	value := 7.0
	var o Options
	o.Objectives = func() (all []Objective) {
		for i := range n {
			all = append(all, Objective{Name: "ttft_of_probe", Target: fmt.Sprintf("target-%03d", i), Probe: "probe-0", Indicator: "ttft", Threshold: 0.8, Goal: 0.99, Events: 5000, Bad: float64(i)})
		}
		return all
	}
	o.Engines = func() (all []Engine) {
		for i := range n {
			all = append(all, Engine{Target: fmt.Sprintf("target-%03d", i), Kind: "vllm", Up: true, Running: &value, Waiting: &value, KVCache: new(0.5)})
		}
		return all
	}
	o.GPUs = func() (all []GPU) {
		for i := range n {
			all = append(all, GPU{Target: fmt.Sprintf("target-%03d", i), Name: "GPU 0", Throttled: []string{"", "power cap"}[i%2]})
		}
		return all
	}
	o.Schedule = func() (s Schedule) {
		for i := range n {
			s.Budgets = append(s.Budgets, Budget{Target: fmt.Sprintf("target-%03d", i), Measure: "cost_per_day", Currency: "USD", Used: 1.25, Limit: 5})
			s.Ramps = append(s.Ramps, Ramp{Name: "nightly_soak", Target: fmt.Sprintf("target-%03d", i), Times: []time.Time{time.Now().Add(5 * time.Hour)}})
		}
		return s
	}
	return o
}

// The page of 200 targets with 5 probes each is small enough for a phone, and says all the same which of them is not well.
func TestStatusOfManyTargetsIsSmall(t *testing.T) {
	h, o := crowd(200), behindCrowd(200)
	o.History = h
	h.Observe(failed(Row{Target: "target-123", Probe: "probe-2", Stream: true}, prober.DNS, strings.Repeat("a very long error ", 1000)))
	page := get(t, newHandler(t, o), "/").Body.String()
	if len(page) > 300<<10 {
		t.Errorf("%d bytes; want at most 300 KiB", len(page))
	}
	for i := range 200 {
		if name := fmt.Sprintf("targets/target-%03d\"", i); !strings.Contains(page, name) {
			t.Errorf("the page lacks %s", name)
		}
	}
	var order []state
	for _, class := range regexp.MustCompile(`<tr class="(\w+)"`).FindAllStringSubmatch(page, -1) {
		for st := down; st <= healthy; st++ {
			if st.class() == class[1] {
				order = append(order, st)
			}
		}
	}
	if len(order) != 200 || !slices.IsSorted(order) || order[0] != down {
		t.Errorf("%d rows in the order %v; want 200, the worst first", len(order), order)
	}
	t.Logf("%d bytes", len(page))
}

// A page of the middle size has a line for each probe, and no more than it can bear.
func TestStatusOfSomeTargetsIsSmall(t *testing.T) {
	o := behindCrowd(12)
	o.History = crowd(12)
	if page := get(t, newHandler(t, o), "/").Body.String(); len(page) > 300<<10 {
		t.Errorf("%d bytes; want at most 300 KiB", len(page))
	}
}

// A target's page stays readable with all that is kept of it.
func TestTargetIsSmall(t *testing.T) {
	o := behindCrowd(1)
	o.History = crowd(1)
	for _, ranged := range []string{"recent", "day"} {
		if page := get(t, newHandler(t, o), "/targets/target-000?range="+ranged).Body.String(); len(page) > 300<<10 {
			t.Errorf("range %s: %d bytes; want at most 300 KiB", ranged, len(page))
		}
	}
}

// BenchmarkStatus is what drawing the page of 200 targets with 5 probes each costs: after one result for each probe that
// is asked every 15 s since the last drawing, a second ago, and anew as a whole.
func BenchmarkStatus(b *testing.B) {
	h, o := crowd(200), behindCrowd(200)
	templates, err := parseTemplates()
	if err != nil {
		b.Fatal(err)
	}
	rows := h.all()
	draw := func(b *testing.B, changed int) {
		var buf bytes.Buffer
		b.ReportAllocs()
		for b.Loop() {
			for _, r := range rows[:changed] {
				r.summary = nil
			}
			buf.Reset()
			now := time.Now()
			if err := templates.ExecuteTemplate(&buf, "status.html", page{Status: newStatus(h.summaries(now), now, nil, o.readBehind())}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(buf.Len()), "bytes/page")
	}
	b.Run("a second later", func(b *testing.B) { draw(b, len(rows)/15) })
	b.Run("anew", func(b *testing.B) { draw(b, len(rows)) })
}

// BenchmarkTarget is what drawing a target's page costs.
func BenchmarkTarget(b *testing.B) {
	o := behindCrowd(1)
	o.History = crowd(1)
	templates, err := parseTemplates()
	if err != nil {
		b.Fatal(err)
	}
	p := &pages{Options: o}
	var buf bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		v, _ := p.newTargetView("target-000", "", "", time.Now())
		if err := templates.ExecuteTemplate(&buf, "target.html", page{Data: v}); err != nil {
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
