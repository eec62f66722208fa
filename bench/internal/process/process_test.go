package process

import (
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var serving = regexp.MustCompile(`serving at (\S+)`)

// start runs this test binary in a role.
func start(t *testing.T, as string) (*Process, error) {
	t.Helper()
	t.Setenv(role, as)
	return Start(t.Context(), serving, os.Args[0])
}

func TestStartAndStop(t *testing.T) {
	p, err := start(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	if p.Address != "127.0.0.1:99" || p.PID() <= 0 || p.Log.Problems() != 1 {
		t.Errorf("process serves at %q as %d with %d problems; want 127.0.0.1:99, a number, 1", p.Address, p.PID(), p.Log.Problems())
	}
	if err := p.Stop(); err != nil {
		t.Errorf("Stop() = %v; want it to end well", err)
	}
	if _, err := p.Usage(); runtime.GOOS == "linux" && err == nil {
		t.Error("Usage() of a process that has ended is no error")
	}
}

func TestStartOfWhatFails(t *testing.T) {
	p, err := start(t, "fail")
	if err == nil {
		p.Stop()
		t.Fatal("Start() of a process that fails is no error")
	}
	if text := err.Error(); !strings.Contains(text, "exit status 3") || !strings.Contains(text, "there is no port left") {
		t.Errorf("Start() = %v; want the exit status and what it said", err)
	}
}

// The kernel's books are right about what is known: half a second of processor was used, in a process of some threads.
func TestUsage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	p, err := start(t, "burn")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	p.ResetPeak()
	u, err := p.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if s := u.CPU.Seconds(); s < 0.45 || s > 30 {
		t.Errorf("CPU = %v; want half a second and what a start takes", u.CPU)
	}
	if u.RSS < 1<<20 || u.PeakRSS < u.RSS/2 || u.RSS > 1<<30 || u.Threads < 2 || u.Files < 3 || u.At.IsZero() {
		t.Errorf("usage = %+v; want megabytes, some threads, and descriptors", u)
	}
	later, err := p.Usage()
	if err != nil || later.CPU < u.CPU || later.At.Before(u.At) {
		t.Errorf("later usage = %+v, %v; want no less than before", later, err)
	}
}

func TestStatusOfProcess(t *testing.T) {
	for _, test := range []struct{ name, text, err string }{
		{"whole", "Name:\tx\nVmHWM:\t   40 kB\nVmRSS:\t   30 kB\nThreads:\t7\n", ""},
		{"a zombie has no memory", "Name:\tx\nThreads:\t1\n", "missing"},
		{"no number", "VmHWM:\t40 MB\nVmRSS:\t30 kB\nThreads:\t7\n", "VmHWM"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var u Usage
			err := statusOf(&u, test.text)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("status = %v; want an error about %q", err, test.err)
				}
				return
			}
			if err != nil || u.PeakRSS != 40<<10 || u.RSS != 30<<10 || u.Threads != 7 {
				t.Errorf("status = %+v, %v; want 40 and 30 KiB, 7 threads", u, err)
			}
		})
	}
}

func TestLog(t *testing.T) {
	l := newLog(regexp.MustCompile(`address=(\S+)`))
	for _, part := range []string{"a\nlevel=wa", "rn address=", "x:1 \nlevel=error address=y:2\n", strings.Repeat("z\n", 2*keptLines), "half"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write(%q) = %d, %v; want %d", part, n, err, len(part))
		}
	}
	if got := <-l.found; got != "x:1" {
		t.Errorf("found %q; want the first match, x:1", got)
	}
	if l.Problems() != 2 {
		t.Errorf("%d problems; want 2", l.Problems())
	}
	if lines := strings.Count(l.Tail(), "\n") + 1; lines != keptLines || strings.Contains(l.Tail(), "half") {
		t.Errorf("the tail has %d lines; want the last %d whole ones", lines, keptLines)
	}
}
