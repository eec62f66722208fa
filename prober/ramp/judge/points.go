package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// point is what a lane did under one load: all its stages of that load together, or a part of a stage whose load rises.
type point struct {
	load    float64
	stage   *record.Stage // the stages' figures added up; nil of a part of a rising stage
	windows []record.Window
	rising  bool

	planned, failed int
	seconds         float64
	offered         float64 // requests per second that were asked for; of closed loops those that were begun
	done            float64 // requests per second that the server worked off meanwhile
	tokens          float64 // output tokens per second that came meanwhile
	share           float64 // of the work that was asked for, that was done meanwhile: 0 to 1
	shareHigh       float64 // what share may be as far as chance goes: arrivals of a few windows are never quite as many as planned
	inFlight        float64
}

// parts is into how many points a rising stage is cut at most, and each has some windows at least.
const (
	parts        = 8
	windowsAPart = 3
)

// steadyKinds are the stages that show what a load does: one that comes after an overload shows the overload, a spike is
// too short.
func steadyKind(k record.Kind) bool {
	return k == record.Hold || k == record.Rising || k == record.Unloaded
}

// pointsOf are a lane's loads, the lowest first. They are of one mix: where the mix changes from stage to stage there are
// none.
func pointsOf(l *record.Lane) []point {
	byLoad := map[float64][]*record.Stage{}
	var points []point
	var mix map[string]float64
	for i := range l.Stages {
		s := &l.Stages[i]
		if s.Invalid != "" || !steadyKind(s.Kind) || s.Planned == 0 || s.Measured() <= 0 {
			continue
		}
		if mix == nil {
			mix = s.Mix
		} else if !alike(mix, s.Mix) {
			return nil
		}
		switch {
		case s.End > s.Begin:
			points = append(points, risingPoints(l, s)...)
		case s.End == s.Begin && s.End > 0:
			byLoad[s.End] = append(byLoad[s.End], s)
		}
	}
	for load, stages := range byLoad {
		points = append(points, pointOf(l, load, stages))
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.load, b.load) })
	return points
}

func alike(a, b map[string]float64) bool {
	if len(a) != len(b) {
		return false
	}
	for probe, share := range a {
		if math.Abs(b[probe]-share) > 1e-6 {
			return false
		}
	}
	return true
}

// pointOf adds up stages of one load.
func pointOf(l *record.Lane, load float64, stages []*record.Stage) point {
	p := point{load: load, stage: sumOf(stages)}
	busy := 0.0
	for _, s := range stages {
		p.windows = append(p.windows, s.Steady()...)
		p.seconds += s.Measured().Seconds()
		busy += s.InFlight * s.Measured().Seconds()
	}
	p.planned = p.stage.Planned
	p.failed = failedOf(p.stage)
	ok, tokens := 0, int64(0)
	for _, stats := range p.stage.Probes {
		ok += stats.Outcomes["ok"]
		tokens += stats.OutputTokens
	}
	each := 0.0
	if ok > 0 {
		each = float64(tokens) / float64(ok)
	}
	p.inFlight = busy / p.seconds
	p.flow(l.Open, ok, each)
	return p
}

// flow says how much was done, of what was asked for. A request is done when its tokens have come: with an open loop those
// of an overload come in the end as well, only too late.
func (p *point) flow(open bool, ok int, each float64) {
	p.offered = float64(p.planned) / p.seconds
	p.done = float64(ok) / p.seconds
	var came, length float64
	for _, w := range p.windows {
		came += float64(w.Arrived)
		length += w.Length.Seconds()
	}
	if came > 0 && each > 0 && length > 0 {
		p.tokens = came / length
		p.done = p.tokens / each
	} else {
		p.tokens = p.done * each
	}
	if p.offered > 0 {
		p.share = min(p.done/p.offered, 1)
	}
	p.shareHigh = p.share
	if n := p.offered * length; n > 0 {
		p.shareHigh = min(p.share+2/math.Sqrt(n), 1) // two standard deviations of so many arrivals
	}
	if !open && p.planned > 0 {
		p.share = 1 - float64(p.failed)/float64(p.planned) // a closed loop asks for what it gets
		p.shareHigh = p.share
	}
}

// risingPoints cuts a stage whose load rises.
func risingPoints(l *record.Lane, s *record.Stage) []point {
	windows := s.Steady()
	n := min(parts, len(windows)/windowsAPart)
	if n == 0 {
		return nil
	}
	ok, tokens := 0, int64(0)
	for _, stats := range s.Probes {
		ok += stats.Outcomes["ok"]
		tokens += stats.OutputTokens
	}
	each := 0.0
	if ok > 0 {
		each = float64(tokens) / float64(ok)
	}
	var points []point
	for k := range n {
		part := windows[k*len(windows)/n : (k+1)*len(windows)/n]
		first, last := part[0], part[len(part)-1]
		end := last.Start.Add(last.Length)
		middle := first.Start.Add(end.Sub(first.Start) / 2)
		p := point{windows: part, rising: true, seconds: end.Sub(first.Start).Seconds(), load: loadAt(s, middle)}
		good := 0
		for _, w := range part {
			p.planned += w.Planned
			p.failed += failures(w)
			p.inFlight += w.InFlight / float64(len(part))
			good += w.OK
		}
		p.flow(l.Open, good, each)
		points = append(points, p)
	}
	return points
}

