package api

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober"
)

func unpacked(p *packed, target, probe string) *request {
	q := new(request)
	p.unpackInto(q, target, probe)
	return q
}

// What was packed comes out as it was, whatever it is.
func TestPackedRequest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 40, 200)
		number := rapid.Float64()
		span := func(name string) time.Duration { return time.Duration(rapid.Int64().Draw(t, name)) }
		q := &request{
			id: text.Draw(t, "id"), target: "chat", probe: "fast", stream: rapid.Bool().Draw(t, "stream"),
			end: time.Unix(0, rapid.Int64Range(0, 4e18).Draw(t, "end")), outcome: rapid.SampledFrom(prober.Outcomes()).Draw(t, "outcome"),
			err: text.Draw(t, "err"), status: rapid.Int().Draw(t, "status"), retryAfter: span("retry after"),
			ttft: number.Draw(t, "ttft"), duration: number.Draw(t, "duration"), tpot: math.NaN(), wait: number.Draw(t, "wait"), rate: number.Draw(t, "rate"),
			usage: rapid.Bool().Draw(t, "usage"), prompt: rapid.Int().Draw(t, "prompt"), cached: rapid.Int().Draw(t, "cached"), output: rapid.Int().Draw(t, "output"),
			source: prober.TokensUsage, finish: text.Draw(t, "finish"), remote: text.Draw(t, "remote"), clock: prober.ClockKernel,
			attempt: rapid.Int().Draw(t, "attempt"), turn: rapid.Int().Draw(t, "turn"), burst: rapid.Int().Draw(t, "burst"),
			retried: rapid.Bool().Draw(t, "retried"), cold: rapid.Bool().Draw(t, "cold"), reused: rapid.Bool().Draw(t, "reused"), late: rapid.Bool().Draw(t, "late"),
			dispatched: span("dispatched"), receiveLate: span("receive late"),
		}
		q.at = q.end.UnixNano()
		q.intended = q.end.Add(-time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "took"))).UTC()
		if rapid.IntRange(0, 9).Draw(t, "nobody planned it") == 0 {
			q.intended = time.Time{}
		}
		for i := range q.steps {
			if q.steps[i] = missing; rapid.Bool().Draw(t, "happened") {
				q.steps[i] = max(span("step"), missing+1)
			}
		}
		if diff := cmp.Diff(q, unpacked(q.pack(), "chat", "fast"), cmp.AllowUnexported(request{}), cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("(-packed +unpacked):\n%s", diff)
		}
	})
}

// The end keeps the reading of the clock that is not set, so that an age is right when the other one was.
func TestPackedRequestKeepsItsAge(t *testing.T) {
	end := time.Now()
	if got := unpacked((&request{end: end, at: end.UnixNano(), intended: end}).pack(), "", "").end; got != end {
		t.Errorf("end = %v; want %v, to the last bit", got, end)
	}
}
