package web

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
)

// sample is what is kept of one result: enough for a line and a dot, and nothing that grows with the answer.
type sample struct {
	id       string
	end      time.Time
	outcome  prober.Outcome
	status   int    // HTTP status; 0: no response
	err      string // what went wrong, as plain text; empty when ok
	latency  time.Duration
	rate     float64
	timed    bool // whether there is a latency: TTFT of a streamed answer, else the duration; successes only
	exact    bool // whether the server counted the tokens behind rate
	degraded bool
	clock    prober.Clock

	took  time.Duration // end to end; successes only
	tpot  time.Duration // per output token after the first; 0: not known
	parts *parts        // of the time to first token; nil: not known
}

func newSample(r *prober.Result) sample {
	s := sample{
		id: idOf(r), end: r.Timeline.End, outcome: r.Outcome, status: r.HTTPStatus,
		degraded: r.Degraded, clock: r.Clock,
	}
	if r.Err != nil {
		s.err = printable.Line(r.Err.Error(), maxError)
	}
	if r.Request.Call.Stream {
		s.latency, s.timed = r.TTFT()
	} else if r.Outcome == prober.OK {
		s.latency, s.timed = r.Duration(), true
	}
	if r.Outcome == prober.OK {
		s.took = r.Duration()
	}
	s.tpot, _ = prober.TPOT(r)
	s.rate, s.exact = prober.TokensPerSecond(r)
	if !s.exact {
		s.rate = estimatedRate(r)
	}
	return s
}

// idOf is the request's id, as plain text. Nearly all are, and all that is kept of a request shares that one string.
func idOf(r *prober.Result) string {
	if id := printable.Line(r.Request.ID, maxID); id != r.Request.ID {
		return id
	}
	return r.Request.ID
}

// estimatedRate is chunks per second where nobody counted the tokens; 0 where there is no such thing.
// It is shown as an estimate and goes into no metric.
func estimatedRate(r *prober.Result) float64 {
	span := r.Timeline.LastToken.Sub(r.Timeline.FirstToken)
	if r.Outcome != prober.OK || r.OutputSource != prober.TokensEvents || r.OutputTokens < 2 || span <= 0 {
		return 0
	}
	return float64(r.OutputTokens-1) / span.Seconds()
}

// How much of a text from outside is kept, in characters.
const (
	maxError = 400
	maxID    = 128
	maxName  = 200
)
