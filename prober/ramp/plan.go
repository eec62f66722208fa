package ramp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/workload"
)

// The defaults of a Plan and a Lane.
const (
	DefaultDrain          = time.Minute
	DefaultGrace          = 2 * time.Second
	DefaultLateBound      = 10 * time.Millisecond
	DefaultSampleInterval = 5 * time.Second
	DefaultMaxInFlight    = 1000
	DefaultAbortOver      = 30 * time.Second
)

// Plan is one ramp, ready to be run. It is not changed by Run and may be run again.
type Plan struct {
	ID     string // of the run; see record.Run
	Name   string // the ramp's name
	Target string // the target of lanes that name none
	Model  string
	Shape  string // the named shape that the stages come from; empty: none
	Seed   uint64 // of arrivals and mixes

	Trigger record.Trigger
	Nominal time.Time // see record.Run
	Begin   time.Time // by the wall clock: shards that are to be one load have the same; zero: at once. What was wanted before it is sent late
	Latest  time.Time // by the wall clock: later than this it does not begin, and Run returns ErrLate; zero: whenever
	Set     int       // of a ramp that is repeated, from 1; 0: not repeated
	Sets    int
	Shard   int // which part of the load this prober takes, from 0; caps and limits on requests under way, and on cost, are shared out as well
	Shards  int // how many parts there are; 0 and 1: it takes all

	Lanes      []Lane
	Objectives []record.Objective
	Abort      Abort

	Drain     time.Duration // longest wait for answers after the last request, and between the stages of a search; 0: DefaultDrain
	Grace     time.Duration // longest wait for answers after an abort or a stop; 0: DefaultGrace; negative: none
	LateBound time.Duration // a stage is invalid where more than one request in a hundred was dispatched later than this; 0: DefaultLateBound

	Sample         func(context.Context) record.Sample // looks at what stands beside the requests; nil: nothing does
	SampleInterval time.Duration                       // 0: DefaultSampleInterval; long runs take fewer, so that there are at most 2000
	Victims        map[string]float64                  // usual TTFT in seconds of continuous probes of other targets, by target/probe; of one that is absent its first sample counts

	Waits func(*prober.Result) []queuewait.Wait // queue waits of a result, by source; nil: none
	Cost  func(*prober.Result) float64          // price of a result, in Currency; nil: none

	Environment record.Environment // goes into the record as it is
	Config      []byte             // JSON: goes into the record as it is

	Sleep  func(context.Context, time.Time) error // nil: workload.SleepUntil; tests on a fake clock give workload.SleepUntilTimer
	Logger *slog.Logger                           // nil: silent
}

// Lane is one stream of requests. All lanes of a plan begin together.
//
// In an open loop loads are requests per second, in a closed loop requests under way.
type Lane struct {
	Name   string
	Target string // empty: the plan's
	Model  string // empty: the plan's

	Closed  bool             // closed loop: each of so many workers asks again as soon as it is free
	Process workload.Process // how arrivals scatter about the rate; open loops only; nil: workload.Constant
	Trace   *workload.Trace  // open loops only: arrivals as they were recorded, in place of Process; then there are no stages: it ends with the trace
	Speed   float64          // how many times as fast the trace is played; 0: 1

	MaxInFlight int // open loops only: a request that would be one more is shed, and counted; 0: DefaultMaxInFlight

	Probes map[string]Probe // by name: all that mixes speak of
	Mix    Mix              // of stages that have none of their own

	Stages []Stage
	Search *Search // in place of Stages: finds the knee

	// Background holds the last stage for as long as another lane goes on that is not in the background.
	Background bool
}

// Ask puts one question, or one conversation, and hands each result to the sink before it returns. Intended is when it was
// wanted: the first result's Timeline.Intended. It returns soon after ctx ends. It is called from many goroutines.
type Ask func(ctx context.Context, intended time.Time, sink prober.Sink)

// Probe is what a lane may ask.
type Probe struct {
	Ask Ask

	// Reserve, where it is set, takes from the budgets what one question may cost. It returns the Ask to be called for it,
	// once, which gives back what was not spent; or why there is none: a word, which becomes a metric label.
	Reserve func() (ask Ask, refused string)
}

