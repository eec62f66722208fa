package config

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
)

// The names of lanes that a ramp has without writing them.
const (
	LaneMain      = "main"      // the only lane of a ramp
	LaneVictim    = "victim"    // of the shape noisy_neighbour: the steady one
	LaneNeighbour = "neighbour" // of the shape noisy_neighbour: the one that bursts
)

// The processes of arrivals.
const (
	ProcessConstant = "constant"
	ProcessPoisson  = "poisson"
	ProcessGamma    = "gamma"
	ProcessTrace    = "trace"
)

// Processes lists the processes of arrivals.
func Processes() []string {
	return []string{ProcessConstant, ProcessPoisson, ProcessGamma, ProcessTrace}
}

// EveryTarget is the target of an objective that holds for each target that has its probe.
const EveryTarget = "*"

// Ramp returns the ramp of that name, or nil.
func (c *Config) Ramp(name string) *Ramp {
	if i := slices.IndexFunc(c.Ramps, func(r *Ramp) bool { return r.Name == name }); i >= 0 {
		return c.Ramps[i]
	}
	return nil
}

// Target returns the target of that name, or nil.
func (c *Config) Target(name string) *Target {
	if i := slices.IndexFunc(c.Targets, func(t *Target) bool { return t.Name == name }); i >= 0 {
		return c.Targets[i]
	}
	return nil
}

// Lane returns the lane of that name, or nil.
func (r *Ramp) Lane(name string) *Lane {
	if i := slices.IndexFunc(r.Lanes, func(l *Lane) bool { return l.Name == name }); i >= 0 {
		return r.Lanes[i]
	}
	return nil
}

// Fingerprint covers all fields of the ramp. The targets and probes that it names are covered by name only.
func (r *Ramp) Fingerprint() Fingerprint { return fingerprint(*r) }

// Open reports whether the lane is an open loop: its loads are rates, and requests begin when planned. Else they are numbers of
// requests under way.
func (l *Lane) Open() bool { return l.Arrivals != nil }

// asksByRate reports whether the loads of a lane are rates, as its stages or else the ramp's shape say.
func (r *Ramp) asksByRate(l *Lane) bool {
	var loads []Level
	for _, s := range l.Stages {
		loads = append(loads, s.loads()...)
	}
	if len(l.Stages) == 0 {
		loads = r.Shape.loads()
	}
	return slices.ContainsFunc(loads, Level.IsRate)
}

// loads lists the loads that a stage names.
func (s *Stage) loads() (loads []Level) {
	add := func(l *Level) {
		if l != nil {
			loads = append(loads, *l)
		}
	}
	if s == nil {
		return nil
	}
	add(s.To)
	if s.Step != nil {
		add(s.Step.From)
		add(&s.Step.To)
		add(s.Step.By)
	}
	if s.Spike != nil {
		add(&s.Spike.To)
	}
	return loads
}

// loads lists the loads that a shape names.
func (s *Shape) loads() []Level {
	switch {
	case s == nil:
		return nil
	case s.Step != nil:
		return []Level{s.Step.From, s.Step.To}
	case s.Linear != nil:
		return []Level{s.Linear.To}
	case s.Spike != nil:
		return []Level{s.Spike.Base, s.Spike.Peak}
	case s.Soak != nil:
		return []Level{s.Soak.Load}
	case s.Search != nil:
		return []Level{s.Search.From, s.Search.To}
	case s.MixSweep != nil:
		return []Level{s.MixSweep.Load}
	case s.NoisyNeighbour != nil:
		return []Level{s.NoisyNeighbour.Victim, s.NoisyNeighbour.Neighbour}
	case s.Recovery != nil:
		return []Level{s.Recovery.Base, s.Recovery.Overload}
	}
	return nil
}

