package collector

import (
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// Indicator is what an objective judges. The set is closed, for an indicator is a label.
type Indicator string

// The indicators.
const (
	IndicatorTTFT         Indicator = "ttft"                     // time to first token, from dispatch; streaming only
	IndicatorDuration     Indicator = "duration"                 // dispatch to the end of the answer
	IndicatorTPOT         Indicator = "tpot"                     // time per output token; streaming only
	IndicatorRate         Indicator = "output_tokens_per_second" // good when it is large; streaming only
	IndicatorQueueWait    Indicator = "queue_wait"               // as far as the answer says
	IndicatorAvailability Indicator = "availability"             // the outcome alone
)

// Indicators lists the values of the indicator label.
func Indicators() []Indicator {
	return []Indicator{IndicatorTTFT, IndicatorDuration, IndicatorTPOT, IndicatorRate, IndicatorQueueWait, IndicatorAvailability}
}

// verdict is what an objective makes of a request.
type verdict int

const (
	notJudged verdict = iota // canceled, unsent, or the indicator is not known: it counts nowhere
	good
	bad
)

// QueueWaitOf tells how long a request waited at the server, and whether that is known of this very request: by a source of its
// own, not by the mean of all traffic and not by an estimate.
type QueueWaitOf func(*prober.Result) (time.Duration, bool)

// saidQueueWait is the wait as the server itself says it.
func saidQueueWait(r *prober.Result) (time.Duration, bool) {
	if !r.Timing.Known || r.Timing.QueueSeconds < 0 {
		return 0, false
	}
	return time.Duration(r.Timing.QueueSeconds * float64(time.Second)), true
}

// judge says whether a request is good by the threshold of an indicator, in seconds or tokens per second:
//
//	canceled, unsent ───────────────────────────────> not judged
//	failed ─────────────────────────────────────────> bad, whatever the indicator
//	ok ──> availability ────────────────────────────> good
//	   └─> the value is not known ──────────────────> not judged
//	   └─> at most the threshold (rate: at least) ──> good, else bad
func judge(r *prober.Result, indicator Indicator, threshold float64, wait QueueWaitOf) verdict {
	switch {
	case !slices.Contains(prober.Outcomes(), r.Outcome):
		return notJudged
	case r.Outcome != prober.OK:
		return bad
	case indicator == IndicatorAvailability:
		return good
	}
	value, ok := indicated(r, indicator, wait)
	if !ok {
		return notJudged
	}
	if indicator == IndicatorRate {
		return verdictOf(value >= threshold)
	}
	return verdictOf(value <= threshold)
}

func verdictOf(isGood bool) verdict {
	if isGood {
		return good
	}
	return bad
}

// indicated is the value of an indicator of a successful request, and whether it is known.
func indicated(r *prober.Result, indicator Indicator, wait QueueWaitOf) (float64, bool) {
	var d time.Duration
	var ok bool
	switch indicator {
	case IndicatorRate:
		return prober.TokensPerSecond(r)
	case IndicatorTTFT:
		d, ok = r.TTFT()
	case IndicatorDuration:
		d, ok = r.Duration(), true
	case IndicatorTPOT:
		d, ok = prober.TPOT(r)
	case IndicatorQueueWait:
		d, ok = wait(r)
	}
	return seconds(d), ok
}
