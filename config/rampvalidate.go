package config

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

// The bounds of ramps.
const (
	minBurstiness = 0.01 // as prober/workload has it
	maxRepeat     = 100
	maxTimes      = 1000
	maxSample     = model.Duration(5 * time.Minute)
	minAbortOver  = model.Duration(time.Second)
	minLast       = 2
	maxLast       = 100
	maxDays       = 31 // of a ramp: one that takes a month is hardly one load run any more
)

// ramps checks the load runs.
func (v *validator) ramps(n *node) {
	lines := map[string]int{} // of each name
	for i, r := range v.config.Ramps {
		at := n.item(i)
		if at == nil {
			continue
		}
		before := len(v.faults)
		if name := at.get("name"); name != nil {
			v.name(name, r.Name, "a ramp's name")
			line, again := lines[r.Name]
			v.must(!again, name, "ramp %q is already defined in line %d; no two ramps share a name", r.Name, line)
			lines[r.Name] = name.line
		}
		v.targetNamed(at.get("target"), r.Target)
		v.times(r, at)
		v.mix(r.Mix, at.get("mix"))
		v.lanes(r, at)
		v.rampShape(r, at)
		v.rampObjectives(r, at)
		v.abort(r, at)
		v.compare(r.Compare, at.get("compare"))
		v.positive(at, "drain")
		v.positiveInt(at.get("repeat"))
		v.must(r.Repeat <= maxRepeat, at.get("repeat"), "repeat is at most %d", maxRepeat)
		v.must(r.SampleInterval >= minInterval && r.SampleInterval <= maxSample, at.get("sample_interval"), "sample_interval is between %s and %s", minInterval, maxSample)
		v.must(r.Seed == nil || *r.Seed >= 0, at.get("seed"), "a seed is not negative")
		if len(v.faults) == before {
			v.length(r, at)
		}
	}
}

// length checks that the ramp is none that never ends. A month may have its drain beside it.
func (v *validator) length(r *Ramp, at *node) {
	const day = 24 * time.Hour
	planned := r.PlannedDuration()
	if planned < (maxDays+1)*day {
		return
	}
	once := *r
	once.Repeat = 1
	place, cure := r.longest(at), "shorten this, and let a schedule begin it again"
	switch {
	case r.Repeat > 1 && once.PlannedDuration() < (maxDays+1)*day:
		place, cure = at.get("repeat"), "repeat it less often"
	case time.Duration(r.Drain) > maxDays*day:
		place, cure = at.get("drain"), "shorten the drain"
	}
	v.must(false, place, "a ramp takes %d days at most, and this one is planned for more than %d: %s", maxDays, planned/day, cure)
}

// longest is where the longest stage of the ramp is written, or its shape where that is longer.
func (r *Ramp) longest(at *node) *node {
	place, length := at, time.Duration(0)
	for i, l := range r.Lanes {
		if shape := at.get("shape"); len(l.Stages) == 0 && shape != nil && r.Shape.duration() > length {
			place, length = shape.key, r.Shape.duration()
		}
		load := l.Begin()
		for j, s := range l.Stages {
			if d := s.duration(load); d > length {
				place, length = at.get("lanes").item(i).get("stages").item(j), d
			}
			load = s.after(load)
		}
	}
	return place
}

// mix checks the probes of a mix, and their weights.
func (v *validator) mix(mix map[string]float64, n *node) {
	if n == nil {
		return
	}
	v.must(len(n.children) > 0, n, "the mix is empty; write a probe and its weight, such as {interactive: 1}")
	for _, weight := range n.sound() {
		name := weight.key.text
		v.probeNamed(weight.key, name)
		v.must(mix[name] > 0, weight, "a weight is above 0; leave the probe out")
	}
}

// probeNamed reports a name that no probe has.
func (v *validator) probeNamed(n *node, name string) {
	if defined := v.root.get("probes"); defined != nil {
		v.must(defined.has(name), n, "there is no probe %q%s", name, suggestion{name, defined.keys})
	}
}

