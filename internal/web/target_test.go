package web

import (
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/wire"
)

// everything is a handler with all pages, of a few targets; name and text are put wherever a text can stand.
func everything(t testing.TB, name, text string) http.Handler {
	t.Helper()
	row := Row{Target: name, Model: text, Probe: name, Stream: true, Interval: time.Minute}
	h := newHistory(row)
	target := queuewait.NewTarget()
	for i := range 8 {
		r := answer(row, time.Duration(300+i)*ms, 20*ms, 16)
		r.Request.ID, r.FinishReason, r.RemoteAddr = fmt.Sprint(text, i), text, text
		r.Header = http.Header{"Server": {text}, text: {text}}
		r.Request.Call.Model = text[:min(len(text), 4000)]
		r.Request.Call.Messages = []wire.Message{{Role: "user", Content: text[:min(len(text), 4000)]}}
		r.Timing = wire.ServerTiming{Known: true, QueueSeconds: 0.15, PrefillSeconds: 0.05, DecodeSeconds: -1, LoadSeconds: -1, TotalSeconds: -1, FirstTokenSeconds: -1}
		report := target.Judge(r, nil)
		h.ObserveExplained(r, &report)
	}
	f := failed(row, prober.StreamError, text)
	f.Request.ID, f.Request.Call.Model = text, text[:min(len(text), 4000)]
	f.Request.Attempt, f.Request.Turn, f.Request.Burst, f.Request.Cold, f.Retried = 2, 3, 4, true, true
	h.Observe(f)
	now := time.Now()
	return newHandler(t, Options{
		History: h, Version: text, Config: func() string { return text + "\n\tsecond line" },
		Objectives: func() []Objective {
			return []Objective{{Name: text, Target: name, Probe: name, Indicator: text, Threshold: 0.5, Goal: 0.9, Events: 100, Bad: 50}, {Name: "x", Target: name, Probe: name, Indicator: "ttft", Threshold: 0.5, Goal: 0.9, Events: 100, Bad: 5}}
		},
		Engines: func() []Engine { return []Engine{{Target: name, Kind: text, Problem: text, Because: text}} },
		GPUs: func() []GPU {
			return []GPU{{Target: name, Name: text, Throttled: text}, {Target: name, Name: text, XID: text}, {Target: name, Name: text, Lost: true}}
		},
		Schedule: func() Schedule {
			return Schedule{
				Jobs:    []Job{{Target: name, Probe: name, Next: now.Add(time.Minute), Interval: time.Minute}, {Target: name, Probe: name, Interval: time.Minute, Burst: 8, Running: true}},
				Pauses:  []Pause{{Target: name, Until: now.Add(time.Minute)}},
				Ramps:   []Ramp{{Name: text, Target: name, Schedule: text, Times: []time.Time{now.Add(time.Hour)}, Takes: time.Hour, Verdict: text, Missed: now, Reason: text}},
				Budgets: []Budget{{Measure: text, Used: 1, Limit: 2, RoomIn: time.Minute}, {Target: name, Measure: "cost_per_day", Currency: text, Used: 1, Limit: 2, RoomIn: -1}},
			}
		},
		Endpoint: func(string) (Endpoint, bool) {
			return Endpoint{URL: "http://server/v1", Protocol: "openai_chat", Headers: []string{text, "Authorization"}}, true
		},
		Metrics: []Metric{{Name: text, Type: "counter", Group: text, Help: text, Note: text, Labels: []string{text}}},
	})
}

// addresses are the pages of everything.
func addresses(name string) []string {
	target := "/" + targetHref(name)
	return []string{
		"/", "/fragments/status", "/schedule", "/config", "/metrics-guide",
		target, target + "/fragment", target + "?range=day", target + "?range=recent&probe=" + url.QueryEscape(name),
	}
}

// markup lists the tags of a page with the names of their attributes.
func markup(page string) (tags []string) {
	z := html.NewTokenizer(strings.NewReader(page))
	for z.Next() != html.ErrorToken {
		switch token := z.Token(); token.Type {
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			var text strings.Builder
			text.WriteString(token.Type.String() + " " + token.Data)
			for _, a := range token.Attr {
				text.WriteString(" " + a.Key)
			}
			tags = append(tags, text.String())
		}
	}
	return tags
}