// Mix is probes by name with their weights, which are above 0 and count against their sum.
type Mix map[string]float64

// Stage is one load of a lane.
type Stage struct {
	Name     string      // empty: made of kind and load
	Kind     record.Kind // empty: Hold, Rising or Idle, whichever the loads make it
	From, To float64     // load at begin and end; 0 to 0: nothing
	Over     time.Duration
	Mix      Mix           // nil: the lane's
	WarmUp   time.Duration // 0: by the rule of the package; negative: none

	// Burst, above 0, is so many requests at once at the beginning, in place of From and To; open loops only. The stage ends
	// when all of them have ended, at the latest after Over.
	Burst int
	// Requests, above 0, ends the stage when so many requests have ended, if that is before Over; closed loops only.
	Requests int
}

// arrives reports whether anything is asked in the stage.
func (s *Stage) arrives() bool { return s.From > 0 || s.To > 0 || s.Burst > 0 }

// Abort are the limits at which a run ends at once. A limit of 0 is none.
type Abort struct {
	Over       time.Duration // how long a limit must have been exceeded; 0: DefaultAbortOver. Cost: at once
	ErrorShare float64       // of the requests of a lane that ended in that time, those that failed
	TTFT       []TTFTLimit   // of the requests of a lane that ended in that time
	Waiting    float64       // requests that wait in the engine, in all samples of that time
	InFlight   int           // requests under way, of all lanes together, all that time
	Cost       float64       // of the run so far, in the plan's currency
	Victims    float64       // how many times its usual TTFT a continuous probe of another target had, in all samples of that time
}

// TTFTLimit is a percentile of the time to first token that must not be above a bound. A failed request is above any.
type TTFTLimit struct {
	Percentile float64 // between 0 and 100
	Bound      time.Duration
}

// minJudged is how few ended requests are too few for a share of them to abort a run.
const minJudged = 10

// Check says all that is wrong with a plan.
func (p *Plan) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(p.Lanes) == 0 {
		bad("there is no lane")
	}
	if p.Shards < 0 || p.Shard < 0 || p.Shard >= max(p.Shards, 1) {
		bad("there is no shard %d of %d; count from 0", p.Shard, p.Shards)
	}
	if a := p.Abort; a.ErrorShare < 0 || a.ErrorShare > 1 {
		bad("the error share that aborts is %v; give a number from 0 to 1", a.ErrorShare)
	}
	for _, l := range p.Abort.TTFT {
		if !(l.Percentile > 0 && l.Percentile < 100) || l.Bound <= 0 {
			bad("the TTFT that aborts is %v at percentile %v; give a time above 0 and a number between 0 and 100", l.Bound, l.Percentile)
		}
	}
	names := map[string]bool{}
	foreground := false
	for i := range p.Lanes {
		l := &p.Lanes[i]
		if names[l.Name] {
			bad("there are two lanes called %q", l.Name)
		}
		names[l.Name] = true
		foreground = foreground || !l.Background
		if err := l.check(p); err != nil {
			bad("lane %q: %w", l.Name, err)
		}
	}
	if !foreground && len(p.Lanes) > 0 {
		bad("all lanes are in the background: the run would have no end")
	}
	for _, o := range p.Objectives {
		if err := o.Check(); err != nil {
			bad("objective: %w", err)
		}
		if o.Lane != "" && !names[o.Lane] {
			bad("objective: there is no lane %q", o.Lane)
		}
	}
	return errors.Join(errs...)
}

