package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

const (
	newest = "20261129T020000Z-nightly_step-1f3a9c02"
	before = "20261128T020000Z-nightly_step-1f3a9c02"
)

func withRuns(t testing.TB, s *shelf, change func(*Options)) http.Handler {
	t.Helper()
	o := Options{History: newHistory(), Runs: s.source(), Lifecycle: true}
	if change != nil {
		change(&o)
	}
	return newHandler(t, o)
}

func TestRunsGolden(t *testing.T) {
	s := newShelf(t)
	synctest.Test(t, func(t *testing.T) {
		s.live = []LiveRun{liveRun(time.Now())}
		body := get(t, withRuns(t, s, nil), "/fragments/runs").Body.String()
		golden(t, "testdata/runs.html", body)
	})
}

// Each page keeps the policy, is well-formed, and leads only to pages that there are.
func TestRunsPages(t *testing.T) {
	s := newShelf(t)
	s.live = []LiveRun{liveRun(time.Now())}
	pages := withRuns(t, s, func(o *Options) { o.Prefix = "/probes" })
	for _, path := range []string{"/runs", "/runs?ramp=nightly_step&verdict=pass", "/runs/start?ramp=noisy", "/runs/" + newest, "/runs/" + newest + "/requests", "/runs/compare?a=" + before + "&b=" + newest} {
		t.Run(path, func(t *testing.T) {
			w := get(t, pages, "/probes"+path)
			if w.Code != http.StatusOK {
				t.Fatalf("GET %s = %d; want 200", path, w.Code)
			}
			if got := w.Header().Get("Content-Security-Policy"); got != formPolicy {
				t.Errorf("Content-Security-Policy = %q; want %q", got, formPolicy)
			}
			page := w.Body.String()
			if len(page) > maxPage {
				t.Errorf("the page takes %d KiB; want at most %d", len(page)>>10, maxPage>>10)
			}
			wellFormedBody(t, page)
			for _, pattern := range []string{`\sstyle=`, `<style`, `\son[a-z]+=`, `<script(\s*>|[^>]*>[^<])`, `https?://`, `(src|href)="/`, `NaN`, `ZgotmplZ`} {
				if found := regexp.MustCompile(pattern).FindString(page); found != "" {
					t.Errorf("the page has %q", found)
				}
			}
			base, _ := url.Parse("http://prober/probes" + path)
			for _, ref := range regexp.MustCompile(`(?:href|src|data-source)="([^"#]*)"`).FindAllStringSubmatch(page, -1) {
				to, err := base.Parse(strings.ReplaceAll(ref[1], "&amp;", "&"))
				if err != nil {
					t.Fatal(err)
				}
				if to.Path == "/probes/metrics" {
					continue // the server's, not ours
				}
				if w := get(t, pages, to.RequestURI()); w.Code != http.StatusOK && w.Code != http.StatusSeeOther {
					t.Errorf("%s leads to %s: %d", path, to, w.Code)
				}
			}
		})
	}
	if strings.Contains(formPolicy, "'none'; frame") && !strings.Contains(formPolicy, "form-action 'self'") {
		t.Error("the policy of pages with forms does not allow them")
	}
}

func TestRunsRefuse(t *testing.T) {
	s := newShelf(t)
	s.live = []LiveRun{liveRun(time.Now())}
	pages := withRuns(t, s, nil)
	for path, want := range map[string]int{
		"/runs/nothing":                      http.StatusNotFound,
		"/runs/" + url.PathEscape("../../x"): http.StatusNotFound,
		"/runs/" + newest + "/secrets":       http.StatusNotFound,
		"/runs/compare":                      http.StatusBadRequest,
		"/runs/compare?a=x&b=" + newest:      http.StatusNotFound,
		"/runs/start?ramp=nothing":           http.StatusNotFound,
		"/runs/" + s.live[0].ID:              http.StatusSeeOther,
		"/runs/stop":                         http.StatusNotFound, // as a run of that name
	} {
		if w := get(t, pages, path); w.Code != want {
			t.Errorf("GET %s = %d; want %d", path, w.Code, want)
		}
	}
	if w := get(t, newHandler(t, Options{History: newHistory()}), "/runs"); w.Code != http.StatusNotFound {
		t.Errorf("GET /runs without ramps = %d; want 404", w.Code)
	}
	source := s.source()
	source.List = func(runs.Filter) ([]runs.Info, string, error) { return nil, "", errors.New("the disk is gone") }
	source.Load = func(id string) (*record.Run, error) { return nil, &runs.NewerError{ID: id, Schema: 9, Reads: 1} }
	broken := newHandler(t, Options{History: newHistory(), Runs: source})
	if w := get(t, broken, "/runs"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "the disk is gone") {
		t.Errorf("GET /runs of a lost disk = %d; want 200 and why", w.Code)
	}
	if w := get(t, broken, "/runs/x"); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "newer llm_prober") {
		t.Errorf("GET of a newer record = %d; want 500 and why", w.Code)
	}
}

