package ramp

import "time"

// recent counts what happened in the time just past, in slots that are used again and again.
type recent struct {
	slot  time.Duration
	slots []tally
	begun time.Time // of counting
	last  int64     // the slot counted into latest, from begun
}

// tally is what is counted.
type tally struct {
	sent, ended, failed int
	tokens              int64
	slow                [maxTTFTLimits]int // above each TTFT limit, or failed
	timed               int                // that have a TTFT, or failed
}

const maxTTFTLimits = 8

func newRecent(begun time.Time, over time.Duration, slots int) *recent {
	return &recent{slot: max(over/time.Duration(slots), 1), slots: make([]tally, slots), begun: begun}
}

// at is the tally to count into.
func (r *recent) at(now time.Time) *tally {
	n := max(int64(now.Sub(r.begun)/r.slot), r.last)
	for range min(n-r.last, int64(len(r.slots))) {
		r.last++
		r.slots[r.last%int64(len(r.slots))] = tally{}
	}
	r.last = n
	return &r.slots[n%int64(len(r.slots))]
}

// sum is all that happened in the last slots.
func (r *recent) sum(now time.Time) tally {
	r.at(now)
	var s tally
	for i := range r.slots {
		t := &r.slots[i]
		s.sent += t.sent
		s.ended += t.ended
		s.failed += t.failed
		s.tokens += t.tokens
		s.timed += t.timed
		for k := range t.slow {
			s.slow[k] += t.slow[k]
		}
	}
	return s
}

// span is how long the time is that sum speaks of.
func (r *recent) span(now time.Time) time.Duration {
	whole := time.Duration(len(r.slots)-1)*r.slot + (now.Sub(r.begun) - time.Duration(r.last)*r.slot)
	return min(max(whole, r.slot), max(now.Sub(r.begun), 1))
}
