package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/web"
)

// A run has figures of both cases, all of them of something. Whether they are within their limits is for a quiet machine to say:
// here probes ask thirty times as often, and other tests run beside them.
func TestRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	var out, stderr bytes.Buffer
	err := run(t.Context(), []string{
		"--targets=2", "--probes=2", "--engines=1", "--interval=1s", "--idle-interval=1s", "--tokens=4", "--fill=1s", "--warm-up=0s", "--duration=3s", "--scrapes=2", "--output=json",
	}, &out, &stderr)
	var keys map[string]map[string]any
	if e := json.Unmarshal(out.Bytes(), &keys); e != nil {
		t.Fatalf("%v; run: %v\n%s", e, err, &stderr)
	}
	for _, c := range []string{"idle", "fleet"} {
		for _, key := range []string{"cpu_share", "rss_bytes", "scrape_seconds", "scrape_bytes", "start_seconds", "rss_peak_bytes", "series", "window_requests"} {
			if v, ok := keys[c][key].(float64); !ok || !(v > 0) {
				t.Errorf("%s.%s = %v; want more than 0", c, key, keys[c][key])
			}
		}
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Idle.Failed > 0 || r.Fleet.Failed > 0 { // one is skipped where a busy machine stands still
		t.Errorf("run() = %v; want no request failed", err)
	}
	if idle, fleet := r.Idle, r.Fleet; fleet.Series <= idle.Series || fleet.Requests+fleet.Skipped <= idle.Requests || fleet.RSS < 10e6 || len(fleet.Formats) != 2 ||
		fleet.ScrapeTook != max(fleet.Formats[0].Median, fleet.Formats[1].Median) || fleet.ReadyTook > fleet.StartTook {
		t.Errorf("fleet %+v, idle %+v; want more of the former, and the slower of two formats", fleet, idle)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"--targets=0", "--probes=6", "--probes=0", "--tokens=0", "--interval=0.5s", "--duration=0s", "--fill=-1s", "--only=both", "--output=xml", "--nonsense"} {
		t.Run(args, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), []string{args}, &out, &out); err == nil {
				t.Errorf("footprint %s ran:\n%s", args, &out)
			}
		})
	}
}

// The files are configurations that say what they are said to.
func TestConfiguration(t *testing.T) {
	s := settings{targets: 100, probes: 5, engines: 20, tokens: 64, interval: 30 * time.Second, idleInterval: 15 * time.Second}
	for _, c := range s.cases() {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := config.Parse(c.name, []byte(c.configuration("http://127.0.0.1:8000", c.interval, 0)), config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			probes, engines := 0, 0
			for _, target := range cfg.Targets {
				probes += len(target.Probes)
				if target.Engine != nil {
					engines++
				}
			}
			if len(cfg.Targets) != c.targets || probes != c.targets*len(c.shapes) || engines != c.engines || len(cfg.Objectives) != c.targets {
				t.Errorf("%d targets with %d probes, %d engines, %d objectives; want %d, %d, %d, %d",
					len(cfg.Targets), probes, engines, len(cfg.Objectives), c.targets, c.targets*len(c.shapes), c.engines, c.targets)
			}
			for name, p := range cfg.Probes {
				if time.Duration(p.Interval) != c.interval || p.MaxOutputTokens > 64 || p.MaxOutputTokens < 8 {
					t.Errorf("probe %s asks each %v for %d tokens; want %v, 8 to 64", name, p.Interval, p.MaxOutputTokens, c.interval)
				}
			}
		})
	}
}

// What is written as the history of a day is taken by those who load it, as a whole.
func TestHistory(t *testing.T) {
	c := kase{name: "idle", targets: 2, shapes: shapes(64)[:3], interval: 5 * time.Minute}
	path, again := filepath.Join(t.TempDir(), "history"), filepath.Join(t.TempDir(), "history")
	now := time.Now()
	if err := c.writeHistory(path, now); err != nil {
		t.Fatal(err)
	}
	h := web.NewHistory()
	if err := h.Load(path); err != nil {
		t.Fatal(err)
	}
	var rows []web.Row
	for i := range c.targets {
		for _, s := range c.shapes {
			rows = append(rows, web.Row{Target: c.target(i), Model: model, Probe: s.name, Stream: s.stream, Interval: c.interval})
		}
	}
	h.Apply(rows)
	if err := h.Save(again); err != nil {
		t.Fatal(err)
	}
	size := func(path string) float64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return float64(info.Size())
	}
	if a, b := size(path), size(again); a < 10_000 || math.Abs(a-b) > a/10 {
		t.Errorf("the history has %v bytes, and %v when it was loaded and saved again; want about as many, of a day", a, b)
	}
}

