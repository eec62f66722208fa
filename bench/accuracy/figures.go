package main

import (
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// The two clocks by which an arrival is known.
const (
	byKernel = iota // as the prober reports it: the kernel's stamp, where there is one
	byUser          // when the prober had read it
	clocks
)

// readAt is when the server had read a request, as Unix nanoseconds.
type readAt struct {
	id string
	at int64
}

// figures adds up how far the prober's times are from the server's.
//
// All comparisons are on the machine's wall clock, which the server stamped with and to which wall brings the prober's
// monotonic times. So an error cannot hide in the difference of two equal delays: receive is one stamp against one
// stamp. What a request did on the server is not asked for afterwards but follows from its first event, because the first
// token is due exactly firstToken after the request had been read:
//
//	arrival = due - firstToken
//	what the server did = sent - arrival
//	error of the TTFT = (first token - wrote) - what the server did
//	                  = (first token - sent) + (arrival - wrote)
//	                  = error of the receive time + delay of the request
type figures struct {
	wall       wallClock
	firstToken time.Duration // as the server was told
	tokens     int           // of each answer

	mu       sync.Mutex // protects all following fields
	requests int
	failed   int
	example  error // of a failed request
	degraded int

	events    int64
	stamped   int64 // by the kernel
	shared    int64 // events with the very stamp of the one before: they came in one read
	unmatched int64 // without the server's stamp, so without an error
	unmarked  int64 // off by more than prober.DefaultDegradedAfter in an answer that is not marked as degraded

	receive      [clocks]histogram // arrival - sent, each event
	receiveOwn   [clocks]histogram // the same, events that share their stamp with no other
	receiveFirst [clocks]histogram // the same, first token of each answer
	ttftWhole    [clocks]histogram // first token - dispatched
	ttft         [clocks]histogram // error of (first token - wrote)
	ttftBound    [clocks]histogram // |first token - sent| + (wrote - write began): the most of it that can be the client's
	ttftOver     [clocks]histogram // (first token - wrote) - firstToken: what published comparisons call the error
	lateness     histogram         // sent - due, each event: the server's
	requestDelay histogram         // server had read the request - client had written it
	bracket      histogram         // wrote - write began
	dispatch     histogram         // dispatched - intended
	connect      histogram         // of requests with a connection of their own
	latest       [1000]readAt      // a ring
}

// add judges one answer. s holds the server's stamps of its events.
func (f *figures) add(r *prober.Result, s *sends) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if r.Outcome != prober.OK {
		f.failed++
		f.example = r.Err
	}
	if r.Degraded {
		f.degraded++
	}
	f.events += int64(len(r.Chunks))
	f.dispatch.add(r.DispatchDelay())
	t := &r.Timeline
	if !t.ConnectDone.IsZero() {
		f.connect.add(t.ConnectDone.Sub(t.ConnectStart))
	}
	if len(s.sent) != len(r.Chunks) || s.unstamped > 0 {
		f.unmatched += int64(len(r.Chunks))
		return
	}
	dispatched := f.wall.unixNano(t.Dispatched)
	var first [clocks]time.Duration
	shares := func(i, j int) bool { return i >= 0 && j < len(r.Chunks) && r.Chunks[i].At == r.Chunks[j].At }
	for i, c := range r.Chunks {
		before, after := shares(i-1, i), shares(i, i+1)
		arrived := [clocks]int64{dispatched + int64(c.At), dispatched + int64(c.At+c.Delay)}
		for clock := range clocks {
			e := time.Duration(arrived[clock] - s.sent[i])
			f.receive[clock].add(e)
			if !before && !after {
				f.receiveOwn[clock].add(e)
			}
			if i == 0 {
				first[clock] = e
			}
			if clock == byKernel && e.Abs() > prober.DefaultDegradedAfter && !r.Degraded {
				f.unmarked++
			}
		}
		if c.Delay > 0 {
			f.stamped++
		}
		if before {
			f.shared++
		}
		f.lateness.add(time.Duration(s.sent[i] - s.due[i]))
	}
	if len(r.Chunks) == 0 || t.Wrote.IsZero() {
		return
	}
	bracket := t.Wrote.Sub(t.WriteStart)
	f.bracket.add(bracket)
	arrival := s.due[0] - int64(f.firstToken)
	f.requestDelay.add(time.Duration(arrival - f.wall.unixNano(t.Wrote)))
	did := time.Duration(s.sent[0] - arrival)
	for clock := range clocks {
		took, whole := t.FirstToken.Sub(t.Wrote), r.Chunks[0].At
		if clock == byUser {
			took += r.Chunks[0].Delay
			whole += r.Chunks[0].Delay
		}
		f.ttftWhole[clock].add(whole)
		f.receiveFirst[clock].add(first[clock])
		f.ttft[clock].add(took - did)
		f.ttftBound[clock].add(first[clock].Abs() + bracket)
		f.ttftOver[clock].add(took - f.firstToken)
	}
	f.latest[f.requests%len(f.latest)] = readAt{r.Request.ID, arrival}
}

// expected is how many events answers of that many requests have.
func (f *figures) expected() int64 { return int64(f.requests) * int64(f.tokens) }

// failure is what a failed request said; empty: none failed.
func (f *figures) failure() string {
	if f.example == nil {
		return ""
	}
	return f.example.Error()
}
