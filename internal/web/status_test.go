package web

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober"
)

func TestStates(t *testing.T) {
	good := func(h *History) { h.Observe(answer(chat, 300*ms, 20*ms, 8)) }
	bad := func(h *History) { h.Observe(failed(chat, prober.RateLimited, "slow down")) }
	late := func(h *History) {
		r := answer(chat, 300*ms, 20*ms, 8)
		r.Degraded = true
		h.Observe(r)
	}
	// move is a result, or none, some time after the last, and that several times.
	type move struct {
		times  int
		after  time.Duration
		result func(*History)
	}
	none := func(*History) {}
	once := func(result func(*History)) move { return move{1, 0, result} }
	times := func(n int, result func(*History)) move { return move{n, 15 * time.Second, result} }
	wait := func(d time.Duration) move { return move{1, d, none} }
	for _, test := range []struct {
		name              string
		do                []move
		state             state
		why, streak, word string
	}{
		{"no result yet", nil, pending, "no result yet", "", "Waiting for the first results"},
		{"ok", []move{once(good)}, healthy, "", "", "The probe is answering"},
		{"failed once", []move{once(good), once(bad)}, down, "slow down", "", "The probe is failing"},
		{"failed twice", []move{once(good), times(2, bad)}, down, "slow down", "2 in a row, since 00:00:15 UTC", "The probe is failing"},
		{"never worked", []move{times(3, bad)}, down, "slow down", "3 in a row, since 00:00:15 UTC", "The probe is failing"},
		{"failing for longer than is kept", []move{times(keptResults+20, bad)}, down, "slow down", "at least 120 in a row, since 00:05:15 UTC", "The probe is failing"},
		{"back again", []move{once(bad), once(good)}, flaky, "1 of the last 2 failed; the newest of them: slow down", "", "The probe is answering"},
		{"back for long", []move{once(bad), times(flakyWindow, good)}, healthy, "", "", "The probe is answering"},
		{"overdue", []move{once(good), wait(3 * time.Minute)}, overdue, "no result for 3\u00a0min, although one is due every 15\u00a0s", "", "The probe is overdue"},
		{"never came", []move{wait(3 * time.Minute)}, overdue, "no result for 3\u00a0min, although one is due every 15\u00a0s", "", "The probe is overdue"},
		{"failed, and nothing since", []move{once(bad), wait(time.Hour)}, down, "slow down", "", "The probe is failing"},
		{"late itself", []move{times(27, good), times(3, late)}, blurred, "this prober was late itself in 3 of the last 30: it may be short of processor time", "", "The probe is answering"},
		{"late itself, but seldom", []move{times(30, good), times(3, late)}, healthy, "", "", "The probe is answering"},
		{"late once or twice", []move{times(2, good), times(2, late)}, healthy, "", "", "The probe is answering"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHistory(chat)
				for _, m := range test.do {
					for range m.times {
						time.Sleep(m.after)
						m.result(h)
					}
				}
				s := statusOf(h, nil)
				r := rowsOf(s)[0]
				got := []string{r.Class, r.Why, r.Streak, s.Summary}
				if diff := cmp.Diff([]string{test.state.class(), test.why, test.streak, test.word}, got); diff != "" {
					t.Errorf("state, why, streak and summary (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestWhatNeedsAttentionComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		row := func(target string) Row {
			return Row{Target: target, Model: "m", Probe: "p", Stream: true, Interval: time.Minute}
		}
		h := newHistory(row("z-failing"), row("b-fine"), row("a-fine"), row("y-failing"), row("unsteady"), row("new"), row("late"))
		for range 20 {
			for _, target := range []string{"a-fine", "b-fine"} {
				h.Observe(answer(row(target), 300*ms, 20*ms, 8))
			}
			r := answer(row("late"), 300*ms, 20*ms, 8)
			r.Degraded = true
			h.Observe(r)
		}
		h.Observe(failed(row("z-failing"), prober.DNS, "x"))
		h.Observe(failed(row("y-failing"), prober.DNS, "x"))
		h.Observe(failed(row("unsteady"), prober.DNS, "x"))
		h.Observe(answer(row("unsteady"), 300*ms, 20*ms, 8))
		s := statusOf(h, nil)
		var got []string
		for _, r := range rowsOf(s) {
			got = append(got, r.Target)
		}
		if diff := cmp.Diff([]string{"y-failing", "z-failing", "unsteady", "late", "new", "a-fine", "b-fine"}, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if want := "2 of 7 probes are failing"; s.Summary != want {
			t.Errorf("summary = %q; want %q", s.Summary, want)
		}
		if want := "1 failed lately, 1 measured late, 1 not run yet"; s.Detail != want {
			t.Errorf("detail = %q; want %q", s.Detail, want)
		}
	})
}

func TestPercentiles(t *testing.T) {
	for _, test := range []struct {
		n        int
		p50, p95 string
		timed    int
	}{
		{0, "", "", 0},
		{4, "", "", 4},
		{5, "3.0\u00a0ms", "", 5},
		{19, "10\u00a0ms", "", 19},
		{20, "10\u00a0ms", "19\u00a0ms", 20},
		{100, "50\u00a0ms", "95\u00a0ms", 100},
	} {
		t.Run(fmt.Sprint(test.n), func(t *testing.T) {
			h := newHistory(chat)
			h.rows[rowKey{chat.Target, chat.Probe}].results.limit = 2 * test.n
			for i := range test.n {
				h.Observe(answer(chat, time.Duration(i+1)*ms, 20*ms, 8))
				h.Observe(failed(chat, prober.TimeoutTotal, "x")) // has no latency
			}
			r := rowsOf(statusOf(h, nil))[0]
			if r.P50 != test.p50 || r.P95 != test.p95 || r.Timed != test.timed {
				t.Errorf("p50 %q, p95 %q of %d; want %q, %q of %d", r.P50, r.P95, r.Timed, test.p50, test.p95, test.timed)
			}
		})
	}
}

func TestRates(t *testing.T) {
	h := newHistory(chat)
	h.Observe(answer(chat, 300*ms, 20*ms, 11))
	if got := rowsOf(statusOf(h, nil))[0].Rate; got != "50" {
		t.Errorf("counted rate = %q; want 50", got)
	}
	estimated := answer(chat, 300*ms, 20*ms, 11)
	estimated.OutputSource, estimated.Usage.Known = prober.TokensEvents, false
	h.Observe(estimated)
	if got, want := rowsOf(statusOf(h, nil))[0].Rate, "≈\u00a050"; got != want {
		t.Errorf("estimated rate = %q; want %q", got, want)
	}
}

func TestNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat, batch)
		s := statusOf(h, func(target, probe string) (time.Time, bool) {
			return time.Now().Add(7 * time.Second), target == "chat" && probe == "interactive"
		})
		got := map[string]string{}
		for _, r := range rowsOf(s) {
			got[r.Probe] = r.Next
		}
		if diff := cmp.Diff(map[string]string{"interactive": "7\u00a0s", "batch": ""}, got); diff != "" {
			t.Errorf("next (-want +got):\n%s", diff)
		}
	})
}

