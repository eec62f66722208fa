package cron

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func table(t testing.TB, line, location string) *timetable {
	t.Helper()
	spec, err := Parse(line, zone(t, location))
	if err != nil {
		t.Fatal(err)
	}
	return &timetable{spec: spec, name: "nightly"}
}

// The wall clock is what look is told: so steps of it are rows of a table.
func TestLook(t *testing.T) {
	type step struct {
		now  string
		due  string // empty: nothing
		late int
	}
	for _, tt := range []struct {
		name, line, zone string
		steps            []step // the first one lays the schedule
	}{
		{"on time", "0 2 * * *", "UTC", []step{
			{now: "2026-11-22T01:00:00Z"},
			{now: "2026-11-22T01:59:59Z"},
			{now: "2026-11-22T02:00:00Z", due: "2026-11-22T02:00:00Z"},
			{now: "2026-11-22T02:00:01Z"},
			{now: "2026-11-23T02:00:00Z", due: "2026-11-23T02:00:00Z"},
		}},
		{"begun when its time has come is not its run", "0 2 * * *", "UTC", []step{
			{now: "2026-11-22T02:00:00Z"},
			{now: "2026-11-22T02:00:01Z"},
		}},
		{"five minutes late is just in time", "0 2 * * *", "UTC", []step{
			{now: "2026-11-22T01:00:00Z"},
			{now: "2026-11-22T02:05:00Z", due: "2026-11-22T02:00:00Z"},
		}},
		{"suspended over it", "0 2 * * *", "UTC", []step{
			{now: "2026-11-22T01:00:00Z"},
			{now: "2026-11-22T02:05:01Z", late: 1},
			{now: "2026-11-23T02:00:00Z", due: "2026-11-23T02:00:00Z"},
		}},
		{"suspended over three nights, awake for the fourth", "0 2 * * *", "UTC", []step{
			{now: "2026-11-22T01:00:00Z"},
			{now: "2026-11-25T02:01:00Z", due: "2026-11-25T02:00:00Z", late: 3},
		}},
		{"of several only the newest", "* * * * *", "UTC", []step{
			{now: "2026-11-22T01:00:00Z"},
			{now: "2026-11-22T01:04:30Z", due: "2026-11-22T01:04:00Z", late: 3},
		}},
		{"the wall clock is set back over a run", "0 2 * * *", "UTC", []step{
			{now: "2026-11-22T01:00:00Z"},
			{now: "2026-11-22T02:00:00Z", due: "2026-11-22T02:00:00Z"},
			{now: "2026-11-22T01:30:00Z"},
			{now: "2026-11-22T02:00:00Z"},
			{now: "2026-11-23T02:00:00Z", due: "2026-11-23T02:00:00Z"},
		}},
		{"the wall clock was wrong by years", "0 2 * * *", "UTC", []step{
			{now: "2040-01-01T01:00:00Z"},
			{now: "2026-11-22T01:00:00Z"},
			{now: "2026-11-22T02:00:00Z", due: "2026-11-22T02:00:00Z"},
		}},
		{"the wall clock is set forward by years", "* * * * *", "UTC", []step{
			{now: "2026-11-22T01:00:30Z"},
			{now: "2036-11-22T01:00:00Z", late: mostLate + 1},
			{now: "2036-11-22T01:01:00Z", due: "2036-11-22T01:01:00Z"},
		}},
		{"clocks go back over a run", "30 2 * * *", "Europe/Berlin", []step{
			{now: "2026-10-24T23:00:00Z"},
			{now: "2026-10-25T00:30:00Z", due: "2026-10-25T00:30:00Z"},
			{now: "2026-10-25T01:30:00Z"},
			{now: "2026-10-26T01:30:00Z", due: "2026-10-26T01:30:00Z"},
		}},
		{"clocks go forward over a run", "30 2 * * *", "Europe/Berlin", []step{
			{now: "2026-03-29T00:00:00Z"},
			{now: "2026-03-29T00:59:59Z"},
			{now: "2026-03-29T01:00:00Z", due: "2026-03-29T01:00:00Z"},
			{now: "2026-03-29T01:30:00Z"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab := table(t, tt.line, tt.zone)
			tab.lay(at(t, tt.steps[0].now))
			for i, s := range tt.steps[0:] {
				if i == 0 && tt.name == "the wall clock was wrong by years" {
					tab.seen = tab.seen.Add(time.Hour) // it had been looked at
				}
				due, late := tab.look(at(t, s.now))
				got := step{now: s.now, late: len(late)}
				if due != nil {
					got.due = due.nominal.UTC().Format(time.RFC3339)
				}
				if diff := cmp.Diff(s, got, cmp.AllowUnexported(step{})); diff != "" {
					t.Errorf("look(%s) (-want +got):\n%s", s.now, diff)
				}
			}
		})
	}
}

// Jitter is always the same, in bounds, spread over them, and keeps the order of occasions.
func TestJitter(t *testing.T) {
	tab := table(t, "0 * * * *", "UTC")
	tab.jitter = 10 * time.Minute
	now := at(t, "2026-11-22T00:30:00Z")
	var sum time.Duration
	const n = 1000
	for range n {
		o, ok := tab.after(now)
		if !ok {
			t.Fatal("no occasion")
		}
		d := o.start.Sub(o.nominal)
		if d < 0 || d >= tab.jitter {
			t.Fatalf("jitter of %v = %v; want less than %v", o.nominal, d, tab.jitter)
		}
		if again := tab.delay(o.nominal); again != d {
			t.Fatalf("jitter of %v = %v, then %v", o.nominal, d, again)
		}
		sum += d
		now = o.nominal
	}
	// The mean of 1,000 even draws from 10 minutes is 5 minutes, give or take 5.5 s: 30 s is over five times that.
	if mean := sum / n; mean < 5*time.Minute-30*time.Second || mean > 5*time.Minute+30*time.Second {
		t.Errorf("mean jitter = %v; want about %v", mean, tab.jitter/2)
	}
	other := *tab
	other.seed = 1
	if tab.delay(now) == other.delay(now) {
		t.Errorf("jitter of two seeds is the same: %v", tab.delay(now))
	}

	tab.jitter = 3 * time.Hour
	for range n {
		o, _ := tab.after(now)
		if d := o.start.Sub(o.nominal); d >= 30*time.Minute {
			t.Fatalf("jitter of %v = %v; want less than half an hour, half the way to the next", o.nominal, d)
		}
		now = o.nominal
	}
}

// However the wall clock jumps, no occasion is due twice, and every one that time went over is due or late.
func TestLookProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec, err := Parse("*/10 * * * *", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		tab := &timetable{spec: spec, jitter: time.Duration(rapid.IntRange(0, 600).Draw(t, "jitter")) * time.Second}
		now := time.Date(2026, 11, 22, 0, 3, 0, 0, time.UTC)
		tab.lay(now)
		first, reached := tab.seen, now
		seen := map[int64]bool{}
		counted := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(-1800, 3600).Draw(t, "step")) * time.Second)
			if now.Before(reached.Add(-resetAfter)) {
				continue
			}
			if now.After(reached) {
				reached = now
			}
			due, late := tab.look(now)
			counted += len(late)
			if due != nil {
				counted++
				if seen[due.nominal.Unix()] {
					t.Fatalf("%v is due twice", due.nominal)
				}
				seen[due.nominal.Unix()] = true
				if wait := now.Sub(due.start); wait < 0 || wait > tab.jitter+lateAfter {
					t.Fatalf("%v is due at %v, %v after its start", due.nominal, now, wait)
				}
			}
		}
		want := len((&timetable{spec: spec, jitter: tab.jitter}).between(first, reached, func(occasion) bool { return false }))
		if counted != want {
			t.Fatalf("%d occasions were due or late; want %d", counted, want)
		}
	})
}