// loadAt is the planned load of a stage at a moment.
func loadAt(s *record.Stage, at time.Time) float64 {
	whole := s.Ended.Sub(s.Started).Seconds()
	if whole <= 0 {
		return s.End
	}
	return s.Begin + (s.End-s.Begin)*at.Sub(s.Started).Seconds()/whole
}

// failures of a window.
func failures(w record.Window) int {
	n := w.Shed
	for outcome, count := range w.Outcomes {
		if outcome != "ok" {
			n += count
		}
	}
	return n
}

func failedOf(s *record.Stage) int {
	n := 0
	for _, stats := range s.Probes {
		n += stats.Failed()
	}
	return n
}

// sumOf adds up stages: what their requests say together. The result shares nothing with them.
func sumOf(stages []*record.Stage) *record.Stage {
	first := stages[0]
	sum := &record.Stage{
		Index: first.Index, Name: first.Name, Kind: first.Kind, Begin: first.Begin, End: first.End, Mix: first.Mix,
		Started: first.Started, From: first.From, To: first.To, Ended: first.Ended,
		Probes: map[string]*record.Stats{},
	}
	for _, s := range stages {
		sum.Planned += s.Planned
		sum.Sent += s.Sent
		sum.Shed += s.Shed
		sum.Unended += s.Unended
		for probe, stats := range s.Probes {
			if sum.Probes[probe] == nil {
				sum.Probes[probe] = &record.Stats{Outcomes: map[string]int{}}
			}
			addTo(sum.Probes[probe], stats)
		}
	}
	return sum
}

func addTo(sum, s *record.Stats) {
	sum.Sent += s.Sent
	sum.Shed += s.Shed
	sum.Retried += s.Retried
	sum.TimedOutByClient += s.TimedOutByClient
	sum.TimedOutByServer += s.TimedOutByServer
	sum.Reset += s.Reset
	sum.PromptTokens += s.PromptTokens
	sum.CachedPromptTokens += s.CachedPromptTokens
	sum.OutputTokens += s.OutputTokens
	sum.EstimatedTokens += s.EstimatedTokens
	sum.Cost += s.Cost
	for outcome, n := range s.Outcomes {
		sum.Outcomes[outcome] += n
	}
	for _, pair := range []struct {
		to   **record.Histogram
		from *record.Histogram
	}{
		{&sum.TTFT, s.TTFT}, {&sum.Duration, s.Duration}, {&sum.ITL, s.ITL}, {&sum.TPOT, s.TPOT}, {&sum.OutputRate, s.OutputRate},
	} {
		add(pair.to, pair.from)
	}
	for source, h := range s.QueueWait {
		if sum.QueueWait == nil {
			sum.QueueWait = map[string]*record.Histogram{}
		}
		to := sum.QueueWait[source]
		add(&to, h)
		sum.QueueWait[source] = to
	}
}

func add(to **record.Histogram, from *record.Histogram) {
	if from.Count() == 0 {
		return // an empty one takes room, too
	}
	if *to == nil {
		*to = &record.Histogram{}
	}
	(*to).Add(from)
}

// pick is one number of each window that has it.
func pick(windows []record.Window, of func(record.Window) (record.Quantiles, float64)) []float64 {
	var x []float64
	for _, w := range windows {
		if q, v := of(w); q.N > 0 {
			x = append(x, v)
		}
	}
	return x
}

func ttft(w record.Window) (record.Quantiles, float64)        { return w.TTFT, w.TTFT.P50 }
func ttftP95(w record.Window) (record.Quantiles, float64)     { return w.TTFT, w.TTFT.P95 }
func duration(w record.Window) (record.Quantiles, float64)    { return w.Duration, w.Duration.P50 }
func durationP95(w record.Window) (record.Quantiles, float64) { return w.Duration, w.Duration.P95 }
func tpot(w record.Window) (record.Quantiles, float64)        { return w.TPOT, w.TPOT.P50 }

// typical is the mean logarithm of a number through the point's windows.
func (p *point) typical(of func(record.Window) (record.Quantiles, float64)) mean {
	return meanOf(logs(pick(p.windows, of)))
}

// p95 is the point's p95 of an indicator in seconds, of the requests that came through; 0 where there is none.
func (p *point) p95(indicator string) float64 {
	if p.stage != nil {
		var all record.Histogram
		for _, stats := range p.stage.Probes {
			all.Add(stats.Indicator(indicator))
		}
		return all.Quantile(.95).Seconds()
	}
	of := ttftP95
	if indicator == record.Duration {
		of = durationP95
	}
	if x := pick(p.windows, of); len(x) > 0 {
		return median(x)
	}
	return 0
}
