package queuewait

import (
	"math"
	"slices"
	"testing"
	"time"
)

// mixed are the lengths of a usual mix of probes.
func mixed() []int { return []int{40, 40, 400, 4000} }

// Without load there is nothing to wait for, whatever else makes times differ.
func TestNoLoadNoWait(t *testing.T) {
	for _, c := range []struct {
		name string
		scene
	}{
		{"quiet", scene{}},
		{"noise", scene{noise: 2e-3}},
		{"more noise", scene{noise: 4e-3}},
		{"heavy tails", scene{noise: 1e-3, tail: 0.02}},
		{"cold start", scene{noise: 1e-3, cold: 20}},
		{"one length", scene{noise: 1e-3, lengths: []int{3500}}},
		{"no chunks", scene{noise: 1e-3, server: server{base: 9e-3, perSequence: 60e-6, perToken: 33e-6, batch: 32}}},
		{"cache hits, told", scene{noise: 1e-3, hits: 0.6, told: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := c.scene
			sc.hours = 6
			if sc.server.batch == 0 {
				sc.server = newServer()
			}
			if sc.lengths == nil {
				sc.lengths = mixed()
			}
			all := between(sc.play(NewModel()), 1, 6)
			all = slices.DeleteFunc(all, func(s sample) bool { return s.truth() > 50e-3 }) // the tails: slow for a reason of their own
			if got := over(all, wait); got > 5e-3 {
				t.Errorf("mean estimated wait = %.1f ms; want < 5 ms", 1e3*got)
			}
			if len(all) < 1000 {
				t.Errorf("%d estimates; want at least 1000", len(all))
			}
			if got := over(between(all, 5, 6), trust); got < 0.6 && sc.noise <= 2e-3 {
				t.Errorf("confidence = %.2f; want at least 0.6", got)
			}
		})
	}
}

// Under load, the estimate is the delay that load caused.
func TestLoad(t *testing.T) {
	for _, load := range []float64{0.3, 0.6, 0.9, 1.1} {
		sc := scene{server: newServer(), load: load, loadFrom: 2, hours: 8, lengths: mixed(), noise: 0.5e-3}
		if load > 1 {
			sc.hours = 2.5
		}
		all := between(sc.play(NewModel()), 2.1, sc.hours)
		bound := func(s sample) float64 { return distance(s) / max(20e-3, 0.1*s.truth()) }
		if got := at(0.95, all, bound); got > 1 {
			t.Errorf("at %.0f %% load, the 95th percentile of the error is %.2f of what it may be: 20 ms or 10 %%", 100*load, got)
		}
		if got, most := over(all, miss), max(5e-3, 0.01*over(all, sample.truth)); math.Abs(got) > most {
			t.Errorf("at %.0f %% load, the bias is %.1f ms; want at most %.1f", 100*load, 1e3*got, 1e3*most)
		}
	}
}

// A load that was there from the first probe on hides the floor: the model says so, and does not overstate the wait.
func TestLoadFromTheStart(t *testing.T) {
	sure := map[float64]float64{}
	for _, load := range []float64{0, 0.3, 0.9} {
		sc := scene{server: newServer(), load: load, hours: 8, lengths: mixed(), noise: 0.5e-3}
		all := between(sc.play(NewModel()), 4, 8)
		sure[load] = over(all, trust)
		if got := over(all, miss); got > 5e-3 || got < -15e-3 {
			t.Errorf("at %.0f %% load, the bias is %.1f ms; want -15 to 5", 100*load, 1e3*got)
		}
	}
	if !(sure[0] > 0.8 && sure[0.3] < sure[0] && sure[0.9] < 0.4) {
		t.Errorf("confidence by load = %v; want above 0.8 without load, less at 0.3, below 0.4 at 0.9", sure)
	}
}

// A queue that grows from the first probe on leaves nothing to learn from: then there is no estimate rather than a wrong one.
func TestOverloadFromTheStart(t *testing.T) {
	sc := scene{server: newServer(), load: 1.1, hours: 1, lengths: mixed(), noise: 0.5e-3}
	all := sc.play(NewModel())
	if got := len(between(all, 0.25, 1)); got > len(all)/4 {
		t.Errorf("%d of %d probes have an estimate; want few, for the floor was never seen", got, len(all))
	}
}

