package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/config"
)

// harness is a Discovery of files that runs in a bubble, where time passes by sleeping.
type harness struct {
	*Discovery

	mu    sync.Mutex // protects all following fields
	text  bytes.Buffer
	count int      // of calls of OnChange
	last  []string // what OnChange was told
	fail  error    // is what OnChange returns
}

// Write takes what is logged.
func (h *harness) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *harness) log() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// calls are how often OnChange was called, and what it was told last.
func (h *harness) calls() (int, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count, h.last
}

// failing makes OnChange return err.
func (h *harness) failing(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = err
}

func newHarness(t *testing.T, previous *Discovery, c *config.Config) *harness {
	t.Helper()
	h := &harness{}
	o := Options{Config: c}
	o.Logger = slog.New(slog.NewTextHandler(h, nil))
	o.OnChange = func(_ context.Context, targets []*config.Target) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.count++
		h.last = names(targets)
		return h.fail
	}
	var err error
	if h.Discovery, err = New(o, previous); err != nil {
		t.Fatal(err)
	}
	return h
}

// runs loads and runs h until the test ends, or until what it returns is called.
func (h *harness) runs(t *testing.T) (stop func()) {
	t.Helper()
	if _, err := h.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(stop)
	return stop
}

// after lets time pass, and compares what is in force.
func (h *harness) after(t *testing.T, wait time.Duration, want ...string) {
	t.Helper()
	<-time.NewTimer(wait).C
	synctest.Wait()
	if diff := cmp.Diff(append([]string{}, want...), names(h.Targets())); diff != "" {
		t.Errorf("in force (-want +got):\n%s", diff)
	}
}

// listing is a file of targets with these names, each in a group of its own.
func listing(names ...string) string {
	var groups []string
	for _, n := range names {
		groups = append(groups, fmt.Sprintf(`{"targets": ["%s:8000"], "labels": {"__name": %q}}`, n, n))
	}
	return "[" + strings.Join(groups, ",\n") + "]\n"
}

const (
	interval = 10 * time.Second
	settled  = interval + settleAfter // by then a change is in force
)

func TestFilesComeAndGo(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		write(t, dir+"/a.json", listing("a"))
		h := newHarness(t, nil, ofFiles(t, dir))
		stop := h.runs(t)
		h.after(t, 0, "a")
		h.after(t, 5*interval, "a")
		if calls, _ := h.calls(); calls != 0 {
			t.Errorf("OnChange is called %d times for what Load returned", calls)
		}

		write(t, dir+"/b.yml", "- targets: [b]\n  labels: {__name: b}\n")
		h.after(t, interval, "a", "b") // a new file has nothing to lose
		write(t, dir+"/a.json", listing("a2", "a1"))
		h.after(t, settled, "a1", "a2", "b")
		if calls, told := h.calls(); calls != 2 || !slices.Equal(told, []string{"a1", "a2", "b"}) {
			t.Errorf("OnChange is called %d times, and was told %v", calls, told)
		}
		write(t, dir+"/a.json", listing("a1", "a2"))
		h.after(t, settled, "a1", "a2", "b")
		if calls, _ := h.calls(); calls != 2 {
			t.Error("another order is taken for a change")
		}
		if err := os.Remove(dir + "/a.json"); err != nil {
			t.Fatal(err)
		}
		h.after(t, settled, "b")
		write(t, dir+"/b.yml", "[]")
		h.after(t, settled)
		if calls, _ := h.calls(); calls != 4 {
			t.Errorf("OnChange is called %d times; want 4", calls)
		}
		if s := h.Status()[0]; s.Failed != 0 || s.LastError != nil || s.Targets != 0 || time.Since(s.LastSuccess) > interval {
			t.Errorf("the status is %+v", s)
		}
		stop()
	})
}