// lanes checks the streams of requests of a ramp.
func (v *validator) lanes(r *Ramp, at *node) {
	list := at.get("lanes")
	if at.has("lanes") && list == nil {
		return
	}
	if list != nil {
		v.must(len(list.children) > 0, list, "the list of lanes is empty; leave it out for one lane")
	}
	lines := map[string]int{}
	shaped := 0 // lanes that the shape is for
	for i, l := range r.Lanes {
		n := list.item(i)
		if list != nil && i < len(list.children) && n == nil {
			continue
		}
		if name := n.get("name"); name != nil {
			v.name(name, l.Name, "a lane's name")
			line, again := lines[l.Name]
			v.must(!again, name, "lane %q is already defined in line %d; no two lanes of a ramp share a name", l.Name, line)
			lines[l.Name] = name.line
		}
		if n != nil {
			v.must(n.has("name") || len(r.Lanes) == 1, n, "%q is missing: a ramp of several lanes names them", "name")
		}
		v.targetNamed(n.get("target"), l.Target)
		v.mix(l.Mix, n.get("mix"))
		place := n
		if place == nil {
			place = at
		}
		v.must(len(l.Mix) > 0 || n.has("mix") || at.has("mix"), place, "%q is missing: which probes are asked, and their weights", "mix")
		v.spoken(l, n, at)
		v.arrivals(l, n)
		v.stages(l, n)
		v.http(n.get("http"))
		if n.has("max_in_flight") {
			v.maxInFlight(n.get("max_in_flight"))
			v.must(l.MaxInFlight >= l.Concurrency, n.get("max_in_flight"), "max_in_flight %d is less than concurrency, which is %d", l.MaxInFlight, l.Concurrency)
		}
		if v.shapes(r, l, n, place, at) {
			shaped++
		}
	}
	if shape := at.get("shape"); shape != nil {
		neighbours := r.Shape.NoisyNeighbour != nil
		v.must(shaped > 0, shape.key, "no lane is left for the shape: leave out the stages of one, or the shape")
		v.must(shaped < 2 || neighbours, shape.key, "a shape is the load of one lane, and several have no stages; write the stages of all others")
	}
}

// spoken checks that the probes of a lane can be asked with its target's protocol.
func (v *validator) spoken(l *Lane, n, ramp *node) {
	t := v.config.Target(l.Target)
	mix := n.get("mix")
	if mix == nil {
		mix = ramp.get("mix")
	}
	if t == nil || mix == nil {
		return
	}
	for _, weight := range mix.sound() {
		v.speaks(weight.key, weight.key.text, t.Protocol)
	}
}

// shapes reports whether the load of a lane is the shape's, and checks that it has one.
func (v *validator) shapes(r *Ramp, l *Lane, n, place, ramp *node) bool {
	trace := l.Arrivals != nil && l.Arrivals.Process == ProcessTrace
	if len(l.Stages) > 0 || n.has("stages") || trace {
		return false
	}
	v.must(ramp.has("shape"), place, "%q is missing: the lane has no load; give it stages, or the ramp a shape", "stages")
	if r.Shape == nil {
		return false
	}
	if neighbours := r.Shape.NoisyNeighbour != nil; neighbours {
		v.must(l.Name == LaneVictim || l.Name == LaneNeighbour, n, "the lane is neither %s nor %s, which are the shape's: it needs stages", LaneVictim, LaneNeighbour)
	}
	loads := r.Shape.loads()
	if concurrency := n.get("concurrency"); concurrency != nil && len(loads) > 0 {
		v.must(!slices.ContainsFunc(loads, Level.IsRate), concurrency, "the lane is a closed loop, and the loads of its shape are rates; write numbers of requests under way there, or arrivals here")
	}
	if arrivals := n.get("arrivals"); arrivals != nil {
		v.must(len(loads) > 0 && slices.ContainsFunc(loads, Level.IsRate), arrivals, "the lane has arrivals, and the loads of its shape are no rates; write rates such as 10/s there, or leave arrivals out")
		if rate := arrivals.get("rate"); rate != nil {
			v.must(false, rate.key, "the shape says the rate; leave it out")
		}
	}
	return true
}

