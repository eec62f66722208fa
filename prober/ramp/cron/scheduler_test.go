package cron

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// A diary is Events that are kept, a line each, with their time.
type diary struct {
	mu    sync.Mutex
	lines []string
	plans map[string]time.Time
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, time.Now().UTC().Format("01-02T15:04:05 ")+fmt.Sprintf(format, args...))
}

func (d *diary) Planned(name string, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.plans == nil {
		d.plans = map[string]time.Time{}
	}
	d.plans[name] = next
}
func (d *diary) Missed(name string, reason Reason, nominal ...time.Time) {
	d.note("%s missed %s %d", name, reason, len(nominal))
}
func (d *diary) ClaimedElsewhere(name string, _ time.Time) { d.note("%s elsewhere", name) }
func (d *diary) Started(name string, _ time.Time, trigger record.Trigger) {
	d.note("%s started by %s", name, trigger)
}
func (d *diary) Finished(name string, _ time.Time, _ record.Trigger) { d.note("%s finished", name) }
func (d *diary) Panicked(name string, _ time.Time, _ record.Trigger, v any) {
	d.note("%s panicked %v", name, v)
}

func (d *diary) planned(name string) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.plans[name]
}

func (d *diary) get() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	got := d.get()
	slices.Sort(got) // the order of ramps within a second is nobody's business
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// lasting is a Start that takes so long, or until its context ends, whose cause it notes.
func (d *diary) lasting(long time.Duration) func(context.Context, string, time.Time, record.Trigger) {
	return func(ctx context.Context, name string, _ time.Time, _ record.Trigger) {
		select {
		case <-time.After(long):
		case <-ctx.Done():
			d.note("%s ended: %v", name, context.Cause(ctx))
		}
	}
}

// start runs a scheduler under the bubble's clock, which begins at 2000-01-01T00:00:00Z, until the test ends.
func start(t *testing.T, opts Options, entries ...Entry) (*Scheduler, *diary) {
	t.Helper()
	d := &diary{}
	opts.Events = d
	if opts.Start == nil {
		opts.Start = d.lasting(time.Hour)
	}
	s := New(opts)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := s.Apply(entries); err != nil {
		t.Fatal(err)
	}
	return s, d
}

// claimFunc is Claims of which nobody asks which there are.
type claimFunc func(ctx context.Context, name string, nominal time.Time) (bool, error)

func (f claimFunc) Claim(ctx context.Context, name string, nominal time.Time) (bool, error) {
	return f(ctx, name, nominal)
}

func (claimFunc) Claimed(context.Context, string, time.Time) ([]Claimed, error) { return nil, nil }

func night(name, target string) Entry {
	return Entry{Name: name, Targets: []string{target}, Schedule: "0 2 * * *"}
}

// What is missed is the Events' to say: they know what to look at, and the log need not have it twice.
func TestMissedIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, d := start(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, night("soak", "chat"))
		if err := s.Pause("soak", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		d.want(t, "01-01T02:00:00 soak missed paused 1")
		if log.Len() > 0 {
			t.Errorf("the log has %q; want nothing", &log)
		}
	})
}

func TestRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := start(t, Options{}, night("soak", "chat"))
		time.Sleep(time.Minute)
		if got := s.Next("soak").UTC(); !got.Equal(at(t, "2000-01-01T02:00:00Z")) || !d.planned("soak").Equal(got) {
			t.Errorf("Next = %v, planned %v", got, d.planned("soak"))
		}
		time.Sleep(2 * time.Hour)
		got := s.Status()
		want := []Status{{
			Name: "soak", Targets: []string{"chat"}, Next: at(t, "2000-01-02T02:00:00Z"), Nominal: at(t, "2000-01-02T02:00:00Z"),
			Running: true, Since: at(t, "2000-01-01T02:00:00Z"), Trigger: record.BySchedule,
		}}
		if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("Status (-want +got):\n%s", diff)
		}
		time.Sleep(25 * time.Hour)
		d.want(t,
			"01-01T02:00:00 soak started by schedule", "01-01T03:00:00 soak finished",
			"01-02T02:00:00 soak started by schedule", "01-02T03:00:00 soak finished")
	})
}

