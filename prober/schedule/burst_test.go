package schedule

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober/workload"
)

// A burstLog keeps the runs of a burst.
type burstLog struct {
	mu   sync.Mutex
	runs []burstRun
}

type burstRun struct {
	intended, began, ended time.Time
	silence                time.Duration
}

// lasting returns a Run that takes as long as each says in turn, and then for ever; when it is ended it takes a while.
func (l *burstLog) lasting(each func() time.Duration) func(context.Context, time.Time) Cost {
	return func(ctx context.Context, intended time.Time) Cost {
		r := burstRun{intended: intended, began: time.Now(), silence: Silence(ctx)}
		if err := workload.SleepUntilTimer(ctx, time.Now().Add(each())); err != nil {
			_ = workload.SleepUntilTimer(context.WithoutCancel(ctx), time.Now().Add(3*time.Second))
		}
		r.ended = time.Now()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.runs = append(l.runs, r)
		return Cost{Requests: -1}
	}
}

func (l *burstLog) get() []burstRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]burstRun(nil), l.runs...)
}

func always(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// A burst comes when the lane has been silent for AfterIdle, however long the one before took.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = 10 * time.Minute
		r := rand.New(rand.NewPCG(1, 2))
		s, events := start(t, Options{Seed: 3})
		var l burstLog
		j := Job{
			Key: "chat/wake_up", Group: "chat", Burst: Burst{8, idle},
			Run: l.lasting(func() time.Duration { return time.Duration(r.ExpFloat64() * float64(5*time.Minute)) }),
		}
		began := time.Now()
		apply(t, s, one(j))
		time.Sleep(24 * time.Hour)
		synctest.Wait()

		runs := l.get()
		if n := len(runs); n < 70 || n > 120 {
			t.Fatalf("%d bursts in a day; want about 96", n)
		}
		j.Interval = idle
		if want := newGrid(&j, 3).from(began); !runs[0].began.Equal(want) || runs[0].silence != want.Sub(began) {
			t.Errorf("the first burst came at %v after a silence of %v; want %v, since the beginning", runs[0].began, runs[0].silence, want)
		}
		for i, run := range runs[1:] {
			if silence := run.began.Sub(runs[i].ended); silence != idle || run.silence != idle || !run.intended.Equal(run.began) {
				t.Fatalf("burst %d came after a silence of %v and says %v; want %v", i+1, silence, run.silence, idle)
			}
		}
		if skipped := events.skips(j.Key); skipped != nil {
			t.Errorf("skipped %v; want nothing", skipped)
		}
	})
}

// All requests of a burst count as in flight, and as requests of the minute.
func TestBurstIsBookedWhole(t *testing.T) {
	for _, test := range []struct {
		name   string
		group  Group
		plan   Plan
		reason Reason
	}{
		{"target in flight", Group{MaxInFlight: 7}, Plan{}, TargetInFlight},
		{"global in flight", Group{}, Plan{MaxInFlight: 7}, GlobalInFlight},
		{"requests", Group{RequestsPerMinute: 7}, Plan{}, BudgetRequests},
		{"global requests", Group{}, Plan{Budget: Budget{RequestsPerMinute: 7}}, GlobalBudgetRequests},
		{"enough", Group{MaxInFlight: 8, RequestsPerMinute: 8}, Plan{MaxInFlight: 8, Budget: Budget{RequestsPerMinute: 8}}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, events := start(t, Options{})
				p := test.plan
				test.group.Name = "chat"
				p.Groups = []Group{test.group}
				var l burstLog
				p.Jobs = []Job{{Key: "chat/wake_up", Group: "chat", Burst: Burst{8, time.Minute}, Run: l.lasting(always(30 * time.Second))}}
				apply(t, s, p)
				for events.count(events.started, "chat/wake_up") == 0 && events.skips("chat/wake_up") == nil {
					time.Sleep(time.Second)
				}
				if test.reason == "" {
					st := s.Status()
					if st.InFlight != 8 || st.Groups[0].InFlight != 8 || st.Groups[0].Requests != 8 || st.Budgets[0].Used != 8 {
						t.Errorf("Status = %+v; want 8 requests in flight, and 8 in the minute", st)
					}
					if next, ok := s.Next("chat/wake_up"); ok || !st.Jobs[0].Next.IsZero() || !st.Jobs[0].Running {
						t.Errorf("Next = %v, %v and Status %+v; want it to be open", next, ok, st.Jobs[0])
					}
				}
				time.Sleep(15 * time.Minute)
				synctest.Wait()
				switch started, skipped := events.count(events.started, "chat/wake_up"), events.skips("chat/wake_up"); {
				case test.reason == "" && (started < 10 || skipped != nil):
					t.Errorf("%d bursts, skipped %v; want one in 90 seconds", started, skipped)
				case test.reason != "" && (started > 0 || skipped[test.reason] != 15 && skipped[test.reason] != 16):
					t.Errorf("%d bursts, skipped %v; want %s each minute", started, skipped, test.reason)
				}
			})
		})
	}
}