// Where nothing is on record, the list says how a run comes to be; where something is, that it is not what was asked for; and where
// nobody knows, neither.
func TestNoRuns(t *testing.T) {
	const none, notThis = "There are no runs yet.", "There is no such run on record."
	for _, c := range []struct {
		name   string
		change func(*Options)
		path   string
		want   []string
		not    []string
	}{
		{"ramps that can be started", nil, "/runs", []string{"No runs yet", none, "at the times of its schedule, or when it is started here."}, []string{notThis}},
		{"whatever is asked for", nil, "/runs?verdict=pass", []string{none}, []string{notThis}},
		{"ramps that cannot", func(o *Options) { o.Lifecycle = false }, "/runs", []string{none, "or by hand with <code>llm_prober ramp</code>."}, []string{notThis, "started here"}},
		{"no ramps", func(o *Options) { o.Runs.Ramps = func() []Ramp { return nil } }, "/runs", []string{none, "there is no ramp in it."}, []string{notThis, "its schedule"}},
		{"no such run", func(o *Options) { o.Runs = newShelf(t).source() }, "/runs?ramp=nobody", []string{notThis}, []string{none}},
		{"a lost disk", func(o *Options) {
			o.Runs.List = func(runs.Filter) ([]runs.Info, string, error) { return nil, "", errors.New("the disk is gone") }
		}, "/runs", []string{"Runs cannot be listed", "the disk is gone"}, []string{none, notThis, "No runs yet"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := get(t, withRuns(t, new(shelf), c.change), c.path).Body.String()
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("GET %s lacks %q", c.path, want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(body, not) {
					t.Errorf("GET %s has %q", c.path, not)
				}
			}
		})
	}
}

