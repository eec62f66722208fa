package judge

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/bench/replay"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// soak is a short run under one load.
func soak(t *testing.T, rate float64, objectives []record.Objective) *record.Run {
	return replayed(t, replay.Plan{
		Ramp: "soak", Shape: "soak", Server: server(), Seed: 4, Objectives: objectives,
		Lanes: []replay.Lane{{Name: "main", Stages: []replay.Stage{hold(rate, 30*time.Second)}}},
	})
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*record.Run)
		o      Options
		want   record.Verdict
		reason string // the first
	}{
		{"held", func(*record.Run) {}, Options{}, record.Pass, "All objectives held."},
		{"missed", func(r *record.Run) { r.Objectives = promise(.005) }, Options{}, record.Fail,
			"p95 TTFT of chat missed at 5/s: 25.3 ms, promised 5 ms (0 of 140 requests good; confidence 99.9 %)."},
		{"not decided", func(r *record.Run) { r.Objectives = promise(.028) }, Options{}, record.Pass, "No objective was missed."},
		{"no objectives", func(r *record.Run) { r.Objectives = nil }, Options{}, record.Pass, "There are no objectives to miss."},
		{"missed in an invalid stage", func(r *record.Run) { r.Objectives, r.Lanes[0].Stages[0].Invalid = promise(.005), "the prober was late" }, Options{},
			record.Invalid, "hold 5/s of main says nothing of the server: The prober was late."},
		{"nothing was asked", func(r *record.Run) { r.Lanes[0].Stages[0].Planned = 0 }, Options{}, record.Invalid,
			"No request was intended in a measured part: the stages are too short for their warm-up and load."},
		{"aborted", func(r *record.Run) {
			r.Abort, r.Lanes[0].Stages[0].Invalid = &record.Abort{Limit: "error_share", Words: "60 % of the requests failed for 30 s"}, "x"
		}, Options{}, record.Aborted, "60 % of the requests failed for 30 s."},
		{"cut short", func(r *record.Run) { r.Objectives, r.Stopped = promise(.005), "the signal interrupt" }, Options{}, record.CutShort, "The signal interrupt."},
		{"nothing to compare with", func(*record.Run) {}, Options{Compare: &Against{}}, record.NotEnoughRuns,
			"Not enough runs: there is nothing to compare with yet; it takes 5."},
		{"missed, and nothing to compare with", func(r *record.Run) { r.Objectives = promise(.005) }, Options{Compare: &Against{}}, record.Fail,
			"p95 TTFT of chat missed at 5/s: 25.3 ms, promised 5 ms (0 of 140 requests good; confidence 99.9 %)."},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := soak(t, 5, promise(.5))
			test.change(run)
			Judge(run, nil, test.o)
			if run.Verdict != test.want || len(run.Reasons) == 0 || run.Reasons[0] != test.reason {
				t.Errorf("Judge() = %s, %q; want %s, %q", run.Verdict, run.Reasons, test.want, test.reason)
			}
		})
	}
}

// TestVerdictOfARise tells of a stage whose load changes by both its loads, and of what was not decided there behind all else.
func TestVerdictOfARise(t *testing.T) {
	rise := replay.Stage{From: 1, To: 6, Over: 8 * time.Second, Mix: chat()}
	run := replayed(t, replay.Plan{
		Ramp: "soak", Shape: "soak", Server: server(), Seed: 4, Objectives: promise(.5),
		Lanes: []replay.Lane{{Name: "main", Stages: []replay.Stage{rise, hold(6, time.Minute)}}},
	})
	Judge(run, nil, Options{})
	want := []string{
		"No objective was missed.",
		"While the load rose from 1/s to 6/s there were too few requests to decide p95 TTFT of chat: 22.5 ms, promised 500 ms (29 of 29 requests good; confidence 91.6 %).",
	}
	if d := cmp.Diff(want, run.Reasons); d != "" || run.Verdict != record.Pass {
		t.Errorf("Judge() = %s; reasons (-want +got):\n%s", run.Verdict, d)
	}
	if words := run.Diagnosis.Words[0]; !strings.HasPrefix(words, "All objectives held up to 6/s") {
		t.Errorf("it says %q of the load that was held; want that all objectives held", words)
	}

	run.Objectives = promise(.005)
	Judge(run, nil, Options{})
	if want := "p95 TTFT of chat missed while the load rose from 1/s to 6/s: "; run.Verdict != record.Fail || !strings.HasPrefix(run.Reasons[0], want) {
		t.Errorf("Judge() = %s, %q; want fail, %q", run.Verdict, run.Reasons, want)
	}

	run.Lanes[0].Open = false // a closed loop, whose loads are no rates
	run.Objectives = promise(.5)
	run.Lanes[0].Stages[1].Probes["chat"] = run.Lanes[0].Stages[0].Probes["chat"]
	Judge(run, nil, Options{})
	open := run.Reasons[1:]
	if len(open) != 2 || !strings.HasPrefix(open[0], "p95 TTFT of chat was not decided at 6 at once: ") || !strings.HasPrefix(open[1], "While the load rose from 1 to 6 at once there were") {
		t.Errorf("Judge() = %s, %q; want the load that was held first", run.Verdict, run.Reasons)
	}

	if words, changes := duringWords(&record.Run{Lanes: []record.Lane{{Name: "main", Open: true, Stages: []record.Stage{{Begin: 6, End: .5}}}}}, &record.Judged{Lane: "main", Load: .5}); words != "while the load fell from 6/s to 0.5/s" || !changes {
		t.Errorf("duringWords(a fall) = %q, %v; want it to fall", words, changes)
	}
	if words, changes := duringWords(&record.Run{}, &record.Judged{Lane: "main", Load: 2}); words != "at 2/s" || changes {
		t.Errorf("duringWords(no such stage) = %q, %v; want the load it ended with", words, changes)
	}
}