// Hours of heavy load do not move the floor that was seen before.
func TestSustainedLoad(t *testing.T) {
	for seed := range uint64(2) {
		sc := scene{server: newServer(), load: 0.9, loadFrom: 1, hours: 11, lengths: mixed(), noise: 0.5e-3, seed: seed}
		m := NewModel()
		all := sc.play(m)
		if got := over(between(all, 8, 11), miss); math.Abs(got) > 5e-3 {
			t.Errorf("seed %d: after hours of 90 %% load, the bias is %.1f ms; want less than 5", seed, 1e3*got)
		}
		before, after := over(between(all, 0.8, 1), trust), over(between(all, 10, 11), trust)
		if after > 0.7*before {
			t.Errorf("seed %d: confidence went from %.2f to %.2f; want it to go down", seed, before, after)
		}
	}
}

// A queue of constant length is not taken for a slower server where short prompts wait as well.
func TestSteadyQueue(t *testing.T) {
	m := NewModel()
	at := time.Unix(0, 0)
	for i := range 4000 { // 16 hours
		at = at.Add(15 * time.Second)
		tokens := []int{40, 400, 4000}[i%3]
		took := 0.010 + 33e-6*float64(tokens)
		if i > 1000 {
			took += 0.400 + 0.020*math.Sin(float64(i)) // a full queue in front of a bounded one
		}
		m.Observe(at, tokens, time.Duration(took*1e9))
	}
	for _, tokens := range []int{40, 400, 4000} {
		want := 0.010 + 33e-6*float64(tokens)
		if floor, _, ok := m.Estimate(tokens); !ok || math.Abs(floor.Seconds()-want) > 3e-3 {
			t.Errorf("Estimate(%d) = %v, %t; want %.0f ms", tokens, floor, ok, 1e3*want)
		}
	}
}

// deploy is a server whose prefill gets slower by a factor after some hours.
func deploy(after, factor float64) server {
	s := newServer()
	s.slower = func(at float64) float64 {
		if at > after*3600 {
			return factor
		}
		return 1
	}
	return s
}

func TestDeploy(t *testing.T) {
	for _, c := range []struct {
		name    string
		factor  float64
		load    float64
		lengths []int
		within  float64 // hours until the estimate is right
	}{
		{"slower by 30 %", 1.3, 0, mixed(), 2},
		{"slower by 30 %, one length", 1.3, 0, []int{4000}, 0.5},
		{"slower by 30 %, at 30 % load, one length", 1.3, 0.3, []int{3500}, 3},
		{"slower by 30 %, at 30 % load, long prompts", 1.3, 0.3, []int{40, 7000}, 5},
		{"three times as slow", 3, 0, mixed(), 2},
		{"three times as slow, one length", 3, 0, []int{4000}, 0.5},
		{"quicker by 30 %", 0.7, 0, mixed(), 0.8},
		{"quicker by 30 %, at 60 % load", 0.7, 0.6, mixed(), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := scene{server: deploy(4, c.factor), load: c.load, loadFrom: 1, hours: 4 + c.within + 2, lengths: c.lengths, noise: 0.5e-3}
			all := sc.play(NewModel())
			if got := over(between(all, 3, 4), miss); math.Abs(got) > 5e-3 {
				t.Errorf("before the deploy, the bias is %.1f ms; want less than 5", 1e3*got)
			}
			after := between(all, 4+c.within, sc.hours)
			if got := over(after, miss); math.Abs(got) > 6e-3 {
				t.Errorf("%.1f hours after the deploy, the bias is %.1f ms; want less than 6", c.within, 1e3*got)
			}
			if got := at(0.95, after, distance); got > 20e-3 {
				t.Errorf("%.1f hours after the deploy, the 95th percentile of the error is %.1f ms; want less than 20", c.within, 1e3*got)
			}
		})
	}
}

// Prompts that a cache answered without a word make the others wait in no one's eyes.
func TestUntoldCacheHits(t *testing.T) {
	sc := scene{server: newServer(), hours: 8, lengths: mixed(), noise: 0.5e-3, hits: 0.3}
	m := NewModel()
	all := between(sc.play(m), 2, 8)
	if got := over(all, wait); got > 5e-3 {
		t.Errorf("mean estimated wait = %.1f ms; want < 5 ms", 1e3*got)
	}
	for _, tokens := range mixed() {
		want := sc.server.alone(tokens, 0)
		if floor, _, ok := m.Estimate(tokens); !ok || math.Abs(floor.Seconds()-want) > 3e-3+0.03*want {
			t.Errorf("Estimate(%d) = %v, %t; want %.1f ms", tokens, floor, ok, 1e3*want)
		}
	}
}

