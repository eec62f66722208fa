package web

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober"
)

func TestHistoryIsBounded(t *testing.T) {
	h := newHistory(chat)
	for i := range 10 * keptResults {
		if i%100 == 7 {
			h.Observe(failed(chat, prober.RateLimited, strings.Repeat("x", 1<<20)))
		}
		h.Observe(answer(chat, 300*ms, ms, 2000))
	}
	v := only(t, h)
	if len(v.results) != keptResults {
		t.Errorf("%d results kept; want %d", len(v.results), keptResults)
	}
	if len(v.failures) != 12 {
		t.Errorf("%d failures kept; want all 12, which successes must not push out", len(v.failures))
	}
	for range 10 * keptFailures {
		h.Observe(failed(chat, prober.RateLimited, strings.Repeat("x", 1<<20)))
	}
	v = only(t, h)
	if len(v.failures) != keptFailures {
		t.Errorf("%d failures kept; want %d", len(v.failures), keptFailures)
	}
	if n := utf8.RuneCountInString(v.failures[0].err); n > maxError+1 {
		t.Errorf("an error of %d characters kept; want %d and an ellipsis at most", n, maxError)
	}
}

// A ring must hold the newest samples, oldest first, whatever its limit and however many came.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ring[sample]{limit: rapid.IntRange(1, 10).Draw(t, "limit")}
		n := rapid.IntRange(0, 40).Draw(t, "n")
		var want []string
		for i := range n {
			id := fmt.Sprint(i)
			r.add(sample{id: id})
			want = append(want, id)
		}
		want = want[max(0, n-r.limit):]
		var got []string
		for _, s := range r.slice() {
			got = append(got, s.id)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("slice() = %v; want %v", got, want)
		}
	})
}

func TestHistoryApply(t *testing.T) {
	count := func(h *History) map[string]int {
		counts := make(map[string]int)
		for _, v := range all(h) {
			counts[v.Target+"/"+v.Probe] = len(v.results)
		}
		return counts
	}
	for _, test := range []struct {
		name string
		next []Row
		want map[string]int
	}{
		{"the same", []Row{chat, batch}, map[string]int{"chat/interactive": 1, "chat/batch": 1}},
		{"one goes", []Row{batch}, map[string]int{"chat/batch": 1}},
		{"one comes", []Row{chat, batch, {Target: "new", Probe: "p"}}, map[string]int{"chat/interactive": 1, "chat/batch": 1, "new/p": 0}},
		{"another interval", []Row{{Target: "chat", Model: "llama", Probe: "interactive", Stream: true, Interval: time.Hour}}, map[string]int{"chat/interactive": 1}},
		{"another model", []Row{{Target: "chat", Model: "qwen", Probe: "interactive", Stream: true}}, map[string]int{"chat/interactive": 0}},
		{"no longer streaming", []Row{{Target: "chat", Model: "llama", Probe: "interactive"}}, map[string]int{"chat/interactive": 0}},
		{"none", nil, map[string]int{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHistory(chat, batch)
			h.Observe(answer(chat, 300*ms, ms, 4))
			h.Observe(answer(batch, 300*ms, 0, 4))
			h.Apply(test.next)
			if diff := cmp.Diff(test.want, count(h)); diff != "" {
				t.Errorf("results kept after Apply (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a row that went comes back empty", func(t *testing.T) {
		h := newHistory(chat)
		h.Observe(answer(chat, 300*ms, ms, 4))
		h.Apply(nil)
		h.Observe(answer(chat, 300*ms, ms, 4))
		h.Apply([]Row{chat})
		if diff := cmp.Diff(map[string]int{"chat/interactive": 0}, count(h)); diff != "" {
			t.Errorf("results kept (-want +got):\n%s", diff)
		}
	})
}

func TestCanceledIsNotKept(t *testing.T) {
	h := newHistory(chat)
	h.Observe(failed(chat, prober.Canceled, "shutdown"))
	if v := only(t, h); len(v.results) != 0 || len(v.exchanges) != 0 {
		t.Errorf("%d results kept; want none", len(v.results))
	}
}

func TestHistoryConcurrency(t *testing.T) {
	h := newHistory(chat, batch)
	pages := newHandler(t, Options{History: h})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 50 {
				h.Observe(answer(chat, 300*ms, ms, 64))
				h.Observe(failed(batch, prober.Overloaded, "busy"))
			}
		})
	}
	wg.Go(func() {
		for i := range 50 {
			h.Apply([]Row{chat, batch}[:1+i%2])
		}
	})
	wg.Go(func() {
		for range 50 {
			statusOf(h, nil)
			get(t, pages, "/")
		}
	})
	wg.Wait()
	if n := len(only(t, newHistoryOf(h, chat)).results); n != keptResults {
		t.Errorf("%d results kept; want %d", n, keptResults)
	}
}

// newHistoryOf is h with no row but the given one.
func newHistoryOf(h *History, row Row) *History {
	h.Apply([]Row{row})
	return h
}

func TestStrip(t *testing.T) {
	type want struct {
		steps []string
		ticks int
	}
	for _, test := range []struct {
		name string
		in   *prober.Result
		want want
	}{
		{"streamed", answer(chat, 300*ms, 20*ms, 8), want{[]string{"DNS 2ms", "connection 3ms", "TLS 15ms", "header 20ms", "first token 260ms", "tokens 140ms"}, 8}},
		{"not streamed", answer(batch, 300*ms, 0, 8), want{[]string{"DNS 2ms", "connection 3ms", "TLS 15ms", "header 280ms", "answer 1ms"}, 0}},
		{"no token came", failed(chat, prober.TimeoutFirstToken, "x"), want{[]string{"DNS 2ms", "connection 3ms", "TLS 15ms", "header 20ms", "first token 211ms, not done"}, 0}},
		{"no connection came", unconnected(chat, "x"), want{[]string{"DNS 2ms", "connection 249ms, not done"}, 0}},
		{"more tokens than there is room for", answer(chat, 300*ms, ms, 5000), want{[]string{"DNS 2ms", "connection 3ms", "TLS 15ms", "header 20ms", "first token 260ms", "tokens 4.999s"}, 236}},
		{"all in one segment", answer(chat, 300*ms, 0, 5000), want{[]string{"DNS 2ms", "connection 3ms", "TLS 15ms", "header 20ms", "first token 260ms", "tokens 0s"}, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStrip(test.in)
			var steps []string
			for _, st := range s.steps {
				text := fmt.Sprint(st.name, " ", st.took)
				if !st.done {
					text += ", not done"
				}
				steps = append(steps, text)
				if st.from < 0 || st.to > 1 || st.from > st.to {
					t.Errorf("step %q from %v to %v; want within 0 to 1", st.name, st.from, st.to)
				}
			}
			if diff := cmp.Diff(test.want.steps, steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if len(s.ticks) != test.want.ticks || len(s.ticks) > maxTicks+1 {
				t.Errorf("%d ticks; want %d", len(s.ticks), test.want.ticks)
			}
		})
	}
	if s := newStrip(&prober.Result{Request: &prober.Request{}}); s != nil {
		t.Errorf("newStrip(no time) = %v; want nil", s)
	}
}