// TestUndecidedAreCounted tells of three that were not decided, and how many more there were.
func TestUndecidedAreCounted(t *testing.T) {
	for n, want := range map[int]string{3: "", 4: "1 more was not decided: too few requests.", 6: "3 more were not decided: too few requests."} {
		run := soak(t, 5, promise(.5))
		Judge(run, nil, Options{})
		j := run.Diagnosis.Objectives[0]
		j.Held, run.Diagnosis.Objectives = false, nil
		for range n {
			run.Diagnosis.Objectives = append(run.Diagnosis.Objectives, j)
		}
		_, open := promises(run)
		if got := strings.Join(open[3:], "; "); got != want {
			t.Errorf("of %d, behind three: %q; want %q", n, got, want)
		}
	}
}

func TestHeadroomWords(t *testing.T) {
	for _, tt := range []struct {
		h    record.Headroom
		want string
	}{
		{record.Headroom{AtKnee: 11.5}, "The engine was idle before the run: all of its 11.5 requests at the knee are free."},
		{record.Headroom{AtKnee: 1}, "The engine was idle before the run: its 1 request at the knee is free."},
		{record.Headroom{Before: 1, AtKnee: 4, Ratio: .75}, "Headroom is 75 %: 1 request ran in the engine before the run, 4 at the knee."},
		{record.Headroom{Before: 1.2, AtKnee: 4, Ratio: .7}, "Headroom is 70 %: 1.2 requests ran in the engine before the run, 4 at the knee."},
	} {
		if got := headroomWords(&tt.h); got != tt.want {
			t.Errorf("headroomWords(%+v) = %q; want %q", tt.h, got, tt.want)
		}
	}
}

// TestInvalidLoadsOfASearch counts an invalid load only where it may hide the knee.
func TestInvalidLoadsOfASearch(t *testing.T) {
	run := stepScene(t, 1)
	run.Lanes[0].Stages[8].Invalid = "the prober was late"
	if Judge(run, nil, Options{}); run.Verdict != record.Pass {
		t.Errorf("with an invalid load above the knee: %s, %v; want pass", run.Verdict, run.Reasons)
	}
	for i := 6; i < 9; i++ {
		run.Lanes[0].Stages[i].Invalid = "the prober was late"
	}
	if Judge(run, nil, Options{}); run.Verdict != record.Invalid {
		t.Errorf("with all loads above the knee invalid: %s, %v; want invalid", run.Verdict, run.Reasons)
	}
}

