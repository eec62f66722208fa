package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func arrivals(t fataler, p Profile, process Process, seed uint64) *Arrivals {
	t.Helper()
	a, err := NewArrivals(p, process, seed)
	if err != nil {
		t.Fatalf("NewArrivals(%v, %v) = %v", p, process, err)
	}
	return a
}

// all is the arrivals that are left.
func all(a *Arrivals) []time.Duration {
	var times []time.Duration
	for at, ok := a.Next(); ok; at, ok = a.Next() {
		times = append(times, at)
	}
	return times
}

// count is how many of the times, which are sorted, are in the window [from, to).
func count(times []time.Duration, from, to time.Duration) int {
	i, _ := slices.BinarySearch(times, from)
	j, _ := slices.BinarySearch(times, to)
	return j - i
}

func drawProcess(t *rapid.T) Process {
	return rapid.OneOf(
		rapid.Just[Process](Constant{}),
		rapid.Just[Process](Poisson{}),
		rapid.Map(rapid.Float64Range(MinShape, 20), func(shape float64) Process { return Gamma{shape} }),
	).Draw(t, "process")
}

func TestArrivalsByHand(t *testing.T) {
	for _, test := range []struct {
		name    string
		profile Profile
		want    string // where the integral is 1/2, 3/2, 5/2, ...
	}{
		{"nothing", nil, "[]"},
		{"constant", Profile{{2, 2, 2 * time.Second}}, "[250ms 750ms 1.25s 1.75s]"},
		{"slow", Profile{{0.001, 0.001, time.Hour}}, "[8m20s 25m0s 41m40s 58m20s]"},
		{"ramp up", Profile{{0, 1, 8 * time.Second}}, "[2.828427125s 4.898979486s 6.32455532s 7.483314774s]"}, // √8, √24, √40, √56
		{"ramp down", Profile{{1, 0, 8 * time.Second}}, "[516.685226ms 1.67544468s 3.101020514s 5.171572875s]"},
		{"step", Profile{{1, 1, 2 * time.Second}, {4, 4, time.Second}}, "[500ms 1.5s 2.125s 2.375s 2.625s 2.875s]"},
		{"jump", Profile{{1, 1, time.Second}, {1, 9, 0}, {4, 4, 500 * time.Millisecond}}, "[500ms 1.125s 1.375s]"},
		{"idle", Profile{{0, 0, time.Minute}, {1, 1, time.Second}, {0, 0, time.Minute}, {1, 1, time.Second}}, "[1m0.5s 2m1.5s]"},
		{"across", Profile{{0.25, 0.25, time.Second}, {0.5, 0.5, 2 * time.Second}}, "[1.5s]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := fmt.Sprint(all(arrivals(t, test.profile, nil, 0))); got != test.want {
				t.Errorf("arrivals = %s; want %s", got, test.want)
			}
		})
	}
}

func TestConstantArrivalsMatchTheIntegral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProfile(t)
		times := all(arrivals(t, p, Constant{}, rapid.Uint64().Draw(t, "seed")))
		if got, want := float64(len(times)), p.Expected(p.Duration()); math.Abs(got-want) > 0.5+1e-6 {
			t.Fatalf("%v arrivals; want %v, rounded", got, want)
		}
		from := time.Duration(rapid.Int64Range(0, int64(p.Duration())).Draw(t, "from"))
		to := time.Duration(rapid.Int64Range(int64(from), int64(p.Duration())).Draw(t, "to"))
		if got, want := float64(count(times, from, to)), p.Expected(to)-p.Expected(from); math.Abs(got-want) > 1+1e-4 {
			t.Fatalf("%v arrivals in [%v, %v); want %v", got, from, to, want)
		}
	})
}

