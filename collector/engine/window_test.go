package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWindow(t *testing.T) {
	const q = "vllm:request_queue_time_seconds"
	bounds := [2]string{"0.3", "0.5"}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Add(-time.Minute) // of the first page: there are seven
		at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
		e := serving(t, nil,
			queue(q, "", bounds, [3]int{5, 5, 5}, 1),   // at 0 s
			queue(q, "", bounds, [3]int{5, 5, 7}, 2.5), // 10 s: two requests, 0.75 s each
			queue(q, "", bounds, [3]int{5, 5, 7}, 2.5), // 20 s: none
			queue(q, "", bounds, [3]int{6, 6, 8}, 2.7), // 30 s: one, 0.2 s
			queue(q, "", bounds, [3]int{1, 1, 1}, .1),  // 40 s: a restart, and one, 0.1 s
			"up 1\n", // 50 s: no answer that counts
			queue(q, "", bounds, [3]int{2, 2, 2}, .4), // 60 s: one, 0.3 s
		)
		window := func(from, to, n int, mean time.Duration, restarted bool) *Window {
			return &Window{From: at(from), To: at(to), Requests: float64(n), Mean: mean, Restarted: restarted}
		}
		for _, c := range []struct {
			name     string
			from, to time.Time
			want     *Window
		}{
			{"between two pages", at(0), at(10), window(0, 10, 2, 750*time.Millisecond, false)},
			{"the smallest that covers", at(3), at(7), window(0, 10, 2, 750*time.Millisecond, false)},
			{"over several pages", at(5), at(25), window(0, 30, 3, 1700*time.Millisecond/3, false)},
			{"nothing waited", at(11), at(19), nil},
			{"over a restart", at(25), at(35), window(20, 40, 2, 150*time.Millisecond, true)},
			{"over a page that failed", at(45), at(55), window(40, 60, 1, 300*time.Millisecond, false)},
			{"before the first page", at(-5), at(10), nil},
			{"no page after it yet", at(30), at(61), nil},
			{"a moment is no window", at(10), at(10), nil},
		} {
			got, ok := e.Window(c.from, c.to)
			if ok != (c.want != nil) {
				t.Errorf("%s: %+v, %v; want %+v", c.name, got, ok, c.want)
				continue
			}
			if c.want == nil {
				continue
			}
			if d := (got.Mean - c.want.Mean).Abs(); d > time.Microsecond {
				t.Errorf("%s: mean %v; want %v", c.name, got.Mean, c.want.Mean)
			}
			got.Mean = c.want.Mean
			if diff := cmp.Diff(*c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	})
}

// A page is of some moment between the request and the end of the answer: a window takes neither for granted.
func TestWindowAndSlowFetches(t *testing.T) {
	var h history
	totals := func(n, sum float64) *Totals { return &Totals{Count: n, Sum: sum} }
	h.add(Snapshot{At: epoch, Took: 3 * time.Second, QueueWait: totals(0, 0)})
	h.add(Snapshot{At: epoch.Add(10 * time.Second), Took: 3 * time.Second, QueueWait: totals(4, 2)})
	h.add(Snapshot{At: epoch.Add(20 * time.Second), Took: 3 * time.Second, QueueWait: totals(8, 10)})
	for _, c := range []struct {
		from, to int
		want     float64 // requests
	}{
		{3, 10, 4}, // the first was read at 3 s, the second asked for at 10 s
		{2, 10, 0}, // at 2 s the first may have been written or not
		{3, 11, 8},
		{12, 20, 8}, // at 12 s the second may not have been written
		{13, 20, 4},
	} {
		w, ok := h.window(epoch.Add(time.Duration(c.from)*time.Second), epoch.Add(time.Duration(c.to)*time.Second))
		if w.Requests != c.want || ok != (c.want > 0) {
			t.Errorf("window(%d s, %d s) = %+v, %v; want %v requests", c.from, c.to, w, ok, c.want)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	for i := range 5000 {
		h.add(Snapshot{At: epoch.Add(time.Duration(i) * time.Second)})
	}
	if n := len(h.snapshots); n != int(historyAge/time.Second)+1 {
		t.Errorf("%d snapshots a second apart are kept; want %v of them", n, historyAge)
	}
	for range 5000 {
		h.add(Snapshot{At: epoch.Add(5000 * time.Second)})
	}
	if n := len(h.snapshots); n != historyMost {
		t.Errorf("%d snapshots are kept; want %d", n, historyMost)
	}
}

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serving(t, nil, pageText(t, "vllm_fresh"), pageText(t, "vllm_0.31"))
		got, ok := e.Snapshot()
		want := Snapshot{
			At: time.Now(), Kind: KindVLLM, Instances: 1,
			Running: new(4.), Waiting: new(1.), KVCacheUsage: new(.25),
			QueueWait:        &Totals{Count: 5, Sum: 1.76},
			TimeToFirstToken: &Totals{Count: 5, Sum: 2.264},
			Prefill:          &Totals{Count: 5, Sum: .504},
			Decode:           &Totals{Count: 5, Sum: 6.53},
			RequestDuration:  &Totals{Count: 5, Sum: 8.794},
			PromptTokens:     new(4321.), CachedPromptTokens: new(1024.), GenerationTokens: new(655.), Preemptions: new(2.),
		}
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%v (-want +got):\n%s", ok, diff)
		}
		// llama.cpp tells little; what it does not tell is not zero.
		e = serving(t, nil, pageText(t, "llamacpp"))
		got, _ = e.Snapshot()
		want = Snapshot{
			At: time.Now(), Kind: KindLlamaCPP, Instances: 1,
			Running: new(4.), Waiting: new(2.), PromptTokens: new(0.), GenerationTokens: new(0.),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
