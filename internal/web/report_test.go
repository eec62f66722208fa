package web

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

func report(t testing.TB, run *record.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Report(&b, run); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// outline is what a reader is led through: headings, titles of charts, heads and rows of tables, without their figures.
func outline(page string) string {
	var b strings.Builder
	strip := regexp.MustCompile(`<[^>]*>`)
	page = regexp.MustCompile(`(?s)<details class="numbers">.*?</details>`).ReplaceAllString(page, "")
	parts := regexp.MustCompile(`(?s)<h1.*?</h1>|<h2.*?</h2>|<h3.*?</h3>|<p class="verdict.*?</p>|<dt>.*?</dt>|<span class="what">.*?</span>|<span class="k .*?</span>|<caption>.*?</caption>|<th [^>]*>.*?</th>|aria-label="[^"]*"|<text class="t[rb][^>]*>.*?</text>`)
	for _, part := range parts.FindAllString(page, -1) {
		kind := strings.TrimLeft(part, "<")[:2]
		switch {
		case strings.HasPrefix(part, "aria-label"):
			kind, part = "alt", strings.Trim(strings.TrimPrefix(part, "aria-label="), `"`)
		case strings.Contains(part, `class="what"`):
			kind = "chart"
		case strings.Contains(part, `class="k `):
			kind = "key"
		case strings.HasPrefix(part, "<text"):
			kind = "mark"
		}
		fmt.Fprintf(&b, "%-5s %s\n", kind, html.UnescapeString(strip.ReplaceAllString(part, "")))
	}
	return b.String()
}

func TestReportGolden(t *testing.T) {
	nights := makeRuns(t)
	golden(t, "testdata/report_step.txt", outline(report(t, nights.nights[len(nights.nights)-1])))
	golden(t, "testdata/report_noisy.txt", outline(report(t, nights.noisy)))
}

// wellFormedBody checks that what is between <main> and </main> nests as it should.
func wellFormedBody(t *testing.T, page string) {
	t.Helper()
	_, rest, ok := strings.Cut(page, "<main")
	body, _, ok2 := strings.Cut(rest, "</main>")
	if !ok || !ok2 {
		t.Fatal("the page has no main part")
	}
	for _, void := range []string{"hidden>", "checked>", " open>", " selected>", " disabled>"} { // attributes without values
		body = strings.ReplaceAll(body, " "+strings.TrimLeft(void, " "), ">")
	}
	body = regexp.MustCompile(`<input([^>]*)>`).ReplaceAllString(body, "<input$1/>")
	d := xml.NewDecoder(strings.NewReader("<main" + body + "</main>"))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
	}
}

// A report needs nothing but itself, and says so to the browser.
func TestReportStandsAlone(t *testing.T) {
	nights := makeRuns(t)
	for name, run := range map[string]*record.Run{"step": nights.nights[6], "noisy": nights.noisy} {
		t.Run(name, func(t *testing.T) {
			page := report(t, run)
			wellFormedBody(t, page)
			for _, pattern := range []string{`<link`, `<script[^>]*src`, `src=`, `href="[^#]`, `https?://[^w]`, `url\(`, `@import`, `\sstyle=`, `\son[a-z]+=`} {
				body := strings.ReplaceAll(page, "http://www.w3.org/2000/svg", "")
				if found := regexp.MustCompile(pattern).FindString(body); found != "" {
					t.Errorf("the report has %q", found)
				}
			}
			if len(page) > maxPage {
				t.Errorf("the report takes %d KiB; want at most %d", len(page)>>10, maxPage>>10)
			}
			for _, ref := range regexp.MustCompile(`href="#([a-z]+)"`).FindAllStringSubmatch(page, -1) {
				if !strings.Contains(page, `id="`+ref[1]+`"`) {
					t.Errorf("there is no #%s", ref[1])
				}
			}
		})
	}
}

// The figures of the page are those of the record.
func TestReportTellsTheRecord(t *testing.T) {
	run := makeRuns(t).nights[6]
	page := report(t, run)
	d := run.Diagnosis
	s := &run.Lanes[0].Stages[4]
	st := s.Probes["chat"]
	want := []string{
		">" + loadText(true, d.Knee.Load) + "<", "objectives held at " + loadText(true, d.Knee.HeldAt), "missed at " + loadText(true, d.Knee.MissedAt),
		">" + grouped(s.Planned) + "<", ">" + timeCell(st.TTFT, .95) + "<", ">" + timeCell(st.TTFTDispatched, .99) + "<", ">" + timeCell(st.TPOT, .5) + "<",
		"sw thermal slowdown", "Configuration used", "max_regression: 10%",
	}
	for _, f := range d.Findings {
		want = append(want, f.Evidence)
	}
	for _, r := range run.Rules {
		want = append(want, capital(r))
	}
	for _, text := range want {
		if !strings.Contains(page, html.EscapeString(text)) && !strings.Contains(html.UnescapeString(page), text) {
			t.Errorf("the report lacks %q", text)
		}
	}
}

