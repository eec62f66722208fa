package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/config"
)

// perSecond is how many askings a configuration has in a second.
func perSecond(cfg *config.Config) (n float64) {
	for _, target := range cfg.Targets {
		for _, name := range target.Probes {
			p := cfg.Probes[name]
			every := time.Duration(p.Interval)
			if p.Burst != nil {
				every = time.Duration(p.Burst.AfterIdle)
			}
			n += 1 / every.Seconds()
		}
	}
	return n
}

// The mix is the demo's, so many times as often.
func TestMix(t *testing.T) {
	text, err := os.ReadFile("../../cmd/llm_prober/demo.yml")
	if err != nil {
		t.Fatal(err)
	}
	demo, err := config.Parse("demo.yml", bytes.ReplaceAll(text, []byte("${server}"), []byte("http://127.0.0.1:1")), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rate := range []float64{1, 3, 4, 50, 200} {
		m, err := newMix("../..", rate)
		if err != nil {
			t.Fatal(err)
		}
		parse := func(filling, guest bool) *config.Config {
			file, err := m.file("http://127.0.0.1:1", filling, guest)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Parse("soak.yml", file, config.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return cfg
		}
		cfg := parse(false, false)
		if got, want := perSecond(cfg), rate*perSecond(demo); math.Abs(got-want) > want/100 {
			t.Errorf("at %v times the rate: %v askings a second; want %v", rate, got, want)
		}
		if len(cfg.Probes) != len(demo.Probes) || len(cfg.Targets) != m.copies*len(demo.Targets) {
			t.Errorf("at %v times the rate: %d probes, %d targets; want %d and %d copies of %d", rate, len(cfg.Probes), len(cfg.Targets), len(demo.Probes), m.copies, len(demo.Targets))
		}
		if n := len(parse(false, true).Targets) - len(cfg.Targets); n != len(demo.Targets) {
			t.Errorf("a guest brings %d targets; want %d", n, len(demo.Targets))
		}
		if filling := parse(true, false); len(filling.Targets) != len(cfg.Targets) || math.Abs(perSecond(filling)-float64(m.copies*len(demo.Probes))) > 1e-9 {
			t.Errorf("filling asks %v times a second; want each of %d probes of %d copies once", perSecond(filling), len(demo.Probes), m.copies)
		}
	}
	m, err := newMix("../..", 50)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.normalRate(5000, 100); math.Abs(got-3600) > 1e-6 { // 50 a second are one of the demo
		t.Errorf("normalRate() = %v; want 3600 in an hour", got)
	}
}

// A short run asks, reloads and sees everything; whether something grows takes a longer one.
func TestRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	var out, stderr bytes.Buffer
	err := run(t.Context(), []string{"--rate=6", "--fill=2s", "--warm-up=1s", "--duration=15s", "--scrape-interval=400ms", "--again=0", "--output=json"}, &out, &stderr)
	// One that is skipped, where a busy machine stands still, is a hundredth of so few.
	if err != nil && !strings.HasPrefix(err.Error(), "it grew") && !strings.HasSuffix(err.Error(), "this was not the demo's mix") {
		t.Fatalf("%v\n%s%s", err, &out, &stderr)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Rate != 6 || r.Requests < 20 || r.Failed != 0 || r.NormalHours <= 0 || r.Scrapes < 6 || r.CPUShare <= 0 {
		t.Errorf("report = %+v; want requests at 6 times the rate, none failed, and scrapes", r)
	}
	if r.RSS.Begin < 10e6 || r.Heap.Begin < 1e6 || r.Goroutines.Begin < 10 || r.Files.Begin < 5 || r.Threads.Begin < 3 || r.Series.Begin < 1000 || r.First.P50 <= 0 || r.Last.P99 < r.Last.P50 {
		t.Errorf("report = %+v; want something of everything", r)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"--rate=0", "--duration=0s", "--fill=-1s", "--scrape-interval=0s", "--limit=0", "--again=-1", "--output=xml", "--nonsense"} {
		t.Run(args, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), []string{args}, &out, &out); err == nil {
				t.Errorf("soak %s ran:\n%s", args, &out)
			}
		})
	}
}
