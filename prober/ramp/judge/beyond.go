package judge

import (
	"fmt"
	"math"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// It breaks abruptly where the p95 rises by more than so many per cent for each per cent of load, throughput falls below
// that share of its best, or more than that share of requests fails.
const (
	steep     = 5
	collapsed = 0.9
	failing   = 0.05
)

// beyondOf is how a lane degrades beyond its knee; nil where no load lies beyond.
func beyondOf(l *record.Lane, k *record.Knee, points []point) *record.Beyond {
	if k == nil || k.MissedAt == 0 || k.HeldAt == 0 {
		return nil
	}
	var at, next *point
	most := 0.0
	for i := range points {
		p := &points[i]
		most = max(most, p.done)
		if p.load <= k.HeldAt {
			at = p
		} else if next == nil && p.load >= k.MissedAt {
			next = p
		}
	}
	if at == nil || next == nil || most == 0 {
		return nil
	}
	last := &points[len(points)-1]
	b := &record.Beyond{Throughput: last.done / most, Failed: float64(last.failed) / float64(max(last.planned, 1))}
	nothing := false
	worst := next
	for i := range points {
		p := &points[i]
		if p.load < k.MissedAt {
			continue
		}
		from, to := at.p95(record.TTFT), p.p95(record.TTFT)
		if from <= 0 || to <= 0 {
			nothing = nothing || from > 0
			continue
		}
		if e := math.Log(to/from) / math.Log(p.load/at.load); b.Elasticity == nil || e > *b.Elasticity {
			b.Elasticity, worst = &e, p
		}
	}
	if nothing {
		b.Elasticity = nil
	}
	falls := shift{}
	if m := meanOf(last.flowSeries()); m.known() && m.value > 0 {
		falls = shift{by: b.Throughput, err: b.Throughput * m.err() / m.value, df: m.worth(m.rho) - 1, known: true}
	}
	collapse := b.Throughput < collapsed && (!falls.known || falls.below(1) < .01)
	cliff := b.Elasticity == nil || *b.Elasticity > steep
	b.Abrupt = cliff || collapse || b.Failed > failing
	if !b.Abrupt {
		b.Words = fmt.Sprintf("It degrades gracefully beyond the knee: %s p95 TTFT for each 1 %% of load, and at %s throughput is %s of its best with %s failed.",
			change(*b.Elasticity/100), loadWords(l.Open, last.load), percent(b.Throughput), percent(b.Failed))
		return b
	}
	why := ""
	switch {
	case b.Elasticity == nil:
		why = "above " + loadWords(l.Open, at.load) + " there are loads at which nothing came through"
	case cliff:
		why = fmt.Sprintf("p95 TTFT goes from %s at %s to %s at %s", seconds(at.p95(record.TTFT)), loadWords(l.Open, at.load), seconds(worst.p95(record.TTFT)), loadWords(l.Open, worst.load))
	case collapse:
		why = "throughput falls to " + percent(b.Throughput) + " of its best at " + loadWords(l.Open, last.load)
	default:
		why = percent(b.Failed) + " of the requests fail at " + loadWords(l.Open, last.load)
	}
	b.Words = "It breaks abruptly beyond the knee: " + why + "."
	return b
}