// Two years in three zones: ramps in the hours that clocks skip and repeat run once on every date.
func TestYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zones := []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe"}
		var entries []Entry
		for _, name := range zones {
			for _, line := range []string{"45 1 * * *", "10 2 * * *"} {
				entries = append(entries, Entry{Name: name + " " + line, Targets: []string{name + line}, Schedule: line, Location: zone(t, name)})
			}
		}
		var mu sync.Mutex
		dates := map[string]int{}
		s, d := start(t, Options{
			Start: func(_ context.Context, name string, nominal time.Time, _ record.Trigger) {
				mu.Lock()
				defer mu.Unlock()
				dates[name+nominal.Format(" 2006-01-02")]++ // in its zone
				if late := time.Since(nominal); late != 0 {
					t.Errorf("%s began %v late at %v", name, late, nominal)
				}
			},
		}, entries...)
		begin := time.Now()
		time.Sleep(2 * 366 * 24 * time.Hour)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			days := 0
			for day := begin.In(e.Location).AddDate(0, 0, 1); day.Before(time.Now().AddDate(0, 0, -1)); day = day.AddDate(0, 0, 1) {
				days++
				if n := dates[e.Name+day.Format(" 2006-01-02")]; n != 1 {
					t.Errorf("%s: %d runs on %s; want 1", e.Name, n, day.Format("2006-01-02"))
				}
			}
			if days < 725 {
				t.Errorf("%s: %d days were looked at", e.Name, days)
			}
		}
		for _, line := range d.get() {
			if strings.Contains(line, "missed") {
				t.Errorf("%s", line)
			}
		}
	})
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		s := New(Options{Events: d, Start: d.lasting(90 * time.Minute)})
		defer func() { _ = s.Shutdown(context.Background()) }()
		long := night("soak", "chat")
		long.Targets = append(long.Targets, "rag")
		next := Entry{Name: "spike", Targets: []string{"rag"}, Schedule: "0 3 * * *"}
		other := Entry{Name: "other", Targets: []string{"batch"}, Schedule: "0 3 * * *"}
		if err := s.Apply([]Entry{long, next, other}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(150 * time.Minute)
		var busy *BusyError
		if err := s.Trigger("spike", record.ByAPI); !errors.As(err, &busy) || busy.Ramp != "soak" || busy.Target != "rag" {
			t.Errorf("Trigger of a busy target = %v", err)
		}
		time.Sleep(2 * time.Hour)
		if err := s.Trigger("spike", record.ByAPI); err != nil {
			t.Errorf("Trigger of a free target = %v", err)
		}
		if err := s.Trigger("nobody", record.ByAPI); !errors.Is(err, ErrUnknown) {
			t.Errorf("Trigger of nobody = %v", err)
		}
		d.want(t,
			"01-01T02:00:00 soak started by schedule",
			"01-01T03:00:00 spike missed busy 1",
			"01-01T03:00:00 other started by schedule",
			"01-01T03:30:00 soak finished",
			"01-01T04:30:00 other finished",
			"01-01T04:30:00 spike started by api")
	})
}

// Of two ramps due together that want one target, the first by name runs: always the same one.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d := start(t, Options{}, night("b", "chat"), night("a", "chat"), night("c", "chat"))
		time.Sleep(26 * time.Hour)
		d.want(t, "01-01T02:00:00 a started by schedule", "01-01T02:00:00 b missed busy 1", "01-01T02:00:00 c missed busy 1",
			"01-01T03:00:00 a finished",
			"01-02T02:00:00 a started by schedule", "01-02T02:00:00 b missed busy 1", "01-02T02:00:00 c missed busy 1")
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := night("soak", "chat")
		s, d := start(t, Options{}, e)
		apply := func(entries ...Entry) {
			t.Helper()
			if err := s.Apply(entries); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2*time.Hour + time.Minute)
		e.Jitter = time.Minute
		apply(e) // other times: the run goes on, and its occasion does not come again
		time.Sleep(time.Minute)
		d.want(t, "01-01T02:00:00 soak started by schedule")
		e.Fingerprint = "other"
		apply(e)
		synctest.Wait()
		if err := s.Trigger("soak", record.ByHand); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		apply() // gone
		synctest.Wait()
		if got := s.Next("soak"); !got.IsZero() {
			t.Errorf("Next of a removed ramp = %v", got)
		}
		time.Sleep(48 * time.Hour)
		d.want(t,
			"01-01T02:00:00 soak started by schedule",
			"01-01T02:02:00 soak ended: "+ErrChanged.Error(), "01-01T02:02:00 soak finished",
			"01-01T02:02:00 soak started by hand",
			"01-01T02:02:00 soak ended: "+ErrRemoved.Error(), "01-01T02:02:00 soak finished")
	})
}

