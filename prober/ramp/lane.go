package ramp

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/workload"
)

// A lane is one stream of requests that is under way.
type lane struct {
	run                 *run
	plan                Lane
	index               int
	name, target, model string
	seed                uint64
	objectives          []record.Objective
	search              *record.Search

	mu      sync.Mutex // protects all following fields
	rand    *rand.Rand // of the mix
	stages  []*stage   // that have begun and are not finished, oldest first
	current *stage     // the latest; nil before the first
	windows []*window  // that are not done, oldest first
	records []record.Stage
	begun   int // stages
	flight  meter
	told    []*stage // that are finished, and of which the observer has to be told
	lately  *recent  // the last seconds, for the progress
	judged  *recent  // the time of the abort limits
	sent    int
	cost    float64

	want int    // workers of a closed loop
	busy []bool // those that there are
}

// newLane prepares a lane of a plan that has all its defaults.
func newLane(r *run, i int) *lane {
	l := &lane{run: r, plan: r.plan.Lanes[i], index: i}
	l.name, l.target, l.model = l.plan.Name, l.plan.Target, l.plan.Model
	def(&l.target, r.plan.Target)
	def(&l.model, r.plan.Model)
	def(&l.plan.MaxInFlight, DefaultMaxInFlight)
	l.plan.MaxInFlight = r.plan.most(l.plan.MaxInFlight)
	def(&l.plan.Speed, 1)
	l.seed = r.plan.Seed + uint64(i)*0x9E3779B97F4A7C15 // so that lanes of one shape do not go in step
	l.rand = rand.New(rand.NewPCG(l.seed, 0))
	if l.plan.Closed {
		l.rand = rand.New(rand.NewPCG(l.seed, uint64(r.plan.Shard)))
	}
	l.objectives = r.plan.objectivesOf(l.name)
	l.lately = newRecent(r.started, 5*time.Second, 10)
	l.judged = newRecent(r.started, r.plan.Abort.Over, 30)
	return l
}

