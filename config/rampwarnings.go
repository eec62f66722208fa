package config

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// planned is a part of a lane's time as its stages or its shape plan it, for arithmetic alone: a load that goes evenly from one value to another.
type planned struct {
	from, to float64 // as Level.Value; of a closed loop requests under way
	length   time.Duration
	mix      map[string]float64
	held     bool // measured as one load
}

// requests is how many there are, in an open loop.
func (p planned) requests() float64 { return (p.from + p.to) / 2 * p.length.Seconds() }

// plan lists the parts of a lane. Where the number of requests is not the load's to say there are none, as with baseline,
// burst_after_idle and traces; of search there is the highest load, without a length.
func (r *Ramp) plan(l *Lane) (parts []planned) {
	hold := func(load float64, d model.Duration) {
		parts = append(parts, planned{load, load, time.Duration(d), l.Mix, true})
	}
	if len(l.Stages) > 0 {
		at := l.Begin()
		for _, s := range l.Stages {
			mix := s.Mix
			if mix == nil {
				mix = l.Mix
			}
			begin := len(parts)
			switch {
			case s.To != nil:
				parts = append(parts, planned{at.Value(), s.To.Value(), time.Duration(s.Over), mix, false})
			case s.Hold > 0:
				hold(at.Value(), s.Hold)
			case s.Step != nil:
				for _, load := range s.Step.Loads(at) {
					hold(load, s.Step.Each)
				}
			case s.Spike != nil:
				hold(s.Spike.To.Value(), s.Spike.For)
			case s.Idle > 0:
				parts = append(parts, planned{length: time.Duration(s.Idle)})
			}
			for i := range parts[begin:] {
				parts[begin+i].mix = mix
			}
			at = s.after(at)
		}
		return parts
	}
	s := r.Shape
	switch {
	case s == nil:
	case s.Step != nil:
		for _, load := range s.Step.Loads() {
			hold(load, s.Step.Each)
		}
	case s.Linear != nil:
		from := 0.0
		if s.Linear.From != nil {
			from = s.Linear.From.Value()
		}
		parts = append(parts, planned{from, s.Linear.To.Value(), time.Duration(s.Linear.Over), l.Mix, false})
	case s.Spike != nil:
		for range s.Spike.Times {
			hold(s.Spike.Base.Value(), s.Spike.Every)
			hold(s.Spike.Peak.Value(), s.Spike.For)
		}
		hold(s.Spike.Base.Value(), s.Spike.Every)
	case s.Soak != nil:
		parts = append(parts, planned{to: s.Soak.Load.Value(), length: SoakRise, mix: l.Mix})
		hold(s.Soak.Load.Value(), s.Soak.For)
	case s.Search != nil:
		parts = append(parts, planned{from: s.Search.To.Value(), to: s.Search.To.Value(), mix: l.Mix})
	case s.MixSweep != nil:
		for _, share := range s.MixSweep.Shares {
			hold(s.MixSweep.Load.Value(), s.MixSweep.Each)
			parts[len(parts)-1].mix = s.MixSweep.Mix(l.Mix, share)
		}
	case s.NoisyNeighbour != nil && l.Name == LaneVictim:
		hold(s.NoisyNeighbour.Victim.Value(), model.Duration(s.duration()))
	case s.NoisyNeighbour != nil:
		for range s.NoisyNeighbour.Times {
			parts = append(parts, planned{length: time.Duration(s.NoisyNeighbour.Every)})
			hold(s.NoisyNeighbour.Neighbour.Value(), s.NoisyNeighbour.For)
		}
		parts = append(parts, planned{length: time.Duration(s.NoisyNeighbour.Every)})
	case s.Recovery != nil:
		hold(s.Recovery.Base.Value(), s.Recovery.Before)
		hold(s.Recovery.Overload.Value(), s.Recovery.For)
		hold(s.Recovery.Base.Value(), s.Recovery.Watch)
	}
	return parts
}

// Mix is the mix in which the swept probe has a share, 0 to 1, and the others share the rest by their weights in the lane's mix.
// Shares add up to 1; a probe without a share is not in it.
func (s *MixSweepShape) Mix(lane map[string]float64, share float64) map[string]float64 {
	var others float64
	for name, weight := range lane {
		if name != s.Probe {
			others += weight
		}
	}
	mix := map[string]float64{}
	if share > 0 || others == 0 {
		mix[s.Probe] = share
	}
	for name, weight := range lane {
		if name != s.Probe && share < 1 {
			mix[name] = (1 - share) * weight / others
		}
	}
	return mix
}

