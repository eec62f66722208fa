package judge

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
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
