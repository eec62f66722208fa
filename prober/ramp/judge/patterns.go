package judge

import (
	"fmt"
	"math"
	"slices"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// A change in latency matters from half as long again on, of the time for each token from a third on; it is shown if the
// data exclude that it is below the other bound.
func matters() float64        { return math.Log(1.5) }
func excluded() float64       { return math.Log(1.2) }
func decodeMatters() float64  { return math.Log(4. / 3) }
func decodeExcluded() float64 { return math.Log(1.15) }

// saturated names a throughput that stays flat while latency rises: between two loads it grew by less than the root of
// what the load did, and the latency is above that of the lowest load.
func saturated(l *record.Lane, points []point) *record.Finding {
	pairs := neighbours(points, 1.1)
	for _, pair := range pairs {
		low, high := &points[pair[0]], &points[pair[1]]
		a, b := meanOf(low.flowSeries()), meanOf(high.flowSeries())
		flow := b.from(a)
		if !flow.known || a.value <= 0 {
			continue
		}
		// Of the ratio of two means, by the first terms of its series.
		ratio := b.value / a.value
		flow.by, flow.err = ratio, ratio*math.Hypot(b.err()/max(b.value, 1e-9), a.err()/a.value)
		load := high.load / low.load
		still := flow.below(math.Sqrt(load))
		name := "duration"
		slower := high.typical(duration).from(points[0].typical(duration))
		if first := high.typical(ttft).from(points[0].typical(ttft)); first.known && (!slower.known || first.by > slower.by) {
			slower, name = first, "TTFT"
		}
		p := max(still, slower.above(excluded()))
		if p > level/float64(len(pairs)) || slower.by < matters() || high.share > .97 && l.Open {
			continue
		}
		times := math.Exp(slower.by)
		return &record.Finding{
			Pattern: record.Saturated, Lane: l.Name, P: p, Change: new(times), Test: "Welch's t on windows, twice",
			Words: fmt.Sprintf("Saturated from %s on: %s more load brought %s throughput, and the median %s is %s times that at %s.",
				loadWords(l.Open, high.load), percent(load-1), change(ratio-1), name, number(times), loadWords(l.Open, points[0].load)),
			Evidence: fmt.Sprintf("output tokens/s %s at %s, %s at %s: a ratio of %s ± %s, and the root of that of the loads is %s (%s); median %s × %s (%s that it is below × 1.2); %d and %d windows",
				number(a.value), loadWords(l.Open, low.load), number(b.value), loadWords(l.Open, high.load), number(ratio), number(flow.err), number(math.Sqrt(load)), chanceOf(still),
				name, number(times), chanceOf(slower.above(excluded())), len(low.windows), len(high.windows)),
		}
	}
	return nil
}

// neighbours pairs each point with the nearest one below it whose load is that many times less.
func neighbours(points []point, apart float64) (pairs [][2]int) {
	for j := range points {
		for i := j - 1; i >= 0; i-- {
			if points[i].load > 0 && points[j].load >= apart*points[i].load {
				pairs = append(pairs, [2]int{i, j})
				break
			}
		}
	}
	return pairs
}

// queueing names a time to first token that rises before the end-to-end time does.
func queueing(run *record.Run, l *record.Lane, points []point) *record.Finding {
	for j := 1; j < len(points); j++ {
		low, high := &points[0], &points[j]
		first := high.typical(ttft).from(low.typical(ttft))
		whole := high.typical(duration).from(low.typical(duration))
		if !first.known || !whole.known || first.by < matters() {
			continue
		}
		// The whole rose by less than three quarters as much, in logarithms.
		less := whole.by - .75*first.by
		behind := shift{by: less, err: math.Hypot(whole.err, .75*first.err), df: min(whole.df, first.df), known: true}
		p := max(first.above(excluded()), behind.below(0))
		if p > level/float64(len(points)-1) {
			continue
		}
		f := &record.Finding{
			Pattern: record.Queueing, Lane: l.Name, P: p, Change: new(math.Exp(first.by)), Test: "Welch's t on windows, twice",
			Words: fmt.Sprintf("Queueing or batching delay at %s: the median TTFT is %s times that at %s, the median duration only %s times.",
				loadWords(l.Open, high.load), number(math.Exp(first.by)), loadWords(l.Open, low.load), number(math.Exp(whole.by))),
			Evidence: fmt.Sprintf("median TTFT × %s (%s that it is below × 1.2); duration × %s (%s that it rose three quarters as much, in logarithms); %d and %d windows",
				number(math.Exp(first.by)), chanceOf(first.above(excluded())), number(math.Exp(whole.by)), chanceOf(behind.below(0)), len(low.windows), len(high.windows)),
		}
		if waiting := samplesOf(run, high, func(e *record.EngineSample) *float64 { return e.Waiting }); len(waiting) > 0 {
			if n := average(waiting); n >= 1 {
				f.Cause = fmt.Sprintf("%s waited in the engine meanwhile, on average: a queue", amount(n, "request"))
			} else {
				f.Cause = "no request waited in the engine meanwhile: delay by the batch, or before the engine"
			}
		}
		return f
	}
	return nil
}

// samplesOf are what the engine said during a point.
func samplesOf(run *record.Run, p *point, of func(*record.EngineSample) *float64) (x []float64) {
	for _, s := range run.Samples {
		if s.Engine == nil || !p.at(s.At) {
			continue
		}
		if v := of(s.Engine); v != nil {
			x = append(x, *v)
		}
	}
	return x
}

// decoding names streams that become slower with the load.
func decoding(l *record.Lane, points []point) *record.Finding {
	for j := 1; j < len(points); j++ {
		low, high := &points[0], &points[j]
		slower := high.typical(tpot).from(low.typical(tpot))
		p := slower.above(decodeExcluded())
		if !slower.known || slower.by < decodeMatters() || p > level/float64(len(points)-1) {
			continue
		}
		from, to := math.Exp(-low.typical(tpot).value), math.Exp(-high.typical(tpot).value)
		return &record.Finding{
			Pattern: record.DecodeNearCapacity, Lane: l.Name, P: p, Change: new(to / from), Test: "Welch's t on windows",
			Words: fmt.Sprintf("Decode is near capacity at %s: each stream gets %s tokens/s, %s at %s.",
				loadWords(l.Open, high.load), number(to), number(from), loadWords(l.Open, low.load)),
			Evidence: fmt.Sprintf("median TPOT × %s (%s that it is below × 1.15); %d and %d windows",
				number(math.Exp(slower.by)), chanceOf(p), len(low.windows), len(high.windows)),
		}
	}
	return nil
}

// errorsInSpikes names failures that come in spikes and hardly elsewhere. It compares windows: failures come in clusters.
func errorsInSpikes(l *record.Lane) *record.Finding {
	var in, out tally
	spikes, hit := 0, 0
	outcomes := map[string]int{}
	for i := range l.Stages {
		s := &l.Stages[i]
		if s.Invalid != "" || s.Kind == record.Recovery {
			continue // what follows a spike still has its failures
		}
		if s.Kind == record.Spike {
			spikes++
			before := in.bad
			for _, w := range s.Windows {
				in.add(w)
				for outcome, n := range w.Outcomes {
					outcomes[outcome] += n
				}
				outcomes["shed"] += w.Shed
			}
			if in.bad > before {
				hit++
			}
			continue
		}
		for _, w := range s.Steady() {
			out.add(w)
		}
	}
	if spikes == 0 || in.requests == 0 || out.requests == 0 {
		return nil
	}
	p := fisher(in.bad, in.windows, out.bad, out.windows)
	inside, outside := in.share(), out.share()
	if p > level || inside < .01 || outside > inside/5 || hit*2 < spikes {
		return nil
	}
	kinds := make([]string, 0, len(outcomes))
	for outcome, n := range outcomes {
		if n > 0 && outcome != "ok" {
			kinds = append(kinds, outcome)
		}
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if d := outcomes[b] - outcomes[a]; d != 0 {
			return d
		}
		return len(a) - len(b)
	})
	f := &record.Finding{
		Pattern: record.ErrorsInSpikes, Lane: l.Name, P: p, Test: "Fisher's exact test on windows",
		Words: fmt.Sprintf("Errors only in spikes: %s of the requests failed in %s, %s elsewhere. Most of them: %s.",
			percent(inside), count(spikes, "spike"), percent(outside), kinds[0]),
		Evidence: fmt.Sprintf("windows with a failure: %d of %d in spikes, %d of %d elsewhere (%s)", in.bad, in.windows, out.bad, out.windows, chanceOf(p)),
	}
	if outside > 0 {
		f.Change = new(inside / outside)
	}
	switch kinds[0] {
	case "connect", "timeout_connect", "tls", "dns":
		f.Cause = "connections were not taken in time: look at backlog, proxies and limits on connections"
	case "overloaded", "rate_limited", "http_5xx":
		f.Cause = "the server refused the work: look at its queue limit and at how fast replicas are added"
	case "shed":
		f.Cause = "the ramp's own cap on requests in flight kept them back"
	}
	return f
}

