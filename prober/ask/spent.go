package ask

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// MaxPause bounds for how long a server can have itself left alone: a prober that says nothing for a day because it was told
// to would miss the outage.
const MaxPause = 5 * time.Minute

// Spent is what one asking used, over all its requests.
//
// A server may have generated more than it said, where an answer broke off or the request was given up: then the cap stands in
// for the output tokens of that request, so that a budget errs on the safe side. A count that is not known at all is -1.
type Spent struct {
	Requests           int // sent
	PromptTokens       int // cached ones included; -1 where a server that read a prompt did not say
	CachedPromptTokens int // of those; -1 as PromptTokens
	OutputTokens       int // -1 where it is not known and there is no cap

	// PauseUntil is until when the target asked to be left alone, because it has too much to do; at most MaxPause after it
	// said so. Zero: it did not, or that is past.
	PauseUntil time.Time
}

// add adds what one request used, of which limit is the cap on output tokens; 0: none.
func (s *Spent) add(r *prober.Result, limit int) {
	if !r.Outcome.OfTarget() && r.Timeline.WriteStart.IsZero() && r.HTTPStatus == 0 {
		return // given up before it was sent
	}
	s.Requests++
	heard := r.HTTPStatus >= 200 && r.HTTPStatus < 300
	// A server can be generating for somebody from whom it has the request, and whom it has not yet answered.
	worked := heard || r.HTTPStatus == 0 && !r.Timeline.Wrote.IsZero()
	switch {
	case r.OutputSource == prober.TokensUsage:
		s.OutputTokens = plus(s.OutputTokens, r.OutputTokens)
	case worked && limit > 0:
		s.OutputTokens = plus(s.OutputTokens, max(limit, r.OutputTokens))
	case worked:
		s.OutputTokens = -1
	}
	switch {
	case r.Usage.Known && r.Usage.PromptTokens > 0:
		s.PromptTokens = plus(s.PromptTokens, r.Usage.PromptTokens)
		s.CachedPromptTokens = plus(s.CachedPromptTokens, r.Usage.CachedTokens)
	case worked:
		s.PromptTokens, s.CachedPromptTokens = -1, -1
	}
	if overloaded := r.Outcome == prober.RateLimited || r.Outcome == prober.Overloaded; overloaded && r.RetryAfter > 0 {
		s.pause(r.Timeline.End.Add(min(r.RetryAfter, MaxPause)))
	}
}

// merge adds what another asking used.
func (s *Spent) merge(o *Spent) {
	s.Requests += o.Requests
	s.PromptTokens = plus(s.PromptTokens, o.PromptTokens)
	s.CachedPromptTokens = plus(s.CachedPromptTokens, o.CachedPromptTokens)
	s.OutputTokens = plus(s.OutputTokens, o.OutputTokens)
	s.pause(o.PauseUntil)
}

func (s *Spent) pause(until time.Time) {
	if until.After(s.PauseUntil) {
		s.PauseUntil = until
	}
}

// plus adds counts of which one that is below 0 is not known.
func plus(a, b int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}
