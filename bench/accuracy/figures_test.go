package main

import (
	"errors"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// TestFigures judges one answer of three tokens whose errors are known:
//
//	 0 ms  dispatched, on the wall clock at second 1000
//	 1 ms  write begins, 1.5 ms wrote
//	 3 ms  the server had read it (its own delay: 1.5 ms); so the first token is due at 53 ms
//	55 ms  sent, 2 ms late; arrives at 55.1 by the kernel, read at 55.4
//	63 ms  due and sent; arrives at 73.2 by the kernel, because it shares the stamp of the next; read at 73.5
//	73 ms  due and sent; arrives at 73.2, read at 73.5
func TestFigures(t *testing.T) {
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	dispatched := time.Now()
	at := func(f float64) time.Time { return dispatched.Add(ms(f)) }
	const second1000 = int64(1000 * time.Second)
	wall := func(f float64) int64 { return second1000 + int64(ms(f)) }
	f := &figures{wall: wallClock{base: dispatched, offset: second1000}, firstToken: ms(50), tokens: 3}
	r := &prober.Result{
		Request: &prober.Request{ID: "a"}, Outcome: prober.OK, Degraded: true,
		Timeline: prober.Timeline{
			Intended: at(-0.25), Dispatched: dispatched, WriteStart: at(1), Wrote: at(1.5), FirstToken: at(55.1),
		},
		Chunks: []prober.Chunk{{At: ms(55.1), Delay: ms(0.3)}, {At: ms(73.2), Delay: ms(0.3)}, {At: ms(73.2), Delay: ms(0.3)}},
	}
	s := &sends{due: []int64{wall(53), wall(63), wall(73)}, sent: []int64{wall(55), wall(63), wall(73)}}
	f.add(r, s)
	unmarked := &figures{wall: f.wall, firstToken: f.firstToken, tokens: 3}
	marked := *r
	marked.Degraded = false
	if unmarked.add(&marked, s); unmarked.unmarked != 1 {
		t.Errorf("%d events are off by more than 10 ms in an answer that is not marked as degraded; want the second one", unmarked.unmarked)
	}
	f.add(&prober.Result{Request: &prober.Request{ID: "b"}, Outcome: prober.Connect, Err: errors.New("refused")}, &sends{})

	for _, tt := range []struct {
		name      string
		got       *summary
		mean, max float64 // ms
	}{
		{"receive, kernel", f.receive[byKernel].summarise(), (0.1 + 10.2 + 0.2) / 3, 10.2},
		{"receive, user", f.receive[byUser].summarise(), (0.4 + 10.5 + 0.5) / 3, 10.5},
		{"receive with a stamp of their own, kernel", f.receiveOwn[byKernel].summarise(), 0.1, 0.1},
		{"receive of the first, kernel", f.receiveFirst[byKernel].summarise(), 0.1, 0.1},
		{"TTFT, kernel", f.ttftWhole[byKernel].summarise(), 55.1, 55.1},
		{"TTFT, user", f.ttftWhole[byUser].summarise(), 55.4, 55.4},
		{"error of the TTFT, kernel", f.ttft[byKernel].summarise(), 0.1 + 1.5, 0.1 + 1.5},
		{"error of the TTFT, user", f.ttft[byUser].summarise(), 0.4 + 1.5, 0.4 + 1.5},
		{"TTFT bound, kernel", f.ttftBound[byKernel].summarise(), 0.1 + 0.5, 0.1 + 0.5},
		{"TTFT over 50 ms, kernel", f.ttftOver[byKernel].summarise(), 3.6, 3.6},
		{"server late", f.lateness.summarise(), 2. / 3, 2},
		{"request delay", f.requestDelay.summarise(), 1.5, 1.5},
		{"bracket", f.bracket.summarise(), 0.5, 0.5},
		{"dispatch", f.dispatch.summarise(), 0.25 / 2, 0.25},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const tolerance = 1e-6 // ms
			if mean, max := tt.got.Mean*1e3, tt.got.Max*1e3; abs(mean-tt.mean) > tolerance || abs(max-tt.max) > tolerance {
				t.Errorf("mean %v, max %v ms; want %v, %v", mean, max, tt.mean, tt.max)
			}
		})
	}
	if f.requests != 2 || f.failed != 1 || f.degraded != 1 || f.events != 3 || f.stamped != 3 || f.shared != 1 || f.unmatched != 0 || f.unmarked != 0 {
		t.Errorf("counts: %d requests, %d failed, %d degraded, %d events, %d stamped, %d shared, %d unmatched, %d unmarked; want 2, 1, 1, 3, 3, 1, 0, 0",
			f.requests, f.failed, f.degraded, f.events, f.stamped, f.shared, f.unmatched, f.unmarked)
	}
	if lost := f.expected() - f.events; lost != 3 {
		t.Errorf("%d events lost; want the 3 of the request that failed", lost)
	}
	if f.failure() != "refused" {
		t.Errorf("failure() = %q; want %q", f.failure(), "refused")
	}
}

func abs(f float64) float64 { return max(f, -f) }