func TestFormats(t *testing.T) {
	for _, test := range []struct {
		in   time.Duration
		want string
	}{
		{-time.Second, "0 ms"}, {0, "0.0 ms"}, {420 * time.Microsecond, "0.4 ms"}, {9900 * time.Microsecond, "9.9 ms"}, {9960 * time.Microsecond, "10 ms"},
		{312 * ms, "312 ms"}, {999600 * time.Microsecond, "1.00 s"}, {1240 * ms, "1.24 s"}, {9996 * ms, "10.0 s"}, {72 * time.Second, "72.0 s"},
	} {
		if got := strings.ReplaceAll(duration(test.in), nbsp, " "); got != test.want {
			t.Errorf("duration(%v) = %q; want %q", test.in, got, test.want)
		}
	}
	for _, test := range []struct {
		in   time.Duration
		want string
	}{
		{0, "0 s"}, {15 * time.Second, "15 s"}, {time.Minute, "1 min"}, {90 * time.Second, "1 min 30 s"}, {time.Hour, "1 h"},
		{61 * time.Minute, "1 h 1 min"}, {25 * time.Hour, "1 d 1 h"}, {48 * time.Hour, "2 d"},
	} {
		if got := strings.ReplaceAll(span(test.in), nbsp, " "); got != test.want {
			t.Errorf("span(%v) = %q; want %q", test.in, got, test.want)
		}
	}
	for _, test := range []struct {
		in   float64
		want string
	}{{0, "0 %"}, {0.001, "< 1 %"}, {0.01, "1 %"}, {0.254, "25 %"}, {1, "100 %"}} {
		if got := strings.ReplaceAll(percent(test.in), nbsp, " "); got != test.want {
			t.Errorf("percent(%v) = %q; want %q", test.in, got, test.want)
		}
	}
	for _, test := range []struct {
		in    float64
		exact bool
		want  string
	}{{54.4, true, "54"}, {9.94, true, "9.9"}, {0.25, true, "0.2"}, {54, false, "≈ 54"}, {9.96, true, "10"}} {
		if got := strings.ReplaceAll(rate(test.in, test.exact), nbsp, " "); got != test.want {
			t.Errorf("rate(%v, %v) = %q; want %q", test.in, test.exact, got, test.want)
		}
	}
}

func TestEngineText(t *testing.T) {
	two, share := 2.0, 0.25
	for _, c := range []struct {
		name   string
		engine Engine
		want   string
		bad    bool
	}{
		{"read", Engine{Up: true, Running: &two, KVCache: &share}, "2" + nbsp + "running, KV" + nbsp + "25" + nbsp + "%", false},
		{"read, and nothing of it known", Engine{Up: true}, "", false},
		{"not read, and nobody knows why", Engine{}, "engine metrics cannot be read", true},
		{"not read", Engine{Problem: "connect"}, "engine metrics cannot be read: connect", true},
		{"not read, and why", Engine{Problem: "http_3xx", Because: "HTTP status 307:\n it leads elsewhere"}, "engine metrics cannot be read: http_3xx: HTTP status 307: it leads elsewhere", true},
		{"not read, at length", Engine{Problem: "http_4xx", Because: strings.Repeat("x", 1000)}, "engine metrics cannot be read: http_4xx: " + strings.Repeat("x", maxError) + "…", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, bad := engineText(&c.engine); got != c.want || bad != c.bad {
				t.Errorf("engineText() = %q, %t; want %q, %t", got, bad, c.want, c.bad)
			}
		})
	}
}
