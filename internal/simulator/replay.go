package simulator

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Arrival is a request of a Replay.
type Arrival struct {
	At     time.Duration // since the server's start
	Prompt int           // tokens, at least 1
	Output int           // tokens, at least 1
}

// Answer is what became of it.
type Answer struct {
	Arrival
	Refused bool            // the queue was full
	Waited  time.Duration   // in the queue, before it was first admitted
	Tokens  []time.Duration // when each token was due, since the server's start
}

// Replay is what the engine would do with these requests, computed on its own time line in no time: no HTTP, no clock, no
// faults, but all the Changes of its options that are no restart. The answers are in the order of the arrivals, which may
// be any. It neither sees nor disturbs what the server does otherwise. Servers of fixed times have no such engine: an error.
func (s *Server) Replay(arrivals []Arrival) ([]Answer, error) {
	if s.opts.fixed() {
		return nil, errors.New("simulator: a server of fixed times has no engine to replay")
	}
	calendar, err := newChanges(slices.Clone(s.opts.Changes), s.opts.Compress, s.clock)
	if err != nil {
		return nil, err
	}
	e := newScheduler(&s.opts, nobody{})
	e.changes = calendar
	sequences := make([]*sequence, len(arrivals))
	order := make([]int, len(arrivals))
	for i, a := range arrivals {
		if a.Prompt < 1 || a.Output < 1 || a.Prompt+a.Output > s.opts.MaxModelLen {
			return nil, fmt.Errorf("simulator: a request of %d prompt and %d output tokens cannot be answered", a.Prompt, a.Output)
		}
		sequences[i] = newSequence("", a.Prompt, a.Output)
		sequences[i].arrival = instant(a.At)
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(arrivals[a].At - arrivals[b].At) })

	answers := make([]Answer, len(arrivals))
	next, at := 0, instant(0)
	submit := func(until instant) {
		for next < len(order) && sequences[order[next]].arrival <= until {
			i := order[next]
			answers[i].Refused = e.submit(sequences[i]) != nil
			next++
		}
	}
	for {
		submit(at)
		end, ok := e.begin(at)
		if !ok {
			if next == len(order) {
				break
			}
			at = max(at, sequences[order[next]].arrival)
			continue
		}
		submit(end - 1) // they come while the step is under way: whoever ends with it still counts
		e.finish(end)
		at = end
	}
	var dues []instant
	for i, seq := range sequences {
		answers[i].Arrival = arrivals[i]
		if answers[i].Refused {
			continue
		}
		answers[i].Waited = seq.timeline().scheduled.sub(seq.arrival)
		dues, _ = seq.take(dues)
		answers[i].Tokens = make([]time.Duration, len(dues))
		for n, due := range dues {
			answers[i].Tokens[n] = time.Duration(due)
		}
	}
	return answers, nil
}
