package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

func TestTargets(t *testing.T) {
	f := newFixture(t)
	f.running()
	for i := range 4 {
		f.Recent.Observe(result("chat", "fast", time.Duration(i+1)*time.Second, prober.OK, time.Duration(200*(i+1))*time.Millisecond))
	}
	f.Recent.Observe(result("chat", "fast", 0, prober.HTTP4xx, 0))
	list := decode[page[targetJSON]](t, f.ask(t, "GET", "/api/v1/targets"), 200)
	if len(list.Items) != 2 || list.Next != "" {
		t.Fatalf("%d targets, next %q; want 2 and none", len(list.Items), list.Next)
	}
	chat, quiet := list.Items[0], list.Items[1]
	if chat.Name != "chat" || chat.Up == nil || *chat.Up || chat.Ramp != "soak" || quiet.Up != nil {
		t.Errorf("chat up %v loaded by %q, quiet up %v; want false by soak, null", chat.Up, chat.Ramp, quiet.Up)
	}
	p := chat.Probes[0]
	if p.Requests != 5 || p.Failed != 1 || p.Last.Outcome != "http_4xx" || *p.TTFT != (quantilesJSON{4, 0.4, 0.8}) {
		t.Errorf("probe = %+v, TTFT %+v; want 5 requests, 1 failed at last, TTFT 0.4 and 0.8", p, p.TTFT)
	}
	if got, want := p.Objectives[0], (objectiveJSON{"fast_ttft", "ttft", 0.5, 0.9, 5, 3}); got != want {
		t.Errorf("objective = %+v; want %+v", got, want)
	}
	if one := decode[targetJSON](t, f.ask(t, "GET", "/api/v1/targets/chat"), 200); !cmp.Equal(one, chat) {
		t.Errorf("the target alone (-list +alone):\n%s", cmp.Diff(chat, one))
	}
	if p := decode[Problem](t, f.ask(t, "GET", "/api/v1/targets/no%2Fsuch"), 404); p.Code != "no_such_target" {
		t.Errorf("problem = %+v", p)
	}
}