// tally counts windows and their failures.
type tally struct{ windows, bad, requests, failed int }

func (t *tally) add(w record.Window) {
	if w.Planned == 0 {
		return
	}
	t.windows++
	t.requests += w.Planned
	if n := failures(w); n > 0 {
		t.bad++
		t.failed += n
	}
}

func (t *tally) share() float64 { return float64(t.failed) / float64(t.requests) }

// fisher is the probability of so many bad ones of n, or more, if the bad ones of both lots had fallen at random.
func fisher(bad, n, otherBad, others int) float64 {
	all, total := bad+otherBad, n+others
	choose := func(n, k int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c
	}
	p := 0.0
	for k := bad; k <= min(all, n); k++ {
		if all-k <= others {
			p += math.Exp(choose(n, k) + choose(others, all-k) - choose(total, all))
		}
	}
	return min(p, 1)
}

// noisy names a neighbour whose bursts slow a lane down; looked is how many pairs of lanes were looked at.
func noisy(s *record.NeighbourShift, looked int) *record.Finding {
	if s.P > level/float64(looked) || math.Log(s.Ratio) < math.Log(1.2) {
		return nil
	}
	return &record.Finding{
		Pattern: record.NoisyNeighbour, Lane: s.Victim, P: s.P, Change: new(s.Ratio), Test: "Welch's t on windows",
		Words: fmt.Sprintf("Noisy neighbour: while %s bursts, the p95 TTFT of %s is %s; between the bursts it is %s.",
			s.Neighbour, s.Victim, seconds(s.During), seconds(s.Between)),
		Evidence: fmt.Sprintf("p95 of windows × %s, 95 %% between × %s and × %s (%s that it does not rise); %d windows in bursts",
			number(s.Ratio), number(s.Low), number(s.High), chanceOf(s.P), s.Windows),
	}
}