// A list that is cut anywhere, for as long as it takes to look at it once, costs no target.
func TestHalfWrittenFiles(t *testing.T) {
	for _, c := range []struct{ file, text string }{
		{"a.json", listing("a", "b")},
		{"a.yml", "- targets: [a]\n  labels: {__name: a}\n- targets: [b]\n  labels:\n    __name: b\n    team: infra\n"},
	} {
		t.Run(c.file, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, c.file)
			put := func(text string) { // in place, as shells and editors do
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				put(c.text)
				h := newHarness(t, nil, ofFiles(t, dir))
				h.runs(t)
				before := h.Targets()
				for i := range c.text {
					put(c.text[:i])
					h.after(t, interval, "a", "b") // which is looked at once
					put(c.text)
					h.after(t, settled, "a", "b")
					if h.Targets()[1] != before[1] {
						t.Fatalf("cut at %d, b is another", i)
					}
				}
				if calls, _ := h.calls(); calls != 0 {
					t.Errorf("OnChange is called %d times", calls)
				}
				if s := h.Status()[0]; s.Failed != 0 {
					t.Errorf("the status is %+v; want no failure", s)
				}
			})
		})
	}
	t.Run("gone and back", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			write(t, dir+"/a.json", listing("a"))
			h := newHarness(t, nil, ofFiles(t, dir))
			h.runs(t)
			if err := os.Remove(dir + "/a.json"); err != nil {
				t.Fatal(err)
			}
			h.after(t, interval, "a")
			write(t, dir+"/a.json", listing("a"))
			h.after(t, settled, "a")
			if calls, _ := h.calls(); calls != 0 {
				t.Errorf("OnChange is called %d times", calls)
			}
		})
	})
}

// A file that stays wrong costs its own list its changes, and nothing else; it is logged once.
func TestWrongFile(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		write(t, dir+"/a.json", listing("a"))
		write(t, dir+"/b.json", listing("b"))
		write(t, other+"/c.json", listing("c"))
		h := newHarness(t, nil, ofFiles(t, dir, other))
		h.runs(t)
		h.after(t, 0, "a", "b", "c")

		write(t, dir+"/a.json", `[{"targets": ["a:1"]}, {"targets": ["x:1"], "labels": {"model": "y"}}]`)
		write(t, dir+"/b.json", listing("b", "b2"))
		h.after(t, settled, "a", "b", "b2", "c")
		h.after(t, 10*interval, "a", "b", "b2", "c")
		s := h.Status()
		want := dir + `/a.json: [1].targets[0]: labels.model: the label "model" is used by the metrics themselves; choose another name`
		if s[0].LastError == nil || s[0].LastError.Error() != want || s[0].Failed != 11 || s[0].Succeeded != 1 {
			t.Errorf("the status is %+v; want 11 failures and %q", s[0], want)
		}
		if s[1].LastError != nil || s[1].Failed != 0 || s[1].Targets != 1 {
			t.Errorf("the status of the other is %+v", s[1])
		}
		if n := strings.Count(h.log(), "is used by the metrics themselves"); n != 1 {
			t.Errorf("the mistake is logged %d times:\n%s", n, h.log())
		}
		if strings.Contains(h.log(), "targets are read again") {
			t.Errorf("a recovery is logged before there is one:\n%s", h.log())
		}
		write(t, dir+"/a.json", "[{}, null]") // another mistake is none, either
		h.after(t, settled, "a", "b", "b2", "c")
		if strings.Contains(h.log(), "targets are read again") {
			t.Errorf("a recovery is logged where one mistake follows another:\n%s", h.log())
		}
		write(t, dir+"/a.json", listing("a2"))
		h.after(t, settled, "a2", "b", "b2", "c")
		if !strings.Contains(h.log(), "targets are read again") {
			t.Errorf("the recovery is not logged:\n%s", h.log())
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		write(t, other+"/c.json", listing("c"))
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // a folder that cannot be read
			t.Fatal(err)
		}
		h.after(t, 5*interval, "a2", "b", "b2", "c")
		if s := h.Status()[0]; s.LastError == nil {
			t.Error("a folder that cannot be read is no error")
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		h.after(t, settled, "c")
	})
}