func TestPoissonArrivalsMatchTheIntegral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProfile(t)
		seed := rapid.Uint64().Draw(t, "seed")
		from := time.Duration(rapid.Int64Range(0, int64(p.Duration())).Draw(t, "from"))
		to := time.Duration(rapid.Int64Range(int64(from), int64(p.Duration())).Draw(t, "to"))
		const seeds = 10
		got := 0
		for i := range uint64(seeds) {
			got += count(all(arrivals(t, p, Poisson{}, seed+i)), from, to)
		}
		// The sum is Poisson distributed. Six of its standard deviations, and six more arrivals where it is too small
		// to be nearly normal: once in five hundred million windows.
		mean := seeds * (p.Expected(to) - p.Expected(from))
		if off := math.Abs(float64(got) - mean); off > 6*math.Sqrt(mean)+6 {
			t.Fatalf("%d arrivals in [%v, %v) of %d seeds; want %v ± %v", got, from, to, seeds, mean, 6*math.Sqrt(mean)+6)
		}
	})
}

// At a constant rate the gaps are as their distribution says: by the test of Kolmogorov and Smirnov, at the level 0.001.
func TestGaps(t *testing.T) {
	gaps := func(p Process, rate float64, n int) []float64 {
		a := arrivals(t, Profile{{rate, rate, ns(2 * float64(n) / rate)}}, p, 7)
		before, _ := a.Next()
		list := make([]float64, n)
		for i := range list {
			at, ok := a.Next()
			if !ok {
				t.Fatalf("%v at %v per second: only %d arrivals", p, rate, i)
			}
			list[i] = (at - before).Seconds() * rate
			before = at
		}
		slices.Sort(list)
		return list
	}
	const n = 20_000
	for _, test := range []struct {
		process Process
		cdf     func(x float64) float64
	}{
		{Poisson{}, func(x float64) float64 { return -math.Expm1(-x) }},
		{Gamma{1}, func(x float64) float64 { return -math.Expm1(-x) }},
		{Gamma{0.5}, func(x float64) float64 { return math.Erf(math.Sqrt(x / 2)) }},       // chi-square of 1
		{Gamma{2}, func(x float64) float64 { return 1 - math.Exp(-2*x)*(1+2*x) }},         // Erlang
		{Gamma{3}, func(x float64) float64 { return 1 - math.Exp(-3*x)*(1+3*x+9*x*x/2) }}, //
	} {
		for _, rate := range []float64{0.001, 3, 10_000} {
			worst := 0.0
			for i, x := range gaps(test.process, rate, n) {
				f := test.cdf(x)
				worst = max(worst, f-float64(i)/n, float64(i+1)/n-f)
			}
			if limit := 1.95 / math.Sqrt(n); worst > limit {
				t.Errorf("%#v at %v per second: the gaps' distribution is off by %.4f; want %.4f", test.process, rate, worst, limit)
			}
		}
	}
}

// The mean count is the integral from the very beginning, and the variance the mean divided by the shape in the long run.
func TestGammaCounts(t *testing.T) {
	const seeds = 2_000
	for _, shape := range []float64{0.25, 1, 4} {
		p := Profile{{10, 10, 20 * time.Second}}
		var early, sum, squares float64
		for seed := range uint64(seeds) {
			times := all(arrivals(t, p, Gamma{shape}, seed))
			early += float64(count(times, 0, 500*time.Millisecond))
			n := float64(len(times))
			sum += n
			squares += n * n
		}
		mean := sum / seeds
		variance := squares/seeds - mean*mean
		if sd := math.Sqrt(200 / shape / seeds); math.Abs(mean-200) > 4*sd {
			t.Errorf("shape %v: %.2f arrivals in the mean; want 200 ± %.2f", shape, mean, 4*sd)
		}
		if want := 200 / shape; math.Abs(variance-want) > 0.15*want { // the standard error of a variance is √(2/seeds): 3 %
			t.Errorf("shape %v: the variance is %.1f; want %.1f", shape, variance, want)
		}
		if early /= seeds; math.Abs(early-5) > 4*math.Sqrt(5/min(shape, 1)/seeds)+0.1 {
			t.Errorf("shape %v: %.2f arrivals at the beginning; want 5", shape, early)
		}
	}
}

