//go:build linux && cgo

package gpu

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// buildLibrary compiles the stand-in for NVML and returns its path. flags are for the C compiler, as
// -DnvmlDeviceGetPowerUsage=left_out, which leaves that function out.
func buildLibrary(t testing.TB, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	compile(t, path, flags...)
	return path
}

func compile(t testing.TB, path string, flags ...string) {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler (gcc): the stand-in for the driver's library cannot be built")
	}
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/NVIDIA/go-nvml").Output()
	if err != nil {
		t.Fatalf("find nvml.h: %v", err)
	}
	args := append([]string{
		"-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wno-deprecated-declarations", "-D_GNU_SOURCE",
		"-DNVML_NO_UNVERSIONED_FUNC_DEFS=1", "-I" + filepath.Join(strings.TrimSpace(string(module)), "pkg/nvml"),
		"-Wl,-soname,libnvidia-ml.so.1", "-o", path, "testdata/nvml/nvml.c", "-lpthread",
	}, flags...)
	if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("build the stand-in: %v\n%s", err, out)
	}
}

// rig is a Manager with real worker processes on the stand-in.
type rig struct {
	t       testing.TB
	file    string // what the stand-in answers
	log     *syncBuffer
	manager *Manager
	metrics *prometheus.Registry
}

// newRig returns a rig that does not run yet, so that a test can change its times.
func newRig(t testing.TB, library, answers string, options Options) *rig {
	t.Helper()
	r := &rig{t: t, file: filepath.Join(t.TempDir(), "answers"), log: new(syncBuffer)}
	r.write(answers)
	options.Enabled, options.Library = true, library
	if options.Interval == 0 {
		options.Interval = 200 * time.Millisecond
	}
	logger := slog.New(slog.NewTextHandler(r.log, nil))
	m, err := NewManager(options, logger)
	if err != nil {
		t.Fatal(err)
	}
	if len(options.Command) == 0 {
		m.launch = launcher(func() *exec.Cmd {
			cmd := selfCommand()
			cmd.Env = append(os.Environ(), "LLM_PROBER_NVML_FILE="+r.file)
			return cmd
		}, logger)
	}
	m.times.silent, m.times.kill = patience, patience
	m.changes = make(chan struct{}, 1)
	r.manager = m
	r.metrics = prometheus.NewRegistry()
	r.metrics.MustRegister(NewCollector(m.View))
	return r
}

// start runs the manager until the test ends, and then makes sure that no worker is left.
func (r *rig) start() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.manager.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run() = %v", err)
		}
		if r.t.Failed() {
			r.t.Logf("log:\n%s", r.log)
		}
	})
	return r
}

// startRig starts a Manager on a stand-in that gives these answers.
func startRig(t testing.TB, library, answers string) *rig {
	t.Helper()
	return newRig(t, library, answers, Options{}).start()
}

// write replaces what the stand-in answers, in one step.
func (r *rig) write(answers string) {
	r.t.Helper()
	if err := os.WriteFile(r.file+".new", []byte(answers), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(r.file+".new", r.file); err != nil {
		r.t.Fatal(err)
	}
}

// wait looks at the metrics after every change, and from time to time, until ok.
func (r *rig) wait(what string, ok func(page) bool) page {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for {
		p := r.scrape()
		if ok(p) {
			return p
		}
		select {
		case <-r.manager.changes:
		case <-look.C:
		case <-deadline.C:
			r.t.Fatalf("no %s within %s; state %s, problem %q\n%s", what, patience, r.manager.View().State, r.manager.View().Problem, p.text)
		}
	}
}

// snapshots waits for n more of them.
func (r *rig) snapshots(n int) page {
	r.t.Helper()
	last := r.manager.View().LastSuccess
	r.wait(fmt.Sprintf("%d snapshots", n), func(page) bool {
		if v := r.manager.View(); v.LastSuccess.After(last) {
			last = v.LastSuccess
			n--
		}
		return n <= 0
	})
	return r.scrape() // the page that wait had may be from just before
}

func (r *rig) scrape() page {
	r.t.Helper()
	return scrape(r.t, r.metrics)
}

// page is /metrics.
type page struct {
	text   string
	series map[string]float64 // by the text ahead of the value
}

func scrape(t testing.TB, g prometheus.Gatherer) page {
	t.Helper()
	p := page{text: scrapeText(t, g), series: map[string]float64{}}
	for line := range strings.Lines(p.text) {
		line = strings.TrimSpace(line)
		if i := strings.LastIndexByte(line, ' '); i > 0 && !strings.HasPrefix(line, "#") {
			v, err := strconv.ParseFloat(line[i+1:], 64)
			if err != nil {
				t.Fatalf("series %q: %v", line, err)
			}
			p.series[line[:i]] = v
		}
	}
	return p
}

// is reports whether a series is there with a value.
func (p page) is(series string, want float64) bool {
	got, ok := p.series[series]
	return ok && got == want
}

// family lists the series of a metric.
func (p page) family(name string) []string {
	var out []string
	for s := range p.series {
		if s == name || strings.HasPrefix(s, name+"{") {
			out = append(out, s)
		}
	}
	return out
}

// expect fails the test for every series that is not as wanted.
func (p page) expect(t testing.TB, want map[string]float64) {
	t.Helper()
	for series, value := range want {
		if got, ok := p.series[series]; !ok {
			t.Errorf("%s is absent; want %v", series, value)
		} else if got != value {
			t.Errorf("%s = %v; want %v", series, got, value)
		}
	}
}

// absent fails the test for every metric that has a series.
func (p page) absent(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if found := p.family(name); len(found) > 0 {
			t.Errorf("%s has series %v; want none", name, found)
		}
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