// arrivals checks how the requests of a lane begin.
func (v *validator) arrivals(l *Lane, n *node) {
	if concurrency := n.get("concurrency"); concurrency != nil {
		v.must(!n.has("arrivals"), concurrency.key, "concurrency is of a closed loop and arrivals are of an open one; leave one of them out")
		v.must(l.Concurrency >= 1 && l.Concurrency <= maxLevel, concurrency, "concurrency is between 1 and %d", maxLevel)
	}
	at, a := n.get("arrivals"), l.Arrivals
	if at == nil || a == nil {
		return
	}
	v.must(slices.Contains(Processes(), a.Process), at.get("process"), "unknown process %q%s", a.Process, didYouMean(a.Process, Processes()))
	if at.has("process") && at.get("process") == nil || !slices.Contains(Processes(), a.Process) {
		return
	}
	trace, gamma := a.Process == ProcessTrace, a.Process == ProcessGamma
	if rate := at.get("rate"); rate != nil {
		v.must(!trace, rate.key, "a trace has its own times; speed makes it faster")
		v.must(a.Rate.IsRate(), rate, "a rate has a unit: write %s/s, or concurrency: %s instead of arrivals", rate.text, rate.text)
	}
	v.must(at.has("burstiness") || !gamma, at, "%q is missing: the shape of gamma arrivals, such as 0.5 for bursts", "burstiness")
	if burstiness := at.get("burstiness"); burstiness != nil {
		v.must(gamma, burstiness.key, "burstiness is of gamma arrivals, and these are %s", a.Process)
		v.must(a.Burstiness >= minBurstiness, burstiness, "burstiness is at least %v; 1 is Poisson", minBurstiness)
	}
	v.must(at.has("file") || !trace, at, "%q is missing: the times of the trace", "file")
	for _, key := range []string{"file", "speed"} {
		if of := at.get(key); of != nil {
			v.must(trace, of.key, "%s is of a trace, and these arrivals are %s", key, a.Process)
		}
	}
	v.must(at.get("file") == nil || a.File != "", at.get("file"), "the name of the file is empty")
	v.must(a.Speed > 0, at.get("speed"), "speed is above 0; leave it out for the trace as it was")
	if stages := n.get("stages"); stages != nil && trace {
		v.must(false, stages.key, "a trace has its own times and no stages; leave them out")
	}
}

// stages checks the load of a lane over time.
func (v *validator) stages(l *Lane, n *node) {
	list := n.get("stages")
	if list == nil || l.Arrivals != nil && l.Arrivals.Process == ProcessTrace {
		return
	}
	v.must(len(list.children) > 0, list, "the list of stages is empty; leave it out where the ramp has a shape")
	names := map[string]int{}
	// A load that is no sound one leaves the loads after it unknown.
	known, at := !n.has("arrivals") || n.get("arrivals") != nil, l.Begin()
	for i, s := range l.Stages {
		item := list.item(i)
		if item == nil {
			known = false
			continue
		}
		kind := v.stageKind(item)
		if name := item.get("name"); name != nil {
			v.name(name, s.Name, "a stage's name")
			line, again := names[s.Name]
			v.must(!again, name, "stage %q is already defined in line %d; no two stages of a lane share a name", s.Name, line)
			names[s.Name] = name.line
		}
		v.mix(s.Mix, item.get("mix"))
		v.stageLoads(l, s, item)
		if kind == "hold" && known && l.usable(n) {
			v.must(at.Number > 0, item.get("hold"), "there is no load yet that could be held: begin with to, or give the lane %s", l.first())
		}
		if step := s.Step; step != nil && step.From == nil && step.By != nil && step.By.Value() > 0 && known {
			steps := math.Abs(step.To.Value()-at.Value()) / step.By.Value()
			v.must(steps <= maxSteps, item.get("step").get("by"), "these are more than %d steps", maxSteps)
		}
		if length := s.each(); s.Warmup != nil && length > 0 {
			v.must(time.Duration(*s.Warmup) < length, item.get("warmup"), "warmup %s leaves nothing of the stage to be measured, which lasts %s", *s.Warmup, model.Duration(length))
		}
		if kind == "" || item.get(kind) == nil {
			known = false
		}
		at = s.after(at)
	}
}

