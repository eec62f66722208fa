package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// endpoint is the truth of a simulated month: how long things take at each time, before chance.
//
// Everything is drawn from the seed, so that a month can be had again. The figures are those of a chat service that is
// healthy but alive: load by the hour and the day of the week, a drift of some per cent that comes and goes within half a day,
// and now and then a quarter of an hour of doubled latency, which is nobody's emergency.
type endpoint struct {
	random *rand.Rand
	base   float64   // s, at mean load
	swing  []float64 // of each day: by how much its peak is over its mean
	drift  []float64 // of each minute, a factor
	spells []spell
	inject injection
}

// spell is a short time of slowness.
type spell struct {
	from, till time.Duration
	factor     float64
}

// injection makes the time to first token factor times as long from a time on, at once or growing evenly.
type injection struct {
	factor float64       // 0: none
	at     time.Duration // when it begins
	over   time.Duration // how long it grows; 0 for a step
}

const (
	spread         = 0.4   // sigma of the lognormal time to first token
	stragglerShare = 0.003 // of the requests, that take stragglerFactor times as long
	stragglerTimes = 8
	failureShare   = 0.001
	driftSigma     = 0.04
	driftHours     = 12
	spellsPerDay   = 0.5
	answerTokens   = 64
	tokensASecond  = 60
	rateSpread     = 0.15
)

func newEndpoint(seed uint64, length time.Duration, inject injection) *endpoint {
	r := rand.New(rand.NewPCG(seed, 1))
	e := &endpoint{random: r, inject: inject}
	e.base = 0.1 * math.Exp(r.Float64()*math.Log(20)) // 0.1 to 2 s
	for range int(length/(24*time.Hour)) + 1 {
		e.swing = append(e.swing, 0.15+0.05*(2*r.Float64()-1))
	}
	keep := math.Exp(-1.0 / (driftHours * 60))
	x := driftSigma * r.NormFloat64()
	for range int(length/time.Minute) + 1 {
		x = keep*x + math.Sqrt(1-keep*keep)*driftSigma*r.NormFloat64()
		e.drift = append(e.drift, math.Exp(x))
	}
	for at := time.Duration(0); ; {
		at += time.Duration(r.ExpFloat64() / spellsPerDay * float64(24*time.Hour))
		if at >= length {
			break
		}
		e.spells = append(e.spells, spell{at, at + time.Duration(5+10*r.Float64())*time.Minute, 1.3 + 0.7*r.Float64()})
	}
	return e
}

// load is how much longer than in the mean things take at a time: the course of the day, the weekend, the drift.
func (e *endpoint) load(t time.Duration) float64 {
	day := int(t / (24 * time.Hour))
	f := 1 + e.swing[day]*math.Sin(2*math.Pi*t.Hours()/24)
	if day%7 >= 5 {
		f *= 0.9
	}
	return f * e.drift[int(t/time.Minute)]
}

// request is one probe's result.
type request struct {
	failed               bool
	ttft, duration, rate float64 // s, s, tokens/s
}

// ask draws a request at a time.
func (e *endpoint) ask(t time.Duration) request {
	r := e.random
	load := e.load(t)
	ttft := e.base * load * math.Exp(spread*r.NormFloat64())
	if r.Float64() < stragglerShare {
		ttft *= stragglerTimes
	}
	if i := slices.IndexFunc(e.spells, func(s spell) bool { return s.from <= t && t < s.till }); i >= 0 {
		ttft *= e.spells[i].factor
	}
	if since := t - e.inject.at; e.inject.factor != 0 && since >= 0 {
		share := 1.0
		if since < e.inject.over {
			share = float64(since) / float64(e.inject.over)
		}
		ttft *= 1 + (e.inject.factor-1)*share
	}
	rate := tokensASecond / math.Sqrt(load) * math.Exp(rateSpread*r.NormFloat64())
	return request{failed: r.Float64() < failureShare, ttft: ttft, rate: rate, duration: ttft + answerTokens/rate}
}
