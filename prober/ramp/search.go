package ramp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/chance"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/workload"
)

// The defaults of a Search.
const (
	DefaultSearchStage = 30 * time.Second
	DefaultResolution  = 0.05
)

// Search finds the knee, the highest load at which every objective holds, with few requests: it doubles the load until a
// stage fails, and then halves what lies between the highest that passed and the lowest that failed.
//
//	load   ·                        × failed, ended as soon as that was clear
//	       ·              ×
//	       ·                  ×
//	       ·                     ×
//	       ·                 ○       ○     <- the knee: the highest that passed; the next above it is within Resolution
//	       ·         ○                     ○ passed
//	       ·    ○
//	       └────────────────────────────── stages, each after the answers to the one before have come
//
// A load a little above the capacity takes time to show: the queue grows by the excess only. A stage that is as long as 20
// times the threshold tells an excess of 5 %.
type Search struct {
	From, To   float64       // lowest and highest load: 0 < From < To
	Resolution float64       // relative distance of the ends at which it is done; 0: DefaultResolution
	Stage      time.Duration // longest measured part of a stage; 0: DefaultSearchStage
	WarmUp     time.Duration // before it; 0: a tenth of Stage; negative: none
	Requests   int           // that a stage has at most in its measured part: higher loads are held for less time; 0: no bound
}

func (s *Search) check() error {
	var errs []error
	if !(s.From > 0 && s.From < s.To && s.To <= workload.MaxRate) {
		errs = append(errs, fmt.Errorf("the search goes from %v to %v; give two loads above 0, the lower first", s.From, s.To))
	}
	if s.Resolution < 0 || s.Resolution >= 1 {
		errs = append(errs, fmt.Errorf("the resolution of the search is %v; give a number between 0 and 1", s.Resolution))
	}
	if s.Stage < 0 {
		errs = append(errs, fmt.Errorf("a stage of the search lasts %v; give a time above 0", s.Stage))
	}
	return errors.Join(errs...)
}

func (s Search) withDefaults() Search {
	def(&s.Resolution, DefaultResolution)
	def(&s.Stage, DefaultSearchStage)
	def(&s.WarmUp, s.Stage/warmUpPart)
	s.WarmUp = max(s.WarmUp, 0)
	return s
}

// mostStages is how many stages it takes at most: doubling, halving, and a look again at either end.
func (s *Search) mostStages() int {
	doublings := math.Ceil(math.Log2(s.To/s.From)) + 1
	halvings := math.Ceil(math.Log2(math.Ln2 / math.Log1p(s.Resolution)))
	return int(doublings+max(halvings, 0)) + retests
}

// longest is how long it takes at most.
func (s Search) longest(drain time.Duration) time.Duration {
	s = s.withDefaults()
	return time.Duration(s.mostStages()) * (s.WarmUp + s.Stage + drain)
}

const (
	clearly  = 0.99 // confidence with which a stage ends early
	soonest  = 0.2  // part of the measured time before which none does
	quarter  = 0.25 // part before which none passes
	interval = 100  // looks at a stage

	mostSpoilt = 3 // invalid stages after each other with which it gives up
)

// A trial is a stage of a search.
type trial struct {
	load       float64
	passed     bool
	early      bool
	confidence float64 // that the objectives held: the least of theirs
	invalid    string
}

// find looks for the knee.
func (l *lane) find(ctx context.Context) error {
	s := l.plan.Search.withDefaults()
	var trials []trial
	var words string
	spoilt := 0
	h := hunt{search: s, whole: l.plan.Closed}
	for len(trials) < s.mostStages() && ctx.Err() == nil {
		load, full, done := h.next()
		if done {
			break
		}
		t, err := l.try(ctx, s, load, full)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		if t.invalid != "" {
			if spoilt++; spoilt == mostSpoilt {
				words = "it was given up: " + t.invalid
				break
			}
			continue
		}
		spoilt = 0
		trials = append(trials, t)
		h.take(t)
	}
	l.search = h.result(words)
	l.mu.Lock()
	l.search.Requests = l.sent
	l.mu.Unlock()
	return nil
}

