package queuewait

import (
	"iter"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// Part is a part of the time to first token. The set is closed, so a part may be a metric label.
type Part string

// The parts, in order.
const (
	PartNetwork     Part = "network"      // dispatched -> written (name, TCP, TLS and the write), and one round trip
	PartQueue       Part = "queue"        // waiting; by which source, the breakdown says
	PartLoad        Part = "load"         // loading the model, and waiting for that; Ollama alone tells it
	PartPrefill     Part = "prefill"      // reading the prompt; where the server tells no more, up to the first token
	PartFirstDecode Part = "first_decode" // making the first token, and what else does not grow with the prompt
	PartUnknown     Part = "unknown"      // what nothing tells of
)

// Parts lists all parts in order.
func Parts() []Part {
	return []Part{PartNetwork, PartQueue, PartLoad, PartPrefill, PartFirstDecode, PartUnknown}
}

// partCount is the length of Parts.
const partCount = 6

// Breakdown is where the time to first token of one request went. The parts add up to it exactly.
type Breakdown struct {
	Total time.Duration // the time to first token: dispatched to first token
	Queue Source        // where the queue's part comes from; empty: it is not known
	// Model says that prefill and first decode are the model's and not the server's: then the whole of the breakdown but the
	// network is an estimate.
	Model bool

	took [partCount]time.Duration
	told [partCount]bool
}

// Parts yields the parts that are known and how long each took, in order, and last what is unknown. A part that is
// known may have taken no time; one that is not known is not there, and its time is in the unknown.
func (b *Breakdown) Parts() iter.Seq2[Part, time.Duration] {
	return func(yield func(Part, time.Duration) bool) {
		for i, p := range Parts() {
			if b.told[i] && !yield(p, b.took[i]) {
				return
			}
		}
	}
}

// Part is how long a part took, and whether it is known.
func (b *Breakdown) Part(p Part) (time.Duration, bool) {
	for i, q := range Parts() {
		if p == q {
			return b.took[i], b.told[i]
		}
	}
	return 0, false
}

// splitter hands out a time to first token.
type splitter struct {
	b    *Breakdown
	rest time.Duration
}

// take gives a part its time, as far as there is any left.
func (s *splitter) take(p Part, d time.Duration) {
	d = min(max(0, d), s.rest)
	s.rest -= d
	for i, q := range Parts() {
		if p == q {
			s.b.took[i] += d
			s.b.told[i] = true
		}
	}
}

// loading is the server's time for loading the model.
func loading(r *prober.Result) (time.Duration, bool) {
	if !r.Timing.Known {
		return 0, false
	}
	return seconds(r.Timing.LoadSeconds)
}

// contradiction is by how much the parts that a server claims may exceed the time that there was, before none of them is
// believed: its clock and ours are read at different moments.
const contradiction = 5 * time.Millisecond

// split breaks down the time to first token of r. queue is the best of its own waits, if any; floor what the model says of
// it, with the part of it that does not grow with the prompt, if that is known.
func split(r *prober.Result, queue Wait, trip Trip, floor, fixed time.Duration) (Breakdown, bool) {
	total, ok := r.TTFT()
	if !ok || r.Timeline.Wrote.IsZero() {
		return Breakdown{}, false
	}
	b := Breakdown{Total: total}
	s := splitter{&b, total}
	s.take(PartNetwork, r.Timeline.Wrote.Sub(r.Timeline.Dispatched))
	if trip.Known {
		s.take(PartNetwork, trip.Time)
	}
	if !b.server(&s, r, queue, trip) && queue.Source == Estimated {
		b.Queue, b.Model = Estimated, true
		s.take(PartQueue, queue.Queue)
		if fixed > 0 && fixed <= floor {
			s.take(PartPrefill, floor-fixed)
			s.take(PartFirstDecode, s.rest) // the rest of the floor
		} else {
			b.Model = false
		}
	}
	s.take(PartUnknown, s.rest)
	return b, true
}

// server takes the parts that the server tells, and reports whether it told of prefill or queue.
func (b *Breakdown) server(s *splitter, r *prober.Result, queue Wait, trip Trip) (told bool) {
	load, loadTold := loading(r)
	var prefill time.Duration
	var prefillTold bool
	if r.Timing.Known {
		prefill, prefillTold = seconds(r.Timing.PrefillSeconds)
	}
	own := queue.Source == Body || queue.Source == Header || queue.Source == Derived
	claimed := load + prefill
	if own {
		claimed += queue.Queue
	}
	if claimed > s.rest+trip.Error+bracket(r)+contradiction {
		return false
	}
	if own {
		b.Queue = queue.Source
		s.take(PartQueue, queue.Queue)
	}
	if loadTold {
		s.take(PartLoad, load)
	}
	if prefillTold {
		s.take(PartPrefill, prefill)
	}
	if first, ok := seconds(r.Timing.FirstTokenSeconds); ok && r.Timing.Known && own && prefillTold && first >= queue.Queue+prefill {
		s.take(PartFirstDecode, first-queue.Queue-prefill)
	}
	if prefillTold && queue.Source == Estimated {
		b.Queue = Estimated
		s.take(PartQueue, queue.Queue)
	}
	return own || prefillTold
}
