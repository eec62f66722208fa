package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serve listens, says where, and ends at an interrupt, as the prober does. It is this test's binary that does so.
func serve() {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "hello\n")
			c.Close()
		}
	}()
	os.WriteFile("address", []byte(l.Addr().String()), 0o644)
	if os.Getenv("DOCS_TEST_QUIET") == "" {
		fmt.Printf("msg=\"Listening on\" address=%s\n", l.Addr())
	}
	<-interrupts
	code, err := strconv.Atoi(os.Getenv("DOCS_TEST_SERVER"))
	if err != nil {
		panic(err)
	}
	os.Exit(code)
}

// follow runs a page of one text in this process, and returns what was said of it.
func follow(t *testing.T, text string, skip ...string) (string, error) {
	t.Helper()
	page, err := Parse("p.md", []byte(strings.ReplaceAll(text, "'''", "```")), complete)
	if err != nil {
		t.Fatal(err)
	}
	server, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	err = runPage(t.Context(), options{binary: server, clone: t.TempDir(), skip: skip, within: time.Minute}, page, &said)
	return said.String(), err
}

func TestRunPage(t *testing.T) {
	clone := `[[ $PWD == "$at" ]]`
	tests := []struct {
		name, page string
		want       string // part of the error; empty: none
	}{
		{"variables, functions and folders last", "'''sh\nx=1; f() { echo \"$x\"; }\nmkdir d && cd d\n'''\n'''console\n$ f\n1\n$ basename \"$PWD\"\nd\n'''\n", ""},
		{"a failure", "'''sh\ntrue\necho text >&2; (exit 4)\ntrue\n'''\n", "p.md:3: echo text >&2; (exit 4)\n    exit code 4; want 0\n      | text"},
		{"a failure in a pipe", "'''sh\nfalse | cat\n'''\n", "p.md:2:"},
		{"the exit code that is told", "text\n<!-- exit: 4 -->\n'''sh\n(exit 4)\n'''\n", ""},
		{"another one", "text\n<!-- exit: 4 -->\n'''sh\n(exit 5)\n'''\n", "exit code 5; want 4"},
		{"the shell is ended", "'''sh\nexit 0\n'''\n", "the shell has ended"},
		{"output", "'''console\n$ echo 3 things\n4 things\n'''\n", ""},
		{"other output", "'''console\n$ echo 3 things\n4 people\n'''\n", `p.md:2: echo 3 things`},
		{"a file", "<!-- file: a/b.txt -->\n'''text\nx\n'''\n'''console\n$ cat a/b.txt\nx\n'''\n", ""},
		{"a home of its own", "'''sh\n[[ $(ls ~) == '' && $HOME == */home ]]\n'''\n", ""},
		{"not run", "<!-- not run: no Docker -->\n'''sh\nfalse\n'''\n", ""},
		{"in the repository", "text\n<!-- in: the repository -->\n'''sh\ntouch here; at=$PWD\n'''\n'''sh\n! " + clone + "\n'''\n", ""},
		{"no input", "'''sh\nread -r line || true\n'''\n", ""},
		{"in the background", "'''sh\nexport DOCS_TEST_SERVER=0\nllm_prober &\n'''\n'''console\n$ cat </dev/tcp/$(sed s.:./. address)\nhello\n'''\n", ""},
		{"in the background, without a word", "'''sh\nexport DOCS_TEST_SERVER=0 DOCS_TEST_QUIET=1\nllm_prober &\nuntil [[ -s address ]]; do sleep 0.01; done\n'''\n'''console\n$ cat </dev/tcp/$(sed s.:./. address)\nhello\n'''\n", ""},
		{"in the background, with output", "'''sh\nexport DOCS_TEST_SERVER=0\n'''\n<!-- background -->\n'''console\n$ llm_prober\nmsg=\"Listening on\" address=127.0.0.1:9779\n'''\n", ""},
		{"in the background, and fails at the end", "'''sh\nDOCS_TEST_SERVER=3 llm_prober &\n'''\n", "p.md: DOCS_TEST_SERVER=3 llm_prober &\n    at the end of the page, when it is ended with SIGINT: exit code 3; want 0"},
		{"in the background, and ends", "'''sh\n(exit 2) &\n'''\n", "it has ended"},
		{"beneath another program, as make would", "'''sh\nexport DOCS_TEST_SERVER=0\n{ llm_prober; echo over; } &\n'''\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			said, err := follow(t, tt.page)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v; want %q", said, err, tt.want)
			}
		})
	}
}

