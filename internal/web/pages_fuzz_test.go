package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// foreignRecord is a record of the first version, as it lies on disk.
func foreignRecord(t testing.TB) ([]byte, *record.Run) {
	t.Helper()
	text, err := os.ReadFile("../runs/testdata/v1/run.json")
	if err != nil {
		t.Fatal(err)
	}
	run := new(record.Run)
	if err := json.Unmarshal(text, run); err != nil {
		t.Fatal(err)
	}
	return text, run
}

// checkPage looks at a page that may have anything in it.
func checkPage(t *testing.T, what string, body []byte) {
	t.Helper()
	if len(body) > 8<<20 || !utf8.Valid(body) {
		t.Errorf("%s: a page of %d bytes, valid UTF-8 %v", what, len(body), utf8.Valid(body))
	}
	for _, c := range string(body) {
		if !unicode.IsPrint(c) && !unicode.IsSpace(c) {
			t.Errorf("%s: the page has %U", what, c)
			break
		}
	}
	if bytes.Contains(body, []byte("<script>alert(1)")) {
		t.Errorf("%s: the page has a script that is not ours", what)
	}
}

// Whatever a reader asks for, byte by byte: the pages answer, keep the policy, and show what was asked as text.
func FuzzPages(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /targets/chat?probe=interactive&range=day HTTP/1.1\r\nHost: a\r\n\r\n", "GET /targets/%3Cscript%3Ealert(1)%1b%e2%80%ae HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /runs?ramp=%3Cscript%3Ealert(1)&verdict=pass&after=1.x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /runs/compare?a=..&b=%00 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /runs/start?ramp=%1b HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /runs/start HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\nramp=a", "GET /static/../templates/status.html HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /runs/20261122T020000Z-nightly_soak-1f3a9c02/requests?outcome=ok&page=-1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /runs/20261122T020000Z-nightly_soak-1f3a9c02/report.html HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	_, run := foreignRecord(f)
	h := newHistory(chat)
	h.Observe(failed(chat, prober.StreamError, hostile))
	pages := newHandler(f, Options{History: h, Lifecycle: true, Config: func() string { return hostile }, Runs: &RunsSource{
		List: func(runs.Filter) ([]runs.Info, string, error) {
			return []runs.Info{{ID: run.ID, Ramp: run.Ramp, Started: run.Started, Ended: run.Ended, Verdict: run.Verdict}}, "", nil
		},
		Load: func(id string) (*record.Run, error) {
			if id != run.ID {
				return nil, runs.ErrNotFound
			}
			return run, nil
		},
	}})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || strings.Contains(r.URL.Path, "live") { // which goes on for ever
			return
		}
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r.WithContext(t.Context()))
		if w.Code < 200 || w.Code >= 500 && w.Code != http.StatusNotImplemented {
			t.Errorf("%q: HTTP %d %s", raw, w.Code, w.Body)
		}
		if w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: the header is %v", raw, w.Header())
		}
		if w.Code/100 == 3 {
			return // net/http's own words, where a path has dots in it
		}
		if kind := w.Header().Get("Content-Type"); strings.HasPrefix(kind, "text/html") || strings.HasPrefix(kind, "text/plain") {
			checkPage(t, string(raw), w.Body.Bytes())
		}
	})
}

// Whatever a record holds: its report is drawn, bounded, and shows it as text.
func FuzzReport(f *testing.F) {
	text, _ := foreignRecord(f)
	f.Add(text)
	f.Add(bytes.ReplaceAll(text, []byte(`"chat"`), []byte(`"<script>alert(1)\u001b[2J\u202e"`)))
	f.Add([]byte(`{"lanes":[{"open":true,"stages":[{"kind":"hold","planned":5,"begin_load":1e16,"windows":[{"start":"2026-11-22T02:00:00Z","length_ns":1,"ttft":{"n":1,"p95":1e16}}]}]}],"samples":[{"engine":{}},{"gpus":[{"uuid":"a"}]}]}`))
	f.Add([]byte(`{"started":"9999-11-22T02:00:00Z","ended":"0001-11-22T02:00:00Z","comparison":{"indicators":[{"judged":true,"old":-1e308,"new":1e308}]},"diagnosis":{"findings":[{"pattern":"<script>alert(1)"}],"objectives":[{"stage":-5}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		run := new(record.Run)
		if len(data) > 1<<16 || json.Unmarshal(data, run) != nil || run.Check() != nil {
			return
		}
		var b bytes.Buffer
		begin := time.Now()
		if err := Report(&b, run); err != nil {
			t.Fatalf("Report = %v", err)
		}
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		checkPage(t, "the report", b.Bytes())
	})
}
