package ramp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/workload"
)

// An open loop begins its requests when they were planned, though the server answers none of them for a long time.
func TestOpenLoopKeepsItsPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 1, service: time.Second}
		plan := planFor(f, Stage{From: 10, To: 10, Over: 20 * time.Second, WarmUp: 5 * time.Second})
		plan.Drain = 10 * time.Minute
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := rec.Lanes[0].Stages[0]
		if s.Planned != 150 || s.Sent != 150 || s.Shed != 0 || s.Unended != 0 || s.Invalid != "" || s.Measured() != 15*time.Second {
			t.Errorf("planned, sent, shed, unended, invalid, measured = %d, %d, %d, %d, %q, %v; want 150, 150, 0, 0, none, 15s",
				s.Planned, s.Sent, s.Shed, s.Unended, s.Invalid, s.Measured())
		}
		// The 50th to 199th request, wanted at i/10+1/20 s, begins at i seconds.
		p := s.Probes["chat"]
		if got, want := p.TTFT.Max(), 179*time.Second; (got - want).Abs() > want/500 {
			t.Errorf("longest TTFT = %v; want %v", got, want)
		}
		if got := p.TTFT.Count(); got != 150 {
			t.Errorf("TTFT count = %d; want 150", got)
		}
		if got := s.DispatchDelay.Max(); got != 0 {
			t.Errorf("dispatch delay = %v; want 0 on a fake clock", got)
		}
		// From 5 s to 20 s, 10/s come and 1/s goes: 45 at the beginning, 180 at the end.
		if got, want := s.InFlight, 112.5; math.Abs(got-want) > 2 {
			t.Errorf("in flight = %v; want about %v", got, want)
		}
		if got, want := s.MaxInFlight, 180; got < want-1 || got > want+1 {
			t.Errorf("most in flight = %v; want about %v", got, want)
		}
		sent, arrived := 0, int64(0)
		for i, w := range s.Windows {
			if i > 0 && !w.Start.Equal(s.Windows[i-1].Start.Add(s.Windows[i-1].Length)) {
				t.Errorf("window %d begins at %v, the one before it ends at %v", i, w.Start, s.Windows[i-1].Start.Add(s.Windows[i-1].Length))
			}
			sent += w.Sent
			arrived += w.Arrived
		}
		if sent != 200 || arrived != 400 {
			t.Errorf("windows: %d sent, %d tokens arrived; want 200 and 400", sent, arrived)
		}
		last := s.Windows[len(s.Windows)-1]
		if end := last.Start.Add(last.Length); !end.Equal(s.Ended) || !s.Ended.Equal(rec.Ended) || s.Ended.Sub(s.Started) < 199*time.Second {
			t.Errorf("the last window ends at %v, the stage at %v, the run at %v", end, s.Ended, rec.Ended)
		}
	})
}

// Stages share one schedule: fractions of arrivals are not lost at their boundaries.
func TestStagesShareOneSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 1000, service: 10 * time.Millisecond}
		var stages []Stage
		for range 10 {
			stages = append(stages, Stage{From: .3, To: .3, Over: 2 * time.Second})
		}
		stages = append(stages, Stage{From: 0, To: 10, Over: 10 * time.Second}, Stage{Over: 5 * time.Second}, Stage{From: 7, To: 7, Over: time.Second})
		seen := &journal{}
		rec, err := Run(t.Context(), planFor(f, stages...), seen)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, s := range rec.Lanes[0].Stages[:10] {
			total += s.Planned
		}
		got := rec.Lanes[0].Stages
		// The first stage has a warm-up of 0.2 s, in which nothing comes.
		if total != 6 || got[10].Planned != 50 || got[11].Planned != 0 || got[11].Kind != record.Idle || got[12].Planned < 6 {
			t.Errorf("planned = %d, %d, %d (%s), %d; want 6, 50, 0 (idle), 6 or 7", total, got[10].Planned, got[11].Planned, got[11].Kind, got[12].Planned)
		}
		if len(seen.started) != 13 || len(seen.ended) != 13 || seen.results != f.asked {
			t.Errorf("observed %d stages begin, %d end, %d results; want 13, 13, %d", len(seen.started), len(seen.ended), seen.results, f.asked)
		}
		if want := "ramp 0/s to 10/s"; got[10].Name != want {
			t.Errorf("name = %q; want %q", got[10].Name, want)
		}
	})
}