// open begins a stage, and ends the one before it.
func (l *lane) open(begin time.Time, plan Stage, before float64) *stage {
	s := &stage{
		lane: l, plan: plan, end: begin.Add(plan.Over),
		open: map[string]int{}, ended: make(chan struct{}), idle: make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancelCause(l.run.asks)
	kind := plan.kind()
	mix := plan.Mix
	if mix == nil {
		mix = l.plan.Mix
	}
	s.rec = &record.Stage{
		Name: plan.name(l.plan.Closed), Kind: kind, Begin: l.share(plan.From), End: l.share(plan.To),
		Started: begin, From: begin.Add(warmUp(&plan, kind, before)), To: s.end,
		DispatchDelay: new(record.Histogram), Probes: map[string]*record.Stats{},
	}
	if plan.arrives() {
		s.mix = newPicker(mix)
		s.rec.Mix = mix.shares()
		for probe := range mix {
			s.stats(probe)
		}
	}
	s.window = evenly(plan.Over, l.run.window)
	if plan.Over == endless {
		s.window = l.run.window
		plan.Over = l.run.longest // for the warm-up
		s.rec.From = begin.Add(warmUp(&plan, kind, before))
	}
	l.mu.Lock()
	l.mark(begin)
	if l.current != nil {
		l.endStage(l.current, begin)
	}
	s.rec.Index = l.begun
	l.begun++
	l.current = s
	l.stages = append(l.stages, s)
	l.addWindow(s, begin)
	l.finish(begin)
	l.mu.Unlock()
	l.tell()
	l.run.observer.StageStarted(s.where("", true), kind, s.rec.Begin, s.rec.End)
	return s
}

// share is this prober's share of a load of the lane.
func (l *lane) share(load float64) float64 {
	if l.plan.Closed {
		return float64(l.run.plan.part(int(math.Round(load))))
	}
	return load / float64(l.run.plan.Shards)
}

// close ends the stage that is under way: nothing begins in it any more.
func (l *lane) close(now time.Time) {
	l.mu.Lock()
	l.mark(now)
	if s := l.current; s != nil && !s.over {
		l.endStage(s, now)
		l.addWindow(s, now) // of the drain
		l.finish(now)
	}
	l.mu.Unlock()
	l.tell()
}

// tell tells the observer of stages that are finished.
func (l *lane) tell() {
	l.mu.Lock()
	told := l.told
	l.told = nil
	l.mu.Unlock()
	for _, s := range told {
		l.run.observer.StageEnded(s.where("", true), s.rec)
		close(s.ended)
	}
}

// endStage takes the end of a stage, which may be before the planned one. The lock is held.
func (l *lane) endStage(s *stage, now time.Time) {
	if s.over {
		return
	}
	s.over = true
	if now.Before(s.end) {
		s.end = now
	}
	if s.end.Before(s.rec.To) {
		s.rec.To = s.end
	}
	if s.rec.To.Before(s.rec.From) {
		s.rec.From = s.rec.To
	}
	l.take(s, s.end)
}

// take remembers the in-flight integral at the ends of the measured part, once they have come. The lock is held.
func (l *lane) take(s *stage, now time.Time) {
	if !s.fromTaken && !now.Before(s.rec.From) {
		s.fromTaken, s.atFrom = true, l.flight.until(s.rec.From)
		s.rec.MaxInFlight = l.flight.level
	}
	if !s.toTaken && !now.Before(s.rec.To) {
		s.toTaken, s.atTo = true, l.flight.until(s.rec.To)
	}
}

// mark brings windows and stages up to now. It comes before each change of what is in flight. The lock is held.
func (l *lane) mark(now time.Time) {
	s := l.current
	if s == nil {
		return
	}
	l.take(s, now)
	for len(l.windows) > 0 {
		w := l.windows[len(l.windows)-1]
		if w.over || now.Before(w.end) {
			return
		}
		w.over, w.ended = true, l.flight.until(w.end)
		if !s.over && !w.end.Before(s.end) {
			return // the next stage is about to begin
		}
		l.addWindow(s, w.end)
	}
}

// addWindow begins one. The lock is held.
func (l *lane) addWindow(s *stage, at time.Time) {
	if n := len(l.windows); n > 0 {
		if last := l.windows[n-1]; !last.over {
			l.cutWindow(last, at)
		}
	}
	w := &window{stage: s, end: at.Add(s.window), begun: l.flight.until(at)}
	switch {
	case at.Before(s.end):
		if w.end.After(s.end) {
			w.end = s.end
		}
	default:
		w.end = at.Add(l.run.window) // of the drain
	}
	w.Start, w.Length = at, w.end.Sub(at)
	l.windows = append(l.windows, w)
}

// cutWindow ends one before its time. The lock is held.
func (l *lane) cutWindow(w *window, at time.Time) {
	w.over = true
	if at.Before(w.end) {
		w.end = at
		w.Length = w.end.Sub(w.Start)
	}
	w.ended = l.flight.until(w.end)
}

// windowAt is the window that a time lies in, or the nearest that is not done; nil where there is none. The lock is held.
func (l *lane) windowAt(t time.Time) *window {
	for _, w := range slices.Backward(l.windows) {
		if !t.Before(w.Start) {
			return w
		}
	}
	if len(l.windows) > 0 {
		return l.windows[0]
	}
	return nil
}

// finish closes all windows and stages that are done. The lock is held.
func (l *lane) finish(now time.Time) {
	for len(l.stages) > 0 {
		s := l.stages[0]
		done := s.over && s.pending == 0
		for len(l.windows) > 0 && l.windows[0].stage == s {
			w := l.windows[0]
			if done && !w.over {
				l.cutWindow(w, now)
			}
			if !w.over || w.open > 0 || len(l.windows) == 1 && !done {
				break
			}
			l.windows = l.windows[1:]
			if w.Length > 0 {
				s.rec.Windows = append(s.rec.Windows, w.close())
			}
		}
		if !done {
			return
		}
		l.stages = l.stages[1:]
		s.rec.Ended = now
		s.rec.InFlight = mean(s.atFrom, s.atTo, s.rec.Measured())
		s.rec.Invalid = s.validity(l.run.plan.LateBound)
		pack(s.rec)
		s.cancel(nil)
		l.records = append(l.records, *s.rec)
		l.told = append(l.told, s)
	}
}

// dispatch puts one question of the stage that is under way, and does not wait for the answer. It ends the run where it is
// far too late for it.
func (l *lane) dispatch(wanted time.Time) {
	now := time.Now()
	if late := max(now.Sub(wanted), wallSince(wanted, now)); late > mostLate { // a suspended machine's own clock stands still
		l.run.stop(&suspended{late})
		return
	}
	if a, ask, _ := l.begin(wanted); a != nil {
		l.run.asking.Go(func() { l.put(a, ask) })
	}
}

// put puts a question and waits for the answer.
func (l *lane) put(a *asking, ask Ask) {
	ask(a.stage.ctx, a.wanted, a)
	l.answered(a)
}

// begin counts one question of the stage that is under way. It returns what to ask, or nil where the stage has no more
// questions; or where this one is kept back, with the reason.
func (l *lane) begin(wanted time.Time) (a *asking, ask Ask, refused string) {
	l.mu.Lock()
	now := time.Now()
	l.mark(now)
	s := l.current
	if s.over || s.mix == nil || s.plan.Requests > 0 && s.asked >= s.plan.Requests {
		l.mu.Unlock()
		return nil, nil, ""
	}
	a = &asking{stage: s, probe: l.pick(s.mix), wanted: wanted, measured: s.measures(wanted), window: l.windowAt(wanted)}
	s.pending++
	s.asked++
	a.window.open++
	a.window.Planned++
	if a.measured {
		s.rec.Planned++
		s.open[a.probe]++
	}
	if !l.plan.Closed && l.flight.level >= l.plan.MaxInFlight {
		refused = ShedInFlight
	}
	l.mu.Unlock()

	probe := l.plan.Probes[a.probe]
	ask = probe.Ask
	if probe.Reserve != nil && refused == "" {
		ask, refused = probe.Reserve()
	}
	l.mu.Lock()
	now = time.Now()
	l.mark(now)
	if refused != "" {
		l.shed(a, refused, now)
		l.mu.Unlock()
		l.tell()
		l.run.observer.Shed(s.where(a.probe, a.measured), refused)
		return nil, nil, refused
	}
	l.flight.step(now, 1)
	if !now.Before(s.rec.From) && now.Before(s.rec.To) {
		s.rec.MaxInFlight = max(s.rec.MaxInFlight, l.flight.level)
	}
	l.sent++
	l.lately.at(now).sent++
	a.window.Sent++
	if a.measured {
		s.rec.Sent++
	}
	l.mu.Unlock()
	return a, ask, ""
}

// pick draws the probe of the next question. In an open loop it draws for all shards, of which each takes one arrival in
// turn: so an arrival has the probe that it has in the whole plan, whoever sends it. The lock is held.
func (l *lane) pick(mix *picker) string {
	if l.plan.Closed {
		return mix.pick(l.rand)
	}
	for range l.run.plan.Shard {
		mix.pick(l.rand)
	}
	probe := mix.pick(l.rand)
	for range l.run.plan.Shards - 1 - l.run.plan.Shard {
		mix.pick(l.rand)
	}
	return probe
}

// shed counts a request that was kept back. The lock is held.
func (l *lane) shed(a *asking, reason string, now time.Time) {
	s := a.stage
	s.asked--
	s.shed++
	a.window.Shed++
	if a.measured {
		s.rec.Shed++
		if s.rec.ShedBy == nil {
			s.rec.ShedBy = map[string]int{}
		}
		s.rec.ShedBy[reason]++
		switch reason {
		case ShedInFlight:
		case ShedUnsent:
			s.unsent++
		default:
			s.refused++
		}
		s.stats(a.probe).Shed++
	}
	l.settle(a, now)
}

// settle takes a request that is not under way any more, or never was. The lock is held.
func (l *lane) settle(a *asking, now time.Time) {
	s := a.stage
	if s.pending--; s.pending == 0 {
		select {
		case s.idle <- struct{}{}:
		default: // it has been said
		}
	}
	a.window.open--
	if a.measured {
		s.open[a.probe]--
	}
	l.finish(now)
}

// observe takes one result.
func (l *lane) observe(a *asking, r *prober.Result) {
	s := a.stage
	m := measure(r, a.wanted)
	if l.run.plan.Waits != nil {
		m.waits = l.run.plan.Waits(r)
	}
	if l.run.plan.Cost != nil {
		m.cost = l.run.plan.Cost(r)
	}
	l.mu.Lock()
	now := time.Now()
	l.cost += m.cost
	if r.Outcome == prober.Unsent {
		a.unsent, a.failed = true, true
		l.mu.Unlock()
		return
	}
	unended := r.Outcome == prober.Canceled && context.Cause(s.ctx) == errUnended
	if r.Outcome == prober.Canceled && !unended {
		a.canceled++
		l.mu.Unlock()
		l.run.observer.Result(s.where(a.probe, false), r)
		return
	}
	if unended {
		a.canceled++
	}
	ok := r.Outcome == prober.OK
	s.done++
	if a.failed = !ok; ok {
		s.ok++
	} else {
		s.failed++
	}
	l.lately.at(now).tokens += int64(r.OutputTokens)
	l.count(l.judged.at(now), r, &m)
	if w := l.windowAt(r.Timeline.Intended); w != nil {
		w.take(r, &m)
	}
	l.arrive(r)
	if a.measured {
		st := s.stats(a.probe)
		fold(st, r, &m)
		if unended {
			st.Unended++
		}
		if m.first {
			s.rec.DispatchDelay.Record(m.delay)
			s.dispatched++
			if m.delay > l.run.plan.LateBound {
				s.late++
			}
		}
	}
	l.mu.Unlock()
	l.run.observer.Result(s.where(a.probe, a.measured), r)
}

// count adds a result to what the abort limits look at.
func (l *lane) count(t *tally, r *prober.Result, m *measures) {
	t.ended++
	failed := r.Outcome != prober.OK
	if failed {
		t.failed++
	}
	if !failed && !m.hasTTFT {
		return
	}
	t.timed++
	for i, limit := range l.run.plan.Abort.TTFT {
		if failed || m.ttft > limit.Bound {
			t.slow[i]++
		}
	}
}

// arrive counts a result's output tokens into the windows in which they came. Where it is not known of each chunk how many
// it held, all are taken to have held as many.
func (l *lane) arrive(r *prober.Result) {
	count := func(at time.Time, tokens int) {
		if w := l.windowAt(at); w != nil {
			w.Arrived += int64(tokens)
		}
	}
	if len(r.Chunks) == 0 {
		count(r.Timeline.End, r.OutputTokens)
		return
	}
	known := 0
	for _, c := range r.Chunks {
		if c.Tokens < 0 {
			known = -1
			break
		}
		known += int(c.Tokens)
	}
	given := 0
	for i, c := range r.Chunks {
		tokens := int(c.Tokens)
		if known != r.OutputTokens {
			tokens = r.OutputTokens*(i+1)/len(r.Chunks) - given
		}
		given += tokens
		count(r.Timeline.Dispatched.Add(c.At), tokens)
	}
}

// answered takes the end of a question.
func (l *lane) answered(a *asking) {
	l.mu.Lock()
	now := time.Now()
	l.mark(now)
	s := a.stage
	l.flight.step(now, -1)
	l.lately.at(now).ended++
	if a.unsent {
		a.window.Sent--
		if a.measured {
			s.rec.Sent--
		}
		l.shed(a, ShedUnsent, now)
		l.mu.Unlock()
		l.tell()
		l.run.observer.Shed(s.where(a.probe, a.measured), ShedUnsent)
		return
	}
	if a.measured && a.canceled > 0 {
		if context.Cause(s.ctx) == errUnended {
			s.rec.Unended++
		} else {
			s.rec.Canceled++
			s.rec.Planned--
			s.rec.Sent--
		}
	}
	l.settle(a, now)
	l.mu.Unlock()
	l.tell()
}

// process is its name for the record.
func (l *lane) process() string {
	switch {
	case l.plan.Closed:
		return ""
	case l.plan.Trace != nil:
		return "trace"
	}
	switch l.plan.Process.(type) {
	case workload.Poisson:
		return "poisson"
	case workload.Gamma:
		return "gamma"
	}
	return "constant"
}
