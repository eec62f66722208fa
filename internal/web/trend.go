package web

import (
	"math"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// What is remembered of a day: for each slot of ten minutes the distributions, not the results. A slot takes some 300 bytes
// where answers are alike, and is bounded in all else, so that a probe takes 50 KiB, and 256 KiB at the very most, however
// often it asks.
const (
	slotSpan   = 10 * time.Minute
	trendSlots = 151 // 25 hours, and the slot under way: an hour around the same time yesterday can be looked at
	sketchMost = 24
)

// trend is the last day of one probe.
type trend struct{ slots []slot }

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

// at is the slot of a time, made if need be; nil where its place is taken by a later one.
func (t *trend) at(when time.Time) *slot {
	n := slotNumber(when)
	if n < 0 {
		return nil
	}
	i, found := slices.BinarySearchFunc(t.slots, n, func(s slot, n int64) int { return int(s.Number - n) })
	if found {
		return &t.slots[i]
	}
	if len(t.slots) > 0 && n <= t.slots[len(t.slots)-1].Number-trendSlots {
		return nil
	}
	t.slots = slices.Insert(t.slots, i, slot{Number: n})
	oldest := t.slots[len(t.slots)-1].Number - trendSlots
	drop := 0
	for t.slots[drop].Number <= oldest {
		drop++
	}
	if drop > 0 {
		t.slots = slices.Delete(t.slots, 0, drop)
		i -= drop
	}
	return &t.slots[i]
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
	for i := range t.slots {
		s := &t.slots[i]
		if !s.begin().Before(from) && !s.begin().Add(slotSpan).After(to) {
			all.merge(s.TTFT)
		}
	}
	return all
}

// clone is a copy that shares nothing.
func (t *trend) clone() []slot {
	slots := slices.Clone(t.slots)
	for i := range slots {
		s := &slots[i]
		s.TTFT, s.Took, s.TPOT = slices.Clone(s.TTFT), slices.Clone(s.Took), slices.Clone(s.TPOT)
		s.Parts, s.Outcomes = slices.Clone(s.Parts), slices.Clone(s.Outcomes)
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