// try holds one load until it is clear whether the objectives hold at it, or its time is over, and then lets its requests
// end, so that what is left of it does not burden the next. They are not canceled, for there are servers that go on with
// what nobody waits for. Full: it passes only when its time is over.
func (l *lane) try(ctx context.Context, search Search, load float64, full bool) (trial, error) {
	if enough := time.Duration(float64(search.Requests) / load * float64(time.Second)); search.Requests > 0 && !l.plan.Closed {
		search.Stage = min(search.Stage, enough)
	}
	plan := Stage{Kind: record.Hold, From: load, To: load, Over: search.WarmUp + search.Stage, WarmUp: search.WarmUp}
	if plan.WarmUp == 0 {
		plan.WarmUp = -1
	}
	begin := time.Now()
	s := l.open(begin, plan, 0)
	dispatching, enough := context.WithCancel(ctx)
	defer enough()
	dispatched := make(chan error, 1)
	go func() { dispatched <- l.hold(dispatching, ctx, s) }()

	t := trial{load: load}
	looking := time.NewTicker(max(search.Stage/interval, 10*time.Millisecond))
	defer looking.Stop()
	var err error
	for holding := true; holding; {
		select {
		case err = <-dispatched:
			holding = false
		case now := <-looking.C:
			passed, failed, words := l.clear(s, now)
			if failed || passed && !full {
				t.early, t.passed = true, passed
				l.mu.Lock()
				s.rec.Early = words
				l.mu.Unlock()
				enough()
				err = <-dispatched
				holding = false
			}
		}
	}
	l.close(time.Now())
	drain := time.NewTimer(l.run.plan.Drain)
	defer drain.Stop()
	select {
	case <-s.ended:
	case <-drain.C:
		s.cancel(errUnended)
	case <-ctx.Done(): // the run sees to what is under way
		return t, err
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
		return t, err
	}
	t.invalid = s.rec.Invalid
	held, confidence := l.held(s.rec)
	t.confidence = confidence
	if !t.early || t.passed {
		t.passed = held
	}
	return t, err
}

// hold dispatches what one stage wants, until it ends or ctx does. Workers of a closed loop live until working ends: one that
// is about to go when the next stage begins must still be there for it.
func (l *lane) hold(ctx, working context.Context, s *stage) error {
	if l.plan.Closed {
		l.keep(ctx, working, s)
		l.staff(working, 0)
		return nil
	}
	profile := workload.Profile{{From: s.plan.From, To: s.plan.To, Over: s.plan.Over}}
	arrivals, err := workload.NewArrivals(profile, l.plan.Process, l.seed^uint64(l.begun))
	if err == nil {
		arrivals, err = arrivals.Shard(l.run.plan.Shard, l.run.plan.Shards)
	}
	if err != nil {
		return err
	}
	for at, more := arrivals.Next(); more; at, more = arrivals.Next() {
		wanted := s.rec.Started.Add(at)
		if l.run.plan.Sleep(ctx, wanted) != nil {
			return nil
		}
		l.dispatch(wanted)
	}
	_ = l.run.plan.Sleep(ctx, s.rec.Started.Add(s.plan.Over)) // an end before is seen by the caller
	return nil
}

// clear reports whether it is clear already how a stage will end. Requests that are under way count as good where it would
// fail and as bad where it would pass, for the slow ones are the last to be known of.
//
// A queue that grows has not yet shown all it will. So a stage passes early only if the times, were they to go on growing as
// they may have grown from nothing until now, would be within the thresholds at its end, and if no more requests are under
// way than were before.
//
//	threshold ┼- - - - - - - - - - - - - ·
//	          │                      ·   |
//	          │                  ·       |
//	          │         ×    ·           |      × after a third of the time: a third of the threshold
//	          │        ·                 |
//	          └────────┼─────────────────┼
//	         From     now                To
func (l *lane) clear(s *stage, now time.Time) (passed, failed bool, words string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	whole := s.rec.To.Sub(s.rec.From)
	part := min(now.Sub(s.rec.From).Seconds()/whole.Seconds(), 1)
	if part < soonest {
		return false, false, ""
	}
	passed = part >= quarter && !l.growing(s, now)
	for _, o := range l.objectives {
		j := s.rec.JudgeWith(o, s.open, nil)
		if j.N > 0 && j.Confidence <= 1-clearly {
			return false, true, fmt.Sprintf("it was clear that %s of %s is missed: %d of %d requests were within the threshold", o.Indicator, j.Probe, j.Good, j.N)
		}
		switch o.Indicator {
		case record.TTFT, record.Duration, record.TPOT, record.QueueWait:
			o.Threshold *= part
		}
		j = s.rec.JudgeWith(o, nil, s.open)
		passed = passed && j.N > 0 && j.Confidence >= clearly
	}
	return passed, false, "it was clear that all objectives hold"
}

// look is the in-flight integral at a time.
type look struct {
	at   time.Time
	area float64
}

// growing reports whether more requests were under way in the second half of the measured time than in the first. The lock is held.
func (l *lane) growing(s *stage, now time.Time) bool {
	l.mark(now)
	s.looks = append(s.looks, look{now, l.flight.until(now)})
	begin, half, end := s.looks[0], s.looks[len(s.looks)/2], s.looks[len(s.looks)-1]
	first := mean(begin.area, half.area, half.at.Sub(begin.at))
	second := mean(half.area, end.area, end.at.Sub(half.at))
	return first == 0 || second > 1.1*first
}

// held reports whether all objectives held in a stage that has ended, with which confidence. Where there are too few
// requests for confidence, the share itself decides.
func (l *lane) held(s *record.Stage) (held bool, confidence float64) {
	held, confidence = true, 1
	known := false
	for _, o := range l.objectives {
		j := s.Judge(o)
		if j.N == 0 {
			continue
		}
		known = true
		few := 1-chance.Beta(o.Goal(), float64(j.N)+.5, .5) < record.Confidence
		held = held && (j.Confidence >= record.Confidence || few && j.Held)
		confidence = min(confidence, j.Confidence)
	}
	return held && known, confidence
}
