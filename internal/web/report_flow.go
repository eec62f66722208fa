package web

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// runFlow is what a server worked off in a stage's measured part: in an overload that is less than what was asked for, even if
// in the end all of it is answered.
type runFlow struct {
	tokens   float64 // output tokens that came in, per second
	requests float64 // those tokens in requests, per second
}

// flowOf goes by the tokens that came in during the measured part, where the record has them.
func flowOf(s *record.Stage, sum *record.Stats) runFlow {
	seconds := took(s)
	ok := sum.Outcomes["ok"]
	if seconds <= 0 || ok == 0 {
		return runFlow{}
	}
	each := float64(sum.OutputTokens) / float64(ok)
	var came, length float64
	for _, w := range s.Steady() {
		came += float64(w.Arrived)
		length += w.Length.Seconds()
	}
	if came > 0 && each > 0 && length > 0 {
		return runFlow{came / length, came / length / each}
	}
	return runFlow{float64(sum.OutputTokens) / seconds, float64(ok) / seconds}
}

// runLoad is one load of a lane with what came of it: a stage, or a window of one whose load changes.
type runLoad struct {
	load, inFlight float64
	flow           runFlow
	p50, p95, p99  float64            // TTFT of all probes, seconds; NaN: none
	probes         map[string]float64 // p95 TTFT by probe; nil of a window
	part           bool               // a window
}

// stepsOf are the loads that show what the server does under them, the lowest first: what comes after an overload shows the
// overload, a spike is too short, and an invalid stage says nothing.
func stepsOf(l *record.Lane, sums sums) []runLoad {
	var steps []runLoad
	for i := range l.Stages {
		s := &l.Stages[i]
		if s.Invalid != "" || s.Planned == 0 || took(s) == 0 {
			continue
		}
		sum := sums.of(s)
		switch {
		case s.Kind == record.Rising && s.Begin != s.End:
			steps = append(steps, windowSteps(s, sum)...)
		case s.Kind == record.Hold || s.Kind == record.Unloaded:
			p := runLoad{
				load: s.End, inFlight: s.InFlight, flow: flowOf(s, sum), probes: map[string]float64{},
				p50: seconds(sum.TTFT, .5), p95: seconds(sum.TTFT, .95), p99: seconds(sum.TTFT, .99),
			}
			for name, st := range s.Probes {
				p.probes[name] = seconds(st.TTFT, .95)
			}
			steps = append(steps, p)
		}
	}
	slices.SortStableFunc(steps, func(a, b runLoad) int { return cmp.Compare(a.load, b.load) })
	return steps
}

func windowSteps(s *record.Stage, sum *record.Stats) []runLoad {
	if sum.Outcomes["ok"] == 0 || s.End < s.Begin {
		return nil
	}
	each := float64(sum.OutputTokens) / float64(sum.Outcomes["ok"])
	var steps []runLoad
	for _, w := range s.Steady() {
		length := w.Length.Seconds()
		if length <= 0 || w.TTFT.N == 0 || !(each > 0) {
			continue
		}
		tokens := float64(w.Arrived) / length
		steps = append(steps, runLoad{
			load: loadAt(s, w.Start.Add(w.Length/2)), inFlight: w.InFlight, flow: runFlow{tokens, tokens / each},
			p50: w.TTFT.P50, p95: w.TTFT.P95, p99: w.TTFT.P99, part: true,
		})
	}
	return steps
}

// loadAt is what a stage plans at a moment.
func loadAt(s *record.Stage, at time.Time) float64 {
	whole := s.To.Sub(s.Started).Seconds()
	if whole <= 0 {
		return s.End
	}
	return s.Begin + (s.End-s.Begin)*min(1, max(0, at.Sub(s.Started).Seconds()/whole))
}

func seconds(h *record.Histogram, q float64) float64 {
	if h.Count() == 0 {
		return math.NaN()
	}
	return h.Quantile(q).Seconds()
}

// runTick is some windows of a lane in a row, taken as one where there are more than a chart has room for.
type runTick struct {
	start                 time.Time
	length                float64 // seconds
	load                  float64 // planned, mean
	planned, sent, shed   int
	ok                    int
	inFlight              float64 // mean
	arrived               int64
	outcomes              map[string]int
	ttft, duration, perTk record.Quantiles // the worst of its windows
}

// ticksOf are a lane's windows in order, at most so many, and how many windows stand behind one.
func ticksOf(l *record.Lane, most int) (ticks []runTick, each int) {
	type placed struct {
		*record.Window
		load float64
	}
	var all []placed
	for i := range l.Stages {
		s := &l.Stages[i]
		for j := range s.Windows {
			w := &s.Windows[j]
			if w.Length > 0 {
				all = append(all, placed{w, loadAt(s, w.Start.Add(w.Length/2))})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int { return a.Start.Compare(b.Start) })
	each = max(1, (len(all)+most-1)/max(most, 1))
	for some := range slices.Chunk(all, each) {
		t := runTick{start: some[0].Start, outcomes: map[string]int{}}
		for _, w := range some {
			length := w.Length.Seconds()
			t.length += length
			t.load += w.load * length
			t.inFlight += w.InFlight * length
			t.planned, t.sent, t.shed, t.ok = t.planned+w.Planned, t.sent+w.Sent, t.shed+w.Shed, t.ok+w.OK
			t.arrived += w.Arrived
			for o, n := range w.Outcomes {
				if o != "ok" {
					t.outcomes[o] += n
				}
			}
			worst(&t.ttft, &w.TTFT)
			worst(&t.duration, &w.Duration)
			worst(&t.perTk, &w.TPOT)
		}
		t.load /= t.length
		t.inFlight /= t.length
		ticks = append(ticks, t)
	}
	return ticks, each
}

func worst(to, q *record.Quantiles) {
	to.N += q.N
	to.P50, to.P90, to.P95, to.P99 = max(to.P50, q.P50), max(to.P90, q.P90), max(to.P95, q.P95), max(to.P99, q.P99)
}

// known is v, or no value where there was no sample.
func known(q *record.Quantiles, v float64) float64 {
	if q.N == 0 {
		return math.NaN()
	}
	return v
}