// A burst that cannot be sent is tried again after another silence, and hears of the whole of it.
func TestSkippedBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, events := start(t, Options{})
		var l burstLog
		apply(t, s, one(Job{Key: "chat/wake_up", Group: "chat", Burst: Burst{2, time.Minute}, Run: l.lasting(always(time.Second))}))
		for len(l.get()) == 0 {
			time.Sleep(time.Second)
		}
		s.Pause("chat", time.Now().Add(150*time.Second))
		time.Sleep(4 * time.Minute)
		if diff := cmp.Diff(map[Reason]int{Paused: 2}, events.skips("chat/wake_up")); diff != "" {
			t.Errorf("skipped (-want +got):\n%s", diff)
		}
		runs := l.get()
		if len(runs) != 2 || runs[1].silence != 3*time.Minute || runs[1].began.Sub(runs[0].ended) != 3*time.Minute {
			t.Errorf("runs = %+v; want the second after three minutes", runs)
		}
	})
}

func TestBurstWithJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, Options{})
		var l burstLog
		apply(t, s, one(Job{
			Key: "chat/wake_up", Group: "chat", Burst: Burst{2, time.Minute}, Jitter: 20 * time.Second, Run: l.lasting(always(time.Second)),
		}))
		time.Sleep(2 * time.Hour)
		distinct := map[time.Duration]bool{}
		runs := l.get()
		for i, run := range runs[1:] {
			silence := run.began.Sub(runs[i].ended)
			if silence < time.Minute || silence >= 80*time.Second || run.silence != silence {
				t.Errorf("burst %d came after %v and says %v; want 60 to 80 seconds", i+1, silence, run.silence)
			}
			distinct[silence] = true
		}
		if len(runs) < 90 || len(distinct) < len(runs)-2 {
			t.Errorf("%d bursts after %d different silences; want about 100", len(runs), len(distinct))
		}
	})
}

// A process that stood still misses one burst, not as many as there might have been, and sends none late.
func TestMissedBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var once sync.Once
		s, events := start(t, Options{SleepUntil: func(ctx context.Context, until time.Time) error {
			err := workload.SleepUntilTimer(ctx, until)
			if err == nil {
				once.Do(func() { time.Sleep(time.Hour) })
			}
			return err
		}})
		var l burstLog
		apply(t, s, one(Job{Key: "chat/wake_up", Group: "chat", Burst: Burst{2, time.Minute}, Run: l.lasting(always(time.Second))}))
		time.Sleep(2 * time.Hour)
		if diff := cmp.Diff(map[Reason]int{Missed: 1}, events.skips("chat/wake_up")); diff != "" {
			t.Errorf("skipped (-want +got):\n%s", diff)
		}
		for i, run := range l.get() {
			if !run.began.Equal(run.intended) {
				t.Errorf("burst %d came %v late", i, run.began.Sub(run.intended))
			}
		}
		if n := len(l.get()); n < 55 || n > 60 {
			t.Errorf("%d bursts in the second hour; want about 59", n)
		}
	})
}