// A slack of 1.5 lets a half more pass, and not what is more than that, nor a run that says nothing.
func TestMissedWithSlack(t *testing.T) {
	f := figures{CPUShare: .07, RSS: 225e6, ScrapeTook: .1, StartTook: 1, Requests: 10, limits: limits{.05, 150e6, .1, 2}}
	r := &report{Fleet: &f}
	if err := r.missed(1.5); err != nil {
		t.Errorf("missed(1.5) = %v; want nil", err)
	}
	f.CPUShare, f.Requests = .08, 0
	if err := r.missed(1.5); err == nil || !strings.Contains(err.Error(), "over 7.500 %") || !strings.Contains(err.Error(), "nothing was asked") {
		t.Errorf("missed(1.5) = %v; want the processor, and that nothing was asked", err)
	}
}

// What misses a limit is measured anew where the machine does other things, and there alone; the figures are those of the last time.
func TestQuietest(t *testing.T) {
	good := figures{CPUShare: .01, Requests: 10, limits: limits{cpuShare: .05}}
	busy, idle := good, good
	busy.CPUShare, idle.Skipped = .5, 1
	for _, test := range []struct {
		name     string
		slack    float64
		measured []figures
	}{
		{"all is well", 1.5, []figures{good}},
		{"a quiet machine", 1, []figures{busy}},
		{"once", 1.5, []figures{busy, good}},
		{"twice", 1.5, []figures{idle, busy, good}},
		{"each time", 1.5, []figures{busy, busy, idle}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			s, n := settings{stderr: &stderr}, 0
			f, err := s.quietest("fleet", test.slack, func(try int) (*figures, error) {
				if n++; try != n || n > len(test.measured) {
					t.Fatalf("try %d; want %d of %d", try, n, len(test.measured))
				}
				return &test.measured[n-1], nil
			})
			if err != nil || n != len(test.measured) || f != &test.measured[n-1] || strings.Count(stderr.String(), "measured anew") != n-1 {
				t.Errorf("quietest() = %+v, %v after %d times, saying %q; want the last of %d", f, err, n, &stderr, len(test.measured))
			}
		})
	}
}

// Each limit is held against its figure, and what is over it is named.
func TestMissed(t *testing.T) {
	good := figures{CPUShare: .01, RSS: 100e6, ScrapeTook: .05, StartTook: 1, Requests: 10, limits: limits{.05, 150e6, .1, 2}}
	for _, test := range []struct {
		name   string
		change func(*figures)
		want   []string
	}{
		{"all is well", func(*figures) {}, nil},
		{"at the limit", func(f *figures) { f.CPUShare, f.RSS, f.ScrapeTook, f.StartTook = .05, 150e6, .1, 2 }, nil},
		{"processor", func(f *figures) { f.CPUShare = .051 }, []string{"fleet: cpu_share is 5.100 % of one core, over 5.000 % of one core"}},
		{"memory and start", func(f *figures) { f.RSS, f.StartTook = 151e6, 2.5 }, []string{"rss_bytes is 151.0 MB, over 150.0 MB", "start_seconds is 2.50 s, over 2.00 s"}},
		{"scrape", func(f *figures) { f.ScrapeTook = .123 }, []string{"scrape_seconds is 123.0 ms, over 100.0 ms"}},
		{"nothing was asked", func(f *figures) { f.Requests = 0 }, []string{"nothing was asked"}},
		{"failures", func(f *figures) { f.Failed = 1 }, []string{"1 requests failed"}},
		{"no limit", func(f *figures) { f.limits, f.CPUShare = limits{}, 1 }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := good
			test.change(&f)
			err := (&report{Fleet: &f}).missed(1)
			if (err == nil) != (test.want == nil) {
				t.Fatalf("missed() = %v; want %q", err, test.want)
			}
			if slices.ContainsFunc(test.want, func(want string) bool { return !strings.Contains(err.Error(), want) }) {
				t.Errorf("missed() = %v; want %q", err, test.want)
			}
		})
	}
}