// journal is an Observer that keeps what it was told.
type journal struct {
	Unobserved
	mu      sync.Mutex
	started []string
	ended   []*record.Stage
	results int
	shed    map[string]int
	last    *Snapshot
	onTick  func(*Snapshot)
}

func (j *journal) StageStarted(w Where, _ record.Kind, _, _ float64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.started = append(j.started, w.Stage)
}

func (j *journal) StageEnded(_ Where, s *record.Stage) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = append(j.ended, s)
}

func (j *journal) Result(Where, *prober.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.results++
}

func (j *journal) Shed(_ Where, reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.shed == nil {
		j.shed = map[string]int{}
	}
	j.shed[reason]++
}

func (j *journal) Progress(s *Snapshot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = s
	if j.onTick != nil {
		j.onTick(s)
	}
}

func TestCapShedsVisibly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 1, service: time.Second}
		plan := planFor(f, Stage{From: 10, To: 10, Over: 10 * time.Second, WarmUp: -1})
		plan.Lanes[0].MaxInFlight = 3
		seen := &journal{}
		rec, err := Run(t.Context(), plan, seen)
		if err != nil {
			t.Fatal(err)
		}
		s := rec.Lanes[0].Stages[0]
		if s.Planned != 100 || s.Sent+s.Shed != 100 || s.ShedBy[ShedInFlight] != s.Shed || s.Shed < 80 || seen.shed[ShedInFlight] != s.Shed || f.most > 3 {
			t.Errorf("planned, sent, shed, by, observed, most = %d, %d, %d, %v, %v, %d", s.Planned, s.Sent, s.Shed, s.ShedBy, seen.shed, f.most)
		}
		if j := s.Judge(ttftObjective(95, time.Hour)); j.Held || j.N != 100 {
			t.Errorf("judgement = %+v; want missed: who was shed got no first token", j)
		}
	})
}

func TestBudgetShedsAndInvalidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 10, service: time.Millisecond}
		plan := planFor(f, Stage{From: 10, To: 10, Over: 10 * time.Second, WarmUp: -1})
		left := 40
		plan.Lanes[0].Probes = map[string]Probe{"chat": {Reserve: func() (Ask, string) {
			if left--; left < 0 {
				return nil, "budget_requests"
			}
			return f.ask, ""
		}}}
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := rec.Lanes[0].Stages[0]
		if s.Sent != 40 || s.ShedBy["budget_requests"] != 60 || !strings.Contains(s.Invalid, "60 of 100") || rec.Verdict != record.Invalid {
			t.Errorf("sent %d, shed %v, invalid %q, verdict %s; want 40, 60 by the budget, both invalid", s.Sent, s.ShedBy, s.Invalid, rec.Verdict)
		}
	})
}