// Whatever names, texts and answers hold, no page has markup but the templates'.
func TestHostileTextStaysTextOnAllPages(t *testing.T) {
	long := hostile + strings.Repeat("A\x1b]0;title\x07<b>", 1<<17)
	for kind, text := range map[string]string{"hostile": hostile, "long": long} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				harmless, evil := everything(t, "harmless", "harmless"), everything(t, hostile, text)
				for i, path := range addresses(hostile) {
					want, got := get(t, harmless, addresses("harmless")[i]), get(t, evil, path)
					if want.Code != 200 || got.Code != 200 {
						t.Errorf("page %d = %d, harmless %d; want 200", i, got.Code, want.Code)
						continue
					}
					body := got.Body.String()
					if diff := cmp.Diff(markup(want.Body.String()), markup(body)); diff != "" {
						t.Errorf("page %d: markup (-harmless +hostile):\n%s", i, diff)
					}
					for _, c := range []string{"\x1b", "\u202e", "\x00", "\x07"} {
						if strings.Contains(body, c) {
							t.Errorf("page %d has the control character %q", i, c)
						}
					}
					limit := 300 << 10
					if path == "/config" {
						limit = 6 * maxConfig // as escapes
					}
					if len(body) > limit {
						t.Errorf("page %d: %d bytes; want at most %d", i, len(body), limit)
					}
				}
			})
		})
	}
}

// All pages hold what the policy says, and link to nothing that is not there, under any prefix.
func TestAllPagesKeepThePolicy(t *testing.T) {
	pages := everything(t, "chat", "text")
	href := regexp.MustCompile(`(?:href|src|data-live|data-source)="([^"#]*)"`)
	for _, path := range addresses("chat") {
		w := get(t, pages, path)
		body := strings.ReplaceAll(w.Body.String(), "http://server/v1", "")
		for _, pattern := range []string{`<[^>]*\sstyle=`, `<style`, `<[^>]*\son[a-z]+=`, `<script(\s*>|[^>]*>[^<])`, `https?://`, `(src|href)="/`, `url\(`, `@import`} {
			if found := regexp.MustCompile(pattern).FindString(body); found != "" {
				t.Errorf("GET %s has %q, which the policy forbids", path, found)
			}
		}
		if w.Header().Get("Content-Security-Policy") != policy {
			t.Errorf("GET %s has another policy", path)
		}
		if strings.Contains(path, "fragment") {
			continue // its links are seen from the page that takes it in
		}
		base, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range href.FindAllStringSubmatch(body, -1) {
			to, err := base.Parse(strings.ReplaceAll(m[1], "&amp;", "&"))
			if err != nil {
				t.Fatal(err)
			}
			if to.Path == "/metrics" || strings.HasSuffix(to.Path, "/live") || strings.HasPrefix(to.Path, "/live/") {
				continue
			}
			if code := get(t, pages, to.String()).Code; code != 200 {
				t.Errorf("GET %s links to %s, which is %d", path, to, code)
			}
		}
	}
}

// What screen readers go by: one main, one h1, labelled regions, headers of tables, ids that are unique.
func TestPagesCanBeReadAloud(t *testing.T) {
	pages := everything(t, "chat", "text")
	for _, path := range addresses("chat") {
		if strings.Contains(path, "fragment") {
			continue
		}
		body := get(t, pages, path).Body.String()
		for what, want := range map[string]int{"<main ": 1, "<h1>": 1, `<html lang="en">`: 1, `class="skip"`: 1} {
			if n := strings.Count(body, what); n != want {
				t.Errorf("GET %s has %d times %s; want %d", path, n, what, want)
			}
		}
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if seen[m[1]] {
				t.Errorf("GET %s has two elements %q", path, m[1])
			}
			seen[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`aria-labelledby="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if !seen[m[1]] {
				t.Errorf("GET %s is labelled by %q, which is not there", path, m[1])
			}
		}
		for _, svg := range regexp.MustCompile(`<svg class[^>]*>`).FindAllString(body, -1) {
			if !strings.Contains(svg, "aria-label=") {
				t.Errorf("GET %s has a drawing without a label: %s", path, svg)
			}
		}
		for _, table := range strings.Split(body, "<table")[1:] {
			if !strings.Contains(strings.SplitN(table, "</table", 2)[0], `<th scope="col">`) {
				t.Errorf("GET %s has a table without headers", path)
			}
		}
	}
}

func TestTargetGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat, batch)
		for i := range 8 {
			time.Sleep(15 * time.Second)
			r := answer(chat, time.Duration(200+i*10)*ms, 20*ms, 12)
			if i == 7 {
				for j := 6; j < len(r.Chunks); j++ {
					r.Chunks[j].At += 300 * ms
				}
				r.Timeline.LastToken, r.Timeline.End = r.Timeline.LastToken.Add(300*ms), r.Timeline.End.Add(300*ms)
				r.Header = http.Header{"Server": {"uvicorn"}, "X-Request-Id": {"7"}}
				r.Request.Call.Messages = []wire.Message{{Role: "user", Content: "Say it's <fine>\x00"}}
				r.Request.Turn = 2
			}
			h.Observe(r)
			if i == 4 {
				h.Observe(failed(chat, prober.RateLimited, "HTTP 429: slow down"))
			}
		}
		time.Sleep(time.Second)
		pages := newHandler(t, Options{History: h, Endpoint: func(string) (Endpoint, bool) {
			return Endpoint{URL: "http://user:password@server/v1?key=secret", Protocol: "openai_chat", Headers: []string{"Authorization", "X-Team-Key"}}, true
		}})
		golden(t, "testdata/target.html", regexp.MustCompile(`\?v=[0-9a-f]{12}`).ReplaceAllString(get(t, pages, "/targets/chat?probe=interactive").Body.String(), "?v=HASH"))
	})
}

func TestTargetRoutes(t *testing.T) {
	slash := Row{Target: "a/b c", Model: "m", Probe: "p/q", Stream: true}
	h := newHistory(chat, batch, slash)
	h.Observe(answer(slash, 300*ms, 20*ms, 8))
	pages := newHandler(t, Options{History: h, Prefix: "/llm"})
	for _, test := range []struct {
		path  string
		code  int
		holds string
	}{
		{"/llm/targets/chat", 200, `href="../static/style.css`},
		{"/llm/targets/chat?probe=batch", 200, `<bdi>batch</bdi>`},
		{"/llm/targets/chat?probe=nothing", 200, `aria-current="page"`},
		{"/llm/targets/a%2Fb%20c", 200, "<bdi>a/b c</bdi>"},
		{"/llm/targets/a%2Fb%20c/fragment?probe=p%2Fq", 200, "<bdi>p/q</bdi>"},
		{"/llm/targets/nothing", 404, ""},
		{"/llm/targets/", 404, ""},
		{"/llm/config", 404, ""},
		{"/llm/schedule", 404, ""},
		{"/llm/metrics-guide", 404, ""},
	} {
		w := get(t, pages, test.path)
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.holds) {
			t.Errorf("GET %s = %d; want %d, with %q", test.path, w.Code, test.code, test.holds)
		}
	}
}

