package web

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/wire"
)

// As long as there are no more buckets than there is room for, a quantile is off by 3 % at most.
func TestSketchIsExactEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.IntRange(100, 10_000_000).Draw(t, "base") // microseconds
		var s sketch
		var values []time.Duration
		for range rapid.IntRange(1, 200).Draw(t, "n") {
			d := time.Duration(base+rapid.IntRange(0, 2*base).Draw(t, "d")) * time.Microsecond
			values = append(values, d)
			s.add(d)
		}
		if s.count() != len(values) {
			t.Fatalf("count() = %d; want %d", s.count(), len(values))
		}
		for _, q := range []float64{0.01, 0.5, 0.95, 1} {
			want := quantile(values, q)
			if got := s.quantile(q); float64(got) < 0.969*float64(want) || float64(got) > 1.031*float64(want) {
				t.Fatalf("quantile(%v) = %v; want %v within 3 %%", q, got, want)
			}
		}
	})
}

// Whatever comes, a sketch has no more buckets than it may, they rise, and nothing is lost.
func TestSketchIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s sketch
		n := rapid.IntRange(0, 300).Draw(t, "n")
		for range n {
			s.add(time.Duration(rapid.Int64Range(-1, int64(24*time.Hour)).Draw(t, "d")))
		}
		if len(s) > sketchMost || s.count() != n {
			t.Fatalf("%d buckets with %d values; want at most %d with %d", len(s), s.count(), sketchMost, n)
		}
		if !slices.IsSortedFunc(s, func(a, b bucket) int { return int(a.Top) - int(b.Top) }) {
			t.Fatalf("buckets %v do not rise", s)
		}
	})
}

// A day takes no more than was said, whatever a probe does, and holds 25 hours.
func TestTrendIsBounded(t *testing.T) {
	var tr trend
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	outcomes := prober.Outcomes()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 { // four days and a half
		at = at.Add(2 * time.Second)
		d := time.Duration(r.Int64N(int64(time.Hour)))
		tr.add(&sample{end: at, outcome: outcomes[i%len(outcomes)], timed: true, latency: d, took: d, tpot: d})
		tr.explain(at, &parts{took: make([]time.Duration, len(queuewait.Parts()))})
	}
	slots := tr.clone()
	if len(slots) != trendSlots {
		t.Errorf("%d slots; want %d", len(slots), trendSlots)
	}
	if first, want := slots[0].begin(), at.Add(-25*time.Hour); first.After(want) {
		t.Errorf("the oldest slot begins at %v; want no later than %v", first, want)
	}
	size := 24 * cap(tr.packed)
	for _, p := range tr.packed {
		size += len(p.data)
	}
	if size > 128<<10 {
		t.Errorf("a day takes %d bytes; want at most 128 KiB", size)
	}
	t.Logf("%d bytes, as JSON %d", size, len(marshal(t, slots)))
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A result that comes late goes where it belongs; one that is older than all that is kept goes nowhere.
func TestTrendOutOfOrder(t *testing.T) {
	var tr trend
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, ago := range []time.Duration{0, time.Hour, 26 * time.Hour, 24 * time.Hour, time.Hour, -time.Hour} {
		tr.add(&sample{end: now.Add(-ago), outcome: prober.OK, timed: true, latency: time.Second})
	}
	var got []int
	for _, s := range tr.clone() {
		got = append(got, int(now.Sub(s.begin())/time.Hour))
	}
	if want := []int{24, 1, 0, -1}; !slices.Equal(got, want) {
		t.Errorf("slots of %v hours ago; want %v", got, want)
	}
}

func TestSameTimeYesterday(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat)
		// Slow around noon, quick else; then a day later quick at all times.
		for i := range 24 * 12 {
			ttft := 100 * ms
			if i/12 == 12 {
				ttft = 400 * ms
			}
			h.Observe(answer(chat, ttft, 20*ms, 4))
			time.Sleep(5 * time.Minute)
		}
		for range 12*12 + 6 { // half past twelve
			h.Observe(answer(chat, 100*ms, 20*ms, 4))
			time.Sleep(5 * time.Minute)
		}
		day := rowsOf(statusOf(h, nil))[0].Day
		if day.P50 != "403\u00a0ms" || day.Change != "−\u00a075\u00a0%" || day.Worse {
			t.Errorf("yesterday %+v; want about 400 ms, and better by three quarters", day)
		}
		time.Sleep(3 * time.Hour)
		for range 5 {
			h.Observe(answer(chat, 200*ms, 20*ms, 4))
		}
		for range keptResults {
			h.Observe(answer(chat, 200*ms, 20*ms, 4))
		}
		if day := rowsOf(statusOf(h, nil))[0].Day; !day.Worse || day.Change == "" {
			t.Errorf("yesterday %+v; want worse", day)
		}
	})
}

// Where the time went is shown of the result that it was told of, and added up over the day.
func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat)
		target := queuewait.NewTarget()
		for i := range 6 {
			time.Sleep(time.Second)
			r := answer(chat, 300*ms, 20*ms, 8)
			r.Request.ID = string(rune('a' + i))
			r.Timing = wire.ServerTiming{Known: true, QueueSeconds: 0.15, PrefillSeconds: 0.05, DecodeSeconds: -1, LoadSeconds: -1, TotalSeconds: -1, FirstTokenSeconds: -1}
			report := target.Judge(r, nil)
			if i%2 == 0 {
				h.Observe(r)
				h.Explain(r, &report)
			} else {
				h.ObserveExplained(r, &report)
			}
		}
		v := only(t, h)
		for i := range v.results {
			if q, ok := v.results[i].parts.queue(); !ok || q != 150*ms {
				t.Errorf("result %d: queue %v, %v; want 150 ms", i, q, ok)
			}
			if q, ok := v.exchanges[i].parts.queue(); !ok || q != 150*ms {
				t.Errorf("exchange %d: queue %v, %v; want 150 ms", i, q, ok)
			}
		}
		if n := v.day[len(v.day)-1].Broken; n != 6 {
			t.Errorf("%d explained in the day; want 6", n)
		}
		if r := rowsOf(statusOf(h, nil))[0]; r.Queue != "50\u00a0%" || r.QueueOf != "body" {
			t.Errorf("queue %q of %q; want 50 %% of body", r.Queue, r.QueueOf)
		}
	})
}