func TestQuiet(t *testing.T) {
	const h = time.Hour
	berlin := zone(t, "Europe/Berlin")
	workdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	for _, tt := range []struct {
		name     string
		q        Quiet
		from, to string
		want     bool
	}{
		{"in it", Quiet{From: 8 * h, To: 18 * h}, "2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z", true},
		{"at its beginning", Quiet{From: 8 * h, To: 18 * h}, "2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z", true},
		{"at its end", Quiet{From: 8 * h, To: 18 * h}, "2026-11-23T18:00:00Z", "2026-11-23T18:00:00Z", false},
		{"before it", Quiet{From: 8 * h, To: 18 * h}, "2026-11-23T07:59:59Z", "2026-11-23T07:59:59Z", false},
		{"a run that ends as it begins", Quiet{From: 8 * h, To: 18 * h}, "2026-11-23T07:00:00Z", "2026-11-23T08:00:00Z", false},
		{"a run into it", Quiet{From: 8 * h, To: 18 * h}, "2026-11-23T07:00:00Z", "2026-11-23T08:00:01Z", true},
		{"a run over it", Quiet{From: 8 * h, To: 18 * h}, "2026-11-23T07:00:00Z", "2026-11-23T19:00:00Z", true},
		{"a run of two days", Quiet{From: 8 * h, To: 18 * h, Days: []time.Weekday{time.Tuesday}}, "2026-11-22T19:00:00Z", "2026-11-24T09:00:00Z", true},
		{"on a Sunday", Quiet{From: 8 * h, To: 18 * h, Days: workdays}, "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z", false},
		{"over midnight, before", Quiet{From: 22 * h, To: 6 * h}, "2026-11-22T23:00:00Z", "2026-11-22T23:00:00Z", true},
		{"over midnight, after", Quiet{From: 22 * h, To: 6 * h}, "2026-11-23T05:00:00Z", "2026-11-23T05:00:00Z", true},
		{"over midnight, by the day it begins on", Quiet{From: 22 * h, To: 6 * h, Days: []time.Weekday{time.Sunday}}, "2026-11-23T05:00:00Z", "2026-11-23T05:00:00Z", true},
		{"over midnight, on the day after", Quiet{From: 22 * h, To: 6 * h, Days: []time.Weekday{time.Sunday}}, "2026-11-22T05:00:00Z", "2026-11-22T05:00:00Z", false},
		{"the whole day", Quiet{Days: []time.Weekday{time.Monday}}, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", true},
		{"until 24:00", Quiet{From: 20 * h, To: 24 * h}, "2026-11-23T23:59:59Z", "2026-11-23T23:59:59Z", true},
		{"not beyond 24:00", Quiet{From: 20 * h, To: 24 * h}, "2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z", false},
		{"elsewhere", Quiet{From: 8 * h, To: 18 * h, Location: berlin}, "2026-11-23T07:30:00Z", "2026-11-23T07:30:00Z", true},
		{"in summer", Quiet{From: 8 * h, To: 18 * h, Location: berlin}, "2026-07-23T06:30:00Z", "2026-07-23T06:30:00Z", true},
		{"on the day the clocks go forward", Quiet{From: 8 * h, To: 18 * h, Location: berlin}, "2026-03-29T05:59:00Z", "2026-03-29T05:59:00Z", false},
		{"one time alone", Quiet{Begin: at(t, "2026-12-24T12:00:00Z"), End: at(t, "2026-12-27T00:00:00Z")}, "2026-12-25T02:00:00Z", "2026-12-25T02:00:00Z", true},
		{"before the one time", Quiet{Begin: at(t, "2026-12-24T12:00:00Z"), End: at(t, "2026-12-27T00:00:00Z")}, "2026-12-24T11:59:00Z", "2026-12-24T11:59:00Z", false},
		{"after the one time", Quiet{Begin: at(t, "2026-12-24T12:00:00Z"), End: at(t, "2026-12-27T00:00:00Z")}, "2026-12-27T00:00:00Z", "2026-12-27T00:00:00Z", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.q.check(); err != nil {
				t.Fatal(err)
			}
			if got := tt.q.meets(at(t, tt.from), at(t, tt.to)); got != tt.want {
				t.Errorf("meets(%s, %s) = %v; want %v", tt.from, tt.to, got, tt.want)
			}
		})
	}
}
