package queuewait

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// Source says where a queue wait comes from. The set is closed, so a source may be a metric label.
// Waits of different sources are different quantities: they are never added, averaged or put in each other's place.
type Source string

// The sources, in order of trust.
const (
	Body      Source = "body"      // the server's figure for this request, in the answer
	Header    Source = "header"    // the server's figure for this request, in a header
	Derived   Source = "derived"   // the measured time less the parts that the server tells
	Engine    Source = "engine"    // the mean of all requests of the engine in an interval
	Estimated Source = "estimated" // the measured time less the unloaded time that the probes have taught
)

// Sources lists all sources in order of trust.
func Sources() []Source { return []Source{Body, Header, Derived, Engine, Estimated} }

// Wait is what one source says of one request.
type Wait struct {
	Source Source
	Queue  time.Duration // at least 0
	Error  time.Duration // how far Queue may be off by resolution and clocks; not what the source includes by definition
}

// judge makes a wait of a difference: below zero within the error is zero, further below is nothing.
func judge(s Source, d, err time.Duration) (Wait, bool) {
	if d < -err {
		return Wait{}, false
	}
	return Wait{Source: s, Queue: max(0, d), Error: err}, true
}

// maxSeconds bounds what a server may claim to have spent: beyond it is no measurement.
const maxSeconds = 24 * 3600

// seconds turns a server's figure into a duration; false where it did not say or cannot be right.
func seconds(s float64) (time.Duration, bool) {
	if !(s >= 0 && s <= maxSeconds) {
		return 0, false
	}
	return time.Duration(s * float64(time.Second)), true
}

// since is the time from when the request had been written until at, less nothing; false where either is missing.
func since(r *prober.Result, at time.Time) (time.Duration, bool) {
	if r.Timeline.Wrote.IsZero() || at.IsZero() {
		return 0, false
	}
	return max(0, at.Sub(r.Timeline.Wrote)), true
}

// answered is when the first token of a successful request came, or all of an answer that came in one piece.
func answered(r *prober.Result) time.Time {
	switch {
	case r.Outcome != prober.OK:
		return time.Time{}
	case r.Request.Call.Stream:
		return r.Timeline.FirstToken
	default:
		return r.Timeline.End
	}
}

// bracket is how far off the moment of sending may be: the write took that long.
func bracket(r *prober.Result) time.Duration {
	t := &r.Timeline
	if t.WriteStart.IsZero() || t.Wrote.IsZero() {
		return 0
	}
	return max(0, t.Wrote.Sub(t.WriteStart))
}

// possible reports whether a wait that the server claims fits into the time from the first byte written to the answer.
// One that does not is not about this request, or not in the unit that we take it for.
func possible(r *prober.Result, wait, err time.Duration) bool {
	whole, ok := since(r, answered(r))
	return ok && wait <= whole+bracket(r)+err
}