// What the prober's own machine could not send says nothing of the server: it is neither sent nor failed, and too much of it
// spoils the stage.
func TestShortageInvalidatesTheStage(t *testing.T) {
	for _, tt := range []struct {
		closed  bool
		every   int // so manieth request is not sent
		invalid bool
	}{{false, 2, true}, {false, 100, false}, {true, 2, true}} {
		t.Run(fmt.Sprintf("closed %t, every %d", tt.closed, tt.every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				f := &fakeServer{slots: 10, service: 100 * time.Millisecond, fail: func(time.Time) prober.Outcome {
					if asked++; asked%tt.every == 0 {
						return prober.Unsent
					}
					return prober.OK
				}}
				plan := planFor(f, Stage{From: 1, To: 1, Over: 200 * time.Second, WarmUp: -1})
				plan.Lanes[0].Closed = tt.closed
				seen := &journal{}
				rec, err := Run(t.Context(), plan, seen)
				if err != nil {
					t.Fatal(err)
				}
				s := rec.Lanes[0].Stages[0]
				st := s.Probes["chat"]
				short := s.ShedBy[ShedUnsent]
				if short == 0 || short != s.Shed || short != asked/tt.every || s.Sent+short != s.Planned || st.Sent != s.Sent || st.Outcomes["ok"] != s.Sent || len(st.Outcomes) != 1 {
					t.Errorf("of %d asked, planned, sent, shed, outcomes = %d, %d, %v, %v; want every %d. shed, and all others ok", asked, s.Planned, s.Sent, s.ShedBy, st.Outcomes, tt.every)
				}
				if seen.shed[ShedUnsent] != short || seen.results != s.Sent {
					t.Errorf("observed %v shed and %d results; want %d and %d", seen.shed, seen.results, short, s.Sent)
				}
				if (s.Invalid != "") != tt.invalid || tt.invalid && !strings.Contains(s.Invalid, "no file descriptor") {
					t.Errorf("invalid = %q; want %t, for want of descriptors", s.Invalid, tt.invalid)
				}
				if tt.closed && s.Planned > 400 {
					t.Errorf("%d were asked in 200 s; want a second between one that was not sent and the next", s.Planned)
				}
			})
		})
	}
}

func TestLateProberInvalidatesTheStage(t *testing.T) {
	for _, tt := range []struct {
		late    time.Duration
		invalid bool
	}{{9 * time.Millisecond, false}, {11 * time.Millisecond, true}} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeServer{slots: 10, service: time.Millisecond, late: tt.late}
			rec, err := Run(t.Context(), planFor(f, Stage{From: 10, To: 10, Over: 10 * time.Second}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := rec.Lanes[0].Stages[0].Invalid; (got != "") != tt.invalid || (rec.Verdict == record.Invalid) != tt.invalid {
				t.Errorf("late by %v: invalid = %q, verdict = %q; want invalid %v", tt.late, got, rec.Verdict, tt.invalid)
			}
		})
	}
}

func TestClosedLoopFollowsItsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 100, service: 100 * time.Millisecond}
		plan := planFor(f,
			Stage{From: 4, To: 4, Over: 10 * time.Second, WarmUp: -1},
			Stage{From: 4, To: 12, Over: 8 * time.Second},
			Stage{From: 1, To: 1, Over: 10 * time.Second, WarmUp: time.Second},
		)
		plan.Lanes[0].Closed = true
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := rec.Lanes[0].Stages
		// So many at once, each in 0.1 s: 4, in the mean 8, and 1.
		if s[0].Sent != 400 || math.Abs(float64(s[1].Sent)-640) > 20 || s[2].Sent < 89 || s[2].Sent > 91 {
			t.Errorf("sent = %d, %d, %d; want 400, about 640, 90", s[0].Sent, s[1].Sent, s[2].Sent)
		}
		if math.Abs(s[0].InFlight-4) > .01 || s[0].MaxInFlight != 4 || s[1].MaxInFlight != 12 {
			t.Errorf("in flight = %v at most %d, then at most %d; want 4, 4, 12", s[0].InFlight, s[0].MaxInFlight, s[1].MaxInFlight)
		}
	})
}

// A server that refuses at once is not hammered by a closed loop.
func TestClosedLoopPausesAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 1, fail: func(time.Time) prober.Outcome { return prober.Connect }}
		plan := planFor(f, Stage{From: 3, To: 3, Over: 10 * time.Second, WarmUp: -1})
		plan.Lanes[0].Closed = true
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := rec.Lanes[0].Stages[0].Sent; got != 30 {
			t.Errorf("sent = %d; want 30: one a second of each worker", got)
		}
	})
}

func TestBaselineEndsAfterItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 1, service: 300 * time.Millisecond}
		lane := Baseline{Requests: 20}.Lane(planFor(f).Lanes[0])
		plan := planFor(f)
		plan.Lanes = []Lane{lane}
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := rec.Lanes[0].Stages[0]
		if s.Sent != 20 || s.Kind != record.Unloaded || rec.Ended.Sub(rec.Started) != 6*time.Second || s.MaxInFlight != 1 {
			t.Errorf("sent %d, kind %s, took %v, at most %d in flight; want 20, unloaded, 6s, 1", s.Sent, s.Kind, rec.Ended.Sub(rec.Started), s.MaxInFlight)
		}
	})
}

func TestBurstAfterIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 4, service: time.Second}
		plan := planFor(f, BurstAfterIdle{Size: 8, Idle: time.Minute, Times: 2}.Stages()...)
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := rec.Lanes[0].Stages
		if len(s) != 4 || s[1].Sent != 8 || s[3].Sent != 8 || f.most != 8 || s[1].MaxInFlight != 8 {
			t.Fatalf("%d stages, %d and %d sent, at most %d; want 4, 8, 8, 8", len(s), s[1].Sent, s[3].Sent, f.most)
		}
		// 8 on 4 slots take 2 s; the next silence begins then.
		if got := s[3].Started.Sub(rec.Started); got != time.Minute+2*time.Second+time.Minute {
			t.Errorf("the second burst came after %v; want 2m2s", got)
		}
	})
}

func TestUnendedRequestsCountAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 1, service: time.Hour}
		plan := planFor(f, Stage{From: 2, To: 2, Over: 10 * time.Second, WarmUp: -1})
		plan.Drain = 5 * time.Second
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := rec.Lanes[0].Stages[0]
		p := s.Probes["chat"]
		if s.Unended != 20 || p.Unended != 20 || p.Sent != 20 || p.Failed() != 20 || rec.Ended.Sub(rec.Started) != 15*time.Second || rec.Verdict != "" {
			t.Errorf("unended %d, %d of %d, failed %d, took %v, verdict %q; want 20, 20 of 20, 20, 15s, none",
				s.Unended, p.Unended, p.Sent, p.Failed(), rec.Ended.Sub(rec.Started), rec.Verdict)
		}
	})
}

func TestStopIsCleanAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		f := &fakeServer{slots: 10, service: 10 * time.Second}
		plan := planFor(f, Stage{From: 1, To: 1, Over: 10 * time.Second, WarmUp: -1}, Stage{From: 1, To: 1, Over: time.Hour}, Stage{From: 1, To: 1, Over: time.Hour})
		plan.Grace = 4 * time.Second
		time.AfterFunc(30*time.Second, func() { stop(errors.New("stopped by SIGTERM")) })
		rec, err := Run(ctx, plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := rec.Lanes[0].Stages
		if len(s) != 2 || rec.Stopped != "stopped by SIGTERM" || rec.Verdict != record.CutShort || rec.Ended.Sub(rec.Started) != 34*time.Second {
			t.Fatalf("%d stages, stopped %q, verdict %s, after %v; want 2, by SIGTERM, cut_short, 34s", len(s), rec.Stopped, rec.Verdict, rec.Ended.Sub(rec.Started))
		}
		// Of the 20 of the second stage the latest 6 were given up: we did that, so they count for nothing.
		if s[1].To.Sub(rec.Started) != 30*time.Second || s[1].Canceled != 6 || s[1].Planned != 14 || s[1].Sent != 14 || s[1].Probes["chat"].Failed() != 0 {
			t.Errorf("to %v, canceled %d, planned %d, sent %d, failed %d; want 30s, 6, 14, 14, 0",
				s[1].To.Sub(rec.Started), s[1].Canceled, s[1].Planned, s[1].Sent, s[1].Probes["chat"].Failed())
		}
	})
}

