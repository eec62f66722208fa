package ramp

import (
	"math"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// The shapes are the usual loads, by name and with few parameters. A zero duration or count takes the default named beside
// it; loads have none. What they return are stages, or a lane made of a given one: its probes, mix and the rest are kept.

// Baseline is a few requests, one after the other: what the server does where nobody else is.
type Baseline struct {
	Requests int           // 0: 20
	Longest  time.Duration // 0: 10 minutes
}

// Lane makes a lane a closed loop of one request at a time.
func (b Baseline) Lane(l Lane) Lane {
	def(&b.Requests, 20)
	def(&b.Longest, 10*time.Minute)
	l.Closed, l.Process, l.Search, l.Trace = true, nil, nil, nil
	l.Stages = []Stage{{Name: "baseline", Kind: record.Unloaded, From: 1, To: 1, Over: b.Longest, Requests: b.Requests}}
	return l
}

// Steps is loads one above the other, each held.
type Steps struct {
	From, To float64
	By       float64       // by how much each load is above the one before; the last may be less. Above 0, or Count is
	Count    int           // in place of By: how many loads there are, From and To included; 1: only To
	Each     time.Duration // 0: a minute
}

// Stages are the steps.
func (s Steps) Stages() []Stage {
	def(&s.Each, time.Minute)
	var stages []Stage
	for _, load := range s.loads() {
		stages = append(stages, Stage{Kind: record.Hold, From: load, To: load, Over: s.Each})
	}
	return stages
}

func (s Steps) loads() []float64 {
	n := s.Count
	if n == 0 && s.By > 0 {
		n = int(math.Ceil(math.Abs(s.To-s.From)/s.By-1e-9)) + 1
		loads := make([]float64, n)
		for i := range loads {
			loads[i] = s.From + math.Copysign(s.By*float64(i), s.To-s.From)
		}
		loads[n-1] = s.To
		return loads
	}
	loads := make([]float64, max(n, 1))
	for i := range loads {
		loads[i] = s.To
		if n > 1 {
			loads[i] = s.From + (s.To-s.From)*float64(i)/float64(n-1)
		}
	}
	return loads
}

// Linear is a load that grows evenly.
type Linear struct {
	From, To float64
	Over     time.Duration // 0: 10 minutes
}

// Stages are the ramp.
func (l Linear) Stages() []Stage {
	def(&l.Over, 10*time.Minute)
	return []Stage{{Kind: record.Rising, From: l.From, To: l.To, Over: l.Over}}
}

// Spikes is a low load with short peaks:
//
//	      _       _
//	_____| |_____| |_____
//	every for
type Spikes struct {
	Base, Peak float64
	For        time.Duration // 0: 30 s
	Every      time.Duration // 0: 5 minutes
	Times      int           // 0: 3
}

// Stages are base, peak, base, peak, ... and the base at the end.
func (s Spikes) Stages() []Stage {
	def(&s.For, 30*time.Second)
	def(&s.Every, 5*time.Minute)
	def(&s.Times, 3)
	base := Stage{Kind: record.Hold, From: s.Base, To: s.Base, Over: s.Every}
	after := base
	if s.Base == 0 {
		base.Kind, after.Kind = record.Idle, record.Idle
	} else {
		after.Kind = record.Recovery
	}
	stages := []Stage{base}
	for range s.Times {
		stages = append(stages, Stage{Kind: record.Spike, From: s.Peak, To: s.Peak, Over: s.For}, after)
	}
	return stages
}

// Soak is one load for a long time, reached in a ramp.
type Soak struct {
	Load float64
	Ramp time.Duration // from nothing to the load; 0: a minute; negative: none
	For  time.Duration // 0: an hour
}

// Stages are the ramp and the load.
func (s Soak) Stages() []Stage {
	def(&s.Ramp, time.Minute)
	def(&s.For, time.Hour)
	hold := Stage{Kind: record.Hold, From: s.Load, To: s.Load, Over: s.For}
	if s.Ramp < 0 {
		return []Stage{hold}
	}
	return []Stage{{Kind: record.Rising, From: 0, To: s.Load, Over: s.Ramp}, hold}
}

// BurstAfterIdle is silence, then several requests at once. The next silence begins when all of them have ended.
type BurstAfterIdle struct {
	Size    int
	Idle    time.Duration // 0: 10 minutes
	Times   int           // 0: 3
	Longest time.Duration // of a burst until its last answer; 0: 10 minutes
}

// Stages are idle, burst, idle, burst, ...
func (b BurstAfterIdle) Stages() []Stage {
	def(&b.Idle, 10*time.Minute)
	def(&b.Times, 3)
	def(&b.Longest, 10*time.Minute)
	var stages []Stage
	for range b.Times {
		stages = append(stages, Stage{Kind: record.Idle, Over: b.Idle}, Stage{Kind: record.Spike, Burst: b.Size, Over: b.Longest})
	}
	return stages
}

// MixSweep is one load in which the share of one probe grows.
type MixSweep struct {
	Load   float64
	Mix    Mix           // the probe's own weight in it does not matter
	Probe  string        // whose share grows
	Shares []float64     // 0 to 1; nil: 0, 0.1, 0.2, 0.3, 0.4
	Each   time.Duration // 0: 5 minutes
}

// Stages are one for each share. The other probes of the mix have the rest, by their weights.
func (m MixSweep) Stages() []Stage {
	def(&m.Each, 5*time.Minute)
	shares := m.Shares
	if shares == nil {
		shares = []float64{0, .1, .2, .3, .4}
	}
	others := Mix{}
	for name, w := range m.Mix {
		if name != m.Probe {
			others[name] = w
		}
	}
	rest := others.shares()
	var stages []Stage
	for _, share := range shares {
		mix := Mix{}
		for name, part := range rest {
			if share < 1 {
				mix[name] = part * (1 - share)
			}
		}
		if share > 0 {
			mix[m.Probe] = share
		}
		name := m.Probe + " " + percent(share)
		stages = append(stages, Stage{Name: name, Kind: record.Hold, From: m.Load, To: m.Load, Over: m.Each, Mix: mix, WarmUp: min(m.Each/warmUpPart, mostWarmUp)})
	}
	return stages
}

// NoisyNeighbour is a lane with a constant load, and one that bursts beside it.
type NoisyNeighbour struct {
	Victim    float64       // load of the one, all the time
	Neighbour float64       // load of the other in its bursts
	For       time.Duration // of a burst; 0: a minute
	Every     time.Duration // silence before and after each; 0: 2 minutes
	Times     int           // 0: 3
}

// Stages are those of either lane.
func (n NoisyNeighbour) Stages() (victim, neighbour []Stage) {
	def(&n.For, time.Minute)
	def(&n.Every, 2*time.Minute)
	def(&n.Times, 3)
	neighbour = Spikes{Base: 0, Peak: n.Neighbour, For: n.For, Every: n.Every, Times: n.Times}.Stages()
	var over time.Duration
	for _, s := range neighbour {
		over += s.Over
	}
	return []Stage{{Kind: record.Hold, From: n.Victim, To: n.Victim, Over: over}}, neighbour
}

// Overload is a normal load, too much of it, and the normal one again: how long until all is as before?
type Overload struct {
	Base, Overload float64
	Before         time.Duration // 0: 5 minutes
	For            time.Duration // 0: 2 minutes
	Watch          time.Duration // 0: 10 minutes
}

// Stages are before, overload and afterwards.
func (o Overload) Stages() []Stage {
	def(&o.Before, 5*time.Minute)
	def(&o.For, 2*time.Minute)
	def(&o.Watch, 10*time.Minute)
	return []Stage{
		{Kind: record.Hold, From: o.Base, To: o.Base, Over: o.Before},
		{Kind: record.Spike, From: o.Overload, To: o.Overload, Over: o.For},
		{Kind: record.Recovery, From: o.Base, To: o.Base, Over: o.Watch},
	}
}
