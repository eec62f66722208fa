package schedule

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A window never counts too little, and forgets what is older than its span by a slot.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			at time.Duration
			n  int64
		}
		const span, slots = time.Hour, 360
		w := newWindow(span, slots)
		var entries []entry
		now := time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.OneOf(
				rapid.Int64Range(0, int64(time.Minute)), rapid.Int64Range(0, int64(3*time.Hour)),
			).Draw(t, "wait"))
			switch n := rapid.Int64Range(0, 1000).Draw(t, "n"); {
			case n%4 == 0 && len(entries) > 0:
				e := &entries[rapid.IntRange(0, len(entries)-1).Draw(t, "entry")]
				by := rapid.Int64Range(-e.n, 50).Draw(t, "by")
				w.correct(now, e.at, by)
				e.n += by
			default:
				w.add(now, n)
				entries = append(entries, entry{now, n})
			}
			least, most := int64(0), int64(0)
			for _, e := range entries {
				if e.at > now-span {
					least += e.n
				}
				if e.at > now-span-span/slots {
					most += e.n
				}
			}
			if got := w.total(now); got < least || got > most {
				t.Fatalf("at %v the window holds %d; want %d to %d", now, got, least, most)
			}
			sum := w.total(now)
			less := rapid.Int64Range(0, sum).Draw(t, "less")
			wait, ok := w.until(now, less)
			if later := w; !ok || wait > span+span/slots {
				t.Fatalf("at %v, %d of %d are forgotten in %v, %v; want within the span", now, less, sum, wait, ok)
			} else if later.slots = slices.Clone(w.slots); later.total(now+wait) > sum-less {
				t.Fatalf("at %v, %d of %d are not forgotten after %v", now, less, sum, wait)
			} else if later := w; wait > 0 {
				if later.slots = slices.Clone(w.slots); later.total(now+wait-1) <= sum-less {
					t.Fatalf("at %v, %d of %d are forgotten before %v", now, less, sum, wait)
				}
			}
			if wait, ok := w.until(now, sum+1); ok {
				t.Fatalf("at %v, one more than all is forgotten after %v", now, wait)
			}
		}
	})
}

// A sum stops at its greatest: it does not become small, and what made it great is forgotten in time.
func TestWindowDoesNotWrapRound(t *testing.T) {
	w := newWindow(time.Hour, 360)
	for i := range 100 {
		w.add(time.Duration(i)*time.Second, math.MaxInt64)
		if got := w.total(time.Duration(i) * time.Second); got != most {
			t.Fatalf("after %d of the greatest amounts the window holds %d; want %d", i+1, got, int64(most))
		}
	}
	w.correct(100*time.Second, 0, math.MinInt64+1)
	if got := w.total(100 * time.Second); got < 0 || got > most {
		t.Errorf("after a correction the window holds %d", got)
	}
	w.add(2*time.Hour, 7)
	if got := w.total(2 * time.Hour); got != 7 {
		t.Errorf("two hours later the window holds %d; want 7", got)
	}
}
