package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A straight line is found with as many points anywhere as there may be.
func TestFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slope := rapid.Float64Range(-100, 100).Draw(t, "slope")
		n := rapid.IntRange(20, 60).Draw(t, "n")
		var points []point
		for i := range n {
			p := point{float64(i), slope*float64(i) + 7}
			if i%5 == 0 { // a fifth of them
				p.y += rapid.Float64Range(-1e6, 1e6).Draw(t, "off")
			}
			points = append(points, p)
		}
		l := fit(points)
		if math.Abs(l.slope-slope) > 1e-6 || l.low > l.slope || l.high < l.slope {
			t.Fatalf("fit() = %+v; want the slope %v, in its interval", l, slope)
		}
	})
}

func TestFitOfTooFew(t *testing.T) {
	for _, points := range [][]point{nil, {{1, 1}}, {{1, 1}, {2, 2}, {3, 3}}, {{1, 1}, {1, 2}, {1, 3}, {1, 4}}} {
		if l := fit(points); !math.IsNaN(l.slope) || !math.IsInf(l.low, -1) || !math.IsInf(l.high, 1) {
			t.Errorf("fit(%v) = %+v; want nothing known", points, l)
		}
	}
}

// The interval is what it says it is: of noise without a slope it has none but in one run of a hundred, or so.
func TestFitIsRight(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	wrong := 0
	const runs = 1000
	for range runs {
		var points []point
		for i := range stretches {
			points = append(points, point{float64(i), rng.NormFloat64()})
		}
		if l := fit(points); l.low > 0 || l.high < 0 {
			wrong++
		}
	}
	if wrong > runs/50 {
		t.Errorf("%d of %d intervals of nothing but noise leave out 0; want about 10", wrong, runs)
	}
}

// madeUp makes up what a prober that leaks looks like from outside, at the rate of a soak: live memory that wanders, collected
// when it has grown by half, what is free given back after a while, in pages of 4 KiB.
func madeUp(rng *rand.Rand, duration time.Duration, leak float64) (rss, heap []point) {
	const (
		perSecond = 100.0     // requests
		perHour   = 7200.0    // requests of the demo in an hour
		live      = 45e6      // bytes
		churn     = 6e6       // bytes allocated each second
		other     = 25e6      // beside the heap
		page      = 4096      // bytes
		wander    = 0.3e6     // of what is alive
		keeps     = 5.0 / 100 // of the way that resident memory goes each second when it is above what the heap has
	)
	base := func(second float64) float64 { return live + leak*1e6*second*perSecond/perHour }
	goal, used, resident := 1.5*base(0), base(0), 1.5*base(0)
	for s := range int(duration.Seconds()) {
		second := float64(s)
		if used += churn * (0.5 + rng.Float64()); used > goal {
			used = base(second) + wander*rng.NormFloat64()
			goal = 1.5 * used
		}
		resident = max(used, resident-(resident-used)*keeps)
		rss = append(rss, point{second * perSecond, math.Round((resident+other)/page) * page})
		if s%5 == 0 {
			heap = append(heap, point{second * perSecond, goal})
		}
	}
	for _, points := range [][]point{rss, heap} {
		for i := range points {
			points[i].y *= perHour / 1e6 // as newTrend has it: MB for each hour
		}
	}
	return rss, heap
}

// What a run can find, by how long it is. An hour tells 2 MB from nothing, and nothing from 1 MB; three minutes find 6 MB, and do
// not cry wolf.
func TestLeaksAreFound(t *testing.T) {
	for _, test := range []struct {
		name     string
		duration time.Duration
		leak     float64 // MB for each hour of the demo's rate
		found    bool
	}{
		{"an hour, no leak", time.Hour, 0, false},
		{"an hour, within the limit", time.Hour, 0.5, false},
		{"an hour, 2 MB", time.Hour, 2, true},
		{"3 minutes, no leak", 3 * time.Minute, 0, false},
		{"3 minutes, within the limit", 3 * time.Minute, 0.5, false},
		{"3 minutes, 6 MB", 3 * time.Minute, 6, true},
		{"10 minutes, 2 MB", 10 * time.Minute, 2, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			const runs = 20
			found := 0
			for seed := range uint64(runs) {
				rss, heap := madeUp(rand.New(rand.NewPCG(seed, 1)), test.duration, test.leak)
				r := report{
					Seconds: test.duration.Seconds(),
					RSS:     newTrend(rss, floors(rss, stretches), 1), Heap: newTrend(heap, floors(heap, stretches), 1),
				}
				if len(r.judge(1)) > 0 {
					found++
				}
			}
			if want := map[bool]int{true: runs, false: 0}[test.found]; found < want-1 || found > want+1 {
				t.Errorf("found in %d of %d runs; want it in %d", found, runs, want)
			}
		})
	}
}

// What leaks is found in each window of a short run, which alone is what makes it believed; half the limit is found in none.
func TestLeaksAreFoundAgain(t *testing.T) {
	for _, test := range []struct {
		leak  float64
		found int
	}{{0, 0}, {0.5, 0}, {2, 3}, {6, 3}} {
		const windows, seconds = 3, 180
		for seed := range uint64(50) {
			rss, heap := madeUp(rand.New(rand.NewPCG(seed, 2)), windows*seconds*time.Second, test.leak)
			found := 0
			for w := range windows {
				rss, heap := rss[w*seconds:(w+1)*seconds], heap[w*seconds/5:(w+1)*seconds/5]
				r := report{Seconds: seconds, RSS: newTrend(rss, floors(rss, stretches), 1), Heap: newTrend(heap, floors(heap, stretches), 1)}
				if len(r.judge(1)) > 0 {
					found++
				}
			}
			if found != test.found {
				t.Errorf("seed %d: %v MB for each hour are found in %d of %d windows; want %d", seed, test.leak, found, windows, test.found)
			}
		}
	}
}

func TestFloors(t *testing.T) {
	var points []point
	for i := range 100 {
		points = append(points, point{float64(i), float64((i*7)%10) + float64(i/10)})
	}
	lowest := floors(points, 10)
	if len(lowest) != 10 {
		t.Fatalf("%d floors; want 10", len(lowest))
	}
	for i, p := range lowest {
		if p.y != float64(i) || p.x < float64(10*i)-1 || p.x > float64(10*i+10) {
			t.Errorf("floor %d is %v; want the one of its stretch, %d", i, p, i)
		}
	}
	if floors(nil, 3) != nil {
		t.Error("nothing has floors")
	}
}

// Descriptors and goroutines that come and go are none that grow, and those that only come are.
func TestCountsThatGrow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	r := report{}
	var steady, growing []point
	for i := range 200 {
		steady = append(steady, point{float64(i), 100 + float64(rng.IntN(60))})
		growing = append(growing, point{float64(i), 100 + float64(rng.IntN(60)) + float64(i)/4})
	}
	r.Goroutines, r.Files = newTrend(steady, floors(steady, stretches), 200), newTrend(growing, floors(growing, stretches), 200)
	grew := r.judge(1)
	if len(grew) != 1 || grew[0][:11] != "descriptors" {
		t.Errorf("judge() = %q; want the descriptors alone", grew)
	}
}

func TestWorse(t *testing.T) {
	for _, test := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2}, []float64{3, 4}, 1}, {[]float64{3, 4}, []float64{1, 2}, 0}, {[]float64{1, 2}, []float64{1, 2}, .5}, {nil, []float64{1}, 0},
	} {
		if got := worse(test.a, test.b); got != test.want {
			t.Errorf("worse(%v, %v) = %v; want %v", test.a, test.b, got, test.want)
		}
	}
}