// A removed ramp that is slow to end keeps its target until it has, also from its successor of the same name.
func TestRemovedAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		s := New(Options{Events: d, Start: func(ctx context.Context, _ string, _ time.Time, _ record.Trigger) {
			<-ctx.Done()
			time.Sleep(time.Minute)
		}})
		defer func() { _ = s.Shutdown(context.Background()) }()
		e := Entry{Name: "soak", Targets: []string{"chat"}}
		for _, entries := range [][]Entry{{e}, {}, {e}} {
			if err := s.Apply(entries); err != nil {
				t.Fatal(err)
			}
			_ = s.Trigger("soak", record.ByHand)
			synctest.Wait()
		}
		var busy *BusyError
		if err := s.Trigger("soak", record.ByHand); !errors.As(err, &busy) {
			t.Errorf("Trigger while the old one ends = %v; want busy", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := s.Trigger("soak", record.ByHand); err != nil {
			t.Errorf("Trigger after the old one has ended = %v", err)
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := start(t, Options{}, night("soak", "chat"))
		cause := errors.New("stopped by the API")
		if err := s.Stop("soak", cause); !errors.Is(err, ErrNotRunning) {
			t.Errorf("Stop of what does not run = %v", err)
		}
		time.Sleep(150 * time.Minute)
		if err := s.Stop("soak", cause); err != nil {
			t.Fatal(err)
		}
		d.want(t, "01-01T02:00:00 soak started by schedule", "01-01T02:30:00 soak ended: stopped by the API", "01-01T02:30:00 soak finished")
	})
}

func TestPauseAndBlackout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := night("soak", "chat")
		e.Quiet = []Quiet{{From: 6 * time.Hour, To: 20 * time.Hour}, {Days: []time.Weekday{time.Monday}}} // 2000-01-03 is one
		e.Length = time.Hour
		day := Entry{Name: "day", Targets: []string{"rag"}, Schedule: "30 5 * * *", Quiet: e.Quiet, Length: time.Hour}
		s, d := start(t, Options{}, e, day)
		if err := s.Pause("soak", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if err := s.Pause("soak", false); err != nil {
			t.Fatal(err)
		}
		if err := s.Pause("nobody", true); !errors.Is(err, ErrUnknown) {
			t.Errorf("Pause of nobody = %v", err)
		}
		time.Sleep(2 * 24 * time.Hour)
		if err := s.Trigger("day", record.ByHand); err != nil {
			t.Errorf("Trigger in a blackout = %v", err)
		}
		d.want(t,
			"01-01T02:00:00 soak missed paused 1", "01-01T05:30:00 day missed blackout 1",
			"01-02T02:00:00 soak started by schedule", "01-02T03:00:00 soak finished", "01-02T05:30:00 day missed blackout 1",
			"01-03T02:00:00 soak missed blackout 1", "01-03T05:30:00 day missed blackout 1",
			"01-04T00:00:00 day started by hand")
	})
}

func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := night("soak", "chat")
		e.Quiet = []Quiet{{Days: []time.Weekday{time.Thursday}}} // 1999-12-30 is one
		last := map[string]time.Time{
			"soak":  at(t, "1999-12-28T02:00:00Z"),
			"new":   {},
			"begun": at(t, "2000-01-01T00:10:00Z"), // its jitter had not passed when the prober was restarted
		}
		begun := Entry{Name: "begun", Targets: []string{"rag"}, Schedule: "10 0 * * *"}
		time.Sleep(10*time.Minute + time.Second)
		s, d := start(t, Options{LastRun: func(name string) time.Time { return last[name] }},
			e, night("new", "other"), begun)
		// Those of the 29th and the 31st; the 30th was a blackout, and the 1st is yet to come.
		d.want(t, "01-01T00:10:01 soak missed down 2")
		if err := s.Apply([]Entry{night("later", "chat")}); err != nil { // not there before: it missed nothing
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		d.want(t, "01-01T00:10:01 soak missed down 2")
	})
}

