package cron

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// ledger is the claims of several probers, in memory.
type ledger struct {
	mu     sync.Mutex // protects what follows
	holder map[string]map[int64]string
}

func (l *ledger) set(name, holder string, nominal time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder == nil {
		l.holder = map[string]map[int64]string{}
	}
	if l.holder[name] == nil {
		l.holder[name] = map[int64]string{}
	}
	if l.holder[name][nominal.Unix()] != "" {
		return false
	}
	l.holder[name][nominal.Unix()] = holder
	return true
}

// of are the claims of one prober, each of which takes so long.
func (l *ledger) of(holder string, takes time.Duration) Claims { return ledgerOf{l, holder, takes} }

type ledgerOf struct {
	ledger *ledger
	holder string
	takes  time.Duration
}

// Claim does not heed ctx: a prober that is suspended does not either.
func (l ledgerOf) Claim(_ context.Context, name string, nominal time.Time) (bool, error) {
	ours := l.ledger.set(name, l.holder, nominal)
	time.Sleep(l.takes)
	return ours, nil
}

func (l ledgerOf) Claimed(_ context.Context, name string, after time.Time) ([]Claimed, error) {
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	if l.ledger.holder[name] == nil && name == "broken" {
		return nil, errors.New("no answer")
	}
	var all []Claimed
	for unix, holder := range l.ledger.holder[name] {
		if nominal := time.Unix(unix, 0); nominal.After(after) {
			all = append(all, Claimed{nominal, holder == l.holder})
		}
	}
	slices.SortFunc(all, func(a, b Claimed) int { return a.Nominal.Compare(b.Nominal) })
	return all, nil
}

// A prober that is suspended between its claim and the beginning of its run begins it in time, or not at all.
func TestSuspendedAfterTheClaim(t *testing.T) {
	for _, tt := range []struct {
		takes  time.Duration
		jitter time.Duration
		want   string
	}{
		{takes: lateAfter, want: "01-01T02:05:00 soak started by schedule"},
		{takes: lateAfter + time.Second, want: "01-01T02:05:01 soak missed late 1"},
		{takes: 8 * time.Hour, want: "01-01T10:00:00 soak missed late 1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			books := new(ledger)
			e := night("soak", "chat")
			s, d := start(t, Options{Claims: books.of("a", tt.takes), Start: func(context.Context, string, time.Time, record.Trigger) {}}, e)
			time.Sleep(11 * time.Hour)
			want := []string{tt.want}
			if tt.takes == lateAfter {
				want = append(want, "01-01T02:05:00 soak finished")
			}
			d.want(t, want...)
			if err := s.Trigger("soak", record.ByHand); err != nil {
				t.Errorf("the target is not free afterwards: %v", err)
			}
		})
	}
}

func TestLatest(t *testing.T) {
	night := at(t, "2026-11-22T02:00:00Z")
	for jitter, want := range map[time.Duration]string{0: "02:05:00", time.Minute: "02:06:00", -time.Minute: "02:05:00"} {
		if got := Latest(night, jitter).Format(time.TimeOnly); got != want {
			t.Errorf("Latest(%v, %v) = %s; want %s", night, jitter, got, want)
		}
	}
}