// The command asks what the prober asked, and a shell sees one word where there is one.
func TestCurl(t *testing.T) {
	call := &wire.Call{Model: "m", Stream: true, MaxOutputTokens: 5, Messages: []wire.Message{{Role: "user", Content: "it's $HOME `id` \"x\"\n\u202e\U000e0041"}}}
	for _, test := range []struct {
		name string
		in   Endpoint
		want []string // lines
		not  []string
	}{
		{"a key", Endpoint{URL: "https://me:pw@host/v1", Protocol: "openai_chat", Headers: []string{"Authorization", "X-Team-Key", "bad name$(id)"}},
			[]string{"curl -sS -N 'https://host/v1/chat/completions'", `-H "Authorization: Bearer $API_KEY"`, `-H "X-Team-Key: $TEAM_KEY"`}, []string{"pw", "bad name"}},
		{"in the address", Endpoint{URL: "https://host/v1?key=topsecret&api-version=2024-10-21", Protocol: "openai_chat"},
			[]string{"curl -sS -N 'https://host/v1/chat/completions?api-version=2024-10-21&key=API_KEY'"}, []string{"topsecret"}},
		{"Anthropic's", Endpoint{URL: "https://host", Protocol: "anthropic_messages"}, []string{`-H "X-Api-Key: $API_KEY"`}, []string{"Bearer"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := curl(test.in, call)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("curl() = %s\nwhich lacks %s", got, want)
				}
			}
			for _, not := range test.not {
				if strings.Contains(got, not) {
					t.Errorf("curl() = %s\nwhich has %s", got, not)
				}
			}
			words := shellWords(t, got)
			body := words[len(words)-1]
			protocol, _ := wire.Lookup(test.in.Protocol)
			encoded, err := protocol.Encode(&url.URL{Scheme: "http", Host: "host"}, call)
			if err != nil {
				t.Fatal(err)
			}
			if body != printable.Escape(string(encoded.Body)) || !strings.Contains(body, `\u202e\udb40\udc41`) {
				t.Errorf("the shell sends %s; want %s with escapes", body, encoded.Body)
			}
		})
	}
	if _, err := curl(Endpoint{URL: "http://x", Protocol: "none"}, call); err == nil {
		t.Error("curl() of an unknown protocol = nil; want an error")
	}
}

// shellWords are the words that a shell makes of a command.
func shellWords(t *testing.T, command string) []string {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	out, err := exec.Command(sh, "-c", `curl() { for w in "$@"; do printf '%s\036' "$w"; done; }; `+command).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x1e"), "\x1e")
}