func (l *Lane) check(p *Plan) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	loads := 0
	for _, given := range []bool{len(l.Stages) > 0, l.Search != nil, l.Trace != nil} {
		if given {
			loads++
		}
	}
	if loads != 1 {
		bad("give one of stages, a search and a trace")
	}
	if l.Closed && (l.Process != nil || l.Trace != nil) {
		bad("a closed loop has no arrivals of its own; take an open loop")
	}
	if l.Speed != 0 && (l.Trace == nil || !(l.Speed > 0) || math.IsInf(l.Speed, 1)) {
		bad("the speed is %v; give a number above 0, and a trace", l.Speed)
	}
	if l.Background && len(l.Stages) == 0 {
		bad("a lane in the background needs stages: it holds the last one")
	}
	if l.MaxInFlight < 0 {
		bad("the cap on requests in flight is %d; give 1 or more", l.MaxInFlight)
	}
	for name, probe := range l.Probes {
		if probe.Ask == nil && probe.Reserve == nil {
			bad("probe %q has nothing to ask with", name)
		}
	}
	if l.Search != nil || l.Trace != nil {
		if err := l.Mix.check(l.Probes); err != nil {
			bad("%w", err)
		}
	}
	if l.Search != nil {
		if err := l.Search.check(); err != nil {
			bad("%w", err)
		}
		if len(p.objectivesOf(l.Name)) == 0 {
			bad("a search needs an objective: the knee is the highest load at which all objectives hold")
		}
	}
	for i := range l.Stages {
		s := &l.Stages[i]
		if err := s.check(l); err != nil {
			bad("stage %d: %w", i+1, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Stage) check(l *Lane) error {
	for _, load := range []float64{s.From, s.To} {
		if !(load >= 0 && load <= workload.MaxRate) {
			return fmt.Errorf("the load is %v; give one from 0 to %d", load, workload.MaxRate)
		}
	}
	switch {
	case s.Over <= 0:
		return fmt.Errorf("it lasts %v; give a time above 0", s.Over)
	case s.Burst < 0 || s.Burst > 0 && (l.Closed || s.From > 0 || s.To > 0):
		return errors.New("a burst is 1 or more requests of an open loop, and takes the place of the loads")
	case s.Requests < 0 || s.Requests > 0 && !l.Closed:
		return errors.New("only a closed loop can end after so many requests")
	case !s.arrives():
		return nil
	case s.Mix != nil:
		return s.Mix.check(l.Probes)
	}
	return l.Mix.check(l.Probes)
}

func (m Mix) check(probes map[string]Probe) error {
	if len(m) == 0 {
		return errors.New("the mix is empty")
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if _, ok := probes[name]; !ok {
			return fmt.Errorf("there is no probe %q", name)
		}
		if w := m[name]; !(w > 0) || math.IsInf(w, 1) {
			return fmt.Errorf("the weight of %q is %v; give a number above 0", name, w)
		}
	}
	return nil
}

// objectivesOf are those that speak of a lane.
func (p *Plan) objectivesOf(lane string) []record.Objective {
	var of []record.Objective
	for _, o := range p.Objectives {
		if o.Lane == "" || o.Lane == lane {
			of = append(of, o)
		}
	}
	return of
}

// withDefaults is the plan with all that was left open filled in.
func (p Plan) withDefaults() Plan {
	def(&p.Drain, DefaultDrain)
	def(&p.Grace, DefaultGrace)
	def(&p.LateBound, DefaultLateBound)
	def(&p.SampleInterval, DefaultSampleInterval)
	def(&p.Abort.Over, DefaultAbortOver)
	def(&p.Shards, 1)
	p.Abort.InFlight = p.most(p.Abort.InFlight)
	p.Abort.Cost /= float64(p.Shards)
	if p.Sleep == nil {
		p.Sleep = workload.SleepUntil
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return p
}

// def gives a value that was left open its default.
func def[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Longest is how long the run takes at most, the last drain left out.
func (p *Plan) Longest() time.Duration {
	var longest time.Duration
	for i := range p.Lanes {
		longest = max(longest, p.Lanes[i].longest(p))
	}
	return longest
}

func (l *Lane) longest(p *Plan) time.Duration {
	if l.Search != nil {
		drain := p.Drain
		def(&drain, DefaultDrain)
		return l.Search.longest(drain)
	}
	if l.Trace != nil {
		return l.traceLength()
	}
	var d time.Duration
	for _, s := range l.Stages {
		d += s.Over
	}
	return d
}

// traceLength is how long the trace takes: a moment longer than until its last arrival.
func (l *Lane) traceLength() time.Duration {
	speed := l.Speed
	def(&speed, 1)
	return time.Duration(float64(l.Trace.Duration())/speed) + time.Millisecond
}