// With other probers an occasion is missed only if none of them has claimed it.
func TestMissedByAll(t *testing.T) {
	const known = "01-01T02:05:30 " // five minutes in which another prober may begin, and half a minute in which it may claim
	for _, tt := range []struct {
		name   string
		ramp   string // empty: soak
		theirs bool   // the occasion is claimed by another prober
		change func(*Scheduler, *Entry)
		want   []string
	}{
		{name: "busy, run elsewhere", theirs: true, change: func(s *Scheduler, _ *Entry) { _ = s.Trigger("soak", record.ByHand) },
			want: []string{"01-01T01:59:00 soak started by hand"}},
		{name: "busy, run nowhere", change: func(s *Scheduler, _ *Entry) { _ = s.Trigger("soak", record.ByHand) },
			want: []string{"01-01T01:59:00 soak started by hand", known + "soak missed busy 1"}},
		{name: "paused, run elsewhere", theirs: true, change: func(s *Scheduler, _ *Entry) { _ = s.Pause("soak", true) }},
		{name: "paused, run nowhere", change: func(s *Scheduler, _ *Entry) { _ = s.Pause("soak", true) },
			want: []string{known + "soak missed paused 1"}},
		{name: "nobody can tell", ramp: "broken", change: func(s *Scheduler, _ *Entry) { _ = s.Pause("broken", true) },
			want: []string{known + "broken missed claim_failed 1"}},
		{name: "shut down before it is known", change: func(s *Scheduler, _ *Entry) {
			_ = s.Pause("soak", true)
			time.AfterFunc(2*time.Minute, func() { _ = s.Shutdown(context.Background()) })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				books := new(ledger)
				e := night("soak", "chat")
				if tt.ramp != "" {
					e.Name = tt.ramp
				}
				if tt.theirs {
					books.set("soak", "b", at(t, "2000-01-01T02:00:00Z"))
				}
				s, d := start(t, Options{Claims: books.of("a", 0), Start: func(ctx context.Context, _ string, _ time.Time, _ record.Trigger) { <-ctx.Done() }}, e)
				time.Sleep(2*time.Hour - time.Minute)
				tt.change(s, &e)
				time.Sleep(time.Hour)
				d.want(t, tt.want...)
			})
		})
	}
}

// What a prober that starts reports of the time in which it was down.
func TestDownBesideOthers(t *testing.T) {
	nights := func(t *testing.T, days ...int) (all []time.Time) {
		for _, day := range days {
			all = append(all, time.Date(1999, 12, day, 2, 0, 0, 0, time.UTC))
		}
		return all
	}
	for _, tt := range []struct {
		name         string
		last         int // day in December of its newest run on record; 0: none
		ours, theirs []int
		want         []string
	}{
		{name: "the others ran it", last: 27, theirs: []int{28, 29, 30, 31}},
		{name: "nobody ran it", last: 28, ours: []int{28}, want: []string{"01-01T00:00:00 soak missed down 3"}},
		{name: "the last two nobody ran", last: 27, theirs: []int{28, 29}, want: []string{"01-01T00:00:00 soak missed down 2"}},
		{name: "others were there, and reported the gap", last: 27, theirs: []int{28, 31}},
		{name: "it died with a claim in its hand", last: 28, ours: []int{28, 29}, theirs: []int{30, 31}, want: []string{"01-01T00:00:00 soak missed down 1"}},
		{name: "it never ran here", theirs: []int{28}},
		{name: "what is over a week ago nobody knows", last: 10, theirs: []int{28}, want: []string{"01-01T00:00:00 soak missed down 3"}},
		{name: "over a week ago, and nobody since", last: 10, want: []string{"01-01T00:00:00 soak missed down 7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				books := new(ledger)
				for _, n := range nights(t, tt.ours...) {
					books.set("soak", "a", n)
				}
				for _, n := range nights(t, tt.theirs...) {
					books.set("soak", "b", n)
				}
				last := func(string) time.Time {
					if tt.last == 0 {
						return time.Time{}
					}
					return nights(t, tt.last)[0]
				}
				_, d := start(t, Options{Claims: books.of("a", 0), LastRun: last}, night("soak", "chat"))
				d.want(t, tt.want...)
				time.Sleep(time.Hour)
				d.want(t, tt.want...)
			})
		})
	}
}

// A prober that was suspended over several occasions reports those that nobody else ran.
func TestSuspendedBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		books := new(ledger)
		time.Sleep(4 * time.Hour)
		s, d := start(t, Options{Claims: books.of("a", 0), Start: func(context.Context, string, time.Time, record.Trigger) {}},
			Entry{Name: "soak", Targets: []string{"chat"}, Schedule: "0 * * * *"})
		for _, hour := range []string{"02", "04"} {
			books.set("soak", "b", at(t, "2000-01-01T"+hour+":00:00Z"))
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		s.mu.Lock() // as if it had not looked since
		s.tasks["soak"].table.seen = at(t, "2000-01-01T01:00:00Z")
		s.wakeLocked()
		s.mu.Unlock()
		time.Sleep(time.Minute)
		d.want(t, "01-01T04:30:00 soak missed late 1") // that of 03:00
	})
}