// slow names a recovery that takes longer than its backlog explains: once that is worked off, more windows are outside the
// band than before the overload.
func slow(r *record.RecoveryTime, before, after tally) *record.Finding {
	if r == nil || r.Expected <= 0 || after.windows == 0 || r.Seconds < 2*r.Expected+10 {
		return nil
	}
	p := fisher(after.bad, after.windows, before.bad, before.windows)
	if p > level {
		return nil
	}
	took := "took " + seconds(r.Seconds)
	if !r.Recovered {
		took = "was not over after " + seconds(r.Seconds)
	}
	explained := "there was no backlog to explain it"
	if r.Expected > .1 {
		explained = "working off the backlog explains " + seconds(r.Expected)
	}
	return &record.Finding{
		Pattern: record.SlowRecovery, Lane: r.Lane, P: p, Change: new(r.Seconds / max(r.Expected, 1)), Test: "Fisher's exact test on windows, thinned for autocorrelation",
		Words: fmt.Sprintf("Slow recovery: it %s, and %s.", took, explained),
		Evidence: fmt.Sprintf("independent windows with a p95 TTFT above %s: %d of %d after the backlog's time, %d of %d before the overload (%s)",
			seconds(r.Band), after.bad, after.windows, before.bad, before.windows, chanceOf(p)),
	}
}