func TestAbortLimits(t *testing.T) {
	number := func(x float64) *float64 { return &x }
	refuse := func(from time.Duration) func(*fakeServer) {
		return func(f *fakeServer) {
			begun := time.Now()
			f.fail = func(now time.Time) prober.Outcome {
				if now.Sub(begun) > from {
					return prober.Overloaded
				}
				return prober.OK
			}
		}
	}
	for _, tt := range []struct {
		name   string
		abort  Abort
		server func(*fakeServer)
		sample func(since time.Duration) record.Sample
		limit  string // empty: none trips
		after  time.Duration
	}{
		{name: "all is well", abort: Abort{ErrorShare: .5, TTFT: []TTFTLimit{{95, time.Second}}, InFlight: 50, Over: 10 * time.Second}},
		{name: "errors", abort: Abort{ErrorShare: .5, Over: 10 * time.Second}, server: refuse(30 * time.Second), limit: "error_share", after: 35 * time.Second},
		{name: "slow first tokens", abort: Abort{TTFT: []TTFTLimit{{95, 2 * time.Second}}, Over: 10 * time.Second},
			server: func(f *fakeServer) { f.service = 2 * time.Second }, limit: "ttft", after: 12 * time.Second},
		{name: "in flight", abort: Abort{InFlight: 50, Over: 5 * time.Second},
			server: func(f *fakeServer) { f.service = time.Hour }, limit: "in_flight", after: 10 * time.Second},
		{name: "waiting", abort: Abort{Waiting: 10, Over: 20 * time.Second}, limit: "waiting", after: 50 * time.Second,
			sample: func(since time.Duration) record.Sample {
				return record.Sample{Engine: &record.EngineSample{Waiting: number(since.Seconds() / 3)}}
			}},
		{name: "cost", abort: Abort{Cost: 25}, limit: "cost", after: 3 * time.Second},
		{name: "victims", abort: Abort{Victims: 2, Over: 10 * time.Second}, limit: "victims", after: 40 * time.Second,
			sample: func(since time.Duration) record.Sample {
				ttft := .1
				if since > 29*time.Second {
					ttft = .3
				}
				return record.Sample{Victims: map[string]float64{"other/chat": ttft}}
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeServer{slots: 10, service: 10 * time.Millisecond}
				if tt.server != nil {
					tt.server(f)
				}
				plan := planFor(f, Stage{From: 10, To: 10, Over: 90 * time.Second})
				plan.Abort = tt.abort
				plan.Cost = func(*prober.Result) float64 { return 1 }
				if tt.sample != nil {
					begun := time.Now()
					plan.Sample = func(context.Context) record.Sample { return tt.sample(time.Since(begun)) }
					plan.SampleInterval = time.Second
				}
				rec, err := Run(t.Context(), plan, nil)
				if err != nil {
					t.Fatal(err)
				}
				if tt.limit == "" {
					if rec.Abort != nil || rec.Verdict != "" {
						t.Errorf("aborted: %+v", rec.Abort)
					}
					return
				}
				if rec.Abort == nil {
					t.Fatal("no limit tripped")
				}
				took := rec.Abort.At.Sub(rec.Started)
				if rec.Abort.Limit != tt.limit || rec.Verdict != record.Aborted || (took-tt.after).Abs() > 3*time.Second {
					t.Errorf("%s tripped after %v, verdict %s (%s); want %s after about %v", rec.Abort.Limit, took, rec.Verdict, rec.Abort.Words, tt.limit, tt.after)
				}
				if rest := rec.Ended.Sub(rec.Abort.At); rest > DefaultGrace {
					t.Errorf("it took %v to end", rest)
				}
			})
		})
	}
}

// Lanes side by side: one in the background goes on until the other is done.
func TestBackgroundLane(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeServer{slots: 100, service: 10 * time.Millisecond}
			plan := planFor(f, Stage{From: 5, To: 5, Over: time.Minute})
			back := planFor(f, Stage{From: 2, To: 2, Over: time.Second}).Lanes[0]
			back.Name, back.Background, back.Closed = "back", true, closed
			plan.Lanes = append(plan.Lanes, back)
			rec, err := Run(t.Context(), plan, nil)
			if err != nil {
				t.Fatal(err)
			}
			s := rec.Lanes[1].Stages[0]
			if s.To.Sub(rec.Started) != time.Minute || s.Sent < 108 || rec.Verdict != "" {
				t.Errorf("closed %v: until %v, %d sent, verdict %q; want 1m, 108 or more after a warm-up of 6s, none", closed, s.To.Sub(rec.Started), s.Sent, rec.Verdict)
			}
		})
	}
}