// crowdedRun is a run with more of everything than a page has room for, and with a text in every place that takes one.
func crowdedRun(text string) *record.Run {
	at := func(s int) time.Time { return night.Add(time.Duration(s) * time.Second) }
	value := func(v float64) *float64 { return &v }
	var names [300]string // made once, as the text may be long
	for i := range names {
		names[i] = fmt.Sprint(i, text)
		if i >= 16 {
			names[i] = names[i][:min(len(names[i]), 300)]
		}
	}
	run := &record.Run{
		Schema: 1, ID: text, Ramp: text, Target: text, Model: text, Shape: text, Trigger: record.Trigger(text), Started: night, Ended: at(2400), Stopped: text,
		Verdict: record.Verdict(text), Environment: record.Environment{Version: text, Host: text, OS: text, CPUs: 4, Engine: text, GPUs: []string{text}, Currency: text, Labels: map[string]string{text: text}},
		Abort: &record.Abort{At: at(2000), Limit: text, Lane: text, Words: text, Value: 3, Bound: 2},
	}
	config, _ := json.Marshal(map[string]string{"text": strings.Repeat(text, 40)})
	run.Config = config
	for range 90 {
		run.Reasons, run.Rules = append(run.Reasons, text), append(run.Rules, text)
	}
	var times record.Histogram
	for i := range 40 {
		times.Record(time.Duration(i*37) * time.Millisecond)
	}
	times.Pack()
	for i := range 12 {
		l := record.Lane{Name: names[i], Target: names[i], Model: text, Open: i%2 == 0, Process: text, Search: &record.Search{Words: text}}
		for j := range 40 {
			s := record.Stage{
				Index: j, Name: text, Kind: record.Hold, Begin: float64(j + 1), End: float64(j + 1), Mix: map[string]float64{text: 1}, Started: at(60 * j), From: at(60*j + 6), To: at(60*j + 60), Ended: at(60*j + 61),
				Planned: 1000, Sent: 990, Shed: 10, InFlight: 3.3, DispatchDelay: &record.Histogram{}, Probes: map[string]*record.Stats{}, ShedBy: map[string]int{text: 10}, Early: text,
			}
			if j%7 == 6 {
				s.Invalid = text
			}
			for p := range 10 {
				st := &record.Stats{Sent: 99, Outcomes: map[string]int{"ok": 40}, OutputTokens: 4000}
				if p < 2 {
					st.TTFT, st.TTFTDispatched = &times, &times
				}
				for o := range 12 {
					st.Outcomes[names[o]] = o
				}
				s.Probes[names[p]] = st
			}
			for k := range 6 {
				n := float64(j*6 + k)
				s.Windows = append(s.Windows, record.Window{Start: at(60*j + 10*k), Length: 10 * time.Second, Planned: 17, Sent: 16, OK: 12, Shed: 1, Outcomes: map[string]int{names[k]: 3}, InFlight: n / 7, Arrived: int64(n * 31),
					TTFT: record.Quantiles{N: 12, P50: .1 + n/97, P95: .2 + n/53, P99: .3 + n/31}, TPOT: record.Quantiles{N: 12, P50: .01 + n/9700, P95: .02 + n/5300}})
			}
			l.Stages = append(l.Stages, s)
		}
		run.Lanes = append(run.Lanes, l)
	}
	for i := range 2000 {
		n := float64(i)
		s := record.Sample{At: night.Add(time.Duration(i) * 1200 * time.Millisecond), Engine: &record.EngineSample{Running: value(n / 3), Waiting: value(n / 7), KVUsage: value(n / 2000), Preemptions: value(n), QueueWait: value(n / 311)}, Victims: map[string]float64{}}
		for g := range 16 {
			s.GPUs = append(s.GPUs, record.GPUSample{UUID: names[g], Utilization: value(n / 2000), MemoryUsed: value(n * 3e7), SMClock: value(1e9 + n*3e5), Temperature: value(n / 31), Power: value(n / 3.1), Throttled: []string{names[i%3]}})
			s.Victims[names[g]] = n / 1000
		}
		run.Samples = append(run.Samples, s)
	}
	d := &record.Diagnosis{
		Knee:     &record.Knee{Lane: run.Lanes[0].Name, Open: true, HeldAt: 9, MissedAt: 10, Load: 9.3, RequestsPerSecond: 8, InFlight: 3, Confidence: .97, Broke: text},
		Capacity: &record.Capacity{Lane: run.Lanes[0].Name, RequestsPerSecond: 20, StdErr: 1, Identified: true, Method: "usl", Lambda: 3, Sigma: .1, Kappa: .001, Words: text},
		Headroom: &record.Headroom{Ratio: .4}, Cost: &record.Cost{Currency: text, PerThousandRequests: 1, PerMillionTokens: 2, By: text}, Recovery: &record.RecoveryTime{Indicator: text}, Losses: &record.Losses{Requests: 9, Other: 3},
	}
	run.Comparison = &record.Comparison{With: text, Runs: []string{text, text}, Verdict: record.Verdict(text), Test: text}
	for i := range 300 {
		d.Words = append(d.Words, text)
		d.Findings = append(d.Findings, record.Finding{Pattern: record.Pattern(text), Lane: text, Words: text, Evidence: text, Cause: text})
		d.Objectives = append(d.Objectives, record.Judged{Lane: text, Name: text, Probe: text, Indicator: text, Percentile: 95})
		d.Mix = append(d.Mix, record.MixEffect{Lane: text, Probe: text, Victim: text, Indicator: text})
		d.Neighbours = append(d.Neighbours, record.NeighbourShift{Victim: text, Neighbour: text, Indicator: text})
		run.Objectives = append(run.Objectives, record.Objective{Indicator: record.TTFT, Percentile: 95, Threshold: .5 + float64(i)})
		run.Comparison.Words = append(run.Comparison.Words, text)
		run.Comparison.Indicators = append(run.Comparison.Indicators, record.Indicator{Lane: text, Probe: text, Name: names[i], Unit: text, Low: value(-.1), High: value(.3), Change: .1})
	}
	run.Diagnosis = d
	return run
}

