// Package replay makes records of ramps that were never run: the simulator's engine computes, on its own time line, what it
// would answer, and the record is made of that.
//
// It guarantees that waiting, batching and saturation are those of the engine's model, and that a run takes milliseconds
// in place of minutes. What it leaves out is everything between the engine and the prober: HTTP, the network, the prober
// itself. Arrivals are Poisson, seeded.
package replay

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Plan is a ramp against a simulated server.
type Plan struct {
	ID         string
	Ramp       string
	Shape      string
	Server     simulator.Options
	Probes     map[string]Shape
	Lanes      []Lane
	Objectives []record.Objective
	Seed       uint64
	Start      time.Time     // zero: the first moment of 2026
	Window     time.Duration // 0: 1s
}

// Shape is a request's size in tokens.
type Shape struct{ Prompt, Output int }

// Lane is one open loop.
type Lane struct {
	Name   string
	Stages []Stage
}

// Stage is one load.
type Stage struct {
	Kind   record.Kind // empty: record.Hold, or record.Rising where the load changes
	From   float64     // requests per second at its begin
	To     float64
	Over   time.Duration
	WarmUp time.Duration
	Mix    map[string]float64 // shares by probe
}

// request is one arrival with where it belongs.
type request struct {
	lane, stage int
	probe       string
	answer      simulator.Answer
}

