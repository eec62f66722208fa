package collector

import (
	"fmt"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestJudge(t *testing.T) {
	// 300 ms to the first token, then 15 tokens in 300 ms, and 1 ms to the end.
	ok := func() *prober.Result { return probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16) }
	uncounted := with(ok(), func(r *prober.Result) { r.OutputSource = prober.TokensEvents })
	waiting := func(s float64) *prober.Result {
		return with(ok(), func(r *prober.Result) { r.Timing = wire.ServerTiming{Known: true, QueueSeconds: s} })
	}
	for _, test := range []struct {
		name      string
		in        *prober.Result
		indicator Indicator
		threshold float64
		want      verdict
	}{
		{"ttft below", ok(), IndicatorTTFT, 0.301, good},
		{"ttft on the bound", ok(), IndicatorTTFT, 0.3, good},
		{"ttft above", ok(), IndicatorTTFT, 0.299, bad},
		{"ttft of what was not streamed", probertest.Whole("chat", "batch", time.Second, 16), IndicatorTTFT, 10, notJudged},
		{"duration below", ok(), IndicatorDuration, 0.602, good},
		{"duration above", ok(), IndicatorDuration, 0.6, bad},
		{"duration of what was not streamed", probertest.Whole("chat", "batch", time.Second, 16), IndicatorDuration, 2, good},
		{"tpot on the bound", ok(), IndicatorTPOT, 0.02, good},
		{"tpot above", ok(), IndicatorTPOT, 0.019, bad},
		{"tpot of one token", probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 1), IndicatorTPOT, 1, notJudged},
		{"tpot of estimated tokens", uncounted, IndicatorTPOT, 1, notJudged},
		{"rate on the bound", ok(), IndicatorRate, 50, good},
		{"rate below", ok(), IndicatorRate, 50.1, bad},
		{"rate of estimated tokens", uncounted, IndicatorRate, 1, notJudged},
		{"queue wait below", waiting(0.1), IndicatorQueueWait, 0.2, good},
		{"queue wait above", waiting(0.3), IndicatorQueueWait, 0.2, bad},
		{"queue wait that the server did not say", waiting(-1), IndicatorQueueWait, 0.2, notJudged},
		{"queue wait of a server that says nothing", ok(), IndicatorQueueWait, 0.2, notJudged},
		{"available", ok(), IndicatorAvailability, 0, good},
		{"available, estimated tokens", uncounted, IndicatorAvailability, 0, good},
		{"a token before the request", with(ok(), func(r *prober.Result) { r.Timeline.FirstToken = r.Timeline.Dispatched.Add(-ms) }), IndicatorTTFT, 0.3, good},
		{"an outcome that nobody knows", with(ok(), func(r *prober.Result) { r.Outcome = "surprise" }), IndicatorAvailability, 0, notJudged},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := judge(test.in, test.indicator, test.threshold, saidQueueWait); got != test.want {
				t.Errorf("judge(%s <= %v) = %d; want %d", test.indicator, test.threshold, got, test.want)
			}
		})
	}
}

// Whatever the indicator: failures are bad, whatever was measured of them; what was canceled counts nowhere.
func TestJudgeFailures(t *testing.T) {
	for _, indicator := range Indicators() {
		for _, o := range append(prober.Outcomes(), prober.Canceled) {
			if o == prober.OK {
				continue
			}
			r := with(probertest.Streamed("chat", "interactive", 300*ms, 20*ms, 16), func(r *prober.Result) {
				r.Outcome, r.Err = o, fmt.Errorf("%s", o)
				r.Timing = wire.ServerTiming{Known: true, QueueSeconds: 0}
			})
			want := bad
			if o == prober.Canceled {
				want = notJudged
			}
			threshold := 1e9
			if indicator == IndicatorRate {
				threshold = 1e-9
			}
			if got := judge(r, indicator, threshold, saidQueueWait); got != want {
				t.Errorf("judge(%s, %s) = %d; want %d", o, indicator, got, want)
			}
		}
	}
}
