package web

import (
	"math"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// What is remembered of a day: for each slot of ten minutes the distributions, not the results. A slot takes some 120 bytes
// where answers are alike, and is bounded in all else, so that a probe takes 20 KiB, and 128 KiB at the very most, however
// often it asks.
const (
	slotSpan   = 10 * time.Minute
	trendSlots = 151 // 25 hours, and the slot under way: an hour around the same time yesterday can be looked at
	sketchMost = 24
)

// trend is the last day of one probe.
type trend struct {
	packed []packedSlot // in order, without the one that is open
	open   *slot        // the one that was added to last; nil: there is none
}

// slot is ten minutes of it.
type slot struct {
	Number           int64 // of slotSpan since 1970
	OK, Failed       int
	TTFT, Took, TPOT sketch
	Parts            []float32 // seconds by queuewait.Parts, added up; nil: none known
	Broken           int       // how many are added up in it
	Outcomes         []outcomeCount
}

func slotNumber(at time.Time) int64 { return at.UnixNano() / int64(slotSpan) }

// begin is when a slot begins.
func (s *slot) begin() time.Time { return time.Unix(0, s.Number*int64(slotSpan)).UTC() }

// at is the slot of a time, made if need be, and good until the next call; nil where its place is taken by a later one.
func (t *trend) at(when time.Time) *slot {
	n := slotNumber(when)
	if n < 0 {
		return nil
	}
	if t.open != nil && t.open.Number == n {
		return t.open
	}
	newest := n
	if t.open != nil {
		newest = max(newest, t.open.Number)
	}
	if len(t.packed) > 0 {
		newest = max(newest, t.packed[len(t.packed)-1].number)
	}
	if n <= newest-trendSlots {
		return nil
	}
	t.close()
	t.packed = slices.DeleteFunc(t.packed, func(p packedSlot) bool { return p.number <= newest-trendSlots })
	t.open = &slot{Number: n}
	if i, found := inOrder(t.packed, n); found {
		if s, err := t.packed[i].unpack(); err == nil { // it was packed here
			*t.open = s
		}
		t.packed = slices.Delete(t.packed, i, i+1)
	}
	return t.open
}

// close packs the slot that is open.
func (t *trend) close() {
	if t.open == nil {
		return
	}
	i, _ := inOrder(t.packed, t.open.Number)
	if len(t.packed) == cap(t.packed) { // not to twice as many as there can be
		t.packed = slices.Grow(t.packed, min(len(t.packed)+4, max(1, trendSlots-len(t.packed))))
	}
	t.packed = slices.Insert(t.packed, i, t.open.pack())
	t.open = nil
}

func (t *trend) add(s *sample) {
	slot := t.at(s.end)
	if slot == nil {
		return
	}
	if !s.outcome.Failed() {
		slot.OK++
	} else {
		slot.Failed++
		slot.count(s.outcome)
	}
	if s.timed {
		slot.TTFT.add(s.latency)
	}
	if s.took > 0 {
		slot.Took.add(s.took)
	}
	if s.tpot > 0 {
		slot.TPOT.add(s.tpot)
	}
}

func (s *slot) count(o prober.Outcome) {
	for i := range s.Outcomes {
		if s.Outcomes[i].Outcome == string(o) {
			s.Outcomes[i].Count++
			return
		}
	}
	s.Outcomes = append(s.Outcomes, outcomeCount{string(o), 1})
}

// explain adds where the time of one result went.
func (t *trend) explain(at time.Time, p *parts) {
	slot := t.at(at)
	if slot == nil {
		return
	}
	if slot.Parts == nil {
		slot.Parts = newPartSums()
	}
	for i, took := range p.took {
		slot.Parts[i] += float32(took.Seconds())
	}
	slot.Broken++
}

func newPartSums() []float32 { return make([]float32, len(queuewait.Parts())) }

// around is the distribution of the times to first token between two times, whole slots only.
func (t *trend) around(from, to time.Time) sketch {
	var all sketch
	within := func(number int64) bool {
		begin := (&slot{Number: number}).begin()
		return !begin.Before(from) && !begin.Add(slotSpan).After(to)
	}
	for _, p := range t.packed {
		if within(p.number) {
			all.merge(p.ttft())
		}
	}
	if t.open != nil && within(t.open.Number) {
		all.merge(t.open.TTFT)
	}
	return all
}

// clone is all slots, oldest first, in memory of their own.
func (t *trend) clone() []slot {
	if t.open == nil && len(t.packed) == 0 {
		return nil
	}
	slots := make([]slot, 0, len(t.packed)+1)
	add := func(p packedSlot) {
		if s, err := p.unpack(); err == nil { // it was packed here
			slots = append(slots, s)
		}
	}
	i := len(t.packed)
	if t.open != nil {
		i, _ = inOrder(t.packed, t.open.Number)
	}
	for _, p := range t.packed[:i] {
		add(p)
	}
	if t.open != nil {
		add(t.open.pack())
	}
	for _, p := range t.packed[i:] {
		add(p)
	}
	return slots
}

// sketch counts durations in buckets whose bounds are sketchRatio apart, so that a quantile is off by 3 % at most; where more
// than sketchMost buckets are in use, the closest two become one, with the value of the larger.
type sketch []bucket

// bucket counts the durations up to sketchRatio^Top microseconds.
type bucket struct {
	Top   int16
	Count uint16
}

const sketchRatio = 1.06

func bucketOf(d time.Duration) int16 {
	us := float64(max(d, time.Microsecond)) / float64(time.Microsecond)
	return int16(math.Ceil(math.Log(us) / math.Log(sketchRatio)))
}

// value is the middle of a bucket.
func (b bucket) value() time.Duration {
	return time.Duration(math.Pow(sketchRatio, float64(b.Top)-0.5) * float64(time.Microsecond))
}

func (s *sketch) add(d time.Duration) { s.put(bucket{bucketOf(d), 1}, sketchMost) }

// merge adds another sketch; the sum may have as many buckets as it takes.
func (s *sketch) merge(other sketch) {
	for _, b := range other {
		s.put(b, math.MaxInt16)
	}
}

func (s *sketch) put(b bucket, most int) {
	i, found := slices.BinarySearchFunc(*s, b.Top, func(b bucket, top int16) int { return int(b.Top) - int(top) })
	if found {
		(*s)[i].Count = uint16(min(int((*s)[i].Count)+int(b.Count), math.MaxUint16))
		return
	}
	*s = slices.Insert(*s, i, b)
	if len(*s) <= most {
		return
	}
	closest := 0
	for i := 1; i+1 < len(*s); i++ {
		if (*s)[i+1].Top-(*s)[i].Top < (*s)[closest+1].Top-(*s)[closest].Top {
			closest = i
		}
	}
	(*s)[closest+1].Count = uint16(min(int((*s)[closest].Count)+int((*s)[closest+1].Count), math.MaxUint16))
	*s = slices.Delete(*s, closest, closest+1)
}

func (s sketch) count() (n int) {
	for _, b := range s {
		n += int(b.Count)
	}
	return n
}

// quantile is the value that a share q does not exceed; 0 of none.
func (s sketch) quantile(q float64) time.Duration {
	rank := max(1, int(math.Ceil(q*float64(s.count()))))
	for _, b := range s {
		if rank -= int(b.Count); rank <= 0 {
			return b.value()
		}
	}
	return 0
}
