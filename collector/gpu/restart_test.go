//go:build linux && cgo

package gpu

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restartsVariable says how often TestRestartsLeakNothing restarts; 1000 take six minutes on two busy cores.
const restartsVariable = "LLM_PROBER_GPU_RESTARTS"

// TestRestartsLeakNothing ends one worker after the other, in every way, and counts what is left in this process.
func TestRestartsLeakNothing(t *testing.T) {
	restarts := 24
	if v := os.Getenv(restartsVariable); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s=%q: %v", restartsVariable, v, err)
		}
		restarts = n
	} else if testing.Short() {
		restarts = 6
	}
	r := newRig(t, buildLibrary(t), machine(2, "gpm = 1", "gpm.1 = 50"), Options{})
	r.manager.times.backoff, r.manager.times.backoffMost = time.Millisecond, time.Millisecond
	r.start()
	end := func(i int) {
		pid := workerPID(t, r)
		var err error
		switch i % 3 {
		case 0:
			err = syscall.Kill(pid, syscall.SIGKILL)
		case 1: // in order, as at the end of the prober
			err = syscall.Kill(pid, syscall.SIGTERM)
		case 2: // by the driver
			r.write(machine(2, "all = !9"))
			r.wait("restart", func(page) bool { return r.manager.View().PID != pid })
			r.write(machine(2, "gpm = 1", "gpm.1 = 50"))
		}
		if err != nil {
			t.Fatal(err)
		}
		// Between two workers there is none, and for a moment the state is still that of the last one.
		r.wait("another worker", func(page) bool {
			v := r.manager.View()
			return v.PID != 0 && v.PID != pid && v.State == StateRunning
		})
	}
	r.snapshots(1)
	for i := range 6 {
		end(i)
	}
	before := countResources(t)
	began := time.Now()
	for i := range restarts {
		end(i)
	}
	after := countResources(t)
	t.Logf("%d restarts in %v: before %+v, after %+v", restarts, time.Since(began).Round(time.Millisecond), before, after)
	if after.descriptors > before.descriptors || after.children > before.children {
		t.Errorf("after %d restarts: %+v; want as before: %+v", restarts, after, before)
	}
	// Both may vary by what happens to be under way; a leak would show with every restart.
	if after.threads > before.threads+5 || after.goroutines > before.goroutines+5 {
		t.Errorf("after %d restarts: %+v; want about as before: %+v", restarts, after, before)
	}
}

// resources are what a process may leak.
type resources struct{ descriptors, children, threads, goroutines int }

func countResources(t *testing.T) resources {
	t.Helper()
	entries := func(pattern string) int {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	c := resources{descriptors: entries("/proc/self/fd/*"), threads: entries("/proc/self/task/*"), goroutines: runtime.NumGoroutine()}
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tasks {
		if b, err := os.ReadFile(f); err == nil { // a thread may have ended
			c.children += len(strings.Fields(string(b)))
		}
	}
	return c
}