// Shards of a plan together are the plan: the same arrivals at the same instants, of the same probes.
func TestShardsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().Add(time.Minute)
		arrivals := func(shard, shards int) []string {
			f := &fakeServer{slots: 100, service: time.Millisecond}
			plan := planFor(f,
				Stage{From: 10, To: 10, Over: 7 * time.Second},
				Stage{From: 10, To: 30, Over: 20 * time.Second, Mix: Mix{"chat": 2, "rag": 1}},
				Stage{From: 5, To: 5, Over: 5 * time.Second, Mix: Mix{"rag": 1}})
			plan.Lanes[0].Process = workload.Poisson{}
			plan.Lanes[0].Probes["rag"] = plan.Lanes[0].Probes["chat"]
			plan.Shard, plan.Shards, plan.Begin = shard, shards, begin
			plan.Sample = func(context.Context) record.Sample {
				time.Sleep(time.Duration(shard) * time.Second) // their engines answer at different speeds
				return record.Sample{}
			}
			seen := new(seenArrivals)
			rec, err := Run(t.Context(), plan, seen)
			if err != nil {
				t.Fatal(err)
			}
			if s := rec.Lanes[0].Stages; s[1].Begin*float64(shards) != 10 || math.Abs(s[1].End*float64(shards)-30) > 1e-9 || s[1].Name != "ramp 10/s to 30/s" {
				t.Errorf("shard %d of %d: %s from %v to %v; want its share of 10 and 30", shard, shards, s[1].Name, s[1].Begin, s[1].End)
			}
			if !rec.Started.Equal(begin) {
				t.Errorf("shard %d of %d started at %v; want %v", shard, shards, rec.Started, begin)
			}
			begin = begin.Add(time.Hour)
			return seen.of(rec.Started)
		}
		whole := arrivals(0, 1)
		for _, shards := range []int{2, 3, 4} {
			var all []string
			for shard := range shards {
				all = append(all, arrivals(shard, shards)...)
			}
			slices.Sort(all)
			if diff := cmp.Diff(whole, all); diff != "" || len(all) < 400 {
				t.Errorf("%d shards have %d arrivals, the whole has %d (-whole +shards):\n%s", shards, len(all), len(whole), diff)
			}
		}
	})
}

// seenArrivals keeps when requests were wanted, and of which probe.
type seenArrivals struct {
	Unobserved
	mu   sync.Mutex // protects what follows
	seen []string
	from []time.Time
	what []string
}

func (s *seenArrivals) Result(w Where, r *prober.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = append(s.from, r.Timeline.Intended)
	s.what = append(s.what, w.Stage+" "+w.Probe)
}

// of are the arrivals in order, by nanoseconds since the beginning.
func (s *seenArrivals) of(begin time.Time) []string {
	for i, at := range s.from {
		s.seen = append(s.seen, fmt.Sprintf("%011d %s", at.Sub(begin).Nanoseconds(), s.what[i]))
	}
	slices.Sort(s.seen)
	return s.seen
}

// A run that is due begins in time or not at all, also where the prober is suspended just before its first request.
func TestTooLateToBegin(t *testing.T) {
	for _, tt := range []struct {
		takes time.Duration // the look at the engine, before
		want  error
	}{{5 * time.Minute, nil}, {5*time.Minute + time.Second, ErrLate}} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeServer{slots: 10, service: time.Millisecond}
			plan := planFor(f, Stage{From: 10, To: 10, Over: time.Second})
			plan.Latest = time.Now().Add(5 * time.Minute)
			plan.Sample = func(context.Context) record.Sample {
				time.Sleep(tt.takes)
				return record.Sample{}
			}
			rec, err := Run(t.Context(), plan, nil)
			if !errors.Is(err, tt.want) || (rec == nil) != (tt.want != nil) || (f.asked == 0) != (tt.want != nil) {
				t.Errorf("after %v: record %t, %v, %d asked; want %v", tt.takes, rec != nil, err, f.asked, tt.want)
			}
		})
	}
}

