package queuewait

import (
	"math"
	"math/rand/v2"
	"slices"
)

// server is a continuous-batching engine as fast as the tests need it: hours in a fraction of a second. Each step makes one
// token for every running request and computes at most budget prompt tokens:
//
//	step = base + running × perSequence + computed × perToken
//
// Times are seconds since the beginning.
type server struct {
	base, perSequence, perToken float64
	batch                       int                      // requests that run at once
	budget                      int                      // prompt tokens of a step; 0: no bound
	slower                      func(at float64) float64 // factor on perToken; nil: 1
}

func newServer() server {
	return server{base: 9e-3, perSequence: 60e-6, perToken: 33e-6, batch: 32, budget: 2048}
}

// request is one to that server, and what became of it.
type request struct {
	at      float64
	prompt  int // uncached tokens
	output  int
	probe   bool
	started float64 // left the queue
	first   float64 // first token
	left    int     // prompt tokens still to compute
	made    int
}

// alone is what the first token takes when there is no one else.
func (s server) alone(prompt int, at float64) float64 {
	steps := 1
	if s.budget > 0 {
		steps = max(1, (prompt+s.budget-1)/s.budget)
	}
	return float64(steps)*(s.base+s.perSequence) + float64(prompt)*s.cost(at)
}

func (s server) cost(at float64) float64 {
	if s.slower == nil {
		return s.perToken
	}
	return s.perToken * s.slower(at)
}

// rate is the requests per second of one shape that it can bear.
func (s server) rate(prompt, output int) float64 {
	b := float64(s.batch)
	return 1 / (float64(output)/b*(s.base+b*s.perSequence) + float64(prompt)*s.perToken)
}

// serve answers the requests, which it sorts by arrival.
func (s server) serve(requests []*request) {
	slices.SortFunc(requests, func(a, b *request) int { return int(math.Copysign(1, a.at-b.at)) })
	var running []*request
	now := 0.0
	for next := 0; next < len(requests) || len(running) > 0; {
		if len(running) == 0 {
			now = max(now, requests[next].at)
		}
		for next < len(requests) && requests[next].at <= now && len(running) < s.batch {
			r := requests[next]
			r.started, r.left = now, r.prompt
			running = append(running, r)
			next++
		}
		room := s.budget
		if room == 0 {
			room = math.MaxInt
		}
		computed := 0
		for _, r := range running {
			if r.left > 0 {
				n := min(r.left, room)
				r.left, room, computed = r.left-n, room-n, computed+n
				if r.left > 0 {
					r.made = -1 // no token of this step
				}
			}
		}
		now += s.base + float64(len(running))*s.perSequence + float64(computed)*s.cost(now)
		running = slices.DeleteFunc(running, func(r *request) bool {
			r.made++
			if r.made == 1 {
				r.first = now
			}
			return r.made >= r.output
		})
	}
}

// load is Poisson arrivals of one shape at a share of what the server can bear.
func (s server) load(r *rand.Rand, share, from, to float64, prompt, output int) (all []*request) {
	if share == 0 {
		return nil
	}
	rate := share * s.rate(prompt, output)
	for at := from + r.ExpFloat64()/rate; at < to; at += r.ExpFloat64() / rate {
		all = append(all, &request{at: at, prompt: prompt, output: output})
	}
	return all
}

// probes ask every interval, a little off, with lengths drawn from the list.
func probes(r *rand.Rand, every, from, to float64, lengths ...int) (all []*request) {
	for at := from; at < to; at += every {
		n := lengths[r.IntN(len(lengths))]
		n += r.IntN(n/20 + 2)
		all = append(all, &request{at: at + r.Float64()*every/2, prompt: n, output: 8, probe: true})
	}
	return all
}

// probed are the probes among the requests, by when their first token came.
func probed(requests []*request) (all []*request) {
	for _, r := range requests {
		if r.probe {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *request) int { return int(math.Copysign(1, a.first-b.first)) })
	return all
}