// In each tenth of a ramp there are as many as the rate there says.
func TestRampRate(t *testing.T) {
	const seeds, length = 50, 100 * time.Second
	for _, process := range []Process{Constant{}, Poisson{}, Gamma{0.5}} {
		for _, p := range []Profile{{{0, 20, length}}, {{20, 5, length}}, {{3, 3.0001, length}}} {
			counts := make([]float64, 10)
			for seed := range uint64(seeds) {
				times := all(arrivals(t, p, process, seed))
				for i := range counts {
					counts[i] += float64(count(times, length/10*time.Duration(i), length/10*time.Duration(i+1))) / seeds
				}
			}
			for i, got := range counts {
				want := p.Expected(length/10*time.Duration(i+1)) - p.Expected(length/10*time.Duration(i))
				if off := 4.5*math.Sqrt(2*want/seeds) + 1; math.Abs(got-want) > off {
					t.Errorf("%#v, %v: %.2f arrivals in the tenth number %d; want %.2f ± %.2f", process, p, got, i+1, want, off)
				}
			}
		}
	}
}

func TestArrivalsAreInOrderWithinTheProfileAndRepeatable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, process, seed := drawProfile(t), drawProcess(t), rapid.Uint64().Draw(t, "seed")
		times := all(arrivals(t, p, process, seed))
		if !slices.IsSorted(times) {
			t.Fatalf("arrivals are not in order: %v", times)
		}
		if n := len(times); n > 0 && (times[0] < 0 || times[n-1] > p.Duration()) {
			t.Fatalf("arrivals from %v to %v; want them from 0 to %v", times[0], times[n-1], p.Duration())
		}
		begin := time.Duration(0)
		for _, s := range p {
			if s.From == 0 && s.To == 0 && s.Over > 0 {
				if got := count(times, begin+1, begin+s.Over-1); got > 0 {
					t.Fatalf("%d arrivals while the rate is 0", got)
				}
			}
			begin += s.Over
		}
		if again := all(arrivals(t, p, process, seed)); !slices.Equal(times, again) {
			t.Fatalf("the same seed gives other times:\n%v\n%v", times, again)
		}
	})
}

func TestSeedsDecide(t *testing.T) {
	p := Profile{{5, 5, time.Minute}}
	for _, process := range []Process{Poisson{}, Gamma{0.3}, Gamma{3}} {
		if slices.Equal(all(arrivals(t, p, process, 1)), all(arrivals(t, p, process, 2))) {
			t.Errorf("%#v: two seeds give the same times", process)
		}
	}
	// What a run record says must be true in the next release, too.
	for _, test := range []struct {
		process Process
		want    string
	}{
		{Poisson{}, "[58.459ms 81.427ms 607.917ms 664.056ms]"},
		{Gamma{0.3}, "[530.446ms 608.398ms 609.229ms 738.642ms]"},
		{Gamma{3}, "[169.767ms 481.995ms 518.428ms 628.259ms]"},
	} {
		a := arrivals(t, p, test.process, 1)
		var got []time.Duration
		for range 4 {
			at, _ := a.Next()
			got = append(got, at.Round(time.Microsecond))
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("%#v of seed 1: %v; want %s as in earlier releases", test.process, got, test.want)
		}
	}
}

func TestShards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, process, seed := drawProfile(t), drawProcess(t), rapid.Uint64().Draw(t, "seed")
		of := rapid.IntRange(1, 7).Draw(t, "of")
		whole := all(arrivals(t, p, process, seed))
		var parts []time.Duration
		for i := range of {
			a, err := arrivals(t, p, process, seed).Shard(i, of)
			if err != nil {
				t.Fatal(err)
			}
			part := all(a)
			for j, at := range part {
				if at != whole[i+j*of] {
					t.Fatalf("arrival %d of shard %d of %d is at %v; want arrival %d, at %v", j, i, of, at, i+j*of, whole[i+j*of])
				}
			}
			parts = append(parts, part...)
		}
		slices.Sort(parts)
		if !slices.Equal(parts, whole) {
			t.Fatalf("the shards have %d arrivals; want the %d of the whole", len(parts), len(whole))
		}
	})
}

