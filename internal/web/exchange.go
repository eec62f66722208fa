package web

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
)

// exchange is one result with its course: what a person wants to see of a single request.
type exchange struct {
	sample
	strip  *strip  // nil where it took no time
	stalls []stall // the longest ones

	group                string // what the tries, turns and members of one asking share; empty: it went alone
	attempt, turn, burst int    // as in prober.Request
	cold, retried        bool
	remote               string
	reused               bool
	headers              []header
	finish               string
	prompt, cached       int // tokens
	late, received       time.Duration
}

// header is one line of a response's header.
type header struct{ Name, Value string }

// stall is a gap without a token that is out of all proportion.
type stall struct {
	from, to float64 // shares of the request's time
	took     time.Duration
}

// The bounds of what is kept of an exchange.
const (
	maxHeaders     = 16
	maxHeaderValue = 200
	maxStalls      = 8
	stallLeast     = 150 * time.Millisecond // a gap shorter than this is none
	stallTimes     = 5                      // and one of less than so many medians
)

func newExchange(r *prober.Result, s sample) *exchange {
	e := &exchange{
		sample: s, strip: newStrip(r), stalls: stalls(r),
		attempt: max(1, r.Request.Attempt), turn: r.Request.Turn, burst: r.Request.Burst, cold: r.Request.Cold, retried: r.Retried,
		remote: printable.Line(r.RemoteAddr, maxName), reused: r.Reused, finish: printable.Line(r.FinishReason, maxHeaderValue),
		late: r.DispatchDelay(), received: r.ReceiveDelay,
	}
	if e.attempt > 1 || e.retried || e.turn > 0 || e.burst > 0 {
		e.group = printable.Line(r.Request.Group(), maxID)
	}
	if r.Usage.Known {
		e.prompt, e.cached = max(0, r.Usage.PromptTokens), max(0, r.Usage.CachedTokens)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if values := r.Header[name]; len(values) > 0 && len(e.headers) < maxHeaders {
			e.headers = append(e.headers, header{printable.Line(name, maxHeaderValue), printable.Line(values[0], maxHeaderValue)})
		}
	}
	return e
}

// stalls are the longest gaps between two chunks that are out of all proportion to the others, in the order of time.
func stalls(r *prober.Result) []stall {
	took := r.Duration()
	if len(r.Chunks) < 4 || took <= 0 {
		return nil
	}
	gaps := make([]time.Duration, 0, len(r.Chunks)-1)
	for i := 1; i < len(r.Chunks); i++ {
		gaps = append(gaps, r.Chunks[i].At-r.Chunks[i-1].At)
	}
	least := max(stallLeast, stallTimes*quantile(gaps, 0.5))
	var all []stall
	for i, gap := range gaps {
		if gap >= least {
			all = append(all, stall{share(r.Chunks[i].At, took), share(r.Chunks[i+1].At, took), gap})
		}
	}
	slices.SortStableFunc(all, func(a, b stall) int { return cmp.Compare(b.took, a.took) })
	all = slices.Clip(all[:min(len(all), maxStalls)])
	slices.SortFunc(all, func(a, b stall) int { return cmp.Compare(a.from, b.from) })
	return all
}