// A prober that is suspended in the middle of a run does not send what has become due meanwhile, nor the rest.
func TestSuspendedInTheMiddle(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stops time.Duration
		ends  bool
		plan  func(*Plan)
	}{
		{"shorter than a hiccup", mostLate, false, func(*Plan) {}},
		{"longer", mostLate + time.Second, true, func(*Plan) {}},
		{"until the middle of the day", 8 * time.Hour, true, func(*Plan) {}},
		{"in a search", 8 * time.Hour, true, func(p *Plan) {
			p.Lanes[0].Stages, p.Lanes[0].Search = nil, &Search{From: 10, To: 40, Stage: time.Hour}
			p.Objectives = []record.Objective{{Indicator: "ttft", Percentile: 95, Threshold: 1}}
		}},
		{"in a trace", 8 * time.Hour, true, func(p *Plan) {
			var times strings.Builder
			for n := range 600 {
				fmt.Fprintf(&times, "%.1f\n", float64(n)/10)
			}
			trace, err := workload.ReadTrace("t", strings.NewReader(times.String()))
			if err != nil {
				t.Fatal(err)
			}
			p.Lanes[0].Stages, p.Lanes[0].Trace = nil, trace
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeServer{slots: 1000, service: time.Millisecond}
				plan := planFor(f, Stage{From: 10, To: 10, Over: time.Minute})
				tt.plan(&plan)
				begun := time.Now()
				stopped := false
				plan.Sleep = func(ctx context.Context, until time.Time) error {
					err := workload.SleepUntilTimer(ctx, until)
					if time.Since(begun) > 20*time.Second && !stopped {
						stopped = true
						time.Sleep(tt.stops)
					}
					return err
				}
				rec, err := Run(t.Context(), plan, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !tt.ends {
					if f.asked != 600 || rec.Stopped != "" || rec.Verdict != record.Invalid {
						t.Errorf("%d asked, stopped %q, verdict %s; want 600, and what came late makes it invalid", f.asked, rec.Stopped, rec.Verdict)
					}
					return
				}
				if f.asked < 190 || f.asked > 210 || rec.Verdict != record.CutShort || !strings.Contains(rec.Stopped, "the prober was suspended") {
					t.Errorf("%d asked, stopped %q, verdict %s; want 200, cut_short because the prober was suspended", f.asked, rec.Stopped, rec.Verdict)
				}
			})
		})
	}
}