func TestNamesAreTaken(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		write(t, one+"/f.json", listing("x"))
		write(t, two+"/f.json", listing("y", "x"))
		write(t, two+"/g.json", listing("z", "own"))
		h := newHarness(t, nil, ofFiles(t, one, two))
		h.runs(t)
		h.after(t, 0, "x")
		want := []string{
			two + `/f.json: [1].targets[0]: the name "x" is that of ` + one + `/f.json: [0].targets[0], too; give one of them another with the label __name`,
			two + `/g.json: [1].targets[0]: the name "own" is that of a target of the configuration file, too; give one of them another with the label __name`,
		}
		if got := fmt.Sprint(h.Status()[1].LastError); got != strings.Join(want, "\n") {
			t.Errorf("the error is\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
		// The name is free once the other list lets it go.
		write(t, one+"/f.json", "[]")
		h.after(t, 2*settled, "x", "y")
		// It is not taken back.
		write(t, one+"/f.json", listing("x"))
		h.after(t, 2*settled, "x", "y")

		// Within one source targets may change places.
		write(t, two+"/g.json", listing("z"))
		h.after(t, 2*settled, "x", "y", "z")
		write(t, two+"/f.json", listing("z"))
		write(t, two+"/g.json", listing("y", "x"))
		h.after(t, settled, "x", "y", "z")
		if s := h.Status()[1]; s.LastError != nil || s.Targets != 3 {
			t.Errorf("the status is %+v", s)
		}
		if got := h.sources[1].lists[two+"/f.json"].len(); got != 1 {
			t.Errorf("the first file has %d targets in force; want 1", got)
		}

		// A file may be called something else.
		failed := h.Status()[1].Failed
		calls, _ := h.calls()
		if err := os.Rename(two+"/f.json", two+"/h.json"); err != nil {
			t.Fatal(err)
		}
		h.after(t, settled, "x", "y", "z")
		if now, _ := h.calls(); now != calls || h.Status()[1].Failed != failed || h.sources[1].lists[two+"/h.json"].len() != 1 {
			t.Errorf("a file that is called something else: OnChange is called %d times, %+v", now-calls, h.Status()[1])
		}
	})
}

func TestBoundOfTargets(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := ofFiles(t, dir)
		c.TargetFiles[0].MaxTargets = 3
		write(t, dir+"/a.json", listing("a1", "a2"))
		write(t, dir+"/b.json", listing("b1", "b2"))
		h := newHarness(t, nil, c)
		h.runs(t)
		h.after(t, 0, "a1", "a2")
		if want := dir + "/b.json: the source would list 4 targets, and its bound is 3"; fmt.Sprint(h.Status()[0].LastError) != want {
			t.Errorf("the error is %v; want %q", h.Status()[0].LastError, want)
		}
		write(t, dir+"/a.json", listing("a1"))
		h.after(t, settled, "a1", "b1", "b2")
	})
}

func TestOnChangeFails(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil, ofFiles(t, dir))
		h.runs(t)
		h.after(t, time.Second)
		h.failing(errors.New("no certificate"))
		write(t, dir+"/a.json", listing("a"))
		h.after(t, time.Minute, "a")
		if calls, _ := h.calls(); calls < 5 || strings.Count(h.log(), "no certificate") != 1 {
			t.Errorf("OnChange is called %d times:\n%s", calls, h.log())
		}
		h.failing(nil)
		time.Sleep(retryAfter)
		synctest.Wait()
		before, _ := h.calls()
		h.after(t, time.Minute, "a")
		if calls, _ := h.calls(); calls != before {
			t.Errorf("OnChange is called %d times after it succeeded", calls-before)
		}
		if !strings.Contains(h.log(), "there is no file of targets") {
			t.Errorf("that there was no file is not logged:\n%s", h.log())
		}
	})
}