func TestSkip(t *testing.T) {
	said, err := follow(t, "'''sh\nmake test     # everything\nfalse\n'''\n", "make test", "false")
	if err != nil || !strings.Contains(said, "LEFT OUT, as was asked for: p.md:2: make test\n") || strings.Count(said, "LEFT OUT") != 2 {
		t.Errorf("%s, %v; want two commands that are left out", said, err)
	}
}

// TestNothingIsLeft sees that what a page starts ends with it, even what it hides in the background of a command.
func TestNothingIsLeft(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	own := fmt.Sprintf("3599.%d", os.Getpid()) // seconds, by which those of this test are known
	_, err := follow(t, "'''sh\n(sleep "+own+"; touch "+mark+") >/dev/null 2>&1 & disown; sleep "+own+" & disown; true\nfalse\n'''\n")
	if err == nil {
		t.Error("a page that fails does not")
	}
	for _, p := range processes() {
		if command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid)); err == nil && strings.HasPrefix(string(command), "sleep\x00"+own) {
			t.Errorf("%q still runs", command)
		}
	}
}

// TestRun runs pages as the command does.
func TestRun(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"README.md":       "# A\n\n<!-- in: the repository -->\n\n'''console\n$ cat docs/b.md | grep -c whole\n1\n$ touch new\n'''\n",
		"docs/b.md":       "whole\n'''sh\ntrue\n'''\n",
		"docs/sub/c.md":   "text\n<!-- not run: no Docker -->\n'''sh\ndocker run x\n'''\n",
		"docs/broken.md":  "'''sh\necho so; false\n'''\n",
		"bin/llm_prober":  "",
		"docs/notes.text": "'''sh\nfalse\n'''\n",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "'''", "```")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	if err := run(t.Context(), []string{"-root", root, "-list"}, &said); err != nil || !strings.Contains(said.String(), "docs/b.md:3: run: true") {
		t.Errorf("-list: %v: %s", err, &said)
	}
	said.Reset()
	err := run(t.Context(), []string{"-root", root, "-clone"}, &said)
	if err == nil || err.Error() != "failed: docs/broken.md" {
		t.Errorf("run(...) = %v; want docs/broken.md to have failed", err)
	}
	for _, want := range []string{
		"README.md                    ok      2 commands", "docs/b.md                    ok      1 commands", "docs/broken.md               FAIL    1 commands",
		"docs/broken.md:2: echo so; false\n    exit code 1; want 0\n      | so", "not run: docs/sub/c.md:3: no Docker", "4 pages, 1 blocks not run",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it says\n%s\nwant %q", &said, want)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "new")); err != nil {
		t.Errorf("a command for the repository was run elsewhere: %v", err)
	}
}

// TestCurl sees that what a server refuses is a failure, and that the page may say so itself.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there" {
			w.WriteHeader(http.StatusForbidden)
		}
		io.WriteString(w, "said\n")
	}))
	defer server.Close()
	tests := []struct{ arguments, want string }{
		{"/there", ""}, {"/there -f", ""}, {"/there -sSfo x", ""}, {"/there --fail", ""}, {"/there --fail-with-body", ""},
		{"/elsewhere", "error: 403\n      | said"}, {"/elsewhere -sf", "exit code 22; want 0"},
	}
	for _, tt := range tests {
		_, err := follow(t, "'''sh\ncurl "+server.URL+tt.arguments+"\n'''\n")
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("curl %s: %v; want %q", tt.arguments, err, tt.want)
		}
	}
}
