package ramp

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/workload"
)

// search looks for the knee of a server.
func search(t *testing.T, f *fakeServer, process workload.Process, s Search, seed uint64) *record.Run {
	t.Helper()
	plan := planFor(f)
	plan.Seed = seed
	plan.Lanes[0].Search = &s
	plan.Lanes[0].Process = process
	plan.Objectives = []record.Objective{ttftObjective(95, 200*time.Millisecond)}
	rec, err := Run(t.Context(), plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestSearchFindsTheKnee(t *testing.T) {
	for _, tt := range []struct {
		name    string
		process workload.Process
		below   float64 // how far below the capacity chance makes requests wait for longer than the threshold
	}{{"constant", workload.Constant{}, .05}, {"poisson", workload.Poisson{}, .1}} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(5) {
				synctest.Test(t, func(t *testing.T) {
					f := &fakeServer{slots: 20, service: 200 * time.Millisecond} // 100/s
					s := Search{From: 5, To: 200, Resolution: .025, Stage: 20 * time.Second}
					rec := search(t, f, tt.process, s, seed)
					found := rec.Lanes[0].Search
					searched := f.asked
					if off := found.Knee/f.capacity() - 1; off > .05 || off < -tt.below {
						t.Errorf("knee = %.1f, capacity = %.1f: off by %.1f %%", found.Knee, f.capacity(), 100*off)
					}
					if found.Above/found.Knee > 1.025+1e-9 || found.Confidence < .95 {
						t.Errorf("found %+v; want ends within 2.5 %%, and confidence", found)
					}
					if found.Requests != searched {
						t.Errorf("requests = %d; want %d", found.Requests, searched)
					}
					// Steps of the same resolution at the knee, up to a tenth above it.
					steps := 0.0
					for load := 5.0; load <= 110; load += 2.5 {
						steps += load * 20 / .9
					}
					if float64(searched) > steps/3 {
						t.Errorf("the search sent %d requests; want under a third of the %.0f of steps", searched, steps)
					}
					t.Logf("seed %d: knee %.2f, above %.2f, %d stages, %d requests (steps: %.0f), %v", seed, found.Knee, found.Above, len(rec.Lanes[0].Stages), searched, steps, rec.Ended.Sub(rec.Started))
				})
			}
		})
	}
}

// What one stage leaves in the queue is gone when the next begins.
func TestSearchStagesDoNotLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 20, service: 200 * time.Millisecond}
		rec := search(t, f, nil, Search{From: 10, To: 1000, Stage: 10 * time.Second}, 1)
		stages := rec.Lanes[0].Stages
		for i := range stages[1:] {
			if stages[i+1].Started.Before(stages[i].Ended) {
				t.Errorf("stage %d began at %v, before stage %d ended at %v", i+1, stages[i+1].Started, i, stages[i].Ended)
			}
		}
		early := 0
		for _, s := range stages {
			if s.Early != "" {
				early++
			}
		}
		if early < len(stages)/2 {
			t.Errorf("%d of %d stages ended early", early, len(stages))
		}
	})
}

func TestSearchAtItsEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		from  float64
		to    float64
		knee  float64
		above float64
		words string
	}{
		{"all hold", 5, 50, 50, 0, "hold up to the highest load, 50"},
		{"none holds", 200, 400, 0, 200, "missed at the lowest load, 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeServer{slots: 20, service: 200 * time.Millisecond}
				got := search(t, f, nil, Search{From: tt.from, To: tt.to, Stage: 10 * time.Second}, 1).Lanes[0].Search
				if got.Knee != tt.knee || got.Above != tt.above || !strings.Contains(got.Words, tt.words) {
					t.Errorf("found %+v; want %v, %v, %q", got, tt.knee, tt.above, tt.words)
				}
			})
		})
	}
}

// A server that hangs for a few seconds once does not lead the search astray.
func TestSearchSurvivesAHiccup(t *testing.T) {
	for _, at := range []time.Duration{4 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			f := &fakeServer{slots: 20, service: 200 * time.Millisecond, stalls: func(now time.Time) time.Time {
				if into := now.Sub(begun) - at; into >= 0 && into < 3*time.Second {
					return begun.Add(at + 3*time.Second)
				}
				return now
			}}
			got := search(t, f, nil, Search{From: 5, To: 200, Stage: 20 * time.Second}, 1).Lanes[0].Search
			if off := got.Knee/f.capacity() - 1; math.Abs(off) > .05 {
				t.Errorf("hiccup after %v: knee = %.1f, capacity = %.1f (%s)", at, got.Knee, f.capacity(), got.Words)
			}
		})
	}
}

func TestSearchOfAClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 20, service: 200 * time.Millisecond}
		plan := planFor(f)
		plan.Lanes[0].Closed = true
		plan.Lanes[0].Search = &Search{From: 1, To: 100, Stage: 10 * time.Second, Resolution: .01}
		plan.Objectives = []record.Objective{ttftObjective(99, 5*time.Millisecond)}
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := rec.Lanes[0].Search; got.Knee != 20 || got.Above != 21 {
			t.Errorf("found %+v; want 20 requests at once, and not 21", got)
		}
	})
}

func TestSearchIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		time.AfterFunc(12*time.Second, func() { stop(errors.New("stopped by hand")) })
		f := &fakeServer{slots: 20, service: 200 * time.Millisecond}
		plan := planFor(f)
		plan.Lanes[0].Search = &Search{From: 5, To: 200, Stage: 10 * time.Second}
		plan.Objectives = []record.Objective{ttftObjective(95, 200*time.Millisecond)}
		rec, err := Run(ctx, plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		if rec.Stopped != "stopped by hand" || !strings.Contains(rec.Lanes[0].Search.Words, "ended early") {
			t.Errorf("stopped %q, search %q", rec.Stopped, rec.Lanes[0].Search.Words)
		}
	})
}

func TestSearchNeedsAGoodProber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 20, service: 20 * time.Millisecond, late: 50 * time.Millisecond}
		rec := search(t, f, nil, Search{From: 5, To: 200, Stage: 10 * time.Second}, 1)
		if got := rec.Lanes[0].Search; rec.Verdict != record.Invalid || !strings.Contains(got.Words, "given up") || len(rec.Lanes[0].Stages) != 3 {
			t.Errorf("verdict %s, %d stages, %q; want invalid after 3", rec.Verdict, len(rec.Lanes[0].Stages), got.Words)
		}
	})
}

// Whatever the truth, the hunt ends, within its number of trials, at the two loads that bracket it.
func TestHuntBracketsAnyKnee(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Search{From: rapid.Float64Range(.01, 100).Draw(t, "from"), Resolution: rapid.Float64Range(.01, .3).Draw(t, "resolution")}
		s.To = s.From * rapid.Float64Range(1.01, 1000).Draw(t, "range")
		knee := rapid.Float64Range(s.From/2, s.To*2).Draw(t, "knee")
		lie := rapid.IntRange(-1, 12).Draw(t, "lie") // a stage that ends early with the wrong result
		h := hunt{search: s}
		trials := 0
		for {
			load, full, done := h.next()
			if done {
				break
			}
			if load < s.From || load > s.To {
				t.Fatalf("load %v; want one from %v to %v", load, s.From, s.To)
			}
			passed, early := load <= knee, math.Abs(load/knee-1) > .2
			if trials == lie && !full {
				passed, early = !passed, true
			}
			h.take(trial{load: load, passed: passed, early: early && !full})
			if trials++; trials > 2*s.mostStages() {
				t.Fatalf("%d trials and no end", trials)
			}
		}
		r := h.result("")
		switch {
		case knee < s.From:
			if r.Knee != 0 && lie < 0 {
				t.Fatalf("found %+v; want none at or above %v", r, s.From)
			}
		case knee >= s.To:
			if r.Knee != s.To && lie < 0 {
				t.Fatalf("found %+v; want %v", r, s.To)
			}
		case lie < 0 && !(r.Knee <= knee && knee < r.Above && r.Above <= r.Knee*(1+s.Resolution)*(1+1e-9)):
			t.Fatalf("found %v to %v; want them round %v within %v", r.Knee, r.Above, knee, s.Resolution)
		case lie >= 0 && (r.Knee > knee*1.0000001 || r.Above > 0 && r.Above < knee):
			t.Fatalf("found %v to %v, with one lie; want them round %v", r.Knee, r.Above, knee)
		}
		if lie < 0 && trials > s.mostStages() {
			t.Fatalf("%d trials; at most %d are planned for", trials, s.mostStages())
		}
	})
}

var _ prober.Sink = (*asking)(nil)

// Steps of the same resolution say the same, at many times the requests.
func TestStepsFindTheKnee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 20, service: 200 * time.Millisecond}
		plan := planFor(f, Steps{From: 80, To: 115, By: 2.5, Each: 20 * time.Second}.Stages()...)
		plan.Objectives = []record.Objective{ttftObjective(95, 200*time.Millisecond)}
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		judge.Judge(rec, nil, judge.Options{})
		if rec.Diagnosis == nil || rec.Diagnosis.Knee == nil {
			t.Fatal("no knee")
		}
		knee := rec.Diagnosis.Knee
		if knee.HeldAt != 100 || knee.MissedAt != 102.5 || math.Abs(knee.Load/f.capacity()-1) > .05 {
			t.Errorf("knee = %+v; want between 100 and 102.5", *knee)
		}
	})
}

func TestSearchKeepsItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 20, service: 200 * time.Millisecond} // 100/s
		rec := search(t, f, workload.Constant{}, Search{From: 10, To: 200, Stage: time.Minute, Requests: 100}, 1)
		for _, s := range rec.Lanes[0].Stages {
			if s.Planned > 100 || s.To.Sub(s.From) > time.Duration(100/s.Begin*1.001*float64(time.Second)) {
				t.Errorf("at %v/s: %d requests in %v; want 100 at most", s.Begin, s.Planned, s.To.Sub(s.From))
			}
		}
	})
}
