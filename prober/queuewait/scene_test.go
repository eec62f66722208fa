package queuewait

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// scene is some hours of a target's life, as its probes see it: load, what the server is, and what spoils the view.
type scene struct {
	server server
	seed   uint64
	hours  float64
	every  float64 // seconds between probes; 0: 15

	load     float64 // share of what the server can bear
	loadFrom float64 // hours
	lengths  []int   // of probes
	later    []int   // of probes from the middle on; nil: the same

	noise float64 // seconds: half-normal, on all times
	tail  float64 // share of probes that take up to 2 s more for no reason
	cold  int     // of the first probes, how many wait 30 s for the model to load
	hits  float64 // share of probes of which 90 % of the prompt is in a prefix cache, unknown to us
	told  bool    // the server tells of them
}

// sample is one probe in a scene, before the model learned from it.
type sample struct {
	hour       float64
	tokens     int // uncached, as told
	took       float64
	alone      float64 // what it would have taken alone
	floor      float64
	confidence float64
	ok         bool
}

// estimated is the wait that the model would have published, and truth the delay that load caused.
func (s sample) estimated() float64 { return max(0, s.took-s.floor) }
func (s sample) truth() float64     { return s.took - s.alone }

// play plays a scene to a model.
func (sc scene) play(m *Model) (all []sample) {
	r := rand.New(rand.NewPCG(sc.seed, 0x5ce))
	end, every := sc.hours*3600, sc.every
	if every == 0 {
		every = 15
	}
	later := sc.later
	if later == nil {
		later = sc.lengths
	}
	requests := sc.server.load(r, sc.load, sc.loadFrom*3600, end, 400, 64)
	asked := append(probes(r, every, 0, end/2, sc.lengths...), probes(r, every, end/2, end, later...)...)
	whole := map[*request]int{}
	for _, p := range asked {
		whole[p] = p.prompt
		if r.Float64() < sc.hits {
			p.prompt /= 10
		}
	}
	requests = append(requests, asked...)
	sc.server.serve(requests)
	for i, p := range probed(requests) {
		noise := math.Abs(r.NormFloat64()) * sc.noise
		if r.Float64() < sc.tail {
			noise += 2 * r.Float64()
		}
		if i < sc.cold {
			noise += 30
		}
		s := sample{hour: p.at / 3600, tokens: p.prompt, took: p.first - p.at + noise, alone: sc.server.alone(p.prompt, p.at)}
		if !sc.told {
			s.tokens = whole[p]
		}
		floor, confidence, ok := m.Estimate(s.tokens)
		s.floor, s.confidence, s.ok = floor.Seconds(), confidence, ok
		all = append(all, s)
		m.Observe(time.Unix(0, int64((p.first+noise)*1e9)), s.tokens, time.Duration(s.took*1e9))
	}
	return all
}

// between are the samples of some hours for which there is an estimate.
func between(all []sample, from, to float64) []sample {
	return slices.DeleteFunc(slices.Clone(all), func(s sample) bool { return !s.ok || s.hour < from || s.hour >= to })
}

// over is the mean of f over samples; not a number for none.
func over(all []sample, f func(sample) float64) float64 {
	sum := 0.0
	for _, s := range all {
		sum += f(s)
	}
	return sum / float64(len(all))
}

// at is a quantile of f over samples.
func at(q float64, all []sample, f func(sample) float64) float64 {
	var v []float64
	for _, s := range all {
		v = append(v, f(s))
	}
	slices.Sort(v)
	return v[int(q*float64(len(v)-1))]
}

func wait(s sample) float64     { return s.estimated() }
func miss(s sample) float64     { return s.estimated() - s.truth() }
func distance(s sample) float64 { return math.Abs(miss(s)) }
func trust(s sample) float64    { return s.confidence }