// TestDiagnosisIsJSON writes and reads back what is judged of odd runs: there is no infinity in JSON.
func TestDiagnosisIsJSON(t *testing.T) {
	none := soak(t, 5, promise(.5))
	for _, s := range none.Lanes[0].Stages[0].Probes {
		s.Outcomes, s.TTFT, s.Duration, s.TPOT, s.OutputTokens = map[string]int{"overloaded": s.Sent}, nil, nil, nil, 0
	}
	for i := range none.Lanes[0].Stages[0].Windows {
		w := &none.Lanes[0].Stages[0].Windows[i]
		*w = record.Window{Start: w.Start, Length: w.Length, Planned: w.Planned, Sent: w.Sent, Outcomes: map[string]int{"overloaded": w.Planned}}
	}
	for name, run := range map[string]*record.Run{
		"empty": {}, "no stages": {Lanes: []record.Lane{{Name: "main"}}}, "all failed": none, "step": stepScene(t, 1),
		"empty stage": {Lanes: []record.Lane{{Stages: []record.Stage{{Kind: record.Hold, Begin: 1, End: 1, Planned: 3}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			Judge(run, nil, Options{Compare: &Against{}, PerHour: 1})
			text, err := JSON(run)
			if err != nil || !json.Valid(text) {
				t.Fatalf("JSON() = %v", err)
			}
			if _, err := JUnit(run); err != nil {
				t.Errorf("JUnit() = %v", err)
			}
			if Text(run) == "" || Markdown(run) == "" {
				t.Error("nothing was written")
			}
			var back Summary
			if err := json.Unmarshal(text, &back); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(run.Diagnosis, back.Diagnosis); d != "" && name != "empty" {
				again, _ := JSON(run)
				var twice Summary
				if json.Unmarshal(again, &twice) != nil || !cmp.Equal(back, twice) {
					t.Errorf("read back (-want +got):\n%s", d)
				}
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got); -update rewrites it:\n%s", name, d)
	}
}

func TestWords(t *testing.T) {
	step := stepScene(t, 1)
	step.Environment.Currency = "EUR"
	Judge(step, nil, Options{PerHour: 4})
	golden(t, "step.txt", Text(step))
	golden(t, "step.md", Markdown(step))
	text, err := JSON(step)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "step.json", string(text))

	spikes := spikeScene(t, 40)
	Judge(spikes, nil, Options{})
	golden(t, "spike.txt", Text(spikes))
	text, err = JUnit(spikes)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "spike.junit.xml", string(text))
	noisy := neighbourScene(t, 3)
	Judge(noisy, nil, Options{})
	golden(t, "noisy_neighbour.txt", Text(noisy))
	back := recoveryScene(t, "2")
	Judge(back, nil, Options{})
	golden(t, "recovery.txt", Text(back))
}

func TestNumbers(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{number(0), "0"}, {number(12345.6), "12346"}, {number(1.2345), "1.23"}, {number(.00012), "0.00012"}, {number(100), "100"},
		{seconds(.8121), "812 ms"}, {seconds(1.24), "1.24 s"}, {seconds(200), "3 min 20 s"}, {seconds(5e-5), "50 µs"}, {seconds(math.Inf(1)), "no answer"},
		{seconds(119.9), "120 s"}, {percent(.1234), "12.3 %"}, {change(.2), "+20 %"}, {change(-.2), "-20 %"}, {sure(.99999), "99.9 %"}, {sure(.9599), "95.9 %"},
		{list([]string{"a", "b", "c"}), "a, b and c"}, {capital("p95 of x"), "p95 of x"}, {capital("share"), "Share"}, {chanceOf(1e-9), "p < 0.0001"},
		{amount(1, "request"), "1 request"}, {amount(1.001, "request"), "1 request"}, {amount(.5, "request"), "0.5 requests"}, {amount(0, "request"), "0 requests"},
		{escaped("a_b|<c>"), "a\\_b\\|&lt;c&gt;"},
	} {
		if test.got != test.want {
			t.Errorf("got %q; want %q", test.got, test.want)
		}
	}
	if all := record.Patterns(); !slices.Contains(all, record.Drift) || len(all) != 7 {
		t.Errorf("Patterns() = %v", all)
	}
}

// Loads below the limit that were seen for a few windows only, as those of a search are, have fewer arrivals than planned now and
// then. That is no level at which throughput stays, and no load that was not sustained.
func TestChanceIsNoPlateau(t *testing.T) {
	at := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	var points []point
	for _, seen := range []struct{ load, done float64 }{{5, 5.5}, {10, 9.9}, {20, 17.4}, {40, 38}, {80, 75}} {
		p := point{load: seen.load, planned: int(seen.load * 8), seconds: 8, inFlight: seen.load / 3}
		p.windows = []record.Window{{Start: at, Length: 5 * time.Second, Arrived: int64(seen.done * 5 * 32)}}
		p.flow(true, int(seen.done*8), 32)
		points = append(points, p)
	}
	lane := &record.Lane{Name: "main", Open: true}
	if c := capacityOf(lane, points); c.Identified || c.AtLeast != 75 {
		t.Errorf("capacity = %+v; want none identified, and 75 requests/s at least", c)
	}
	for _, p := range points {
		if st := stand(&record.Run{}, "main", p); st.missed {
			t.Errorf("at %v/s: %s", p.load, st.broke)
		}
	}
}
