package browser

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// binary is the built llm_prober.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("LLM_PROBER_BINARY")
	if path == "" {
		path = "../bin/llm_prober"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		skip(t, "there is no built llm_prober: make browser builds it, or name one in LLM_PROBER_BINARY")
	}
	return path
}

// start runs the binary until the test ends, and returns what the first match of pattern in its log says.
func start(t *testing.T, pattern string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log, match := bufio.NewReader(stderr), regexp.MustCompile(pattern)
	drained := make(chan struct{}) // nobody reads stderr any more, and it was read to its end
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		late := time.AfterFunc(time.Minute, func() {
			t.Errorf("%v did not end within a minute of Ctrl-C", args)
			cmd.Process.Kill()
		})
		defer late.Stop()
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v ended with %v; want a clean end", args, err)
		}
	})
	for {
		line, err := log.ReadString('\n')
		if m := match.FindStringSubmatch(line); m != nil {
			go func() {
				defer close(drained)
				io.Copy(io.Discard, log)
			}()
			return m[1]
		}
		if err != nil {
			close(drained)
			t.Fatalf("%v ended before it served: %s", args, line)
		}
	}
}

// demo runs the demo, and returns where its pages are.
func demo(t *testing.T) string {
	t.Helper()
	return "http://" + start(t, `msg="Listening on" address=(\S+)`, "demo", "--web.listen-address=127.0.0.1:0")
}

// await asks twice a second until ok says yes: of a page without its script nobody is told that it would be another now.
func await(t *testing.T, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for !ok() {
		select {
		case <-late.C:
			t.Fatalf("%s: not within %s", what, patience)
		case <-tick.C:
		}
	}
}
