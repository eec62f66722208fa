package queuewait

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// Uncached is how many prompt tokens the server had to compute before the first token, as far as it says, and whether it
// says anything. Where a server answers from a prefix cache and does not report it, the count is too high: the model then
// takes what it sees for the time of a longer prompt. See [Model].
func Uncached(r *prober.Result) (tokens int, ok bool) {
	t := &r.Timing
	switch {
	case t.Known && t.PrefillTokens >= 0:
		return t.PrefillTokens, true
	case r.Usage.Known && r.Usage.PromptTokens > 0:
		return max(0, r.Usage.PromptTokens-r.Usage.CachedTokens), true
	case t.Known && t.Progress.Known && t.Progress.Total > 0:
		return max(0, t.Progress.Total-max(0, t.Progress.Cached)), true
	}
	return 0, false
}

// serverTime is what a request's first token took on an open connection: from written to first token, the loading of the
// model taken off. It is what the model learns from and is held against. Not every request has one: the first token
// that is seen is not the first that was made where the model's reasoning is hidden.
func serverTime(r *prober.Result) (seen time.Duration, ok bool) {
	t := &r.Timeline
	if r.Outcome != prober.OK || t.FirstToken.IsZero() {
		return 0, false
	}
	if r.Usage.ReasoningTokens > 0 && t.FirstToken.Equal(t.FirstOutput) {
		return 0, false
	}
	seen, ok = since(r, t.FirstToken)
	if load, told := loading(r); ok && told {
		seen = max(0, seen-load)
	}
	return seen, ok
}