// Name is the key of the shape that is set: baseline, step and so on. Of no shape it is empty.
func (s *Shape) Name() string {
	switch {
	case s == nil:
		return ""
	case s.Baseline != nil:
		return "baseline"
	case s.Step != nil:
		return "step"
	case s.Linear != nil:
		return "linear"
	case s.Spike != nil:
		return "spike"
	case s.Soak != nil:
		return "soak"
	case s.BurstAfterIdle != nil:
		return "burst_after_idle"
	case s.Search != nil:
		return "search"
	case s.MixSweep != nil:
		return "mix_sweep"
	case s.NoisyNeighbour != nil:
		return "noisy_neighbour"
	case s.Recovery != nil:
		return "recovery"
	}
	return ""
}

// The default warm-up of a stage: so much of it, and no more than that.
const (
	warmupShare = 0.1
	maxWarmup   = 30 * time.Second
)

// WarmupOf is how much of the beginning of a stage of so long is not measured: what the stage says, else what the ramp says, else a tenth
// of it and 30 s at most. It is never more than the stage. A nil stage is one that a shape made.
func (r *Ramp) WarmupOf(s *Stage, length time.Duration) time.Duration {
	switch {
	case s != nil && s.Warmup != nil:
		return min(time.Duration(*s.Warmup), length)
	case r.Warmup != nil:
		return min(time.Duration(*r.Warmup), length)
	}
	return min(time.Duration(warmupShare*float64(length)), maxWarmup)
}

// PlannedDuration is how long the ramp takes as planned: its longest lane and the drain, as often as it is repeated. It is an estimate
// for the shapes that end by what the server does: baseline (5 s for a request), burst_after_idle (30 s for a burst) and search (as if
// each load took all its time). Lanes that play a trace count as nothing, for its file is not read here. What is longer than a
// duration can be is the longest that can.
func (r *Ramp) PlannedDuration() time.Duration {
	var longest time.Duration
	for _, l := range r.Lanes {
		longest = max(longest, r.LaneDuration(l))
	}
	return times(max(r.Repeat, 1), longest, time.Duration(r.Drain))
}

// times is n times the sum of durations, none of which is negative; where that is more than a duration can be, the longest that can.
func times[D ~int64](n int, durations ...D) time.Duration {
	var sum time.Duration
	for _, d := range durations {
		if sum += time.Duration(d); sum < 0 {
			return math.MaxInt64
		}
	}
	if n > 0 && sum > math.MaxInt64/time.Duration(n) {
		return math.MaxInt64
	}
	return time.Duration(max(n, 0)) * sum
}

// LaneDuration is how long a lane of the ramp takes as planned, without the drain. PlannedDuration says where it is an estimate.
func (r *Ramp) LaneDuration(l *Lane) time.Duration {
	if len(l.Stages) == 0 {
		return r.Shape.duration()
	}
	var d time.Duration
	at := l.Begin()
	for _, s := range l.Stages {
		d = times(1, d, s.duration(at))
		at = s.after(at)
	}
	return d
}

// Begin is the load at which the lane's stages begin.
func (l *Lane) Begin() Level {
	if l.Arrivals == nil {
		return Level{Number: float64(l.Concurrency)}
	}
	if l.Arrivals.Rate != nil {
		return *l.Arrivals.Rate
	}
	return Level{Unit: time.Second}
}

// after is the load with which the next stage begins, where this one began with at.
func (s *Stage) after(at Level) Level {
	switch {
	case s.To != nil:
		return *s.To
	case s.Step != nil:
		return s.Step.To
	case s.Idle > 0:
		return Level{Unit: at.Unit}
	}
	return at
}

// duration is how long the stage takes, beginning at a load.
func (s *Stage) duration(at Level) time.Duration {
	switch {
	case s.To != nil:
		return time.Duration(s.Over)
	case s.Step != nil:
		return times(len(s.Step.Loads(at)), time.Duration(s.Step.Each))
	case s.Spike != nil:
		return time.Duration(s.Spike.For)
	}
	return times(1, time.Duration(s.Hold), time.Duration(s.Idle))
}