// After a change of mix there is no estimate until enough of the new length was seen, and then a right one.
func TestMixChange(t *testing.T) {
	sc := scene{server: newServer(), hours: 8, lengths: []int{20, 40}, later: []int{8000}, noise: 0.5e-3}
	m := NewModel()
	all := sc.play(m)
	seen := 0
	for _, s := range all {
		if s.tokens < 1000 {
			continue
		}
		if seen < enough && s.ok {
			t.Fatalf("after %d probes of the new length there is an estimate, %.0f ms; want none", seen, 1e3*s.floor)
		}
		if seen >= 2*enough && !s.ok { // they lie in two buckets
			t.Fatalf("after %d probes of the new length there is no estimate", seen)
		}
		seen++
	}
	if got := over(between(all, 4, 8), distance); got > 5e-3 {
		t.Errorf("mean error = %.1f ms; want < 5 ms", 1e3*got)
	}
	if floor, _, ok := m.Estimate(20); !ok || math.Abs(floor.Seconds()-sc.server.alone(20, 0)) > 3e-3 {
		t.Errorf("Estimate(20) = %v, %t; want %.1f ms: the old lengths are remembered", floor, ok, 1e3*sc.server.alone(20, 0))
	}
}

func TestReach(t *testing.T) {
	m := NewModel()
	if _, _, ok := m.Estimate(100); ok {
		t.Error("a model that has seen nothing has an estimate")
	}
	at := time.Unix(0, 0)
	for i := range 64 {
		at = at.Add(15 * time.Second)
		tokens := []int{1000, 4000}[i%2]
		m.Observe(at, tokens, time.Duration(10+tokens/20)*ms)
	}
	for _, c := range []struct {
		tokens int
		want   time.Duration // 0: none
	}{
		{-1, 0}, {0, 0}, {600, 0}, {700, 45 * ms}, {1000, 60 * ms}, {2000, 110 * ms}, {4000, 210 * ms}, {6000, 310 * ms}, {6100, 0}, {1 << 40, 0},
	} {
		floor, confidence, ok := m.Estimate(c.tokens)
		if ok != (c.want > 0) || (floor-c.want).Abs() > ms {
			t.Errorf("Estimate(%d) = %v, %t; want %v", c.tokens, floor, ok, c.want)
		}
		if ok && !(confidence > 0 && confidence <= 1) {
			t.Errorf("Estimate(%d) has confidence %v; want above 0 and at most 1", c.tokens, confidence)
		}
	}
}

// What nothing supports any more is forgotten after two days.
func TestForget(t *testing.T) {
	m := NewModel()
	at := time.Unix(0, 0)
	see := func(d time.Duration, took func(i int) time.Duration) {
		for i := range int(d / time.Minute) {
			at = at.Add(time.Minute)
			m.Observe(at, 40, took(i))
		}
	}
	see(3*time.Hour, func(int) time.Duration { return 10 * ms })
	busy := func(i int) time.Duration { return 50*ms + time.Duration(i%7)*10*ms }
	see(40*time.Hour, busy)
	floor, confidence, _ := m.Estimate(40)
	if floor != 10*ms || confidence > 0.2 {
		t.Errorf("after 40 hours of load, Estimate(40) = %v, %.2f; want 10ms and below 0.2", floor, confidence)
	}
	see(12*time.Hour, busy)
	if floor, _, _ := m.Estimate(40); floor < 40*ms {
		t.Errorf("after 52 hours of load, Estimate(40) = %v; want what load leaves", floor)
	}
	see(time.Hour, func(int) time.Duration { return 10 * ms })
	if floor, _, _ := m.Estimate(40); floor != 10*ms {
		t.Errorf("an hour after the load, Estimate(40) = %v; want 10ms", floor)
	}
}

func TestNonsense(t *testing.T) {
	m := NewModel()
	at := time.Unix(0, 0)
	for range 100 {
		m.Observe(at, -1, ms)
		m.Observe(at, 1, -ms)
		m.Observe(at, 1, math.MaxInt64)
	}
	if _, _, ok := m.Estimate(1); ok {
		t.Error("a model that was told nonsense has an estimate")
	}
	for range 100 {
		m.Observe(at, 0, 0)
		m.Observe(at.Add(-time.Hour), math.MaxInt, time.Hour)
	}
	if floor, _, ok := m.Estimate(0); !ok || floor != 0 {
		t.Errorf("Estimate(0) = %v, %t; want 0s", floor, ok)
	}
}