// ramp tells of ramps that cannot be as they are planned.
func (w *warner) ramp(r *Ramp, at *node) {
	if gap, planned := r.shortestGap(), r.PlannedDuration(); gap > 0 && planned > gap {
		w.faults.note(at.get("schedule"), "a run is planned to take %s, and the next one is due after %s: runs are missed", model.Duration(planned.Round(time.Second)), model.Duration(gap))
	}
	w.shed(r, at)
	for i, o := range r.Objectives {
		w.fewRequests(r, o, at.get("objectives").item(i))
		w.untoldInRamp(r, o, at.get("objectives").item(i))
	}
}

// shed tells of budgets that a ramp is over: then a part of its requests is shed, and its highest loads are not what they say.
func (w *warner) shed(r *Ramp, at *node) {
	place := at.get("target")
	told := map[string]bool{}
	for _, l := range r.Lanes {
		t := w.config.Target(l.Target)
		if t == nil || !l.Open() || told[l.Target] {
			continue
		}
		told[l.Target] = true
		for _, b := range []struct {
			whose            string
			tokens, requests int
		}{
			{fmt.Sprintf("the budget of the target %q", t.Name), t.Budget.OutputTokensPerHour, t.Budget.RequestsPerMinute},
			{"the global budget", w.config.Global.Budget.OutputTokensPerHour, w.config.Global.Budget.RequestsPerMinute},
		} {
			perMinute, perHour := w.peak(r, l.Target)
			if b.requests > 0 && perMinute > float64(b.requests) {
				w.faults.note(place, "the ramp sends up to %.4g requests per minute, and %s allows %d: what is more is shed", perMinute, b.whose, b.requests)
			}
			if b.tokens > 0 && perHour > float64(b.tokens) {
				w.faults.note(place, "the ramp may ask for %.0f output tokens in an hour, and %s allows %d: what is more is shed", perHour, b.whose, b.tokens)
			}
		}
	}
}

// peak is how many requests the open lanes of one target send at most in a minute, and for how many output tokens they ask in an hour.
func (w *warner) peak(r *Ramp, target string) (perMinute, perHour float64) {
	for _, l := range r.Lanes {
		if l.Target != target || !l.Open() {
			continue
		}
		var highest, tokens, ofPart float64 // ofPart: tokens of the part that asks for the most of them within an hour
		var length time.Duration
		for _, part := range r.plan(l) {
			highest = max(highest, 60*part.from, 60*part.to)
			asked := 0.0
			for name, weight := range part.mix {
				asked += part.requests() * weight / total(part.mix) * float64(w.config.Probes[name].MaxOutputTokens)
			}
			tokens += asked
			ofPart = max(ofPart, asked*hourOf(part.length))
			length += part.length
		}
		tokens = max(tokens*hourOf(length), ofPart)
		perMinute, perHour = perMinute+highest, perHour+tokens
	}
	return perMinute, perHour
}

// hourOf is which share of a time an hour is; of a shorter one it is all.
func hourOf(d time.Duration) float64 { return float64(time.Hour) / float64(max(d, time.Hour)) }

func total(mix map[string]float64) (sum float64) {
	for _, weight := range mix {
		sum += weight
	}
	return sum
}

// fewestBeyond is how many requests should lie beyond a percentile, for it to be more than its largest value.
const fewestBeyond = 5

// fewRequests tells of percentiles that a stage has too few requests for.
func (w *warner) fewRequests(r *Ramp, o *RampObjective, at *node) {
	if o.Indicator == IndicatorAvailability {
		return
	}
	beyond := 1 - o.Percentile/100
	if o.Indicator == IndicatorRate { // of which the low values are the bad ones
		beyond = min(beyond, o.Percentile/100)
	}
	for _, l := range r.Lanes {
		if o.Lane != "" && o.Lane != l.Name || !l.Open() {
			continue
		}
		fewest, highest, found := 0.0, 0.0, false
		for _, part := range r.plan(l) {
			falls := part.from < highest // a recovery, of which nothing is promised
			highest = max(highest, part.from)
			if !part.held || part.from == 0 || falls {
				continue
			}
			measured := part.length - r.WarmupOf(nil, part.length)
			for probe, weight := range part.mix {
				if o.Probe != "" && o.Probe != probe {
					continue
				}
				if n := part.from * measured.Seconds() * weight / total(part.mix); n > 0 && (!found || n < fewest) {
					fewest, found = n, true
				}
			}
		}
		if found && fewest*beyond < fewestBeyond {
			place := at.get("percentile")
			if place == nil {
				place = at.get("threshold")
			}
			w.faults.note(place, "the percentile %v rests on %.2g requests where the load is lowest: a stage of the lane %q has about %.0f of them; hold it longer, or take a lower percentile", o.Percentile, fewest*beyond, l.Name, fewest)
			return
		}
	}
}