// usable reports whether the lane's kind of loop is known.
func (l *Lane) usable(n *node) bool {
	return !n.has("concurrency") || n.get("concurrency") != nil && !n.has("arrivals")
}

// first names what gives a lane a load to begin with.
func (l *Lane) first() string {
	if l.Open() {
		return "arrivals with a rate"
	}
	return "concurrency"
}

// each is how long the stage is, or each of its steps; 0 where it has no length.
func (s *Stage) each() time.Duration {
	if s.Step != nil {
		return time.Duration(s.Step.Each)
	}
	return s.duration(Level{})
}

// stageKind returns which of the kinds of stages is written, or reports that it is not one.
func (v *validator) stageKind(n *node) string {
	kinds := []string{"to", "hold", "step", "spike", "idle"}
	written := slices.DeleteFunc(slices.Clone(kinds), func(key string) bool { return !n.has(key) })
	switch len(written) {
	case 0:
		v.must(n.hasBad(), n, "a stage has one of to, hold, step, spike and idle")
		return ""
	case 1:
	default:
		for _, c := range n.children {
			if c.key.text == written[1] && !c.bad {
				v.must(false, c.key, "a stage is one thing: %s is another stage than %s", written[1], written[0])
			}
		}
		return ""
	}
	if over := n.get("over"); over != nil {
		v.must(written[0] == "to", over.key, "over goes with to; %s says how long it takes by itself", written[0])
	}
	v.lasts(n, "hold")
	v.lasts(n, "idle")
	if warmup := n.get("warmup"); warmup != nil {
		v.must(written[0] != "idle", warmup.key, "nothing is measured while the lane is idle")
	}
	return written[0]
}

// stageLoads checks that the loads of a stage are of the lane's kind, and go somewhere.
func (v *validator) stageLoads(l *Lane, s *Stage, n *node) {
	v.level(l, s.To, n.get("to"))
	if step := n.get("step"); step != nil && s.Step != nil {
		v.level(l, s.Step.From, step.get("from"))
		v.level(l, &s.Step.To, step.get("to"))
		v.level(l, s.Step.By, step.get("by"))
		v.lasts(step, "each")
		v.oneOf(step, "by", "count")
		v.must(s.Step.Count >= 1 && s.Step.Count <= maxSteps, step.get("count"), "count is between 1 and %d", maxSteps)
		v.climbs(s.Step.From, &s.Step.To, s.Step.By, step)
	}
	if spike := n.get("spike"); spike != nil && s.Spike != nil {
		v.level(l, &s.Spike.To, spike.get("to"))
		v.lasts(spike, "for")
	}
}

// level checks a load of a lane.
func (v *validator) level(l *Lane, load *Level, n *node) {
	if n == nil || load == nil {
		return
	}
	if l.Open() {
		v.must(load.IsRate(), n, "the lane is an open loop, so that its loads are rates: write %s/s", n.text)
	} else {
		v.must(!load.IsRate(), n, "the lane is a closed loop, so that its loads are numbers of requests under way; write arrivals instead of concurrency for rates")
	}
}

// oneOf reports where not exactly one of two keys is written.
func (v *validator) oneOf(n *node, a, b string) {
	switch {
	case !n.has(a) && !n.has(b):
		v.must(false, n, "%q is missing, or %q", a, b)
	case n.has(a) && n.has(b):
		if second := n.get(b); second != nil {
			v.must(false, second.key, "%s and %s say the same; leave one of them out", a, b)
		}
	}
}

// climbs checks how steps go from one load to another.
func (v *validator) climbs(from, to, by *Level, n *node) {
	if by != nil && n.get("by") != nil {
		v.must(by.Number > 0, n.get("by"), "by is above 0; where to is below from, steps go down")
	}
	if from == nil || to == nil || n.get("from") == nil || n.get("to") == nil || from.IsRate() != to.IsRate() {
		return
	}
	v.must(from.Value() != to.Value(), n.get("to"), "to is the same as from: there are no steps; use hold or soak")
	if by != nil && by.Value() > 0 && by.IsRate() == to.IsRate() {
		steps := (to.Value() - from.Value()) / by.Value()
		v.must(steps <= maxSteps && -steps <= maxSteps, n.get("by"), "these are more than %d steps", maxSteps)
	}
}