func TestTargetsInPages(t *testing.T) {
	f := newFixture(t)
	f.targets = nil
	for i := range 7 {
		f.targets = append(f.targets, Target{Name: fmt.Sprintf("t%d", 6-i), Protocol: "openai_chat"})
	}
	var names []string
	for path, pages := "/api/v1/targets?limit=3", 0; ; pages++ {
		list := decode[page[targetJSON]](t, f.ask(t, "GET", path), 200)
		for _, target := range list.Items {
			names = append(names, target.Name)
		}
		if list.Next == "" {
			if pages != 2 {
				t.Errorf("%d pages; want 3", pages+1)
			}
			break
		}
		path = "/api/v1/targets?limit=3&cursor=" + url.QueryEscape(list.Next)
	}
	if diff := cmp.Diff([]string{"t0", "t1", "t2", "t3", "t4", "t5", "t6"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestRequests(t *testing.T) {
	f := newFixture(t)
	f.Recent.Observe(result("chat", "fast", 500*time.Second, prober.HTTP4xx, 0)) // soon pushed out by successes, but kept
	for i := range keptRequests {
		f.Recent.Observe(result("chat", "fast", time.Duration(keptRequests-i)*time.Second, prober.OK, 100*time.Millisecond))
	}
	f.Recent.Observe(result("chat", "batch", 10*time.Second, prober.OK, 0))
	f.Recent.Observe(result("chat", "fast", 0, prober.Canceled, 0))
	f.Recent.Observe(result("gone", "fast", 0, prober.OK, 0))

	seen := map[string]bool{}
	var all []requestJSON
	for path := "/api/v1/targets/chat/requests?limit=40"; ; {
		list := decode[page[requestJSON]](t, f.ask(t, "GET", path), 200)
		for _, q := range list.Items {
			if seen[q.ID] {
				t.Fatalf("request %s comes twice", q.ID)
			}
			seen[q.ID] = true
			all = append(all, q)
		}
		// What comes meanwhile does not shift the pages.
		f.Recent.Observe(result("chat", "batch", 0, prober.OK, 0))
		if list.Next == "" {
			break
		}
		path = "/api/v1/targets/chat/requests?limit=40&cursor=" + url.QueryEscape(list.Next)
	}
	if len(all) != keptRequests+2 {
		t.Fatalf("%d requests; want %d", len(all), keptRequests+2)
	}
	oldest := all[len(all)-1]
	if oldest.Outcome != "http_4xx" || !strings.Contains(oldest.Error, "http 401: wrong key: <secret>") || len(oldest.Phases) != 0 {
		t.Errorf("the oldest is %+v; want the failure, without its credentials", oldest)
	}
	newest := all[0]
	if newest.Outcome != "ok" || *newest.TTFT != 0.1 || newest.Timeline["dispatched"] != 0.001 || newest.Phases["connect"] != 0.001 || newest.Phases["decode"] == 0 || *newest.PromptTokens != 30 {
		t.Errorf("the newest is %+v", newest)
	}
	for query, n := range map[string]int{"outcome=failed": 1, "outcome=http_4xx": 1, "outcome=dns": 0, "probe=fast&limit=500": keptRequests + 1, "probe=none": 0} {
		if list := decode[page[requestJSON]](t, f.ask(t, "GET", "/api/v1/targets/chat/requests?"+query), 200); len(list.Items) != n {
			t.Errorf("%s: %d requests; want %d", query, len(list.Items), n)
		}
	}
}

// Requests survive a reload, but for those of probes that are gone or ask another model.
func TestRecentApply(t *testing.T) {
	f := newFixture(t)
	for _, target := range []string{"chat", "quiet"} {
		f.Recent.Observe(result(target, "fast", time.Second, prober.OK, time.Millisecond))
	}
	f.targets[1].Model = "other"
	f.Recent.Apply(f.targets)
	if n, m := len(f.Recent.all("chat", "fast")), len(f.Recent.all("quiet", "fast")); n != 1 || m != 0 {
		t.Errorf("after a reload %d and %d requests; want 1 and 0", n, m)
	}
	f.Recent.Apply(f.targets[1:])
	if n := len(f.Recent.all("chat", "fast")); n != 0 {
		t.Errorf("a probe that is gone has %d requests", n)
	}
}

func TestVerdict(t *testing.T) {
	f := newFixture(t)
	f.Baselines = func(string) []Baseline {
		return []Baseline{{Probe: "fast", Indicator: "ttft", Quantile: 0.5, Seconds: 0.05}}
	}
	v := decode[Verdict](t, f.ask(t, "GET", "/api/v1/targets/chat/verdict"), 200)
	if v.Verdict != NotReady || len(v.Reasons) != 2 || v.Reasons[0].Code != NoEvidence {
		t.Errorf("without evidence: %+v", v)
	}
	for range 20 {
		f.Recent.Observe(result("chat", "fast", time.Second, prober.OK, 100*time.Millisecond))
		f.Recent.Observe(result("chat", "batch", time.Second, prober.OK, 0))
	}
	v = decode[Verdict](t, f.ask(t, "GET", "/api/v1/targets/chat/verdict"), 200)
	if v.Verdict != Degraded || len(v.Reasons) != 1 || v.Reasons[0].Code != Regression {
		t.Errorf("at twice the baseline: %+v", v)
	}
	v = decode[Verdict](t, f.ask(t, "GET", "/api/v1/targets/chat/verdict?probe=batch&max_age=10s"), 200)
	if v.Verdict != Ready || len(v.Evidence) != 1 || v.Evidence[0].MaxAge != 10 {
		t.Errorf("by one probe: %+v", v)
	}
	if v = decode[Verdict](t, f.ask(t, "GET", "/api/v1/targets/chat/verdict?probe=batch&probe=fast&max_age=1ms"), 200); v.Reasons[0].Code != Stale {
		t.Errorf("with a short maximum age: %+v", v)
	}
	if p := decode[Problem](t, f.ask(t, "GET", "/api/v1/targets/chat/verdict?probe=other"), 400); p.Parameter != "probe" {
		t.Errorf("an unknown probe: %+v", p)
	}
}

func TestRuns(t *testing.T) {
	f := newFixture(t)
	ids := f.record(t, 9)
	var got []string
	for path := "/api/v1/runs?limit=4"; path != ""; {
		list := decode[page[runJSON]](t, f.ask(t, "GET", path), 200)
		for _, run := range list.Items {
			got = append([]string{run.ID}, got...)
		}
		path = ""
		if list.Next != "" {
			path = "/api/v1/runs?limit=4&cursor=" + url.QueryEscape(list.Next)
		}
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	for query, n := range map[string]int{
		"ramp=nightly": 9, "ramp=other": 0, "target=chat&verdict=cut_short": 2, "since=2026-11-20T08:00:00Z": 3, "since=2026-11-20T09:00:00%2B01:00": 3,
	} {
		if list := decode[page[runJSON]](t, f.ask(t, "GET", "/api/v1/runs?"+query), 200); len(list.Items) != n {
			t.Errorf("%s: %d runs; want %d", query, len(list.Items), n)
		}
	}
	run := decode[runDetailJSON](t, f.ask(t, "GET", "/api/v1/runs/"+ids[0]), 200)
	if run.State != "ended" || run.Verdict != "cut_short" || run.Stages[0].Probes["fast"].TTFT.N != 3 || run.Diagnosis == nil || run.Searches[0].Knee != 4 || run.Requests.Written != 4 {
		t.Errorf("run = %+v", run)
	}
	lines := f.ask(t, "GET", "/api/v1/runs/"+ids[0]+"/requests")
	if n := strings.Count(lines.body, "\n"); lines.status != 200 || n != 4 || !strings.Contains(lines.body, "wrong key: \\u003csecret\\u003e") {
		t.Errorf("requests: %d, %d lines:\n%s", lines.status, n, lines.body)
	}
	table := f.ask(t, "GET", "/api/v1/runs/"+ids[0]+"/requests?format=csv")
	if n := strings.Count(table.body, "\n"); table.status != 200 || n != 5 || !strings.HasPrefix(table.body, "request_id,") {
		t.Errorf("requests as CSV: %d, %d lines:\n%s", table.status, n, table.body)
	}
	for path, code := range map[string]string{
		"/api/v1/runs/nothing":                                            "no_such_run",
		"/api/v1/runs/..%2f..%2fetc":                                      "no_such_run",
		"/api/v1/runs/nothing/requests":                                   "no_such_run",
		"/api/v1/runs/" + runs.NewID(time.Now(), "nightly"):               "no_such_run",
		"/api/v1/runs/" + runs.NewID(time.Now(), "nightly") + "/requests": "no_such_run",
	} {
		if p := decode[Problem](t, f.ask(t, "GET", path), 404); p.Code != code {
			t.Errorf("%s: %+v; want %s", path, p, code)
		}
	}
	f.store = nil
	if list := decode[page[runJSON]](t, f.ask(t, "GET", "/api/v1/runs"), 200); len(list.Items) != 0 {
		t.Error("there are runs without records")
	}
	f.ask(t, "GET", "/api/v1/runs/"+ids[0])
}

// A share of a load, also the first one, is told apart from the sum of the shares and from a load that was not spread.
func TestRunsOfShards(t *testing.T) {
	f := newFixture(t)
	for name, spread := range map[string]record.Run{"whole": {}, "first": {Shards: 3}, "last": {Shard: 2, Shards: 3}, "sum": {Shards: 3, Merged: []int{0, 2}}} {
		started := time.Now()
		w, err := f.store.Begin(runs.NewID(started, name))
		if err != nil {
			t.Fatal(err)
		}
		spread.Ramp, spread.Target, spread.Trigger, spread.Started, spread.Verdict = name, "chat", record.ByHand, started, record.Pass
		if err := w.Commit(&spread); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]runJSON{
		"whole": {}, "first": {Shard: new(0), Shards: 3}, "last": {Shard: new(2), Shards: 3}, "sum": {Shards: 3, Merged: []int{0, 2}},
	} {
		list := decode[page[runJSON]](t, f.ask(t, "GET", "/api/v1/runs?ramp="+name), 200)
		detail := decode[runDetailJSON](t, f.ask(t, "GET", "/api/v1/runs/"+list.Items[0].ID), 200)
		for _, got := range []runJSON{list.Items[0], detail.runJSON} {
			if diff := cmp.Diff(want, runJSON{Shard: got.Shard, Shards: got.Shards, Merged: got.Merged}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

// A file of requests that breaks off is not taken for a whole one.
func TestStreamBreaksOff(t *testing.T) {
	w := httptest.NewRecorder()
	broken := func(yield func(*runs.Request, error) bool) {
		_ = yield(&runs.Request{ID: "a"}, nil) && yield(nil, errors.New("broken"))
	}
	out := &paced{ResponseWriter: w, control: http.NewResponseController(w)}
	if err := writeRequests(out, "jsonl", shown(broken)); err == nil || !out.begun {
		t.Errorf("writeRequests = %v, begun %v; want the error, after a line", err, out.begun)
	}
}

func TestRamps(t *testing.T) {
	f := newFixture(t)
	f.running()
	list := decode[page[rampJSON]](t, f.ask(t, "GET", "/api/v1/ramps"), 200)
	if len(list.Items) != 2 || list.Items[0].Running != nil || list.Items[0].Next == nil || list.Items[1].Running.State != "running" {
		t.Errorf("ramps = %+v", list)
	}
	current := decode[runDetailJSON](t, f.ask(t, "GET", "/api/v1/ramps/soak/runs/current"), 200)
	if current.Progress.Lanes[0].TTFT.P95 != 0.12 || current.Progress.Left != 60 {
		t.Errorf("progress = %+v", current.Progress)
	}
	byID := decode[runDetailJSON](t, f.ask(t, "GET", "/api/v1/runs/"+current.ID), 200)
	if byID.State != "running" || byID.ID != current.ID {
		t.Errorf("by its id it is %+v", byID)
	}
	if p := decode[Problem](t, f.ask(t, "GET", "/api/v1/ramps/nightly/runs/current"), 404); p.Code != "not_running" {
		t.Errorf("problem = %+v", p)
	}
	if p := decode[Problem](t, f.ask(t, "GET", "/api/v1/ramps/none/runs/current"), 404); p.Code != "no_such_ramp" {
		t.Errorf("problem = %+v", p)
	}
}

func TestStartAndStop(t *testing.T) {
	f := newFixture(t)
	id := runs.NewID(time.Now(), "soak")
	asked := f.starts(&Running{ID: id, Ramp: "soak", Trigger: record.ByAPI, Started: time.Now()}, nil)
	a := f.ask(t, "POST", "/api/v1/ramps/soak/runs")
	run := decode[runJSON](t, a, 202)
	location, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	behindProxy, _ := url.Parse("https://a.example/prefix/api/v1/ramps/soak/runs")
	if got := behindProxy.ResolveReference(location).Path; run.ID != id || got != "/prefix/api/v1/runs/"+id || len(*asked) != 1 {
		t.Errorf("run %s at %s, %d starts; want %s, and one", run.ID, got, len(*asked), id)
	}
	f.starts(nil, nil)
	if a := f.ask(t, "POST", "/api/v1/ramps/soak/runs", "{}"); a.status != 202 || a.header.Get("Location") != "runs/current" {
		t.Errorf("a run that is over: %d at %q", a.status, a.header.Get("Location"))
	}
	for _, test := range []struct {
		err    error
		status int
		code   string
	}{
		{ErrNotFound, 404, "no_such_ramp"}, {&BusyError{"chat", "nightly"}, 409, "busy"}, {ErrUnavailable, 503, "unavailable"}, {errors.New(canary), 500, "internal"},
	} {
		f.starts(nil, test.err)
		if p := decode[Problem](t, f.ask(t, "POST", "/api/v1/ramps/soak/runs"), test.status); p.Code != test.code {
			t.Errorf("%v: %+v; want %s", test.err, p, test.code)
		}
	}
	f.starts(nil, &BusyError{"chat", "nightly"})
	if p := decode[Problem](t, f.ask(t, "POST", "/api/v1/ramps/soak/runs"), 409); p.Ramp != "nightly" || p.Target != "chat" {
		t.Errorf("busy: %+v; want who keeps what busy", p)
	}

	f.Stop = func(string) error { return nil }
	f.running()
	if a := f.ask(t, "DELETE", "/api/v1/ramps/soak/runs/current"); a.status != 202 {
		t.Errorf("stop = %d %s", a.status, a.body)
	}
	f.Stop = func(string) error { return ErrNotRunning }
	if p := decode[Problem](t, f.ask(t, "DELETE", "/api/v1/ramps/soak/runs/current"), 409); p.Code != "not_running" {
		t.Errorf("problem = %+v", p)
	}
}

func TestRunProbe(t *testing.T) {
	f := newFixture(t)
	var ran []*prober.Result
	var failed error
	f.Run = func(_ context.Context, target, probe string) ([]*prober.Result, error) {
		if target != "chat" || probe != "fast" {
			t.Errorf("Run(%s, %s)", target, probe)
		}
		return ran, failed
	}
	const path = "/api/v1/targets/chat/probes/fast/run"
	first := result("chat", "fast", 0, prober.HTTP4xx, 0)
	first.Retried = true
	ran = []*prober.Result{first, result("chat", "fast", 0, prober.OK, time.Millisecond)}
	if got := decode[ranJSON](t, f.ask(t, "POST", path), 200); !got.Up || len(got.Requests) != 2 {
		t.Errorf("ran = %+v; want up after the second try", got)
	}
	ran = []*prober.Result{result("chat", "fast", 0, prober.DNS, 0)}
	if got := decode[ranJSON](t, f.ask(t, "POST", path), 200); got.Up {
		t.Errorf("ran = %+v; want not up", got)
	}
	failed = &RefusedError{Reason: "budget_requests", Words: "the budget is used up", After: 1500 * time.Millisecond}
	a := f.ask(t, "POST", path)
	if p := decode[Problem](t, a, 429); p.Reason != "budget_requests" || a.header.Get("Retry-After") != "2" {
		t.Errorf("refused: %+v, Retry-After %q", p, a.header.Get("Retry-After"))
	}
	failed = ErrUnavailable
	f.ask(t, "POST", path)
	if p := decode[Problem](t, f.ask(t, "POST", "/api/v1/targets/chat/probes/none/run"), 404); p.Code != "no_such_probe" {
		t.Errorf("problem = %+v", p)
	}
}

// Nothing is changed where that is not allowed, nor by what a page of another site can send without asking first.
func TestChangesAreGuarded(t *testing.T) {
	f := newFixture(t)
	asked := f.starts(nil, nil)
	f.Stop = func(string) error { *asked = append(*asked, "stop"); return nil }
	f.Run = func(context.Context, string, string) ([]*prober.Result, error) {
		*asked = append(*asked, "run")
		return nil, nil
	}
	for _, kind := range []string{"application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=a", "nonsense;;"} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/ramps/soak/runs", strings.NewReader("{}"))
		r.Header.Set("Content-Type", kind)
		if a := f.send(t, r); a.status != 415 {
			t.Errorf("%s: %d; want 415", kind, a.status)
		}
	}
	for body, status := range map[string]int{"[]": 400, "null": 400, `{"a":1}`: 400, "{}{}": 400, "x": 400, strings.Repeat(" ", maxBody+1): 413} {
		if a := f.ask(t, "POST", "/api/v1/ramps/soak/runs", body); a.status != status {
			t.Errorf("body %.20q: %d; want %d", body, a.status, status)
		}
	}
	f.Lifecycle = false
	for _, q := range [][2]string{{"POST", "/api/v1/ramps/soak/runs"}, {"DELETE", "/api/v1/ramps/soak/runs/current"}, {"POST", "/api/v1/targets/chat/probes/fast/run"}} {
		if p := decode[Problem](t, f.ask(t, q[0], q[1]), 403); p.Code != "lifecycle_disabled" || !strings.Contains(p.Detail, "--web.enable-lifecycle") {
			t.Errorf("%v: %+v; want the cure", q, p)
		}
	}
	if len(*asked) > 0 {
		t.Errorf("what was changed all the same: %v", *asked)
	}
}

func TestMethods(t *testing.T) {
	f := newFixture(t)
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"HEAD", "/api/v1/targets", 200, ""},
		{"HEAD", "/api/v1/targets/none", 404, ""},
		{"OPTIONS", "/api/v1/targets", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS", "/api/v1/ramps/soak/runs", 204, "OPTIONS, POST"},
		{"POST", "/api/v1/targets", 405, "GET, HEAD, OPTIONS"},
		{"GET", "/api/v1/ramps/soak/runs", 405, "OPTIONS, POST"},
		{"TRACE", "/api/v1/runs", 405, "GET, HEAD, OPTIONS"},
		{"GET", "/api/v1/", 404, ""},
		{"GET", "/api/v1/nothing", 404, ""},
		{"GET", "/api/v1/openapi.yaml", 200, ""},
	} {
		if a := f.ask(t, test.method, test.path); a.status != test.status || a.header.Get("Allow") != test.allow {
			t.Errorf("%s %s = %d, Allow %q; want %d, %q", test.method, test.path, a.status, a.header.Get("Allow"), test.status, test.allow)
		}
	}
}

func TestBadQueries(t *testing.T) {
	f := newFixture(t)
	for path, parameter := range map[string]string{
		"/api/v1/targets?nonsense=1":                                        "nonsense",
		"/api/v1/targets?limit=0":                                           "limit",
		"/api/v1/targets?limit=501":                                         "limit",
		"/api/v1/targets?limit=x":                                           "limit",
		"/api/v1/targets?limit=1&limit=2":                                   "limit",
		"/api/v1/targets?cursor=%00":                                        "cursor",
		"/api/v1/targets?cursor=" + newCursor("r", "x"):                     "cursor",
		"/api/v1/targets/chat?probe=fast":                                   "probe",
		"/api/v1/targets/chat/requests?outcome=great":                       "outcome",
		"/api/v1/targets/chat/requests?probe=":                              "probe",
		"/api/v1/targets/chat/requests?cursor=" + newCursor("q", "nothing"): "cursor",
		"/api/v1/targets/chat/verdict?max_age=-5m":                          "max_age",
		"/api/v1/targets/chat/verdict?max_age=soon":                         "max_age",
		"/api/v1/runs?verdict=good":                                         "verdict",
		"/api/v1/runs?since=yesterday":                                      "since",
		"/api/v1/runs?cursor=" + newCursor("r", "../x"):                     "cursor",
		"/api/v1/runs?ramp=" + strings.Repeat("a", maxName+1):               "ramp",
		"/api/v1/runs/x/requests?format=xml":                                "format",
		"/api/v1/runs?a=%zz":                                                "",
		"/api/v1/runs?ramp=" + strings.Repeat("a", maxQuery):                "",
		"/api/v1/targets/chat/verdict?" + strings.Repeat("probe=a&", 60):    "probe",
	} {
		if p := decode[Problem](t, f.ask(t, "GET", path), 400); p.Code != "bad_query" || p.Parameter != parameter {
			t.Errorf("%.80s: %+v; want parameter %q", path, p, parameter)
		}
	}
}

// Texts from outside are told as text, shortened, without what controls a terminal and without credentials.
func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                           "plain",
		"a\x1b[31m\nb\u202ec":             "a [31m b c",
		"key: Bearer abcdefghij.klm rest": "key: <secret> rest",
		"Incorrect API key provided: sk-proj-a1b2c3d4": "Incorrect API key provided: <secret>",
		"get http://user:pass@host/v1: refused":        "get http<secret>: refused",
		strings.Repeat("x", maxError+5):                strings.Repeat("x", maxError) + "…",
		"basic idea":                                   "basic idea",
	} {
		want = strings.ReplaceAll(want, "http<secret>", "http://<secret>@host/v1")
		if got := text(in, maxError); got != want {
			t.Errorf("text(%.60q) = %.80q; want %.80q", in, got, want)
		}
	}
	if got := text(strings.Repeat("é\n", 1<<20), 10); len(got) > 50 {
		t.Errorf("a long text becomes %d bytes", len(got))
	}
}
