package schedule

import "time"

// A window sums what was added within the last span, in bounded memory: time is cut into slots, and what was added
// anywhere in a slot counts until the whole slot is older than span. So the sum over any span is never too small,
// and an amount is forgotten at most one slot late.
type window struct {
	slot  time.Duration
	slots []int // ring; slot number n is at n % len
	last  int64 // number of the newest slot
	sum   int
}

// newWindow returns a window over n slots. Times are given since a moment of the caller's choice.
func newWindow(span time.Duration, n int) window {
	return window{slot: span / time.Duration(n), slots: make([]int, n+1)}
}

// at makes now's slot the newest one.
func (w *window) at(now time.Duration) {
	n := int64(now / w.slot)
	for range min(n-w.last, int64(len(w.slots))) {
		w.last++
		i := w.last % int64(len(w.slots))
		w.sum -= w.slots[i]
		w.slots[i] = 0
	}
	w.last = max(w.last, n)
}

// total returns the sum at now.
func (w *window) total(now time.Duration) int {
	w.at(now)
	return w.sum
}

// add adds n at now.
func (w *window) add(now time.Duration, n int) {
	w.at(now)
	w.slots[w.last%int64(len(w.slots))] += n
	w.sum += n
}

// correct adds n to what was added at then, unless that is forgotten by now.
func (w *window) correct(now, then time.Duration, n int) {
	w.at(now)
	if slot := int64(then / w.slot); slot > w.last-int64(len(w.slots)) {
		w.slots[slot%int64(len(w.slots))] += n
		w.sum += n
	}
}