// Loads lists the loads of the steps, the last of which is To. At is the load before them. Values are as in Level.Value.
func (s *Step) Loads(at Level) []float64 {
	from, to := at.Value(), s.To.Value()
	if s.From != nil {
		from = s.From.Value()
	}
	if s.By != nil {
		loads := climb(from, to, s.By.Value())
		if s.From == nil && len(loads) > 1 {
			loads = loads[1:]
		}
		return loads
	}
	if s.From != nil {
		return spread(from, to, s.Count)
	}
	return spread(from, to, s.Count+1)[1:]
}

// Loads lists the loads of the shape, from From to To. Values are as in Level.Value.
func (s *StepShape) Loads() []float64 {
	if s.By != nil {
		return climb(s.From.Value(), s.To.Value(), s.By.Value())
	}
	return spread(s.From.Value(), s.To.Value(), s.Steps)
}

// maxSteps bounds how many steps there are.
const maxSteps = 1000

// climb lists the loads from one to another, by so much each time; the last one may be nearer.
func climb(from, to, by float64) []float64 {
	n := math.Abs(to-from) / by
	if !(n <= maxSteps+1) { // by is 0, or next to it: the rules tell of it
		return []float64{to}
	}
	var loads []float64
	// A step that is a thousandth of one away from the end is the end: 0.1 is no binary number.
	for i := 0; float64(i) < n-1e-3; i++ {
		loads = append(loads, from+math.Copysign(by, to-from)*float64(i))
	}
	return append(loads, to)
}

// spread lists n loads, evenly from one to another, both included.
func spread(from, to float64, n int) []float64 {
	if n <= 1 || n > maxSteps+1 {
		return []float64{to}
	}
	loads := make([]float64, n)
	for i := range loads {
		loads[i] = from + (to-from)*float64(i)/float64(n-1)
	}
	loads[n-1] = to
	return loads
}

// How long what the server decides is taken to last.
const (
	timeOfRequest = 5 * time.Second
	timeOfBurst   = 30 * time.Second
)

// SoakRise is how long the load of a soak rises from nothing, before it is held.
const SoakRise = time.Minute

// duration is how long the shape takes; nil takes nothing.
func (s *Shape) duration() time.Duration {
	switch {
	case s == nil:
		return 0
	case s.Baseline != nil:
		return times(s.Baseline.Requests, timeOfRequest)
	case s.Step != nil:
		return times(len(s.Step.Loads()), s.Step.Each)
	case s.Linear != nil:
		return times(1, s.Linear.Over)
	case s.Spike != nil:
		return times(1, times(s.Spike.Times, s.Spike.Every, s.Spike.For), time.Duration(s.Spike.Every))
	case s.Soak != nil:
		return times(1, SoakRise, time.Duration(s.Soak.For))
	case s.BurstAfterIdle != nil:
		return times(s.BurstAfterIdle.Times, s.BurstAfterIdle.Idle, model.Duration(timeOfBurst))
	case s.Search != nil:
		return times(s.Search.Stages(), s.Search.Each)
	case s.MixSweep != nil:
		return times(len(s.MixSweep.Shares), s.MixSweep.Each)
	case s.NoisyNeighbour != nil:
		return times(1, times(s.NoisyNeighbour.Times, s.NoisyNeighbour.Every, s.NoisyNeighbour.For), time.Duration(s.NoisyNeighbour.Every))
	case s.Recovery != nil:
		return times(1, s.Recovery.Before, s.Recovery.For, s.Recovery.Watch)
	}
	return 0
}

// Stages is the most loads that a search tries: From, its doubles up to To, and then halves of the last doubling down to the tolerance.
func (s *SearchShape) Stages() int {
	from, to := s.From.Value(), s.To.Value()
	if !(from > 0) || !(to > from) || !(s.Tolerance > 0) {
		return 1
	}
	doublings := math.Ceil(math.Log2(to / from))
	halvings := math.Ceil(math.Log2(math.Min(2, to/from)-1) - math.Log2(float64(s.Tolerance)))
	return 1 + int(doublings) + max(0, int(halvings))
}