func TestShardOfAShard(t *testing.T) {
	whole := all(arrivals(t, Profile{{10, 10, 10 * time.Second}}, Poisson{}, 1))
	a, err := arrivals(t, Profile{{10, 10, 10 * time.Second}}, Poisson{}, 1).Shard(1, 3)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := a.Next()
	if a, err = a.Shard(1, 2); err != nil { // of 4, 7, 10, 13, ...
		t.Fatal(err)
	}
	var want []time.Duration
	for i := 7; i < len(whole); i += 6 {
		want = append(want, whole[i])
	}
	if got := all(a); first != whole[1] || !slices.Equal(got, want) {
		t.Errorf("shard 1 of 2 of shard 1 of 3 = %v, %v; want %v, %v", first, got, whole[1], want)
	}
	for _, bad := range [][2]int{{0, 0}, {-1, 2}, {2, 2}} {
		if _, err := a.Shard(bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), "count from 0") {
			t.Errorf("Shard(%d, %d) = %v; want an error", bad[0], bad[1], err)
		}
	}
}

func TestArrivalsThatCannotBe(t *testing.T) {
	for _, test := range []struct {
		profile Profile
		process Process
		want    string
	}{
		{Profile{{-1, 1, time.Second}}, Poisson{}, "segment 1 "},
		{nil, Gamma{}, "the shape of gamma arrivals is 0; "},
		{nil, Gamma{math.NaN()}, "the shape of gamma arrivals is NaN; "},
		{nil, Gamma{math.Inf(1)}, "the shape of gamma arrivals is +Inf; "},
		{nil, Gamma{MinShape / 2}, "the shape of gamma arrivals is 0.005; give a number from 0.01 on (1 is Poisson, below are bursts)"},
	} {
		if _, err := NewArrivals(test.profile, test.process, 0); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewArrivals(%v, %#v) = %v; want %q", test.profile, test.process, err, test.want)
		}
	}
}

// A worker that is kept busy after each arrival does not shift the later ones.
func TestScheduleHasNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Profile{{0, 50, time.Minute}, {50, 50, time.Minute}, {0, 0, time.Minute}, {100, 1, time.Minute}}
		a := arrivals(t, p, Poisson{}, 3)
		busy := rand.New(rand.NewPCG(1, 1))
		start := time.Now()
		n := 0
		for at, ok := a.Next(); ok; at, ok = a.Next() {
			before := time.Since(start)
			if err := SleepUntilTimer(t.Context(), start.Add(at)); err != nil {
				t.Fatal(err)
			}
			if woke := time.Since(start); woke != max(at, before) {
				t.Fatalf("woke at %v for the arrival at %v", woke, at)
			}
			time.Sleep(time.Duration(busy.IntN(int(5 * time.Millisecond))))
			n++
		}
		if want := p.Expected(p.Duration()); math.Abs(float64(n)-want) > 5*math.Sqrt(want) {
			t.Errorf("%d arrivals; want %v", n, want)
		}
	})
}

func TestTraceArrivals(t *testing.T) {
	trace, err := ReadTrace("trace", strings.NewReader("3\n1\n1.5\n1.5\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{0, 500 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}
	for range 2 { // as often as one likes
		if diff := cmp.Diff(want, all(trace.Arrivals())); diff != "" {
			t.Errorf("arrivals of a trace (-want +got):\n%s", diff)
		}
	}
	a, err := trace.Arrivals().Shard(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := all(a); !slices.Equal(got, []time.Duration{want[1], want[3]}) {
		t.Errorf("shard 1 of 2 = %v; want the second and the fourth of %v", got, want)
	}
}

func TestArrivalsDoNotAllocate(t *testing.T) {
	for _, process := range []Process{Constant{}, Poisson{}, Gamma{0.5}} {
		a := arrivals(t, Profile{{1, 1000, time.Hour}}, process, 1)
		if got := testing.AllocsPerRun(1000, func() { a.Next() }); got != 0 {
			t.Errorf("%#v: %v allocations for each arrival; want none", process, got)
		}
	}
}

func BenchmarkArrivals(b *testing.B) {
	ramp := Profile{{1, 10_000, 1000 * time.Hour}}
	for _, process := range []Process{Constant{}, Poisson{}, Gamma{0.5}} {
		b.Run(fmt.Sprintf("%#v", process), func(b *testing.B) {
			a := arrivals(b, ramp, process, 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := a.Next(); !ok {
					b.Fatal("no more arrivals")
				}
			}
		})
	}
}

func ns(seconds float64) time.Duration { return time.Duration(math.Round(seconds * 1e9)) }
