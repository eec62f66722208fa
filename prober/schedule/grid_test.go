package schedule

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestOffsetsSpreadEvenly(t *testing.T) {
	for _, seed := range []uint64{0, 1, 0xfeedface} {
		for _, interval := range []time.Duration{time.Second, 15 * time.Second, 15 * time.Minute} {
			const jobs, bins = 500, 20
			var offsets []time.Duration
			counts := make([]float64, bins)
			for target := range jobs / 5 {
				for _, probe := range []string{"interactive", "rag", "batch", "heavy", "wake_up"} {
					g := newGrid(&Job{Key: fmt.Sprintf("gpu-%03d/%s", target, probe), Interval: interval}, seed)
					if g.offset < 0 || g.offset >= interval {
						t.Fatalf("offset = %v; want within %v", g.offset, interval)
					}
					offsets = append(offsets, g.offset)
					counts[int(g.offset*bins/interval)]++
				}
			}
			chi := 0.0
			for _, n := range counts {
				d := n - jobs/bins
				chi += d * d / (jobs / bins)
			}
			if chi > 43.8 { // 19 degrees of freedom, 0.1 %
				t.Errorf("seed %d, %v: offsets fall into %d equal parts as %v: chi-square %.1f", seed, interval, bins, counts, chi)
			}
			slices.Sort(offsets)
			gap := offsets[0] + interval - offsets[jobs-1]
			for i := range jobs - 1 {
				gap = max(gap, offsets[i+1]-offsets[i])
			}
			if gap > interval/25 { // 20 times the mean; by chance in one of a million
				t.Errorf("seed %d, %v: a gap of %v without a tick", seed, interval, gap)
			}
		}
	}
}

func TestSeedMovesTheGrid(t *testing.T) {
	j := &Job{Key: "chat/heavy", Interval: time.Hour}
	if a, b := newGrid(j, 1).offset, newGrid(j, 2).offset; (a - b).Abs() < time.Second {
		t.Errorf("offsets of two seeds are %v and %v", a, b)
	}
}

func TestGrid(t *testing.T) {
	base := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		j := &Job{
			Key:      rapid.String().Draw(t, "key"),
			Interval: time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(48*time.Hour)).Draw(t, "interval")),
		}
		j.Jitter = time.Duration(rapid.Int64Range(0, int64(j.Interval)-1).Draw(t, "jitter"))
		g := newGrid(j, rapid.Uint64().Draw(t, "seed"))
		now := base.Add(time.Duration(rapid.Int64Range(-int64(1e18), int64(1e18)).Draw(t, "now")))
		within := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "within"))

		on := g.from(now)
		if on.Before(now) || !on.Before(now.Add(j.Interval)) {
			t.Fatalf("from(%v) = %v; want less than %v later", now, on, j.Interval)
		}
		if got := on.UnixNano() % int64(j.Interval); got != int64(g.offset) {
			t.Fatalf("from(%v) is %d within the interval; want %d", now, got, g.offset)
		}
		if got := g.from(on); !got.Equal(on) {
			t.Fatalf("from(%v) = %v; want the same", on, got)
		}
		if got := g.after(on); !got.Equal(on.Add(j.Interval)) {
			t.Fatalf("after(%v) = %v; want one interval of %v later", on, got, j.Interval)
		}

		first := g.first(now, within)
		if first.Before(now) || first.After(on) || (within > 0 && first.Sub(now) > within && !first.Equal(on)) {
			t.Fatalf("first(%v, %v) = %v; the grid is at %v", now, within, first, on)
		}
		if gap := g.after(first).Sub(first); gap < j.Interval/2 || gap > j.Interval*3/2+1 {
			t.Fatalf("the second tick comes %v after the first; want half to one and a half of %v", gap, j.Interval)
		}

		if late := g.late(on); late < 0 || (late >= j.Jitter && late != 0) {
			t.Fatalf("late = %v; want less than %v", late, j.Jitter)
		}
	})
}

func TestJitterIsUniform(t *testing.T) {
	g := newGrid(&Job{Key: "chat/rag", Interval: time.Minute, Jitter: 10 * time.Second}, 3)
	counts := make([]int, 10)
	at := g.from(time.Now())
	for range 10_000 {
		counts[g.late(at)/time.Second]++
		at = g.after(at)
	}
	for second, n := range counts {
		if n < 850 || n > 1150 { // 5 standard deviations
			t.Errorf("%d of 10000 ticks are %d s late; want about 1000", n, second)
		}
	}
}