func TestReloadOfBursts(t *testing.T) {
	const idle = 10 * time.Minute
	base := Job{Key: "chat/wake_up", Group: "chat", Burst: Burst{4, idle}}
	for _, test := range []struct {
		name    string
		takes   time.Duration
		change  func(*Job)
		at      time.Duration            // after the first run began
		silence func(time.Duration) bool // between the first run's end and the second's beginning
	}{
		{"unchanged", time.Minute, func(*Job) {}, 5 * time.Minute, func(d time.Duration) bool { return d == idle }},
		{"unchanged, under way", time.Minute, func(*Job) {}, 30 * time.Second, func(d time.Duration) bool { return d == idle }},
		{"larger", time.Minute, func(j *Job) { j.Burst.Size = 5 }, 5 * time.Minute, func(d time.Duration) bool { return d == idle }},
		{
			"larger, under way", time.Minute, func(j *Job) { j.Burst.Size = 5 }, 30 * time.Second,
			func(d time.Duration) bool { return d >= idle && d <= 2*idle },
		},
		{
			"sooner", time.Minute, func(j *Job) { j.Burst.AfterIdle = idle / 2 }, 2 * time.Minute,
			func(d time.Duration) bool { return d >= idle/2 && d <= idle },
		},
		{
			"at once", time.Minute, func(j *Job) { j.Burst.AfterIdle = time.Minute }, 5 * time.Minute,
			func(d time.Duration) bool { return d >= 4*time.Minute && d <= 5*time.Minute },
		},
		{
			"from an interval", time.Minute, func(j *Job) { j.Interval, j.Burst = 0, Burst{4, idle} }, 5 * time.Minute,
			func(d time.Duration) bool { return d >= idle && d <= 2*idle },
		},
		{
			"to an interval, under way", idle * 2, func(j *Job) { j.Burst, j.Interval = Burst{}, idle }, idle + time.Minute,
			func(d time.Duration) bool { return d <= idle },
		},
		{
			"to an interval", time.Minute, func(j *Job) { j.Burst, j.Interval = Burst{}, time.Minute }, 2 * time.Minute,
			func(d time.Duration) bool { return d <= 2*time.Minute },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, events := start(t, Options{})
				var l burstLog
				j := base
				if strings.HasPrefix(test.name, "from an interval") {
					j.Interval, j.Burst = idle, Burst{}
				}
				j.Run = l.lasting(always(test.takes))
				apply(t, s, one(j))
				for events.count(events.started, j.Key) == 0 {
					time.Sleep(time.Second)
				}
				time.Sleep(test.at)
				test.change(&j)
				j.Run = l.lasting(always(30 * time.Second))
				apply(t, s, one(j))
				for len(l.get()) < 2 {
					time.Sleep(time.Second)
				}
				runs := l.get()
				if d := runs[1].began.Sub(runs[0].ended); !test.silence(d) {
					t.Errorf("the second run came after %v", d)
				}
				if skipped := events.skips(j.Key); skipped != nil {
					t.Errorf("skipped %v; want nothing", skipped)
				}
			})
		})
	}
}

