package schedule

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A window never counts too little, and forgets what is older than its span by a slot.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			at time.Duration
			n  int
		}
		const span, slots = time.Hour, 360
		w := newWindow(span, slots)
		var entries []entry
		now := time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.OneOf(
				rapid.Int64Range(0, int64(time.Minute)), rapid.Int64Range(0, int64(3*time.Hour)),
			).Draw(t, "wait"))
			switch n := rapid.IntRange(0, 1000).Draw(t, "n"); {
			case n%4 == 0 && len(entries) > 0:
				e := &entries[rapid.IntRange(0, len(entries)-1).Draw(t, "entry")]
				by := rapid.IntRange(-e.n, 50).Draw(t, "by")
				w.correct(now, e.at, by)
				e.n += by
			default:
				w.add(now, n)
				entries = append(entries, entry{now, n})
			}
			least, most := 0, 0
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
		}
	})
}