// Run computes the plan's record. It is not judged.
func Run(p Plan) (*record.Run, error) {
	if p.Start.IsZero() {
		p.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if p.Window == 0 {
		p.Window = time.Second
	}
	server, err := simulator.New(p.Server)
	if err != nil {
		return nil, err
	}
	requests, err := p.draw()
	if err != nil {
		return nil, err
	}
	arrivals := make([]simulator.Arrival, len(requests))
	for i := range requests {
		arrivals[i] = requests[i].answer.Arrival
	}
	answers, err := server.Replay(arrivals)
	if err != nil {
		return nil, err
	}
	for i := range requests {
		requests[i].answer = answers[i]
	}
	run := &record.Run{
		Schema: record.SchemaVersion, ID: cmp.Or(p.ID, "replayed"), Ramp: cmp.Or(p.Ramp, "replayed"), Target: "simulator", Model: "sim-8b",
		Shape: p.Shape, Trigger: record.ByHand, Seed: p.Seed, Started: p.Start, Objectives: p.Objectives,
	}
	for i := range p.Lanes {
		lane := p.lane(i, requests)
		run.Lanes = append(run.Lanes, lane)
		if n := len(lane.Stages); n > 0 && lane.Stages[n-1].Ended.After(run.Ended) {
			run.Ended = lane.Stages[n-1].Ended
		}
	}
	return run, nil
}

// draw draws the arrivals of all lanes.
func (p *Plan) draw() ([]request, error) {
	var all []request
	for i, l := range p.Lanes {
		rng := rand.New(rand.NewPCG(p.Seed, uint64(i)+1))
		begin := time.Duration(0)
		for j, s := range l.Stages {
			probes := slices.Sorted(maps.Keys(s.Mix))
			top := max(s.From, s.To)
			if top > 0 && len(probes) == 0 {
				return nil, fmt.Errorf("stage %d of %s has no mix", j+1, l.Name)
			}
			for at := 0.0; top > 0; {
				at += rng.ExpFloat64() / top
				if at >= s.Over.Seconds() {
					break
				}
				rate := s.From + (s.To-s.From)*at/s.Over.Seconds()
				pick := rng.Float64()
				name := probes[len(probes)-1]
				for _, probe := range probes {
					if pick -= s.Mix[probe]; pick < 0 {
						name = probe
						break
					}
				}
				if rng.Float64()*top > rate {
					continue
				}
				shape, ok := p.Probes[name]
				if !ok {
					return nil, fmt.Errorf("there is no probe %q", name)
				}
				all = append(all, request{lane: i, stage: j, probe: name, answer: simulator.Answer{Arrival: simulator.Arrival{
					At: begin + time.Duration(at*float64(time.Second)), Prompt: shape.Prompt, Output: shape.Output,
				}}})
			}
			begin += s.Over
		}
	}
	return all, nil
}

// lane makes a lane's record.
func (p *Plan) lane(i int, requests []request) record.Lane {
	l := record.Lane{Name: p.Lanes[i].Name, Target: "simulator", Model: "sim-8b", Open: true, Process: "poisson"}
	begin := time.Duration(0)
	for j, s := range p.Lanes[i].Stages {
		kind := s.Kind
		if kind == "" {
			kind = record.Hold
			if s.From != s.To {
				kind = record.Rising
			}
		}
		end := begin + s.Over
		st := record.Stage{
			Index: j, Name: fmt.Sprintf("%s %g/s", kind, s.To), Kind: kind, Begin: s.From, End: s.To, Mix: s.Mix,
			Started: p.Start.Add(begin), From: p.Start.Add(begin + s.WarmUp), To: p.Start.Add(end), Ended: p.Start.Add(end),
			DispatchDelay: &record.Histogram{}, Probes: map[string]*record.Stats{},
		}
		n := max(int(math.Round(s.Over.Seconds()/p.Window.Seconds())), 1)
		slots := make([]slot, n)
		length := s.Over / time.Duration(n)
		for k := range slots {
			slots[k].begin = begin + time.Duration(k)*length
			slots[k].end = slots[k].begin + length
		}
		busy := 0.0
		for r := range requests {
			q := &requests[r]
			if q.lane != i {
				continue
			}
			at := q.answer.At
			if q.stage == j {
				slots[min(int((at-begin)/length), n-1)].asked(&q.answer)
				if at >= begin+s.WarmUp {
					st.Planned++
					st.Sent++
					p.count(&st, q)
				}
			}
			if len(q.answer.Tokens) == 0 {
				continue
			}
			last := q.answer.Tokens[len(q.answer.Tokens)-1]
			if at >= end || last < begin {
				continue
			}
			busy += overlap(at, last, begin+s.WarmUp, end)
			for k := max(int((at-begin)/length), 0); k < n && slots[k].begin <= last; k++ {
				slots[k].met(at, last, q.answer.Tokens)
			}
		}
		if s.Over > s.WarmUp {
			st.InFlight = busy / (s.Over - s.WarmUp).Seconds()
		}
		for k := range slots {
			st.Windows = append(st.Windows, slots[k].window(p.Start))
		}
		l.Stages = append(l.Stages, st)
		begin = end
	}
	return l
}

// overlap is how many seconds of from to to lie in begin to end.
func overlap(from, to, begin, end time.Duration) float64 {
	return max((min(to, end) - max(from, begin)).Seconds(), 0)
}

// count adds a request to its stage's statistics.
func (p *Plan) count(st *record.Stage, q *request) {
	s := st.Probes[q.probe]
	if s == nil {
		s = &record.Stats{
			Outcomes: map[string]int{}, TTFT: &record.Histogram{}, TTFTDispatched: &record.Histogram{},
			Duration: &record.Histogram{}, DurationDispatched: &record.Histogram{}, TPOT: &record.Histogram{}, OutputRate: &record.Histogram{},
		}
		st.Probes[q.probe] = s
	}
	s.Sent++
	a := &q.answer
	if a.Refused {
		s.Outcomes["overloaded"]++
		return
	}
	s.Outcomes["ok"]++
	s.PromptTokens += int64(a.Prompt)
	s.OutputTokens += int64(len(a.Tokens))
	first, last := a.Tokens[0]-a.At, a.Tokens[len(a.Tokens)-1]-a.At
	s.TTFT.Record(first)
	s.TTFTDispatched.Record(first)
	s.Duration.Record(last)
	s.DurationDispatched.Record(last)
	if n := len(a.Tokens) - 1; n > 0 {
		each := (last - first) / time.Duration(n)
		s.TPOT.Record(each)
		s.OutputRate.Record(record.RateTime(1 / each.Seconds()))
	}
}

// slot is a window in the making.
type slot struct {
	begin, end           time.Duration
	planned, ok, refused int
	tokens, arrived      int64
	busy                 float64
	ttft, duration, tpot []float64
}

// asked takes a request that was intended in the slot.
func (s *slot) asked(a *simulator.Answer) {
	s.planned++
	if a.Refused {
		s.refused++
		return
	}
	s.ok++
	s.tokens += int64(len(a.Tokens))
	first, last := a.Tokens[0]-a.At, a.Tokens[len(a.Tokens)-1]-a.At
	s.ttft = append(s.ttft, first.Seconds())
	s.duration = append(s.duration, last.Seconds())
	if n := len(a.Tokens) - 1; n > 0 {
		s.tpot = append(s.tpot, (last-first).Seconds()/float64(n))
	}
}

// met takes a request that was under way in the slot, whenever it was intended.
func (s *slot) met(from, to time.Duration, tokens []time.Duration) {
	if from >= s.end || to < s.begin {
		return
	}
	s.busy += overlap(from, to, s.begin, s.end)
	low, _ := slices.BinarySearch(tokens, s.begin)
	high, _ := slices.BinarySearch(tokens, s.end)
	s.arrived += int64(high - low)
}

// window is the slot as the record has it.
func (s *slot) window(start time.Time) record.Window {
	w := record.Window{
		Start: start.Add(s.begin), Length: s.end - s.begin, Planned: s.planned, Sent: s.planned, OK: s.ok,
		InFlight: s.busy / (s.end - s.begin).Seconds(), Tokens: s.tokens, Arrived: s.arrived,
		TTFT: quantiles(s.ttft), Duration: quantiles(s.duration), TPOT: quantiles(s.tpot),
	}
	w.ITL = w.TPOT
	if s.refused > 0 {
		w.Outcomes = map[string]int{"overloaded": s.refused}
	}
	return w
}

func quantiles(x []float64) record.Quantiles {
	if len(x) == 0 {
		return record.Quantiles{}
	}
	slices.Sort(x)
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	at := func(q float64) float64 { return x[max(int(math.Ceil(q*float64(len(x))))-1, 0)] }
	return record.Quantiles{N: len(x), Mean: sum / float64(len(x)), P50: at(.5), P90: at(.9), P95: at(.95), P99: at(.99), Max: x[len(x)-1]}
}