// rampShape checks the load by a name and a few numbers.
func (v *validator) rampShape(r *Ramp, at *node) {
	n := at.get("shape")
	if n == nil || r.Shape == nil {
		return
	}
	switch len(n.children) {
	case 0:
		v.must(false, n, "the shape is empty; write one, such as {soak: {load: 2/s}}")
		return
	case 1:
	default:
		v.must(false, n.children[1].key, "a ramp has one shape: %s is another one than %s", n.children[1].key.text, n.children[0].key.text)
		return
	}
	s, name := r.Shape, n.children[0].key.text
	p := n.get(name)
	if p == nil {
		return
	}
	v.oneUnit(s, p)
	for _, key := range []string{"each", "over", "for", "every", "before", "watch"} {
		v.positive(p, key)
	}
	v.lasts(p, "idle")
	if times := p.get("times"); times != nil {
		count, err := strconv.Atoi(times.text)
		v.must(err == nil && count >= 1 && count <= maxTimes, times, "times is between 1 and %d", maxTimes)
	}
	switch {
	case s.Baseline != nil:
		v.positiveInt(p.get("requests"))
		v.must(s.Baseline.Requests <= 10_000, p.get("requests"), "requests are at most 10000")
	case s.Step != nil:
		v.oneOf(p, "by", "steps")
		v.between(s.Step.Steps, 2, maxSteps, p.get("steps"))
		v.climbs(&s.Step.From, &s.Step.To, s.Step.By, p)
	case s.Linear != nil:
		v.climbs(s.Linear.From, &s.Linear.To, nil, p)
	case s.Spike != nil:
		v.above(s.Spike.Peak, s.Spike.Base, p.get("peak"), p.get("base"))
	case s.Soak != nil:
		v.must(s.Soak.Load.Number > 0, p.get("load"), "a load is above 0")
	case s.BurstAfterIdle != nil:
		v.between(s.BurstAfterIdle.Size, 1, 10_000, p.get("size"))
	case s.Search != nil:
		v.search(r, s.Search, p, at)
	case s.MixSweep != nil:
		v.mixSweep(r, s.MixSweep, p)
	case s.NoisyNeighbour != nil:
		v.must(s.NoisyNeighbour.Victim.Number > 0, p.get("victim"), "a load is above 0")
		v.must(s.NoisyNeighbour.Neighbour.Number > 0, p.get("neighbour"), "a load is above 0")
		v.mix(s.NoisyNeighbour.Mix, p.get("mix"))
	case s.Recovery != nil:
		v.must(s.Recovery.Base.Number > 0, p.get("base"), "the normal load is above 0: without requests it is not known when all is normal again")
		v.above(s.Recovery.Overload, s.Recovery.Base, p.get("overload"), p.get("base"))
	}
}

// oneUnit checks that the loads of a shape are all rates, or all numbers of requests under way.
func (v *validator) oneUnit(s *Shape, p *node) {
	var first *node
	for _, key := range []string{"from", "to", "by", "base", "peak", "load", "victim", "neighbour", "overload"} {
		n := p.get(key)
		if n == nil {
			continue
		}
		load, err := ParseLevel(n.text)
		if err != nil {
			continue
		}
		if first == nil {
			first = n
			continue
		}
		other, _ := ParseLevel(first.text)
		v.must(load.IsRate() == other.IsRate(), n, "%s is a rate and the other is not: %s is %s, %s is %s", oneOfTwo(load, key, first.key.text), first.key.text, first.text, key, n.text)
	}
}

func oneOfTwo(load Level, key, other string) string {
	if load.IsRate() {
		return key
	}
	return other
}

// above checks that one load is more than another.
func (v *validator) above(high, low Level, n, other *node) {
	if n != nil && other != nil && high.IsRate() == low.IsRate() {
		v.must(high.Value() > low.Value(), n, "%s is not above %s, which is %s", n.key.text, other.key.text, other.text)
	}
}

