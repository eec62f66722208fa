package queuewait

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// Target is what has to be remembered of one target: the network's round trip to it, and what it takes without load. It
// is safe for concurrent use. It keeps its state as JSON.
type Target struct {
	model Model

	mu   sync.Mutex // protects all following fields
	path path
}

// NewTarget returns a target of which nothing is known.
func NewTarget() *Target { return new(Target) }

// Report is what is known of one request's time before its first token.
type Report struct {
	waits [4]Wait
	n     int

	Breakdown Breakdown
	Broken    bool // there is a Breakdown: the request succeeded, and was streamed
}

// Waits are the request's own waits by source, in order of trust: at most one of each of [Body], [Header], [Derived] and
// [Estimated].
func (r *Report) Waits() []Wait { return r.waits[:r.n] }

func (r *Report) add(w Wait, ok bool) {
	if ok {
		r.waits[r.n] = w
		r.n++
	}
}

// Judge says what is known of r, whose response had the headers h (nil: not known), and learns nothing from it. It is for
// the requests of a ramp, whose load is the prober's own.
func (t *Target) Judge(r *prober.Result, h http.Header) Report {
	t.mu.Lock()
	trip := t.path.trip()
	t.mu.Unlock()
	var report Report
	report.add(FromBody(r))
	report.add(FromHeader(r, h))
	report.add(FromDerived(r, trip))
	floor, estimated, ok := t.estimated(r)
	report.add(estimated, ok)
	var best Wait
	if report.n > 0 {
		best = report.waits[0]
	}
	var fixed time.Duration
	if uncached, known := Uncached(r); ok && known {
		fixed, _ = t.model.fixed(uncached)
	}
	report.Breakdown, report.Broken = split(r, best, trip, floor, fixed)
	return report
}

// Observe is [Target.Judge], and then learns from r.
func (t *Target) Observe(r *prober.Result, h http.Header) Report {
	t.mu.Lock()
	t.path.observe(r)
	t.mu.Unlock()
	report := t.Judge(r, h)
	if took, ok := serverTime(r); ok && !r.Degraded {
		if uncached, ok := Uncached(r); ok {
			t.model.Observe(r.Timeline.FirstToken, uncached, took)
		}
	}
	return report
}

// estimated is the delay that other load caused, as the model has it: what the first token took on an open connection,
// less the floor. Noise makes some requests quicker than the floor; they waited for nothing. Its error is what unloaded
// requests vary by, and what the write took.
func (t *Target) estimated(r *prober.Result) (floor time.Duration, w Wait, ok bool) {
	took, ok := serverTime(r)
	if !ok {
		return 0, Wait{}, false
	}
	uncached, ok := Uncached(r)
	if !ok {
		return 0, Wait{}, false
	}
	t.model.mu.Lock()
	e, ok := t.model.estimate(uncached)
	t.model.mu.Unlock()
	if !ok {
		return 0, Wait{}, false
	}
	return e.floor, Wait{Source: Estimated, Queue: max(0, took-e.floor), Error: e.spread + bracket(r)}, true
}

// Unloaded is what the first token of a prompt of so many uncached tokens takes on an open connection without other load,
// and how sure that is: see [Model.Estimate].
func (t *Target) Unloaded(uncached int) (floor time.Duration, confidence float64, ok bool) {
	return t.model.Estimate(uncached)
}

// Trip is the network's round trip to the target.
func (t *Target) Trip() Trip {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.path.trip()
}

// targetState is a target as it is kept.
type targetState struct {
	Model      *Model          `json:"model"`
	Handshakes []time.Duration `json:"handshakes_nanoseconds,omitempty"` // oldest first
}

// MarshalJSON implements json.Marshaler: all that is remembered.
func (t *Target) MarshalJSON() ([]byte, error) {
	t.mu.Lock()
	s := targetState{Model: &t.model}
	for i := range t.path.n {
		s.Handshakes = append(s.Handshakes, t.path.took[(t.path.next-t.path.n+i+handshakes)%handshakes])
	}
	t.mu.Unlock()
	return json.Marshal(s)
}

// UnmarshalJSON implements json.Unmarshaler: it takes the place of all that was remembered. After an error the target is as
// it was.
func (t *Target) UnmarshalJSON(data []byte) error {
	var model Model
	s := targetState{Model: &model}
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	var p path
	for _, took := range s.Handshakes {
		p.add(max(0, took))
	}
	t.model.mu.Lock()
	t.model.buckets, t.model.knots, t.model.latest = model.buckets, model.knots, model.latest
	t.model.mu.Unlock()
	t.mu.Lock()
	t.path = p
	t.mu.Unlock()
	return nil
}