// Where a run takes its time to end after a reload, the silence begins when it has; and the jobs that a reload changes
// while they are under way do not synchronise.
func TestReloadOfManyBurstsUnderWay(t *testing.T) {
	for _, ends := range []time.Duration{0, 15 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			const idle = 10 * time.Minute
			s, _ := start(t, Options{})
			logs := make([]burstLog, 20)
			plan := func(fingerprint string) Plan {
				p := Plan{Groups: []Group{{Name: "chat"}}}
				for i := range logs {
					p.Jobs = append(p.Jobs, Job{
						Key: fmt.Sprint("chat/", i), Group: "chat", Fingerprint: fingerprint, Burst: Burst{2, idle},
						Run: func(ctx context.Context, intended time.Time) Cost {
							takes := always(time.Hour)
							if fingerprint == "new" {
								takes = always(time.Second)
							}
							logs[i].lasting(takes)(ctx, intended)
							if fingerprint != "new" {
								time.Sleep(ends)
								logs[i].runs[0].ended = time.Now()
							}
							return Cost{}
						},
					})
				}
				return p
			}
			apply(t, s, plan("old"))
			time.Sleep(idle)
			if n := s.Status().InFlight; n != 40 {
				t.Fatalf("%d requests under way; want all 40", n)
			}
			apply(t, s, plan("new"))
			time.Sleep(time.Hour)
			synctest.Wait()
			var seconds []time.Time
			for i := range logs {
				runs := logs[i].get()
				if len(runs) < 2 || runs[1].began.Sub(runs[0].ended) < idle || runs[1].began.Sub(runs[0].ended) > 2*idle {
					t.Fatalf("ending takes %v: runs %+v; want the second after a silence of one to two times %v", ends, runs, idle)
				}
				seconds = append(seconds, runs[1].began)
			}
			slices.SortFunc(seconds, time.Time.Compare)
			if spread := seconds[19].Sub(seconds[0]); ends == 0 && spread < idle/2 {
				t.Errorf("the bursts after a reload come within %v; want them spread", spread)
			}
		})
	}
}

// Whatever reloads do, no burst says that its lane was silent for longer than it was, and bursts go on.
func TestSilenceIsNeverOverstated(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		var wrong []string
		synctest.Test(t, func(t *testing.T) {
			r, reloads := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
			s, events := start(t, Options{Seed: seed, FirstWithin: time.Duration(seed%2) * 10 * time.Second})
			var mu sync.Mutex
			var underWay, full int
			var ended time.Time // of the last run
			run := func(ctx context.Context, _ time.Time) Cost {
				mu.Lock()
				claim, isBurst := Silence(ctx), ctx.Value(silenceKey{}) != nil
				if silence := time.Since(ended); isBurst && (underWay > 0 || claim > silence) {
					wrong = append(wrong, fmt.Sprintf("a burst says %v of a silence of %v with %d under way", claim, silence, underWay))
				}
				if isBurst && claim >= time.Minute {
					full++
				}
				underWay++
				takes, ends := time.Duration(r.IntN(90))*time.Second, time.Duration(r.IntN(20))*time.Second
				mu.Unlock()
				if err := workload.SleepUntilTimer(ctx, time.Now().Add(takes)); err != nil {
					time.Sleep(ends)
				}
				mu.Lock()
				defer mu.Unlock()
				underWay--
				ended = time.Now()
				return Cost{}
			}
			for i := range 40 {
				j := Job{Key: "chat/wake_up", Group: "chat", Fingerprint: fmt.Sprint(i / 2), Interval: time.Minute, Run: run}
				p := one(j)
				switch p.Jobs[0].Burst = (Burst{2, time.Duration(1+reloads.IntN(2)) * time.Minute}); reloads.IntN(6) {
				case 0:
					p.Jobs[0].Burst = Burst{}
				case 1:
					p.Jobs = nil
				}
				apply(t, s, p)
				time.Sleep(time.Duration(reloads.IntN(1+reloads.IntN(400))) * time.Second)
			}
			apply(t, s, one(Job{Key: "chat/wake_up", Group: "chat", Burst: Burst{2, time.Minute}, Run: run}))
			before := events.count(events.started, "chat/wake_up")
			time.Sleep(time.Hour)
			if n := events.count(events.started, "chat/wake_up") - before; n < 20 {
				wrong = append(wrong, fmt.Sprintf("%d bursts in the hour after; want more", n))
			}
			mu.Lock()
			defer mu.Unlock()
			if full < 20 {
				wrong = append(wrong, fmt.Sprintf("%d bursts after a minute's silence; want more", full))
			}
		})
		if len(wrong) > 0 {
			rt.Fatalf("%q", wrong)
		}
	})
}