// A server that stalls for 2 s every 30 s: from the intended time it shows in full, in a closed loop hardly.
func TestStallsShowInFull(t *testing.T) {
	p := func(closed bool) (s record.Stage) {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			f := &fakeServer{slots: 64, service: 50 * time.Millisecond, stalls: func(now time.Time) time.Time {
				into := now.Sub(begun) % (30 * time.Second)
				if into >= 28*time.Second {
					return now.Add(30*time.Second - into)
				}
				return now
			}}
			load := 50.0
			if closed {
				load = 2.5 // with which it does 50/s where nothing stalls
			}
			plan := planFor(f, Stage{From: math.Round(load), To: math.Round(load), Over: 5 * time.Minute, WarmUp: -1})
			plan.Lanes[0].Closed = closed
			rec, err := Run(t.Context(), plan, nil)
			if err != nil {
				t.Fatal(err)
			}
			s = rec.Lanes[0].Stages[0]
		})
		return s
	}
	open, closed := p(false), p(true)
	o, c := open.Probes["chat"].TTFT, closed.Probes["chat"].TTFT
	t.Logf("open loop:   %d requests, p95 %v p99 %v max %v", o.Count(), o.Quantile(.95), o.Quantile(.99), o.Max())
	t.Logf("closed loop: %d requests, p95 %v p99 %v max %v", c.Count(), c.Quantile(.95), c.Quantile(.99), c.Max())
	// One request in 15 is wanted in a stall, and waits for 1 s in the mean.
	if got := o.Quantile(.99); (got - 1700*time.Millisecond).Abs() > 100*time.Millisecond {
		t.Errorf("open loop p99 = %v; want about 1.7s: the worst hundredth of which one in 15 waits up to 2 s", got)
	}
	if got := o.Quantile(.95); (got - 500*time.Millisecond).Abs() > 60*time.Millisecond {
		t.Errorf("open loop p95 = %v; want about 0.5s", got)
	}
	if got := c.Quantile(.99); got > 10*time.Millisecond {
		t.Errorf("closed loop p99 = %v; it should not see the stalls at all", got)
	}
}

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 100, service: 200 * time.Millisecond}
		plan := planFor(f, Stage{From: 10, To: 20, Over: 20 * time.Second})
		plan.Objectives = []record.Objective{ttftObjective(95, time.Second)}
		var middle *Snapshot
		seen := &journal{onTick: func(s *Snapshot) {
			if s.At.Sub(s.Started) == 10*time.Second {
				middle = s
			}
		}}
		if _, err := Run(t.Context(), plan, seen); err != nil {
			t.Fatal(err)
		}
		if middle == nil {
			t.Fatal("no progress after 10s")
		}
		l := middle.Lanes[0]
		if l.Planned != 15 || math.Abs(l.Achieved-13.75) > .8 || middle.Left != 10*time.Second || l.InFlight != 3 || l.Kind != record.Rising || !l.Objectives[0].Held || l.Sent != 125 {
			t.Errorf("snapshot = %+v, left %v", l, middle.Left)
		}
		if math.Abs(l.TokenRate-2*13.5) > 2 {
			t.Errorf("tokens per second = %v; want about 27", l.TokenRate)
		}
		if !seen.last.Done || seen.last.Left != 0 || seen.last.Lanes[0].InFlight != 0 {
			t.Errorf("last snapshot = %+v", seen.last)
		}
	})
}

// What is planned is what this prober is to do: of a plan that is spread, its share.
func TestSnapshotOfAShard(t *testing.T) {
	for _, test := range []struct {
		name          string
		closed        bool
		from, to      float64
		shard, shards int
		want          float64
	}{
		{"open", false, 20, 20, 0, 4, 5},
		{"open, rising", false, 20, 40, 3, 4, 7.5},
		{"closed", true, 3, 3, 1, 4, 1},
		{"closed, and too few for all", true, 3, 3, 0, 4, 0},
		{"closed, all of it", true, 3, 3, 0, 0, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// After 10 s no answer comes, so that the workers of a closed loop are all waiting for theirs.
				plan := planFor(&fakeServer{slots: 100, service: 300 * time.Millisecond}, Stage{From: test.from, To: test.to, Over: 20 * time.Second})
				plan.Lanes[0].Closed = test.closed
				plan.Shard, plan.Shards = test.shard, test.shards
				var middle *Snapshot
				seen := &journal{onTick: func(s *Snapshot) {
					if s.At.Sub(s.Started) == 10*time.Second {
						middle = s
					}
				}}
				if _, err := Run(t.Context(), plan, seen); err != nil {
					t.Fatal(err)
				}
				if middle == nil {
					t.Fatal("no progress after 10s")
				}
				if l := middle.Lanes[0]; l.Planned != test.want || test.closed && l.InFlight != int(test.want) {
					t.Errorf("planned %v, in flight %d; want %v", l.Planned, l.InFlight, test.want)
				}
			})
		})
	}
}

func TestTraceIsPlayed(t *testing.T) {
	trace, err := workload.ReadTrace("t", strings.NewReader("0\n1\n1.5\n4\n"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{slots: 100, service: time.Millisecond}
		plan := planFor(f)
		plan.Lanes[0].Trace, plan.Lanes[0].Speed = trace, 2
		rec, err := Run(t.Context(), plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l := rec.Lanes[0]; l.Process != "trace" || l.Stages[0].Sent != 4 || rec.Ended.Sub(rec.Started) > 2100*time.Millisecond {
			t.Errorf("process %s, sent %d, took %v; want trace, 4, 2s", l.Process, l.Stages[0].Sent, rec.Ended.Sub(rec.Started))
		}
	})
}
