package schedule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober/workload"
)

func TestNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		s, events := start(t, Options{SleepUntil: func(ctx context.Context, until time.Time) error {
			return workload.SleepUntilTimer(ctx, until.Add(time.Duration(r.IntN(3_000_000)))) // wakes late
		}})
		var l log
		const ticks = 10_000
		interval := 1_234_567_891 * time.Nanosecond
		began := time.Now()
		apply(t, s, one(Job{Key: "chat/rag", Group: "chat", Interval: interval, Run: l.lasting(0)}))
		time.Sleep(ticks*interval + 3*time.Millisecond)
		synctest.Wait()

		got, late := l.times(), events.lateness("chat/rag")
		if len(got) != ticks {
			t.Fatalf("%d runs; want %d", len(got), ticks)
		}
		if wait := got[0].Sub(began); wait >= interval {
			t.Errorf("the first run came after %v; want less than an interval", wait)
		}
		for i, at := range got {
			if want := got[0].Add(time.Duration(i) * interval); !at.Equal(want) {
				t.Fatalf("run %d was intended for %v; want %v", i, at, want)
			}
			want := l.began[i].Sub(at)
			if want < 0 || want >= 3*time.Millisecond || late[i] != want {
				t.Errorf("run %d began %v after it was intended, and its tick says %v", i, want, late[i])
			}
		}
	})
}

func TestRestartKeepsPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interval := 15 * time.Minute
		var all []time.Time
		for i := range 4 {
			s, _ := start(t, Options{Seed: 9, FirstWithin: time.Duration(i%2) * time.Minute})
			var l log
			apply(t, s, one(Job{Key: "chat/heavy", Group: "chat", Interval: interval, Run: l.lasting(time.Second)}))
			time.Sleep(3*interval + 17*time.Second)
			if err := s.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := l.times()
			if len(got) < 3 {
				t.Fatalf("%d runs in three intervals; want 3 or more", len(got))
			}
			all = append(all, got[i%2:]...) // all but the early first one
			time.Sleep(time.Duration(i) * 101 * time.Second)
		}
		for _, at := range all[1:] {
			if off := at.Sub(all[0]) % interval; off != 0 {
				t.Errorf("a run after a restart is %v off the grid", off)
			}
		}
	})
}

func TestFirstWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, Options{FirstWithin: 30 * time.Second})
		const jobs = 50
		logs := make([]log, jobs)
		p := Plan{Groups: []Group{{Name: "chat"}}}
		for i := range logs {
			p.Jobs = append(p.Jobs, Job{
				Key: fmt.Sprintf("chat/%d", i), Group: "chat", Interval: 15 * time.Minute, Run: logs[i].lasting(0),
			})
		}
		began := time.Now()
		apply(t, s, p)
		time.Sleep(time.Hour)
		synctest.Wait()
		var firsts []time.Duration
		for i := range logs {
			times := logs[i].times()
			firsts = append(firsts, times[0].Sub(began))
			if gap := times[1].Sub(times[0]); gap < 7*time.Minute || gap > 23*time.Minute {
				t.Errorf("job %d: the second run came %v after the first; want half to one and a half of 15m", i, gap)
			}
			for k := 2; k < len(times); k++ {
				if gap := times[k].Sub(times[k-1]); gap != 15*time.Minute {
					t.Errorf("job %d: run %d came %v after the one before; want 15m", i, k, gap)
				}
			}
		}
		slices.Sort(firsts)
		if firsts[jobs-1] > 30*time.Second || firsts[0] > 5*time.Second || firsts[jobs-1] < 25*time.Second {
			t.Errorf("first runs after %v to %v; want them spread over 30s", firsts[0], firsts[jobs-1])
		}

		// A job that a reload changes is no newcomer.
		for i := range p.Jobs {
			p.Jobs[i].Fingerprint = "changed"
		}
		before := len(logs[0].times())
		apply(t, s, p)
		time.Sleep(time.Hour)
		if got := len(logs[0].times()) - before; got != 4 {
			t.Errorf("%d runs in an hour after a reload; want 4", got)
		}
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, Options{})
		var l log
		j := Job{Key: "chat/rag", Group: "chat", Interval: time.Minute, Jitter: 20 * time.Second, Run: l.lasting(0)}
		apply(t, s, one(j))
		time.Sleep(100*time.Minute + 20*time.Second)
		synctest.Wait()
		g := newGrid(&j, 0)
		distinct := map[time.Duration]bool{}
		for i, at := range l.times() {
			late := (time.Duration(at.UnixNano()) - g.offset) % time.Minute
			if late >= 20*time.Second || !l.began[i].Equal(at) {
				t.Errorf("run %d is intended %v after its point of the grid and began %v later", i, late, l.began[i].Sub(at))
			}
			distinct[late] = true
		}
		if len(distinct) < 100 {
			t.Errorf("100 ticks have %d different delays", len(distinct))
		}
	})
}

func TestOverlapIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := start(t, Options{})
		var l log
		apply(t, s, one(Job{Key: "chat/rag", Group: "chat", Interval: time.Minute, Run: l.lasting(150 * time.Second)}))
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if got := len(l.times()); got != 10 {
			t.Errorf("%d runs of 2.5 intervals in 30 intervals; want 10", got)
		}
		if diff := cmp.Diff(map[Reason]int{Overlap: 20}, r.skips("chat/rag")); diff != "" {
			t.Errorf("skipped (-want +got):\n%s", diff)
		}
		if r.most != 1 {
			t.Errorf("%d runs of one job at once; want 1", r.most)
		}
	})
}

func TestCaps(t *testing.T) {
	for _, test := range []struct {
		name          string
		group, global int
		most          int
		reason        Reason
	}{
		{"none", 0, 0, 12, ""},
		{"group", 3, 0, 6, TargetInFlight}, // of each of two groups
		{"global", 0, 4, 4, GlobalInFlight},
		{"both", 3, 5, 5, GlobalInFlight},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := start(t, Options{})
				var l log
				p := Plan{
					MaxInFlight: test.global,
					Groups:      []Group{{Name: "a", MaxInFlight: test.group}, {Name: "b", MaxInFlight: test.group}},
				}
				for i := range 12 {
					p.Jobs = append(p.Jobs, Job{
						Key: fmt.Sprint("job", i), Group: []string{"a", "b"}[i%2], Interval: time.Minute, Run: l.lasting(55 * time.Second),
					})
				}
				apply(t, s, p)
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				if r.most != test.most {
					t.Errorf("most in flight = %d; want %d", r.most, test.most)
				}
				skipped := map[Reason]int{}
				for _, j := range p.Jobs {
					for reason, n := range r.skips(j.Key) {
						skipped[reason] += n
					}
				}
				if test.reason == "" && len(skipped) > 0 || test.reason != "" && skipped[test.reason] == 0 {
					t.Errorf("skipped = %v; want reason %q", skipped, test.reason)
				}
			})
		})
	}
}