// Whatever a record holds is text, as much of it as there is room for, and the page stays as large as a page may be.
func TestReportOfAnything(t *testing.T) {
	tags := func(page string) string {
		names := map[string]int{}
		for _, tag := range regexp.MustCompile(`</?[a-zA-Z0-9]+`).FindAllString(page, -1) {
			names[tag]++
		}
		return fmt.Sprint(names)
	}
	harmless := report(t, crowdedRun(strings.Repeat("harmless", len(hostile)/8))) // as long as the hostile one, so that as much fits in
	long := report(t, crowdedRun(strings.Repeat("a long text ", 10_000/12)))
	evil := report(t, crowdedRun(hostile))
	t.Logf("harmless %d KiB, long %d KiB, hostile %d KiB", len(harmless)>>10, len(long)>>10, len(evil)>>10)
	for name, page := range map[string]string{"harmless": harmless, "long": long, "hostile": evil} {
		if len(page) > maxPage {
			t.Errorf("%s: the report takes %d KiB; want at most %d", name, len(page)>>10, maxPage>>10)
		}
		wellFormedBody(t, page)
	}
	if strings.ContainsAny(evil, "\x1b\u202e\x00") {
		t.Error("the report has control characters")
	}
	if got, want := tags(evil), tags(harmless); got != want {
		t.Errorf("a hostile record gives other tags than a harmless one:\n%s\n%s", got, want)
	}
}

// A record may lack nearly everything.
func TestReportOfLittle(t *testing.T) {
	short := stepRun(t, 1)
	short.Lanes[0].Stages = short.Lanes[0].Stages[:1]
	short.Samples, short.Verdict, short.Stopped = nil, record.CutShort, "stopped by a signal"
	bare := stepRun(t, 1)
	judge.Judge(bare, nil, judge.Options{})
	for i := range bare.Lanes[0].Stages {
		s := &bare.Lanes[0].Stages[i]
		s.Windows, s.DispatchDelay = nil, nil
		for _, st := range s.Probes {
			st.TTFTDispatched, st.TPOT, st.OutputRate = nil, nil, nil
		}
	}
	for name, run := range map[string]*record.Run{
		"nothing":      {},
		"a lane":       {Lanes: []record.Lane{{Name: "main"}}, Samples: make([]record.Sample, 3)},
		"an aborted":   {Started: night, Ended: night.Add(time.Second), Abort: &record.Abort{At: night}, Verdict: record.Aborted, Lanes: []record.Lane{{Stages: []record.Stage{{}}}}},
		"cut short":    short,
		"bare figures": bare,
	} {
		t.Run(name, func(t *testing.T) {
			page := report(t, run)
			wellFormedBody(t, page)
			if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") || strings.Contains(page, "ZgotmplZ") {
				t.Error("the report has NaN or Inf in it")
			}
		})
	}
}