func TestRunsAreListed(t *testing.T) {
	s := newShelf(t)
	for len(s.runs) < 70 {
		r := *s.runs[len(s.runs)-1]
		r.ID, r.Started = r.ID+"x", r.Started.Add(-24*time.Hour)
		s.runs = append(s.runs, &r)
	}
	pages := withRuns(t, s, nil)
	ids := func(body string) (all []string) {
		for _, m := range regexp.MustCompile(`<th scope="row"><a href="runs/([^"]*)">`).FindAllStringSubmatch(body, -1) {
			all = append(all, m[1])
		}
		return all
	}
	var got, want []string
	for _, r := range s.runs {
		want = append(want, r.ID)
	}
	next := "runs"
	for n := 0; next != "" && n < 10; n++ {
		body := get(t, pages, "/"+strings.ReplaceAll(next, "&amp;", "&")).Body.String()
		got = append(got, ids(body)...)
		next = ""
		if m := regexp.MustCompile(`<a href="([^"]*)" rel="next">`).FindStringSubmatch(body); m != nil {
			next = m[1]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed page by page (-want +got):\n%s", diff)
	}
	if got := ids(get(t, pages, "/runs?ramp=noisy").Body.String()); len(got) != 1 {
		t.Errorf("runs of noisy = %v; want the one", got)
	}
	for range 4 { // some records are read for each page
		get(t, pages, "/runs")
	}
	reads := s.loads.Load()
	get(t, pages, "/runs")
	if now := s.loads.Load(); now != reads {
		t.Errorf("a list of known runs read %d records; want none", now-reads)
	}
	k := s.runs[1].Diagnosis.Knee
	if body := get(t, pages, "/fragments/runs").Body.String(); !strings.Contains(body, loadText(k.Open, k.Load)) {
		t.Error("the list lacks the newest knee")
	}
}

func post(t testing.TB, h http.Handler, path, form string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://prober.example"+path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRampsAreStartedAndStoppedFromOurPagesAlone(t *testing.T) {
	own := map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://prober.example"}
	for _, tt := range []struct {
		name, form string
		header     map[string]string
		lifecycle  bool
		refuse     error
		code       int
		done       bool
	}{
		{"our own form", "ramp=noisy", own, true, nil, 303, true},
		{"no browser", "ramp=noisy", nil, true, nil, 303, true},
		{"another site", "ramp=noisy", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, true, nil, 403, false},
		{"a sister site", "ramp=noisy", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://other.prober.example"}, true, nil, 403, false},
		{"another site by an old browser", "ramp=noisy", map[string]string{"Origin": "http://evil.example"}, true, nil, 403, false},
		{"a sandboxed page", "ramp=noisy", map[string]string{"Origin": "null"}, true, nil, 403, false},
		{"without the flag", "ramp=noisy", own, false, nil, 403, false},
		{"no name", "", own, true, nil, 400, false},
		{"a huge form", "ramp=" + strings.Repeat("x", maxForm), own, true, nil, 400, false},
		{"refused", "ramp=noisy", own, true, errors.New("ramp noisy: target is busy with <nightly>"), 409, true},
	} {
		for _, what := range []string{"start", "stop"} {
			t.Run(tt.name+" "+what, func(t *testing.T) {
				s := &shelf{refuse: tt.refuse}
				pages := withRuns(t, s, func(o *Options) { o.Lifecycle, o.Prefix = tt.lifecycle, "/probes" })
				w := post(t, pages, "/probes/runs/"+what, tt.form, tt.header)
				if w.Code != tt.code {
					t.Errorf("code = %d; want %d", w.Code, tt.code)
				}
				var want []string
				if tt.done {
					want = []string{"noisy"}
				}
				got := map[string][]string{"start": s.started, "stop": s.stopped}[what]
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("done (-want +got):\n%s", diff)
				}
				if w.Code == 303 {
					at, _ := url.Parse("http://prober.example/probes/runs/" + what)
					if to, _ := at.Parse(w.Header().Get("Location")); to.Path != "/probes/runs" {
						t.Errorf("it leads to %s; want /probes/runs", to)
					}
				} else if w.Code != 303 && !strings.Contains(w.Body.String(), "<h1>") {
					t.Error("a refusal is no page")
				}
				if tt.refuse != nil && !strings.Contains(w.Body.String(), "busy with &lt;nightly&gt;") {
					t.Error("the page does not say why")
				}
				for _, path := range []string{"/probes/runs/" + what + "?ramp=noisy", "/probes/runs?ramp=noisy"} {
					get(t, pages, path)
				}
				if len(s.started)+len(s.stopped) != len(want) {
					t.Error("a GET changed something")
				}
			})
		}
	}
	for _, lifecycle := range []bool{false, true} {
		s := newShelf(t)
		s.live = []LiveRun{liveRun(time.Now())}
		body := get(t, withRuns(t, s, func(o *Options) { o.Lifecycle = lifecycle }), "/runs").Body.String()
		for _, part := range []string{`action="runs/stop"`, `href="runs/start?`} {
			if got := strings.Contains(body, part); got != lifecycle {
				t.Errorf("with lifecycle %v: %s is there: %v", lifecycle, part, got)
			}
		}
	}
}

func TestRunsFiles(t *testing.T) {
	s := newShelf(t)
	pages := withRuns(t, s, nil)
	for file, want := range map[string]string{
		"stages.csv": "hold 28/s", "stages.json": "hold 28/s", "run.json": `"schema":1`, "requests.csv": "req-07", "requests.jsonl": "req-07", "report.html": "<!doctype html>",
	} {
		w := get(t, pages, "/runs/"+newest+"/"+file)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("GET %s = %d; want 200 with %q", file, w.Code, want)
		}
		if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="`+newest+"-"+file+`"` {
			t.Errorf("GET %s: Content-Disposition = %q", file, got)
		}
	}
	var b bytes.Buffer
	if err := Report(&b, s.runs[1]); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(get(t, pages, "/runs/"+newest+"/report.html").Body); !bytes.Equal(got, b.Bytes()) {
		t.Error("the report to take away is not the one of the command line")
	}
	if w := get(t, pages, "/runs/x/report.html"); w.Code != http.StatusNotFound || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("a file of no run = %d, %q", w.Code, w.Header().Get("Content-Disposition"))
	}
}

// Hostile names, and figures that say nothing, are shown as text.
func TestHostileRunsStayText(t *testing.T) {
	tags := func(text string) int {
		now := time.Now()
		run := crowdedRun(text)
		s := &shelf{runs: []*record.Run{run}, refuse: errors.New(text)}
		s.live = []LiveRun{{ID: text, Ramp: text, Target: text, Trigger: record.Trigger(text), Started: now, Snapshot: &ramp.Snapshot{At: now.Add(-time.Hour), Ending: text, Lanes: []ramp.LaneSnapshot{{
			Where: ramp.Where{Lane: text, Stage: text}, Objectives: []record.Judgement{{Objective: record.Objective{Indicator: text}, Probe: text}}}}}}}
		source := s.source()
		source.Ramps = func() []Ramp { return []Ramp{{Name: text, Target: text, Schedule: text, Verdict: text}} }
		source.Load = func(string) (*record.Run, error) { return run, nil }
		source.Live = nil
		source.Compare = func(string, string) (*record.Comparison, error) { return run.Comparison, nil }
		n := 0
		h := newHandler(t, Options{History: newHistory(), Runs: source, Lifecycle: true})
		source.Live = func() []LiveRun { return s.live }
		for _, path := range []string{"/runs", "/runs?ramp=" + url.QueryEscape(text), "/runs/compare?a=x&b=y"} {
			w := get(t, h, path)
			page := w.Body.String()
			if w.Code != http.StatusOK {
				t.Errorf("GET %s = %d; want 200", path, w.Code)
			}
			if len(page) > maxPage {
				t.Errorf("GET %.40s takes %d KiB", path, len(page)>>10)
			}
			wellFormedBody(t, page)
			for _, tag := range regexp.MustCompile(`</?[a-zA-Z]+`).FindAllString(page, -1) {
				if !slices.Contains([]string{"<option", "</option", "<form", "</form", "<input", "<button", "</button", "<label", "</label", "<a", "</a", "<td", "</td"}, tag) { // such a name cannot be chosen, nor its ramp be stopped
					n++
				}
			}
			if strings.ContainsAny(page, "\x1b\u202e\x00") {
				t.Errorf("GET %.40s: the page has control characters", path)
			}
		}
		if w := post(t, h, "/runs/start", url.Values{"ramp": {text}}.Encode(), nil); strings.Contains(w.Body.String(), "<img") {
			t.Error("an error's text became markup")
		}
		return n
	}
	if got, want := tags(hostile), tags(strings.Repeat("harmless", len(hostile)/8)); got != want {
		t.Errorf("%d tags; want the %d of harmless pages", got, want)
	}
}

// A run's state changes as its snapshots do.
func TestLiveRunsAreSent(t *testing.T) {
	now := time.Date(2026, 11, 22, 2, 4, 0, 0, time.UTC)
	l := liveRun(now)
	v := newLiveView(&l, 0, now.Add(2*time.Second))
	if v.Left != "6"+nbsp+"min"+nbsp+"28"+nbsp+"s left at most" || v.Done != 38 || v.Stale != "" {
		t.Errorf("left %q, done %d, stale %q; want 6 min 28 s, 38, none", v.Left, v.Done, v.Stale)
	}
	if v := newLiveView(&l, 0, now.Add(time.Minute)); v.Stale == "" {
		t.Error("figures of a minute ago are taken for new ones")
	}
	l.Snapshot.Left, l.Snapshot.Ending = 0, "stopped by hand"
	if v := newLiveView(&l, 0, now); !v.Stopping || !strings.Contains(v.Ending, "stopped by hand") {
		t.Errorf("a run that ends: stopping %v, %q", v.Stopping, v.Ending)
	}
	l.Snapshot = nil
	if v := newLiveView(&l, 0, now); v.Known || v.Left == "" {
		t.Error("a run without figures has none to show")
	}
	for _, tt := range []struct {
		confidence float64
		n          int
		state      string
	}{{1, 100, "✓ holds"}, {.5, 100, "too few requests to tell"}, {.01, 100, "✕ missed"}, {0, 0, "nothing measured yet"}} {
		o := newLiveObjective(&record.Judgement{N: tt.n, Confidence: tt.confidence, Objective: record.Objective{Indicator: record.TTFT, Percentile: 95, Threshold: .5}})
		if o.State != tt.state {
			t.Errorf("state of confidence %g of %d = %q; want %q", tt.confidence, tt.n, o.State, tt.state)
		}
	}
	if got := liveEvery(page{Data: &runsView{Live: []liveView{v}}}); got != time.Second {
		t.Errorf("a running ramp is sent every %v; want 1s", got)
	}
}
