package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/version"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/schedule"
	"github.com/llmprober/llm_prober/prober/workload"
)

// rampJob is one run of a ramp that is to be.
type rampJob struct {
	cfg       *config.Config
	ramp      *config.Ramp
	targets   map[string]*target
	scheduler *schedule.Scheduler // whose budgets the run keeps
	trigger   record.Trigger
	nominal   time.Time
	begin     time.Time // zero: at once
	latest    time.Time // when it may begin at the latest; zero: whenever
	set       int       // from 1, of ramp.Repeat; 0: not repeated
	since     time.Time // what the engine said earlier is of the run before this one; zero: there was none
	shard     int
	shards    int // 0: not spread
}

// plan makes what is to be run. closeAll is to be called when the run is over.
func (j *rampJob) plan(id string) (p ramp.Plan, closeAll func(), err error) {
	rc := j.ramp
	tc := j.cfg.Target(rc.Target)
	if tc == nil {
		return p, nil, fmt.Errorf("ramp %s: there is no target %q", rc.Name, rc.Target)
	}
	p = ramp.Plan{
		ID: id, Name: rc.Name, Target: tc.Name, Model: tc.Model, Shape: rc.Shape.Name(), Seed: rand.Uint64() >> 11,
		Trigger: j.trigger, Nominal: j.nominal, Begin: j.begin, Latest: j.latest, Shard: j.shard, Shards: j.shards,
		Drain: time.Duration(rc.Drain), SampleInterval: time.Duration(rc.SampleInterval),
		Abort: abortOf(&rc.Abort), Environment: environmentOf(tc), LateBound: time.Duration(j.cfg.Global.DegradedAfter),
	}
	if rc.Repeat > 1 {
		p.Set, p.Sets = j.set, rc.Repeat
	}
	if rc.Seed != nil {
		p.Seed = uint64(*rc.Seed) + uint64(max(j.set-1, 0)) // the runs of a set differ, and can be repeated
	}
	for _, o := range rc.Objectives {
		p.Objectives = append(p.Objectives, record.Objective{
			Lane: o.Lane, Probe: o.Probe, Indicator: o.Indicator, Percentile: o.Percentile, Threshold: o.Threshold.Value(),
		})
	}
	if p.Config, err = json.Marshal(map[string]any{"ramp": rc, "probes": j.probes()}); err != nil {
		return p, nil, fmt.Errorf("ramp %s: %w", rc.Name, err)
	}
	var own []*ask.Target // with connections of a lane's own
	closeAll = func() {
		for _, t := range own {
			t.Close()
		}
	}
	prices := map[string]*collector.TokenPrice{}
	files := recordings{}
	for _, lc := range rc.Lanes {
		l, through, err := j.lane(lc, files)
		if through != nil {
			own = append(own, through)
		}
		if err != nil {
			closeAll()
			return p, nil, fmt.Errorf("ramp %s: lane %s: %w", rc.Name, lc.Name, err)
		}
		target := j.cfg.Target(cmp.Or(lc.Target, rc.Target))
		prices[target.Name] = tokenPrice(target.Price)
		p.Lanes = append(p.Lanes, l)
	}
	p.Cost = func(r *prober.Result) float64 {
		if price := prices[r.Request.Target]; price != nil {
			return price.Result(r)
		}
		return 0
	}
	p.Waits = func(r *prober.Result) []queuewait.Wait {
		t := j.targets[r.Request.Target]
		if t == nil {
			return nil
		}
		report := t.queue.Judge(r, r.Header)
		return report.Waits()
	}
	if err := p.Check(); err != nil {
		closeAll()
		return p, nil, fmt.Errorf("ramp %s: %w", rc.Name, err)
	}
	return p, closeAll, nil
}

// probes are those that the ramp asks, as the configuration has them.
func (j *rampJob) probes() map[string]*config.Probe {
	asked := map[string]*config.Probe{}
	for _, l := range j.ramp.Lanes {
		for _, name := range probesOfLane(j.ramp, l) {
			asked[name] = j.cfg.Probes[name]
		}
	}
	return asked
}