func TestQuestionsAreBounded(t *testing.T) {
	h := newHistory(chat, batch)
	ask := func(row Row, size int) {
		r := answer(row, 300*ms, 20*ms, 4)
		r.Request.Call.Messages = []wire.Message{{Role: "user", Content: strings.Repeat("x", size)}}
		h.Observe(r)
	}
	ask(chat, 1000)
	ask(chat, 2000)
	ask(batch, maxCall+1)
	if want := 2000 + len("user") + len("llama"); h.callBytes != want {
		t.Errorf("%d bytes of questions are kept; want %d: the newest one", h.callBytes, want)
	}
	for _, v := range h.view("chat") {
		if has := v.call != nil; has != (v.Probe == chat.Probe) {
			t.Errorf("%s: question kept = %v", v.Probe, has)
		}
	}
	h.Apply(nil)
	if h.callBytes != 0 {
		t.Errorf("%d bytes of questions are kept of no row; want 0", h.callBytes)
	}
}

func TestStalls(t *testing.T) {
	r := answer(chat, 300*ms, 20*ms, 20)
	if got := stalls(r); got != nil {
		t.Errorf("stalls(even stream) = %v; want none", got)
	}
	for i := 10; i < 20; i++ {
		r.Chunks[i].At += 400 * ms
	}
	r.Timeline.End = r.Timeline.End.Add(400 * ms)
	got := stalls(r)
	if len(got) != 1 || got[0].took != 420*ms || got[0].from <= 0 || got[0].to <= got[0].from || got[0].to > 1 {
		t.Errorf("stalls() = %v; want one of 420 ms", got)
	}
}

func TestTogether(t *testing.T) {
	for _, test := range []struct {
		in   exchange
		want string
	}{
		{exchange{attempt: 1}, ""},
		{exchange{attempt: 1, retried: true}, "try 1, another followed"},
		{exchange{attempt: 2}, "try 2"},
		{exchange{attempt: 1, turn: 3}, "turn 3 of a conversation"},
		{exchange{attempt: 1, burst: 8, cold: true}, "one of 8 at once, the first after a silence"},
	} {
		if got := together(&test.in); got != test.want {
			t.Errorf("together(%+v) = %q; want %q", test.in, got, test.want)
		}
	}
}

func TestQuery(t *testing.T) {
	for _, test := range []struct {
		in   Metric
		want string
	}{
		{Metric{Name: "llm_probe_x_seconds", Type: "histogram"}, "histogram_quantile(0.95, sum by (target, probe, le) (rate(llm_probe_x_seconds_bucket[5m])))"},
		{Metric{Name: "llm_probe_requests_total", Type: "counter", Labels: []string{"outcome"}}, "sum by (target, probe, outcome) (rate(llm_probe_requests_total[5m]))"},
		{Metric{Name: "llm_prober_x_total", Type: "counter"}, "rate(llm_prober_x_total[5m])"},
		{Metric{Name: "llm_engine_x_total", Type: "counter"}, "sum by (target) (rate(llm_engine_x_total[5m]))"},
		{Metric{Name: "llm_probe_up", Type: "gauge"}, "llm_probe_up"},
	} {
		if got := query(&test.in); got != test.want {
			t.Errorf("query(%s) = %s; want %s", test.in.Name, got, test.want)
		}
	}
}

func TestObjectivesOnTheStatus(t *testing.T) {
	h := newHistory(chat)
	for i := range 20 {
		h.Observe(answer(chat, time.Duration(100+i*10)*ms, 20*ms, 8)) // 100 to 290 ms
	}
	for _, test := range []struct {
		name        string
		in          Objective
		state       state
		now, left   string
		broken, out bool
	}{
		{"kept", Objective{Name: "o", Indicator: "ttft", Threshold: 0.29, Goal: 0.99, Events: 1000, Bad: 5}, healthy, "100\u00a0% kept it", "50\u00a0%", false, false},
		{"broken now", Objective{Name: "o", Indicator: "ttft", Threshold: 0.2, Goal: 0.99, Events: 1000, Bad: 5}, healthy, "55\u00a0% kept it", "50\u00a0%", true, false},
		{"spent", Objective{Name: "o", Indicator: "ttft", Threshold: 0.5, Goal: 0.99, Events: 1000, Bad: 10}, missed, "100\u00a0% kept it", "0\u00a0%", false, true},
		{"too few to be spent", Objective{Name: "o", Indicator: "availability", Goal: 0.99, Events: 10, Bad: 1}, healthy, "", "0\u00a0%", false, false},
		{"none counted", Objective{Name: "o", Indicator: "availability", Goal: 0.99}, healthy, "", "", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Objectives: func() []Objective {
				test.in.Target, test.in.Probe = chat.Target, chat.Probe
				return []Objective{test.in}
			}}
			now := time.Now()
			r := rowsOf(newStatus(h.summaries(now), now, nil, o.readBehind()))[0]
			g := r.Goals[0]
			if r.state != test.state || g.Now != test.now || g.Left != test.left || g.Broken != test.broken || g.Spent != test.out {
				t.Errorf("state %v, %+v; want %v, %q, %q, broken %v, spent %v", r.state, g, test.state, test.now, test.left, test.broken, test.out)
			}
		})
	}
}