// Over a simulated day and more of random runs, no hour sees more output tokens than its budget, whenever within the
// runs they are thought to be made, and no minute more requests; and the budgets are used.
func TestBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tokensPerHour, requestsPerMinute = 50_000, 9
		r := rand.New(rand.NewPCG(4, 2))
		s, events := start(t, Options{})
		type run struct {
			began, ended time.Time
			tokens       int
		}
		var mu sync.Mutex
		var runs []run
		p := Plan{Groups: []Group{
			{Name: "tokens", OutputTokensPerHour: tokensPerHour},
			{Name: "requests", RequestsPerMinute: requestsPerMinute},
		}}
		for i, most := range []int{64, 200, 256, 1024, 4096} {
			p.Jobs = append(p.Jobs, Job{
				Key: fmt.Sprint("tokens/", most), Group: "tokens", Fingerprint: "1",
				Interval: time.Duration(10+7*i) * time.Second, Cost: Cost{OutputTokens: most},
				Run: func(ctx context.Context, _ time.Time) Cost {
					mu.Lock()
					n, d := r.IntN(most+1), time.Duration(r.ExpFloat64()*20*float64(time.Second))
					unknown := r.IntN(10) == 0
					mu.Unlock()
					began := time.Now()
					_ = workload.SleepUntilTimer(ctx, began.Add(d))
					mu.Lock()
					defer mu.Unlock()
					runs = append(runs, run{began, time.Now(), n})
					if unknown { // the connection broke, say: the server may have made them all
						n = -1
					}
					return Cost{Requests: 1, OutputTokens: n}
				},
			})
		}
		var asked log
		for i := range 4 {
			p.Jobs = append(p.Jobs, Job{
				Key: fmt.Sprint("requests/", i), Group: "requests", Fingerprint: "1", Interval: time.Duration(8+3*i) * time.Second,
				Run: asked.lasting(3 * time.Second),
			})
		}
		// Reloads on the way, and one target that is away for a while: the books are kept.
		for hour := range 26 {
			apply(t, s, p)
			time.Sleep(20 * time.Minute)
			if hour%5 == 4 {
				apply(t, s, Plan{})
				time.Sleep(5 * time.Minute)
				apply(t, s, p)
			}
			time.Sleep(40 * time.Minute)
		}
		apply(t, s, Plan{})
		synctest.Wait()

		worst := func(at func(run) time.Time) int {
			slices.SortFunc(runs, func(a, b run) int { return at(a).Compare(at(b)) })
			sum, most, first := 0, 0, 0
			for _, r := range runs {
				sum += r.tokens
				for !at(runs[first]).After(at(r).Add(-time.Hour)) {
					sum -= runs[first].tokens
					first++
				}
				most = max(most, sum)
			}
			return most
		}
		for name, at := range map[string]func(run) time.Time{
			"begin":         func(r run) time.Time { return r.began },
			"end":           func(r run) time.Time { return r.ended },
			"middle":        func(r run) time.Time { return r.began.Add(r.ended.Sub(r.began) / 2) },
			"begin or end":  func(r run) time.Time { return []time.Time{r.began, r.ended}[r.tokens%2] },
			"end if of few": func(r run) time.Time { return []time.Time{r.began, r.ended}[min(r.tokens/500, 1)] },
		} {
			if got := worst(at); got > tokensPerHour || got < tokensPerHour*3/4 {
				t.Errorf("tokens counted at the %s of runs: %d in the worst hour; want at most %d, and most of them", name, got, tokensPerHour)
			}
		}
		if n := len(runs); n < 5_000 {
			t.Errorf("%d runs in 26 hours; want more", n)
		}
		most := 0
		times := asked.times()
		for i := range times {
			n := 0
			for k := i; k >= 0 && times[k].After(times[i].Add(-time.Minute)); k-- {
				n++
			}
			most = max(most, n)
		}
		if most != requestsPerMinute {
			t.Errorf("%d requests in the worst minute; want %d", most, requestsPerMinute)
		}
		if events.skips("tokens/4096")[BudgetOutputTokens] == 0 || events.skips("requests/0")[BudgetRequests] == 0 {
			t.Error("no tick was skipped for a budget")
		}
	})
}

func TestUnusedReservationIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := start(t, Options{})
		job := func(key string, used Cost) Job {
			return Job{
				Key: key, Group: key, Interval: time.Minute, Cost: Cost{Requests: 2, OutputTokens: 1_000},
				Run: func(context.Context, time.Time) Cost { return used },
			}
		}
		apply(t, s, Plan{
			Groups: []Group{
				{Name: "saves", OutputTokensPerHour: 2_000, RequestsPerMinute: 2},
				{Name: "spends", OutputTokensPerHour: 2_000},
				{Name: "unknown", OutputTokensPerHour: 2_000},
				{Name: "too_small", OutputTokensPerHour: 999},
			},
			Jobs: []Job{
				job("saves", Cost{OutputTokens: 10}),
				job("spends", Cost{Requests: 2, OutputTokens: 1_000}),
				job("unknown", Cost{-1, -1, -1}),
				job("too_small", Cost{}),
			},
		})
		time.Sleep(time.Hour)
		for key, want := range map[string]int{"saves": 60, "spends": 2, "unknown": 2, "too_small": 0} {
			if got := r.count(r.started, key); got != want {
				t.Errorf("%s: %d runs in an hour; want %d", key, got, want)
			}
		}
	})
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := start(t, Options{})
		var a, b log
		p := Plan{
			Groups: []Group{{Name: "a"}, {Name: "b"}},
			Jobs: []Job{
				{Key: "a/x", Group: "a", Interval: time.Second, Run: a.lasting(0)},
				{Key: "b/x", Group: "b", Interval: time.Second, Run: b.lasting(0)},
			},
		}
		apply(t, s, p)
		time.Sleep(10 * time.Second)
		until := time.Now().Add(30 * time.Second)
		s.Pause("a", until)
		s.Pause("a", time.Now().Add(time.Second)) // does not shorten it
		s.Pause("nobody", until)
		if got := s.Status().Groups[0].PausedUntil; !got.Equal(until) {
			t.Errorf("Status: paused until %v; want %v", got, until)
		}
		apply(t, s, p) // nor does a reload
		time.Sleep(20 * time.Second)
		apply(t, s, Plan{}) // nor going and coming back
		apply(t, s, p)
		time.Sleep(20 * time.Second)
		synctest.Wait()

		if got := len(a.times()); got != 20 {
			t.Errorf("a ran %d times in 50 seconds of which 30 were a pause; want 20", got)
		}
		if got := len(b.times()); got != 50 {
			t.Errorf("b ran %d times in 50 seconds; want 50", got)
		}
		if diff := cmp.Diff(map[Reason]int{Paused: 30}, r.skips("a/x")); diff != "" {
			t.Errorf("a skipped (-want +got):\n%s", diff)
		}
		if got := s.Status().Groups[0].PausedUntil; !got.IsZero() {
			t.Errorf("Status: paused until %v; want not at all", got)
		}
	})
}

// A hundred reloads, with other jobs coming, changing and going, leave a job's ticks and runs as they are without.
func TestReloadLeavesUnchangedJobsAlone(t *testing.T) {
	runs := func(t *testing.T, reloads int) (times []time.Time, ended []error) {
		synctest.Test(t, func(t *testing.T) {
			s, r := start(t, Options{Seed: 5, FirstWithin: 10 * time.Second})
			var l log
			var ends list[error]
			plan := func(i int) Plan {
				p := Plan{MaxInFlight: 50 + i, Groups: []Group{{Name: "chat", MaxInFlight: 10 + i}, {Name: "other"}}}
				for k, interval := range []time.Duration{7 * time.Second, 60 * time.Second, 15 * time.Minute} {
					p.Jobs = append(p.Jobs, Job{
						Key: fmt.Sprint("chat/", k), Group: "chat", Fingerprint: "same", Interval: interval, Jitter: interval / 10,
						Run: func(ctx context.Context, intended time.Time) Cost {
							l.add(intended)
							if i > 0 {
								t.Error("an unchanged job has a new Run")
							}
							ends.add(workload.SleepUntilTimer(ctx, time.Now().Add(5*time.Second)))
							return Cost{}
						},
					})
				}
				p.Jobs = append(p.Jobs,
					Job{Key: "other/changes", Group: "other", Fingerprint: fmt.Sprint(i), Interval: time.Second, Run: nothing},
					Job{Key: fmt.Sprint("other/", i), Group: "other", Interval: time.Second, Run: nothing},
				)
				slices.Reverse(p.Jobs)
				return p
			}
			apply(t, s, plan(0))
			for i := range 100 {
				time.Sleep(9*time.Second + time.Duration(i)*77*time.Millisecond)
				if i < reloads {
					apply(t, s, plan(i+1))
				}
			}
			time.Sleep(20 * time.Minute)
			if err := s.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			times, ended = l.times(), ends.get()
			if late := slices.Max(r.lateness("chat/0")); late != 0 {
				t.Errorf("a tick was %v late", late)
			}
		})
		return times, ended
	}
	want, _ := runs(t, 0)
	got, ended := runs(t, 100)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 300 {
		t.Errorf("%d runs; with 100 reloads (-without +with):\n%s", len(want), diff)
	}
	for _, err := range ended {
		if err != nil {
			t.Errorf("a run ended by %v", err)
		}
	}
}

func TestRemovedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := start(t, Options{})
		var causes list[error]
		job := func(key string) Job {
			return Job{
				Key: key, Group: "chat", Interval: time.Minute, Cost: Cost{OutputTokens: 7},
				Run: func(ctx context.Context, _ time.Time) Cost {
					<-ctx.Done()
					causes.add(context.Cause(ctx))
					return Cost{Requests: 1, OutputTokens: 3}
				},
			}
		}
		stays := job("chat/stays")
		group := []Group{{Name: "chat"}}
		apply(t, s, Plan{Groups: group, Jobs: []Job{stays, job("chat/goes")}})
		time.Sleep(time.Minute)
		if got := s.Status().Groups[0]; got.InFlight != 2 || got.OutputTokens != 14 {
			t.Fatalf("Status = %+v; want 2 runs with 14 tokens reserved", got)
		}
		apply(t, s, Plan{Groups: group, Jobs: []Job{stays}})
		synctest.Wait()
		if got := causes.get(); len(got) != 1 || !errors.Is(got[0], ErrRemoved) {
			t.Errorf("runs ended by %v; want %v once", got, ErrRemoved)
		}
		if got := s.Status().Groups[0]; got.InFlight != 1 || got.OutputTokens != 7+3 {
			t.Errorf("Status = %+v; want 1 run with 7 tokens reserved, and 3 used", got)
		}
		if started, finished := r.count(r.started, "chat/goes"), r.count(r.finished, "chat/goes"); started != 1 || finished != 1 {
			t.Errorf("removed job: %d started, %d finished; want 1 and 1", started, finished)
		}
		time.Sleep(time.Hour)
		if got := r.count(r.ticked, "chat/goes") + len(r.lateness("chat/goes")) - 1; got != 0 {
			t.Errorf("the removed job ticked %d times more", got)
		}

		apply(t, s, Plan{Groups: group, Jobs: []Job{stays, job("chat/goes")}})
		time.Sleep(time.Minute)
		if got := r.count(r.started, "chat/goes"); got != 2 {
			t.Errorf("the job that came back started %d times; want 2", got)
		}
	})
}

func TestChangedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, Options{})
		var l log
		var ran list[string]
		job := func(fingerprint string, interval time.Duration) Job {
			return Job{
				Key: "chat/rag", Group: "chat", Fingerprint: fingerprint, Interval: interval,
				Run: func(ctx context.Context, intended time.Time) Cost {
					l.add(intended)
					ran.add(fingerprint)
					if err := workload.SleepUntilTimer(ctx, time.Now().Add(30*time.Second)); err != nil {
						ran.add(fingerprint + " " + err.Error())
					}
					return Cost{}
				},
			}
		}
		apply(t, s, one(job("old", time.Minute)))
		for len(l.times()) == 0 {
			time.Sleep(time.Second)
		}
		apply(t, s, one(job("new", time.Minute)))
		time.Sleep(2 * time.Minute)
		want := []string{"old", "old " + ErrRemoved.Error(), "new", "new"}
		if diff := cmp.Diff(want, ran.get()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		times := l.times()
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap != time.Minute {
				t.Errorf("run %d came %v after the one before; want 1m", i, gap)
			}
		}
		apply(t, s, one(job("new", 10*time.Minute)))
		if next := s.Status().Jobs[0].Next; time.Until(next) > 10*time.Minute || time.Until(next) < 0 {
			t.Errorf("after a change of the interval the next tick is in %v", time.Until(next))
		}
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			name  string
			takes time.Duration
			want  error
		}{
			{"drains", 20 * time.Second, nil},
			{"cancels", time.Hour, context.DeadlineExceeded},
		} {
			s, r := start(t, Options{})
			var causes list[error]
			apply(t, s, one(Job{
				Key: "chat/rag", Group: "chat", Interval: time.Minute,
				Run: func(ctx context.Context, _ time.Time) Cost {
					causes.add(workload.SleepUntilTimer(ctx, time.Now().Add(test.takes)))
					time.Sleep(100 * time.Millisecond) // tidying up
					return Cost{}
				},
			}))
			for r.count(r.started, "chat/rag") == 0 {
				time.Sleep(time.Second)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			began := time.Now()
			var second error
			var wg sync.WaitGroup
			wg.Go(func() { second = s.Shutdown(ctx) })
			err := s.Shutdown(ctx)
			wg.Wait()
			cancel()
			if !errors.Is(err, test.want) || !errors.Is(second, test.want) {
				t.Errorf("%s: Shutdown = %v, and again %v; want %v", test.name, err, second, test.want)
			}
			want := test.want
			if want != nil {
				want = ErrShutdown
			}
			if got := causes.get(); len(got) != 1 || !errors.Is(got[0], want) {
				t.Errorf("%s: runs ended by %v; want %v once", test.name, got, want)
			}
			if got := r.count(r.finished, "chat/rag"); got != 1 {
				t.Errorf("%s: %d runs had finished when Shutdown returned; want 1", test.name, got)
			}
			if took := time.Since(began); took > 30*time.Second+100*time.Millisecond {
				t.Errorf("%s: Shutdown took %v", test.name, took)
			}
			if err := s.Apply(Plan{}); !errors.Is(err, ErrShutdown) {
				t.Errorf("%s: Apply afterwards = %v; want %v", test.name, err, ErrShutdown)
			}
			time.Sleep(time.Hour)
			if got := len(r.lateness("chat/rag")); got != 1 {
				t.Errorf("%s: %d ticks; want none after the first", test.name, got)
			}
		}
	})
}

func TestMissedTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var suspend time.Duration
		s, r := start(t, Options{SleepUntil: func(ctx context.Context, until time.Time) error {
			mu.Lock()
			d := suspend
			suspend = 0
			mu.Unlock()
			if err := workload.SleepUntilTimer(ctx, until); err != nil || d == 0 {
				return err
			}
			time.Sleep(d) // the process stands still
			return nil
		}})
		var fast, slow log
		apply(t, s, Plan{Groups: []Group{{Name: "chat"}}, Jobs: []Job{
			{Key: "chat/fast", Group: "chat", Interval: time.Second, Run: fast.lasting(0)},
			{Key: "chat/slow", Group: "chat", Interval: time.Hour, Run: slow.lasting(0)},
		}})
		time.Sleep(time.Hour + 500*time.Millisecond)
		synctest.Wait()
		mu.Lock()
		suspend = 55 * time.Minute
		mu.Unlock()
		time.Sleep(3 * time.Hour)
		synctest.Wait()

		times, slows := fast.times(), slow.times()
		missed := r.skips("chat/fast")[Missed]
		if missed != 3_300 && missed != 3_301 {
			t.Errorf("%d ticks missed in 55 minutes; want 3300 or 3301", missed)
		}
		if want := int(time.Since(times[0])/time.Second) + 1; len(times)+missed != want {
			t.Errorf("%d ticks have run and %d were missed in 4 hours; want %d together", len(times), missed, want)
		}
		for i, at := range times {
			if late := fast.began[i].Sub(at); late != 0 {
				t.Errorf("run %d at %v began %v late: missed ticks were made up for", i, at, late)
			}
			if off := at.Sub(times[0]) % time.Second; off != 0 {
				t.Errorf("run %d is %v off the grid", i, off)
			}
		}
		// The slow job's tick in that time was less than one interval late: it ran, and its lateness was measured.
		if len(slows) != 4 || r.skips("chat/slow") != nil {
			t.Errorf("slow job: %d runs, skipped %v; want 4 runs", len(slows), r.skips("chat/slow"))
		}
		for i, late := range r.lateness("chat/slow") {
			if got := slow.began[i].Sub(slows[i]); late != got || late > 55*time.Minute {
				t.Errorf("slow tick %d: lateness %v; want %v", i, late, got)
			}
		}
	})
}

func TestPanicEndsOneRunOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s, r := start(t, Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
		var l log
		var n atomic.Int32
		apply(t, s, Plan{
			Groups: []Group{{Name: "chat", MaxInFlight: 1, OutputTokensPerHour: 100}},
			Jobs: []Job{
				{
					Key: "chat/bad", Group: "chat", Interval: time.Minute, Cost: Cost{OutputTokens: 10},
					Run: func(context.Context, time.Time) Cost {
						if n.Add(1)%2 == 1 {
							panic("no such luck")
						}
						return Cost{}
					},
				},
				{Key: "chat/good", Group: "chat", Interval: time.Minute, Run: l.lasting(0)},
			},
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n.Load() != 10 || len(l.times()) != 10 {
			t.Errorf("bad job ran %d times, good job %d times; want 10 and 10", n.Load(), len(l.times()))
		}
		if p, f := r.count(r.panicked, "chat/bad"), r.count(r.finished, "chat/bad"); p != 5 || f != 10 {
			t.Errorf("%d runs panicked, %d finished; want 5 and 10", p, f)
		}
		// What a run used that panicked is unknown: all that it could.
		if got := s.Status().Groups[0].OutputTokens; got != 50 {
			t.Errorf("%d tokens on the books; want 50", got)
		}
		for _, want := range []string{"job=chat/bad", `panic="no such luck"`, "scheduler_test.go"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("log lacks %q:\n%s", want, out.String())
			}
		}
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, Options{})
		unused := []BudgetStatus{{Measure: RequestsPerMinute}, {Measure: OutputTokensPerHour}}
		if diff := cmp.Diff(Status{Budgets: unused}, s.Status()); diff != "" {
			t.Errorf("of nothing (-want +got):\n%s", diff)
		}
		var l log
		jobs := []Job{
			{Key: "b/x", Group: "b", Interval: time.Minute, Cost: Cost{Requests: 1, OutputTokens: 5}, Run: l.lasting(2 * time.Minute)},
			{Key: "a/x", Group: "a", Interval: 24 * time.Hour, Run: nothing},
		}
		apply(t, s, Plan{Groups: []Group{{Name: "b"}, {Name: "a"}}, Jobs: jobs})
		now := time.Now()
		for len(l.times()) == 0 {
			time.Sleep(time.Second)
		}
		want := Status{
			Jobs: []JobStatus{
				{Key: "a/x", Group: "a", Next: newGrid(&jobs[1], 0).from(now)},
				{Key: "b/x", Group: "b", Next: newGrid(&jobs[0], 0).from(now).Add(time.Minute), Running: true},
			},
			InFlight: 1,
			Budgets:  []BudgetStatus{{Measure: RequestsPerMinute, Used: 1}, {Measure: OutputTokensPerHour, Used: 5}},
		}
		want.Groups = []GroupStatus{
			{Name: "a", Budgets: unused},
			{Name: "b", InFlight: 1, Requests: 1, OutputTokens: 5, Budgets: want.Budgets},
		}
		if diff := cmp.Diff(want, s.Status()); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
	})
}

// Books are kept for a group that is gone while they matter, and not longer.
func TestBooksOfRemovedGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := start(t, Options{})
		p := Plan{
			Groups: []Group{{Name: "chat", OutputTokensPerHour: 100}},
			Jobs: []Job{{
				Key: "chat/rag", Group: "chat", Interval: time.Second, Cost: Cost{OutputTokens: 100},
				Run: func(context.Context, time.Time) Cost { return Cost{Requests: 1, OutputTokens: 100} },
			}},
		}
		for range 20 {
			apply(t, s, p)
			time.Sleep(time.Minute)
			apply(t, s, Plan{})
			time.Sleep(time.Minute)
		}
		if got := r.count(r.started, "chat/rag"); got != 1 {
			t.Errorf("%d runs in 40 minutes of coming and going; want 1", got)
		}
		time.Sleep(time.Hour)
		apply(t, s, Plan{})
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.accounts) != 0 {
			t.Errorf("%d accounts are left; want none", len(s.accounts))
		}
	})
}