func (v *validator) search(r *Ramp, s *SearchShape, p, at *node) {
	v.must(s.From.Number > 0, p.get("from"), "the lowest load is above 0")
	v.above(s.To, s.From, p.get("to"), p.get("from"))
	v.must(s.Tolerance >= 0.01 && s.Tolerance <= 0.5, p.get("tolerance"), "tolerance is between 1%% and 50%%")
	v.must(s.Requests == 0 || s.Requests >= 20 && s.Requests <= 1_000_000, p.get("requests"), "requests are between 20 and 1000000: fewer do not tell whether an objective holds")
	v.must(at.has("objectives"), p.key, "the search is for the load at which the objectives break, and the ramp has none: write objectives")
}

func (v *validator) mixSweep(r *Ramp, s *MixSweepShape, p *node) {
	v.must(s.Load.Number > 0, p.get("load"), "a load is above 0")
	if probe := p.get("probe"); probe != nil {
		v.probeNamed(probe, s.Probe)
		for _, l := range r.Lanes {
			if len(l.Stages) > 0 || len(l.Mix) == 0 {
				continue
			}
			_, in := l.Mix[s.Probe]
			v.must(!in || len(l.Mix) > 1, probe, "the mix has no other probe than %q, so that its share is always all", s.Probe)
		}
	}
	shares := p.get("shares")
	if shares != nil {
		v.must(len(shares.children) >= 2, shares, "a sweep has at least two shares")
	}
	for i, share := range s.Shares {
		v.must(share >= 0 && share <= 1, shares.item(i), "a share is between 0 and 1")
	}
}

// rampObjectives checks what is to hold.
func (v *validator) rampObjectives(r *Ramp, at *node) {
	list := at.get("objectives")
	for i, o := range r.Objectives {
		n := list.item(i)
		if n == nil {
			continue
		}
		lanes := r.Lanes
		if lane := n.get("lane"); lane != nil && !at.get("lanes").hasBad() {
			var names []string
			for _, l := range r.Lanes {
				names = append(names, l.Name)
			}
			l := r.Lane(o.Lane)
			v.must(l != nil, lane, "there is no lane %q%s", o.Lane, didYouMean(o.Lane, names))
			lanes = nil
			if l != nil {
				lanes = []*Lane{l}
			}
		}
		if probe := n.get("probe"); probe != nil {
			asked := r.asked(lanes)
			v.probeNamed(probe, o.Probe)
			if v.config.Probes[o.Probe] != nil && len(asked) > 0 {
				v.must(slices.Contains(asked, o.Probe), probe, "no lane asks the probe %q; add it to a mix", o.Probe)
			}
			v.streamed(v.config.Probes[o.Probe], o.Probe, o.Indicator, n.get("indicator"))
		}
		v.must(slices.Contains(Indicators(), o.Indicator), n.get("indicator"), "unknown indicator %q%s", o.Indicator, didYouMean(o.Indicator, Indicators()))
		if percentile := n.get("percentile"); percentile != nil {
			v.must(o.Indicator != IndicatorAvailability, percentile.key, "availability has no percentile; its threshold is the share of good requests")
			share := o.Percentile > 0 && o.Percentile < 1 // as a goal is written: nearly nothing would have to keep the threshold
			v.must(!share, percentile, "a percentile is of 100; did you mean %s?", strconv.FormatFloat(100*o.Percentile, 'g', 6, 64))
			v.must(share || o.Percentile >= 1 && o.Percentile < 100, percentile, "a percentile is at least 1 and below 100, such as 95")
		}
		if o.Indicator != IndicatorAvailability && n.has("threshold") {
			v.threshold(o.Indicator, o.Threshold, n)
		} else if threshold := n.get("threshold"); threshold != nil && o.Indicator == IndicatorAvailability {
			v.must(o.Threshold.Number > 0 && o.Threshold.Number < 1, threshold, "the threshold of availability is the least share of good requests, between 0 and 1, such as 0.99")
		}
	}
}