// probesOfLane lists the probes that a lane can ask.
func probesOfLane(rc *config.Ramp, l *config.Lane) []string {
	names := map[string]bool{}
	for name := range l.Mix {
		names[name] = true
	}
	for _, s := range l.Stages {
		for name := range s.Mix {
			names[name] = true
		}
	}
	if rc.Shape != nil && rc.Shape.MixSweep != nil && len(l.Stages) == 0 {
		names[rc.Shape.MixSweep.Probe] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// lane makes one lane. through, if it is not nil, is to be closed, also where there is an error.
func (j *rampJob) lane(lc *config.Lane, files recordings) (l ramp.Lane, through *ask.Target, err error) {
	tc := j.cfg.Target(cmp.Or(lc.Target, j.ramp.Target))
	if tc == nil || j.targets[tc.Name] == nil {
		return l, nil, fmt.Errorf("there is no target %q", cmp.Or(lc.Target, j.ramp.Target))
	}
	asked := j.targets[tc.Name].asked
	asked.Start()
	if lc.HTTP != nil {
		if through, err = asked.Through(transportOptions(*lc.HTTP)); err != nil {
			return l, nil, err
		}
		asked = through
	}
	l = ramp.Lane{
		Name: lc.Name, Target: tc.Name, Model: tc.Model, Closed: !lc.Open(), MaxInFlight: lc.MaxInFlight,
		Probes: map[string]ramp.Probe{}, Mix: ramp.Mix(lc.Mix),
	}
	if !lc.Open() {
		l.MaxInFlight = 0
	}
	price := tokenPrice(tc.Price)
	for _, name := range probesOfLane(j.ramp, lc) {
		pc := j.cfg.Probes[name]
		recorded, err := files.of(pc)
		if err != nil {
			return l, through, err
		}
		s, err := spec(tc, name, pc, recorded, nil)
		if err != nil {
			return l, through, err
		}
		s.Burst = ask.Burst{} // the load is the ramp's to say
		p, err := asked.Probe(s)
		if err != nil {
			return l, through, err
		}
		l.Probes[name] = j.probe(p.With(nil, header(lc.Headers)), tc.Name, price)
	}
	if err := arrivals(&l, lc.Arrivals); err != nil {
		return l, through, err
	}
	if len(lc.Stages) > 0 {
		l.Stages = j.stages(lc)
	} else if l.Trace == nil {
		shape(&l, j.ramp, lc)
	}
	return l, through, nil
}

// probe asks within the budgets.
func (j *rampJob) probe(p *ask.Probe, target string, price *collector.TokenPrice) ramp.Probe {
	most := cost(p.Most(), price)
	return ramp.Probe{Reserve: func() (ramp.Ask, string) {
		release, reason, ok := j.scheduler.Reserve(target, most)
		if !ok {
			return nil, cmp.Or(string(reason), "target_removed")
		}
		return func(ctx context.Context, intended time.Time, sink prober.Sink) {
			used := schedule.Cost{Requests: -1, OutputTokens: -1, Money: -1}
			defer func() { release(used) }()
			used = cost(p.With(sink, nil).Ask(ctx, intended), price)
		}, ""
	}}
}

// arrivals says when the requests of an open loop begin.
func arrivals(l *ramp.Lane, a *config.Arrivals) error {
	if a == nil {
		return nil
	}
	switch a.Process {
	case config.ProcessConstant:
		l.Process = workload.Constant{}
	case config.ProcessGamma:
		l.Process = workload.Gamma{Shape: a.Burstiness}
	case config.ProcessTrace:
		trace, err := workload.LoadTrace(a.File)
		if err != nil {
			return err
		}
		l.Trace, l.Speed = trace, a.Speed
	default:
		l.Process = workload.Poisson{}
	}
	return nil
}

// stages are those that are written by hand.
func (j *rampJob) stages(lc *config.Lane) []ramp.Stage {
	var stages []ramp.Stage
	at := lc.Begin().Value()
	add := func(sc *config.Stage, s ramp.Stage) {
		s.Mix = ramp.Mix(sc.Mix)
		if s.Name == "" {
			s.Name = sc.Name
		}
		if sc.Warmup != nil || j.ramp.Warmup != nil {
			if s.WarmUp = j.ramp.WarmupOf(sc, s.Over); s.WarmUp == 0 {
				s.WarmUp = -1
			}
		}
		stages = append(stages, s)
	}
	over := false // whether the lane has been above what it is now: then this is its recovery
	for _, sc := range lc.Stages {
		switch {
		case sc.To != nil:
			to := sc.To.Value()
			if sc.Over > 0 {
				add(sc, ramp.Stage{Kind: record.Rising, From: at, To: to, Over: time.Duration(sc.Over)})
			}
			over = over || to < at
			at = to
		case sc.Hold > 0:
			kind := record.Hold
			if over && at > 0 {
				kind = record.Recovery
			}
			if at == 0 {
				kind = record.Idle
			}
			add(sc, ramp.Stage{Kind: kind, From: at, To: at, Over: time.Duration(sc.Hold)})
		case sc.Step != nil:
			for i, load := range sc.Step.Loads(levelOf(at, lc)) {
				s := ramp.Stage{Kind: record.Hold, From: load, To: load, Over: time.Duration(sc.Step.Each)}
				if sc.Name != "" {
					s.Name = fmt.Sprintf("%s %d", sc.Name, i+1)
				}
				add(sc, s)
			}
			at = sc.Step.To.Value()
		case sc.Spike != nil:
			peak := sc.Spike.To.Value()
			add(sc, ramp.Stage{Kind: record.Spike, From: peak, To: peak, Over: time.Duration(sc.Spike.For)})
			over = true
		case sc.Idle > 0:
			add(sc, ramp.Stage{Kind: record.Idle, Over: time.Duration(sc.Idle)})
			at = 0
		}
	}
	return stages
}

// levelOf is a load of the lane's kind.
func levelOf(load float64, lc *config.Lane) config.Level {
	if lc.Open() {
		return config.Level{Number: load, Unit: time.Second}
	}
	return config.Level{Number: load}
}

// shape gives a lane the load that the ramp's shape names.
func shape(l *ramp.Lane, rc *config.Ramp, lc *config.Lane) {
	s := rc.Shape
	value := func(v *config.Level) float64 {
		if v == nil {
			return 0
		}
		return v.Value()
	}
	switch {
	case s.Baseline != nil:
		*l = ramp.Baseline{Requests: s.Baseline.Requests}.Lane(*l)
		l.MaxInFlight = 0
	case s.Step != nil:
		l.Stages = ramp.Steps{
			From: s.Step.From.Value(), To: s.Step.To.Value(), By: value(s.Step.By), Count: s.Step.Steps, Each: time.Duration(s.Step.Each),
		}.Stages()
	case s.Linear != nil:
		l.Stages = ramp.Linear{From: value(s.Linear.From), To: s.Linear.To.Value(), Over: time.Duration(s.Linear.Over)}.Stages()
	case s.Spike != nil:
		l.Stages = ramp.Spikes{
			Base: s.Spike.Base.Value(), Peak: s.Spike.Peak.Value(), For: time.Duration(s.Spike.For),
			Every: time.Duration(s.Spike.Every), Times: s.Spike.Times,
		}.Stages()
	case s.Soak != nil:
		l.Stages = ramp.Soak{Load: s.Soak.Load.Value(), Ramp: config.SoakRise, For: time.Duration(s.Soak.For)}.Stages()
	case s.BurstAfterIdle != nil:
		b := s.BurstAfterIdle
		l.Stages = ramp.BurstAfterIdle{Size: b.Size, Idle: time.Duration(b.Idle), Times: b.Times}.Stages()
		l.MaxInFlight = max(l.MaxInFlight, b.Size)
	case s.Search != nil:
		l.Search = &ramp.Search{
			From: s.Search.From.Value(), To: s.Search.To.Value(), Resolution: float64(s.Search.Tolerance), Stage: time.Duration(s.Search.Each), Requests: s.Search.Requests,
		}
	case s.MixSweep != nil:
		l.Stages = ramp.MixSweep{
			Load: s.MixSweep.Load.Value(), Mix: l.Mix, Probe: s.MixSweep.Probe, Shares: s.MixSweep.Shares, Each: time.Duration(s.MixSweep.Each),
		}.Stages()
	case s.NoisyNeighbour != nil:
		n := s.NoisyNeighbour
		victim, neighbour := ramp.NoisyNeighbour{
			Victim: n.Victim.Value(), Neighbour: n.Neighbour.Value(), For: time.Duration(n.For), Every: time.Duration(n.Every), Times: n.Times,
		}.Stages()
		if l.Stages = victim; lc.Name == config.LaneNeighbour {
			l.Stages = neighbour
		}
	case s.Recovery != nil:
		l.Stages = ramp.Overload{
			Base: s.Recovery.Base.Value(), Overload: s.Recovery.Overload.Value(), Before: time.Duration(s.Recovery.Before),
			For: time.Duration(s.Recovery.For), Watch: time.Duration(s.Recovery.Watch),
		}.Stages()
	}
	if rc.Warmup != nil {
		for i := range l.Stages {
			if s := &l.Stages[i]; s.Kind == record.Hold {
				s.WarmUp = cmp.Or(rc.WarmupOf(nil, s.Over), -1)
			}
		}
	}
}

// abortOf are the limits that end a run.
func abortOf(a *config.Abort) ramp.Abort {
	limits := ramp.Abort{
		Over: time.Duration(a.Over), ErrorShare: a.ErrorShare, Waiting: float64(a.Waiting), InFlight: a.InFlight, Cost: a.Cost, Victims: a.Victims,
	}
	for _, l := range []ramp.TTFTLimit{
		{Percentile: 50, Bound: time.Duration(a.TTFTP50)}, {Percentile: 90, Bound: time.Duration(a.TTFTP90)},
		{Percentile: 95, Bound: time.Duration(a.TTFTP95)}, {Percentile: 99, Bound: time.Duration(a.TTFTP99)},
	} {
		if l.Bound > 0 {
			limits.TTFT = append(limits.TTFT, l)
		}
	}
	return limits
}

// environmentOf is where a run is made.
func environmentOf(tc *config.Target) record.Environment {
	host, _ := os.Hostname() // empty where it is not known
	e := record.Environment{
		Version: version.Version, Host: host, OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0),
		GPUs: slices.Clone(tc.GPUs), Labels: maps.Clone(tc.Labels),
	}
	if tc.Engine != nil && tc.Engine.Kind != config.EngineAuto {
		e.Engine = tc.Engine.Kind
	}
	if tc.Price != nil {
		e.Currency = tc.Price.Currency
	}
	return e
}

// shardOf reads "0/4": which part of the load, counted from 0, of how many.
func shardOf(s string) (shard, shards int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	i, n, _ := strings.Cut(s, "/")
	shard, err1 := strconv.Atoi(i)
	shards, err2 := strconv.Atoi(n)
	switch {
	case err1 != nil || err2 != nil:
		return 0, 0, fmt.Errorf("%q: want I/N, such as 0/4 for the first of four", s)
	case shard < 0 || shard >= shards:
		return 0, 0, fmt.Errorf("%q: want I/N with I from 0 to N-1", s)
	case shards > record.MaxShards:
		return 0, 0, fmt.Errorf("%q: a ramp has %d shards at most", s, record.MaxShards)
	}
	return shard, shards, nil
}
