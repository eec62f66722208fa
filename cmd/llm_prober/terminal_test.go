package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

const (
	// escapes is what a terminal must not be sent: a title, a cleared screen, eight-bit CSI, another direction of writing,
	// DEL, a backspace, and lines that look like ours.
	escapes = "HOSTILE\x1b]0;owned\x07\x1b[2J\u009b31m\u202eleft\u2066right\u2069\ufeff\x7f\b\r\nFORGED line\u2028FORGED\u0085FORGED"
	// invisible is as much of it as a configuration takes in a name.
	invisible = "HOSTILE\u202eleft\u2066right\u2069\ufeff\U000e0041"
)

// checkShown looks for what a terminal would act upon, and for lines that were forged.
func checkShown(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is no UTF-8: %q", what, text)
	}
	for _, c := range text {
		if c != '\n' && c != '\t' && !unicode.IsPrint(c) {
			t.Errorf("%s has %U: %q", what, c, text)
			break
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "FORGED") {
			t.Errorf("%s has a line that the server made: %q", what, text)
		}
	}
}

// hostileServer answers by turns in every way in which a server has a say, the first request in the first.
func hostileServer(t *testing.T) string {
	quoted, err := json.Marshal(escapes)
	if err != nil {
		t.Fatal(err)
	}
	chunk := func(finish string) string {
		return fmt.Sprintf("data: {\"id\":%[1]s,\"model\":%[1]s,\"choices\":[{\"index\":0,\"delta\":{\"role\":%[1]s,\"content\":%[1]s},\"finish_reason\":%[2]s}]}\n\n", quoted, finish)
	}
	var mu sync.Mutex
	turn := 0
	answers := []func(http.ResponseWriter){
		func(w http.ResponseWriter) { // a finish reason of its own
			fmt.Fprint(w, chunk("null"), chunk(string(quoted)), "data: [DONE]\n\n")
		},
		func(w http.ResponseWriter) { // an error in JSON
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"error":{"message":%[1]s,"type":%[1]s,"code":%[1]s}}`, quoted)
		},
		func(w http.ResponseWriter) { // an error in its own words
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, escapes+"\xff\x9b")
		},
		func(w http.ResponseWriter) { // an error in the stream
			fmt.Fprint(w, chunk("null"), fmt.Sprintf("data: {\"error\":{\"message\":%s}}\n\n", quoted))
		},
		func(w http.ResponseWriter) { // no JSON
			fmt.Fprint(w, chunk("null"), "data: {"+strings.NewReplacer("\n", "", "\r", "").Replace(escapes)+"\n\n")
		},
		func(w http.ResponseWriter) { // a header that is none
			w.Header().Set("Retry-After", strings.NewReplacer("\n", "", "\r", "").Replace(escapes))
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n := turn
		turn++
		mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		for _, name := range []string{"X-Request-Id", "Server", "Server-Timing", "Retry-After", "X-Ratelimit-Remaining-Requests"} {
			w.Header().Set(name, "HOSTILE\u009b2J\u0085FORGED"+invisible) // as much as HTTP takes
		}
		answers[n%len(answers)](w)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

// invoke runs a command line and looks at what it says.
func invoke(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, &stdout, &stderr)
	out = stdout.String() + stderr.String()
	checkShown(t, strings.Join(args, " "), out)
	return out, code
}

// TestTerminalOfProbe: whatever a server says, neither form of the output does anything but show it.
func TestTerminalOfProbe(t *testing.T) {
	for _, form := range []string{"text", "json"} {
		t.Run(form, func(t *testing.T) {
			out, code := invoke(t, "probe", "--url="+hostileServer(t), "--model="+escapes, "-n", "6", "--output="+form)
			if code != exitFailed || strings.Count(out, "HOSTILE") < 5 {
				t.Errorf("exit code %d; want %d and what the server said in\n%s", code, exitFailed, out)
			}
			if form == "text" {
				return
			}
			for line := range strings.Lines(out) {
				var r requestJSON
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				if said := "HOSTILE\x1b]0;owned\x07\x1b[2J\u009b31m\u202eleft"; r.FinishReason != "" && !strings.HasPrefix(r.FinishReason, said) {
					t.Errorf("the finish reason is %q; want it as it was, %q", r.FinishReason, said)
				}
			}
		})
	}
}

// hostileConfig probes a server, and has what a configuration takes of what nobody would want to see.
func hostileConfig(t *testing.T, url string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hostile.yml")
	text := fmt.Sprintf(`
probes:
  p: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s, timeout: 5s, retry: {attempts: 2, on: [http_5xx], backoff: 10ms}, expect: {contains: [%[1]q]}}
  unused: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
targets:
  - {name: t, url: %[2]q, model: %[1]q, probes: [p], labels: {team: %[1]q}}
  - {name: u, url: %[2]q, model: %[1]q, probes: [p]}
  - {name: v, url: %[2]q, model: %[1]q, probes: [p]}
  - {name: w, url: %[2]q, model: %[1]q, probes: [p]}
ramps:
  - name: r
    target: t
    mix: {p: 1}
    lanes: [{arrivals: {process: constant, rate: 20/s}, stages: [{hold: 1s}]}]
    objectives: [{indicator: availability, threshold: 0.5}]
    abort: {error_share: 1, over: 1m}
    drain: 2s
`, invisible, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestTerminalOfRamps: a ramp and all that reads its record show names and errors as text, in every form; so do records that
// somebody else has written.
func TestTerminalOfRamps(t *testing.T) {
	dir := t.TempDir()
	file, storage := hostileConfig(t, hostileServer(t)), "--storage.path="+dir
	out, _ := invoke(t, "ramp", "r", "--config.file="+file, storage, "--no-collector.gpu")
	if !strings.Contains(out, "HOSTILE") || !strings.Contains(out, "lane") {
		t.Fatalf("the ramp did not run:\n%s", out)
	}
	list, code := invoke(t, "runs", "list", storage)
	id := strings.Fields(list[strings.Index(list, "\n"):])[0]
	if code != exitOK || !runs.ValidID(id) {
		t.Fatalf("exit code %d, id %q of\n%s", code, id, list)
	}
	foreign := foreignRun(t, dir, id)
	for _, id := range []string{id, foreign} {
		for _, args := range [][]string{
			{"runs", "show", id}, {"runs", "show", id, "--output=json"}, {"runs", "show", id, "--output=junit"}, {"runs", "show", id, "--output=markdown"},
			{"runs", "export", id}, {"runs", "export", id, "--format=json"},
			{"runs", "export", id, "--what=stages"}, {"runs", "export", id, "--what=stages", "--format=json"},
			{"runs", "pin", escapes, id}, {"runs", "list"}, {"runs", "show", escapes}, {"runs", "remove", id},
			{"compare", id, id}, {"compare", id, id, "--output=markdown"}, {"compare", id, id, "--output=junit"}, {"compare", id, id, "--output=json"},
			{"runs", "merge", id}, {"baseline", "save", escapes, "--run=" + id},
		} {
			if out, _ := invoke(t, append(args, storage)...); out == "" {
				t.Errorf("%q says nothing", args)
			}
		}
	}
	for _, args := range [][]string{
		{"baseline", "list", storage}, {"runs", "unpin", escapes, storage}, {"compare", "no\x1bne", "no\x1bne", storage}, {"runs", "show", "\x1b[2J", storage},
		{"ramp", "\x1b[2J", "--config.file=" + file}, {"\x1b[2J\u202e"}, {"probe", "--\x1b[2J"}, {"simulate", "--fault=\x1b[2J"},
	} {
		invoke(t, args...)
	}
}

// foreignRun writes a record as an importer might, of one that is there already, and returns its id.
func foreignRun(t *testing.T, dir, id string) string {
	t.Helper()
	store, err := runs.Open(filepath.Join(dir, "runs"), runs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	run, err := store.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	run.Ramp, run.Target, run.Model, run.Stopped = escapes, escapes, escapes, escapes
	run.Reasons = append(run.Reasons, escapes)
	run.Environment.Host, run.Environment.Currency = escapes, escapes
	for i := range run.Lanes {
		l := &run.Lanes[i]
		l.Name, l.Target, l.Model, l.Process = escapes, escapes, escapes, escapes
		for j := range l.Stages {
			s := &l.Stages[j]
			s.Name, s.Invalid, s.Early = escapes, escapes, escapes
			s.Probes = map[string]*record.Stats{escapes: s.Probes["p"]}
			s.Mix = map[string]float64{escapes: 1}
		}
	}
	if d := run.Diagnosis; d != nil {
		d.Words = append(d.Words, escapes)
		for i := range d.Objectives {
			d.Objectives[i].Name, d.Objectives[i].Lane, d.Objectives[i].Probe = escapes, escapes, escapes
		}
	}
	w, err := store.Begin(runs.NewID(time.Unix(1_795_305_600, 0), "foreign"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	if err := w.Commit(run); err != nil {
		t.Fatal(err)
	}
	return run.ID
}

// TestTerminalOfRampView: on a terminal the only control characters are those with which the view moves the cursor.
func TestTerminalOfRampView(t *testing.T) {
	moves := regexp.MustCompile(`\x1b\[(\d+A|2K|J)`)
	for _, width := range []int{0, 80} {
		var b bytes.Buffer
		v := newRampView(&b, width, &config.Ramp{Name: escapes, Repeat: 2}, 1)
		where := ramp.Where{Lane: escapes, Target: escapes, Model: escapes, Stage: escapes}
		v.StageStarted(where, record.Hold, 1, 2)
		now := time.Unix(1_795_305_600, 0)
		for range 2 {
			v.Progress(&ramp.Snapshot{
				At: now, Started: now.Add(-time.Minute), Left: time.Minute, Ending: escapes,
				Lanes: []ramp.LaneSnapshot{{Where: where, TTFTN: 1, Objectives: []record.Judgement{{Objective: record.Objective{}, Probe: escapes}}}},
			})
			now = now.Add(time.Minute)
		}
		v.end()
		out := b.String()
		if width > 0 {
			if !moves.MatchString(out) {
				t.Errorf("the view moves nothing: %q", out)
			}
			out = moves.ReplaceAllString(out, "")
		}
		checkShown(t, fmt.Sprintf("the view on %d columns", width), out)
		if n := strings.Count(out, "\n"); !strings.Contains(out, "HOSTILE") || width > 0 && n != 8 || width == 0 && n != 3 {
			t.Errorf("the view on %d columns has %d lines: %q", width, n, out)
		}
	}
}

// TestTerminalOfCheckConfig: names, values and files that are wrong are shown as text, in one line each.
func TestTerminalOfCheckConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	quoted, err := json.Marshal(escapes)
	if err != nil {
		t.Fatal(err)
	}
	targets := func(name, labels string) string {
		return write(name+".yml", fmt.Sprintf("probes: {p: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}}\ntarget_files:\n  - {files: [%q], template: {model: m, probes: [p]}}\n",
			write(name+".json", labels)))
	}
	for name, file := range map[string]string{
		"raw":     write("raw.yml", escapes+": "+escapes),
		"quoted":  write("quoted.yml", fmt.Sprintf("%[1]s: %[1]s\nprobes: {%[1]s: {interval: %[1]s, %[1]s: 1}}\ntargets: [{name: %[1]s, url: %[1]s, protocol: %[1]s, probes: [%[1]s]}]\n", quoted)),
		"latin":   write("latin.yml", "probes: {\x9b\xff: {interval: 1s}}\n"),
		"missing": filepath.Join(dir, invisible+"\x1b[2J.yml"),
		"place":   targets("place", fmt.Sprintf(`[{"targets": [%[1]s], "labels": {%[1]s: %[1]s}}]`, quoted)),
		"label":   targets("label", fmt.Sprintf(`[{"targets": ["a:1"], "labels": {"__probes": %[1]s, "__protocol": %[1]s, "__engine": %[1]s}}]`, quoted)),
		"type":    targets("type", fmt.Sprintf(`[{"targets": ["a:1"], %s: 1}]`, quoted)),
		"warning": hostileConfig(t, "http://127.0.0.1:1/v1"),
	} {
		t.Run(name, func(t *testing.T) {
			out, code := invoke(t, "check-config", file)
			if out == "" || (code == exitOK) != (name == "warning") {
				t.Errorf("exit code %d of\n%s", code, out)
			}
		})
	}
}

// TestTerminalOfGate: a prober's words, and those of what only seems to be one.
func TestTerminalOfGate(t *testing.T) {
	quoted, err := json.Marshal(escapes)
	if err != nil {
		t.Fatal(err)
	}
	raw := strings.NewReplacer(`\u001b`, "\\u001b", `\u2028`, "\u2028", `\u007f`, "\x7f").Replace(string(quoted)) // JSON takes DEL and C1 as they are
	for name, answer := range map[string]struct {
		kind   string
		status int
		body   string
	}{
		"verdict": {"application/json", 200, "\r\n" + fmt.Sprintf(`{"target":%[1]s,"verdict":"degraded","reasons":[{"code":%[1]s,"verdict":%[1]s,"text":%[1]s}],"notes":[%[1]s]}`, raw)},
		"unknown": {"application/json", 200, fmt.Sprintf(`{"target":"t","verdict":%s}`, raw)},
		"problem": {"application/problem+json", 400, fmt.Sprintf(`{"detail":%s}`, raw)},
		"text":    {"text/plain", 500, escapes},
	} {
		for _, form := range []string{"text", "json"} {
			t.Run(name+" "+form, func(t *testing.T) {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", answer.kind)
					w.WriteHeader(answer.status)
					io.WriteString(w, answer.body)
				}))
				defer server.Close()
				out, code := invoke(t, "gate", "--url="+server.URL, "--target="+escapes, "--output="+form)
				if code == exitOK || !strings.Contains(out, "HOSTILE") && name != "unknown" {
					t.Errorf("exit code %d of\n%s", code, out)
				}
				if name == "verdict" && form == "json" && !json.Valid([]byte(out)) {
					t.Errorf("no JSON: %s", out)
				}
			})
		}
	}
}

// TestTerminalOfLog: a daemon that probes such a server logs it in both forms, an event a line.
func TestTerminalOfLog(t *testing.T) {
	for _, form := range []string{"logfmt", "json"} {
		t.Run(form, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			log := &logged{enough: cancel, after: 10}
			code := run(ctx, []string{
				"--config.file=" + hostileConfig(t, hostileServer(t)), "--web.listen-address=127.0.0.1:0", "--storage.path=" + t.TempDir(),
				"--no-collector.gpu", "--log.level=debug", "--log.format=" + form,
			}, io.Discard, log)
			out := log.String()
			checkShown(t, "the log", out)
			if code != exitOK || !strings.Contains(out, "HOSTILE") {
				t.Errorf("exit code %d and the log\n%s", code, out)
			}
			for line := range strings.Lines(out) {
				if form == "json" && !json.Valid([]byte(line)) || form == "logfmt" && !strings.HasPrefix(line, "level=") {
					t.Errorf("the log has the line %q", line)
				}
			}
		})
	}
}

// logged keeps a log, and says when it has told of enough failed probes.
type logged struct {
	enough func()
	after  int

	mu     sync.Mutex // protects what follows
	b      bytes.Buffer
	failed int
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(p, []byte("probe failed")) {
		if l.failed++; l.failed == l.after {
			l.enough()
		}
	}
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
