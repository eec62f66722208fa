package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/internal/api"
)

// verdicts answers by one body after the other, and then by the last one for ever.
type verdicts struct {
	bodies []string // "404" and the like: a problem of that status
	asked  []*url.URL
	user   string
}

func (v *verdicts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.asked = append(v.asked, r.URL)
	v.user, _, _ = r.BasicAuth()
	body := v.bodies[min(len(v.asked), len(v.bodies))-1]
	var status int
	if _, err := fmt.Sscan(body, &status); err == nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"title":"x","status":%d,"detail":"the cure","code":"x"}`, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintln(w, body)
}

const (
	isReady    = `{"target":"chat","verdict":"ready","reasons":[],"notes":["a note"],"evidence":[]}`
	isDegraded = `{"target":"chat","verdict":"degraded","reasons":[{"verdict":"degraded","code":"regression","text":"it is \u001b[31mslower"}],"notes":[],"evidence":[]}`
	isNotReady = `{"target":"chat","verdict":"not_ready","reasons":[{"verdict":"not_ready","code":"stale","text":"it is old"}],"notes":[],"evidence":[]}`
)

func TestGate(t *testing.T) {
	for _, test := range []struct {
		name   string
		bodies []string
		change func(c *gateCommand)
		code   int
		out    string
		asked  int
	}{
		{"ready", []string{isReady}, nil, exitOK, "chat: ready\n  note: a note\n", 1},
		{"degraded", []string{isDegraded}, nil, exitDegraded, "chat: degraded\n  degraded: it is [31mslower (regression)\n", 1},
		{"degraded is allowed", []string{isDegraded}, func(c *gateCommand) { c.allowDegraded = true }, exitOK, "", 1},
		{"not ready", []string{isNotReady}, nil, exitNotReady, "chat: not_ready\n  not_ready: it is old (stale)\n", 1},
		{"not ready, whatever is allowed", []string{isNotReady}, func(c *gateCommand) { c.allowDegraded = true }, exitNotReady, "", 1},
		{"ready in the end", []string{isNotReady, isNotReady, isDegraded, isReady}, func(c *gateCommand) { c.wait = time.Minute }, exitOK, "", 4},
		{"good enough in the end", []string{isNotReady, isDegraded, isReady}, func(c *gateCommand) { c.wait, c.allowDegraded = time.Minute, true }, exitOK, "", 2},
		{"no such target", []string{"404"}, nil, exitFailed, "", 1},
		{"a target that is yet to come", []string{"404", "503", isReady}, func(c *gateCommand) { c.wait = time.Minute }, exitOK, "", 3},
		{"no right to ask", []string{"401", isReady}, func(c *gateCommand) { c.wait = time.Minute }, exitFailed, "", 1},
		{"no verdict", []string{`{"target":"chat"}`}, nil, exitFailed, "", 1},
		{"a verdict of the future", []string{`{"target":"chat","verdict":"great"}`}, nil, exitFailed, "", 1},
		{"as JSON", []string{isNotReady, isReady}, func(c *gateCommand) { c.wait, c.output = time.Minute, "json" }, exitOK, isReady + "\n", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := &verdicts{bodies: test.bodies}
			server := httptest.NewServer(v)
			defer server.Close()
			base, err := url.Parse(server.URL + "/prefix/")
			if err != nil {
				t.Fatal(err)
			}
			c := &gateCommand{url: base, target: "chat", output: "text", every: time.Millisecond, probes: []string{"a b", "c"}, maxAge: 2 * time.Minute}
			if test.change != nil {
				test.change(c)
			}
			var out bytes.Buffer
			err = c.run(t.Context(), env{stdout: &out, stderr: &out, logger: slog.New(slog.DiscardHandler)})
			code := exitOK
			if verdict, ok := errors.AsType[gateExit](err); ok {
				code = verdict.code()
			} else if err != nil {
				code = exitFailed
			}
			if code != test.code || test.out != "" && out.String() != test.out || len(v.asked) != test.asked {
				t.Errorf("exit code %d (%v) after %d askings, says %q; want %d after %d, %q", code, err, len(v.asked), out.String(), test.code, test.asked, test.out)
			}
			if got, want := v.asked[0].String(), "/prefix/api/v1/targets/chat/verdict?max_age=2m0s&probe=a+b&probe=c"; got != want {
				t.Errorf("asked for %s; want %s", got, want)
			}
			if test.code == exitFailed && len(test.bodies[0]) == 3 && !strings.Contains(err.Error(), "the cure") {
				t.Errorf("error = %v; want the problem's detail", err)
			}
		})
	}
}

func TestGateGivesUp(t *testing.T) {
	v := &verdicts{bodies: []string{isNotReady}}
	server := httptest.NewServer(v)
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/http.yml"
	if err := os.WriteFile(file, []byte("basic_auth: {username: ci, password: secret}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &gateCommand{url: base, target: "chat", output: "text", every: 5 * time.Millisecond, wait: 5 * time.Second, httpFile: file} // longer than a machine stands still
	var out bytes.Buffer
	err = c.run(t.Context(), env{stdout: &out, stderr: &out, logger: slog.New(slog.DiscardHandler)})
	if verdict, ok := errors.AsType[gateExit](err); !ok || verdict != gateExit(api.NotReady) || len(v.asked) < 2 {
		t.Errorf("run = %v after %d askings; want not_ready after several", err, len(v.asked))
	}
	if v.user != "ci" {
		t.Errorf("asked as %q; want ci", v.user)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.wait = time.Hour
	if err := c.run(ctx, env{stdout: &out, stderr: &out, logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("after a signal the gate is open")
	}
	server.Close()
	c.wait = 0
	if err := c.run(t.Context(), env{stdout: &out, stderr: &out, logger: slog.New(slog.DiscardHandler)}); err == nil || strings.Contains(err.Error(), "verdict ") {
		t.Errorf("without a prober: %v; want the error of asking", err)
	}
	c.httpFile = "no-such-file.yml"
	if err := c.run(t.Context(), env{stdout: &out, stderr: &out, logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "--http.config.file=no-such-file.yml") {
		t.Errorf("without the file: %v", err)
	}
}