// asked lists the probes that lanes ask.
func (r *Ramp) asked(lanes []*Lane) []string {
	var names []string
	add := func(mix map[string]float64) {
		for name := range mix {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, l := range lanes {
		add(l.Mix)
		for _, s := range l.Stages {
			add(s.Mix)
		}
	}
	if r.Shape != nil && r.Shape.MixSweep != nil && len(names) > 0 {
		add(map[string]float64{r.Shape.MixSweep.Probe: 1})
	}
	slices.Sort(names)
	return names
}

// abort checks the limits that end a run.
func (v *validator) abort(r *Ramp, at *node) {
	n, a := at.get("abort"), &r.Abort
	if n == nil {
		return
	}
	v.must(a.ErrorShare > 0 && a.ErrorShare <= 1 && !isZeroNumber(n.get("error_share")), n.get("error_share"), "error_share is above 0 and at most 1, such as 0.5")
	for _, key := range []string{"ttft_p50", "ttft_p90", "ttft_p95", "ttft_p99"} {
		v.lasts(n, key)
	}
	for _, key := range []string{"waiting", "in_flight"} {
		v.positiveInt(n.get(key))
	}
	if cost := n.get("cost"); cost != nil {
		v.must(a.Cost > 0, cost, "cost is above 0; leave it out for no limit")
		if t := v.config.Target(r.Target); t != nil {
			v.must(t.Price != nil, cost, "the target %q has no price", t.Name)
		}
	}
	if waiting := n.get("waiting"); waiting != nil {
		if t := v.config.Target(r.Target); t != nil {
			v.must(t.Engine != nil, waiting, "the target %q has no engine, whose metrics tell how many requests wait", t.Name)
		}
	}
	v.must(a.Victims > 1 && !isZeroNumber(n.get("victims")), n.get("victims"), "victims is above 1: 2 ends the run when others' first tokens take twice as long")
	v.positive(n, "over")
	v.atLeast(a.Over, minAbortOver, n.get("over"))
}

// isZeroNumber reports whether a number is written as nothing, which has become the default.
func isZeroNumber(n *node) bool {
	if n == nil {
		return false
	}
	value, err := strconv.ParseFloat(n.text, 64)
	return err == nil && value == 0
}

var (
	lastPattern = regexp.MustCompile(`^last_([1-9][0-9]*)$`)
	// baselinePattern has the names of saved runs.
	baselinePattern = regexp.MustCompile(`^baseline:[a-zA-Z_][a-zA-Z0-9_.-]{0,63}$`)
)

// compare checks what a run is compared with.
func (v *validator) compare(c *Compare, n *node) {
	if c == nil || n == nil {
		return
	}
	if with := n.get("with"); with != nil {
		words := []string{ComparePrevious, ComparePreviousPassed, "last_7", "baseline:NAME"}
		last, ok := c.Last()
		known := c.With == ComparePrevious || c.With == ComparePreviousPassed || baselinePattern.MatchString(c.With) || lastPattern.MatchString(c.With)
		v.must(known, with, "a run is not compared with %q%s", c.With, didYouMean(c.With, words))
		v.must(!ok || last >= minLast && last <= maxLast, with, "a median is of %d to %d runs; previous_passed is the last one", minLast, maxLast)
	}
	v.must(c.MaxRegression > 0 && c.MaxRegression <= 10, n.get("max_regression"), "max_regression is above 0%% and at most 1000%%")
	v.must(c.Confidence > 0.5 && c.Confidence < 1, n.get("confidence"), "confidence is above 0.5 and below 1, such as 0.95")
}

// What a run can be compared with, beside last_N and baseline:NAME.
const (
	ComparePrevious       = "previous"
	ComparePreviousPassed = "previous_passed"
)

// Last returns of how many passed runs the median is compared with; false: it is with something else.
func (c *Compare) Last() (runs int, ok bool) {
	m := lastPattern.FindStringSubmatch(c.With)
	if m == nil {
		return 0, false
	}
	runs, err := strconv.Atoi(m[1])
	if err != nil {
		runs = maxLast + 1
	}
	return runs, true
}

// Baseline returns the name of the saved run that is compared with; empty: it is with something else.
func (c *Compare) Baseline() string {
	if !baselinePattern.MatchString(c.With) {
		return ""
	}
	return c.With[len("baseline:"):]
}