func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := map[string]func(context.Context) (bool, error){
			"ours":   func(context.Context) (bool, error) { return true, nil },
			"theirs": func(context.Context) (bool, error) { return false, nil },
			"broken": func(context.Context) (bool, error) { return false, errors.New("disk full") },
			"panics": func(context.Context) (bool, error) { panic("claim") },
			"hangs":  func(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() },
		}
		var entries []Entry
		for name := range answers {
			entries = append(entries, night(name, "of "+name))
		}
		s, d := start(t, Options{
			Start: func(context.Context, string, time.Time, record.Trigger) {},
			Claims: claimFunc(func(ctx context.Context, name string, nominal time.Time) (bool, error) {
				if !nominal.Equal(at(t, "2000-01-01T02:00:00Z")) {
					t.Errorf("claim of %v", nominal)
				}
				return answers[name](ctx)
			}),
		}, entries...)
		time.Sleep(2*time.Hour + time.Minute)
		synctest.Wait()
		got := d.get()
		slices.Sort(got)
		want := []string{
			"01-01T02:00:00 broken missed claim_failed 1",
			"01-01T02:00:00 ours finished",
			"01-01T02:00:00 ours started by schedule",
			"01-01T02:00:00 panics missed claim_failed 1",
			"01-01T02:00:00 theirs elsewhere",
			"01-01T02:00:30 hangs missed claim_failed 1",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if err := s.Trigger("theirs", record.ByAPI); err != nil { // needs no claim
			t.Errorf("Trigger = %v", err)
		}
	})
}

func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d := start(t, Options{Start: func(context.Context, string, time.Time, record.Trigger) { panic("oh") }}, night("soak", "chat"))
		time.Sleep(26*time.Hour + time.Minute)
		d.want(t,
			"01-01T02:00:00 soak started by schedule", "01-01T02:00:00 soak panicked oh", "01-01T02:00:00 soak finished",
			"01-02T02:00:00 soak started by schedule", "01-02T02:00:00 soak panicked oh", "01-02T02:00:00 soak finished")
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		s := New(Options{Events: d, Start: func(ctx context.Context, _ string, _ time.Time, _ record.Trigger) {
			<-ctx.Done()
			d.note("ended: %v", context.Cause(ctx))
			time.Sleep(time.Minute) // it writes its record
		}})
		if err := s.Apply([]Entry{night("soak", "chat")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown without patience = %v", err)
		}
		if err := s.Apply(nil); !errors.Is(err, ErrShutdown) {
			t.Errorf("Apply after Shutdown = %v", err)
		}
		if err := s.Trigger("soak", record.ByAPI); !errors.Is(err, ErrShutdown) {
			t.Errorf("Trigger after Shutdown = %v", err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		d.want(t, "01-01T02:00:00 soak started by schedule", "01-01T03:00:00 ended: "+ErrShutdown.Error(), "01-01T03:01:00 soak finished")
	})
}

func TestApplyRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := start(t, Options{}, night("soak", "chat"))
		err := s.Apply([]Entry{
			{Name: "a", Targets: []string{"chat"}, Schedule: "0 25 * * *"},
			{Name: "b"},
			{Name: "c", Targets: []string{"chat"}, Jitter: -1, Quiet: []Quiet{{From: 25 * time.Hour}}},
			{Name: "b", Targets: []string{"chat"}},
		})
		for _, want := range []string{`ramp "a"`, `ramp "b": it has no target`, `ramp "c": jitter`, "times of day", `ramp "b": there are two`} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Apply = %v; want %q in it", err, want)
			}
		}
		time.Sleep(2 * time.Hour)
		d.want(t, "01-01T02:00:00 soak started by schedule") // the old ones stay in force
	})
}
