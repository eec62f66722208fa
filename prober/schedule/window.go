package schedule

import "time"

// A window sums what was added within the last span, in bounded memory: time is cut into slots, and what was added
// anywhere in a slot counts until the whole slot is older than span. So the sum over any span is never too small,
// and an amount is forgotten at most one slot late.
type window struct {
	slot  time.Duration
	slots []int64 // ring; slot number n is at n % len
	last  int64   // number of the newest slot
	sum   int64   // at most most
}

// most is the greatest sum: what a server claims to have generated cannot make a sum wrap round and a budget roomy.
// Two of them, the sum and what is reserved, can still be added.
const most = 1 << 61

// newWindow returns a window over n slots. Times are given since a moment of the caller's choice.
func newWindow(span time.Duration, n int) window {
	return window{slot: span / time.Duration(n), slots: make([]int64, n+1)}
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
func (w *window) total(now time.Duration) int64 {
	w.at(now)
	return w.sum
}

// add adds n at now.
func (w *window) add(now time.Duration, n int64) {
	w.at(now)
	w.put(w.last, n)
}

// correct adds n to what was added at then, unless that is forgotten by now.
func (w *window) correct(now, then time.Duration, n int64) {
	w.at(now)
	if slot := int64(then / w.slot); slot > w.last-int64(len(w.slots)) {
		w.put(slot, n)
	}
}

func (w *window) put(slot, n int64) {
	i := slot % int64(len(w.slots))
	n = min(max(n, -w.slots[i]), most-w.sum)
	w.slots[i] += n
	w.sum += n
}

// until returns how long it takes for n of the sum to be forgotten, or false where the sum is less than n.
func (w *window) until(now time.Duration, n int64) (time.Duration, bool) {
	w.at(now)
	if n <= 0 {
		return 0, true
	}
	size := int64(len(w.slots))
	for slot := max(w.last-size+1, 0); slot <= w.last; slot++ {
		if n -= w.slots[slot%size]; n <= 0 {
			return time.Duration(slot+size)*w.slot - now, true
		}
	}
	return 0, false
}