// A new configuration goes on with the lists and the counts of the old one.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		path := dir + "/a.json"
		write(t, path, listing("a"))
		old := newHarness(t, nil, ofFiles(t, dir))
		stop := old.runs(t)
		write(t, path, `[{"targets": [`) // is being written while the configuration is read
		old.after(t, 3*interval, "a")
		failed := old.Status()[0].Failed

		c := ofFiles(t, dir)
		c.TargetFiles[0].Template.Labels["team"] = "b"
		h := newHarness(t, old.Discovery, c)
		targets, err := h.Load(t.Context())
		if err != nil || len(targets) != 1 || targets[0].Labels["team"] != "b" {
			t.Fatalf("loads %v, %v; want a with the new template", names(targets), err)
		}
		if s := h.Status()[0]; s.Failed != failed || failed == 0 || s.LastSuccess != old.Status()[0].LastSuccess {
			t.Errorf("the status is %+v; want that of before, with %d failures", s, failed)
		}

		// What does not fit any more, and is not replaced, is an error.
		c.TargetFiles[0].Template.Probes = []string{"none"}
		gone := newHarness(t, old.Discovery, c)
		_, err = gone.Load(t.Context())
		if want := path + `: [0].targets[0]: probes[0]: there is no probe "none"`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v; want %q", err, want)
		}
		// What is replaced is none, nor is what is gone.
		write(t, path, `[{"targets": ["b"], "labels": {"__probes": "rag", "__name": "b"}}]`)
		replaced := newHarness(t, old.Discovery, c)
		if targets, err = replaced.Load(t.Context()); err != nil || len(targets) != 1 || targets[0].Name != "b" {
			t.Errorf("loads %v, %v; want b", names(targets), err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		emptied := newHarness(t, old.Discovery, c)
		if targets, err = emptied.Load(t.Context()); err != nil || len(targets) != 0 {
			t.Errorf("loads %v, %v; want none", names(targets), err)
		}
		stop()
	})
}

// A thousand changes leave what was there at the beginning, and nothing else.
func TestThousandChanges(t *testing.T) {
	dir := t.TempDir()
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("descriptors cannot be counted here:", err)
		}
		return len(list)
	}
	synctest.Test(t, func(t *testing.T) {
		write(t, dir+"/base.json", listing("base"))
		h := newHarness(t, nil, ofFiles(t, dir))
		h.runs(t)
		h.after(t, interval, "base")
		goroutines, files := runtime.NumGoroutine(), descriptors()
		before := h.Targets()[0]
		for i := range 500 {
			name := fmt.Sprintf("n%d", i)
			write(t, dir+"/more.json", listing(name))
			h.after(t, settled, "base", name)
			if i%2 == 0 {
				write(t, dir+"/more.json", "[]")
			} else if err := os.Remove(dir + "/more.json"); err != nil {
				t.Fatal(err)
			}
			h.after(t, settled, "base")
			if t.Failed() {
				return
			}
		}
		if calls, _ := h.calls(); calls != 1000 || h.Targets()[0] != before {
			t.Errorf("OnChange is called %d times; want 1000", calls)
		}
		// Fewer are no fault: something of an earlier test may still have been ending when they were counted first.
		if g, f := runtime.NumGoroutine(), descriptors(); g > goroutines || f > files {
			t.Errorf("%d goroutines and %d descriptors; %d and %d at the beginning", g, f, goroutines, files)
		}
		s := h.sources[0]
		if len(s.lists) > 2 || len(s.seen) > 1 || len(s.said) != 0 {
			t.Errorf("%d lists, %d digests and %d messages are kept", len(s.lists), len(s.seen), len(s.said))
		}
	})
}

func BenchmarkTargets(b *testing.B) {
	m := newTestMapping(b, aTemplate)
	var list []entry
	for i := range 1000 {
		list = append(list, entry{place: "p", address: fmt.Sprintf("host-%d:8000", i), labels: map[string]string{"rack": "a", "__engine": "vllm"}})
	}
	for b.Loop() {
		if _, err := m.targets(list); err != nil {
			b.Fatal(err)
		}
	}
}
