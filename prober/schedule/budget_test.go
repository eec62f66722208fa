package schedule

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober/workload"
)

// A use is something that a simulated server was asked for.
type use struct {
	at       time.Time
	group    string
	currency string
	cost     Cost
}

// worst returns the most that there is of something in any span.
func worst(uses []use, span time.Duration, of func(use) float64) float64 {
	slices.SortFunc(uses, func(a, b use) int { return a.at.Compare(b.at) })
	var sum, most float64
	first := 0
	for _, u := range uses {
		sum += of(u)
		for !uses[first].at.After(u.at.Add(-span)) {
			sum -= of(uses[first])
			first++
		}
		most = max(most, sum)
	}
	return most
}

// A world is a simulated server for many groups, jobs and ramps, which keeps books of its own.
type world struct {
	*Scheduler
	mu   sync.Mutex // protects all following fields
	r    *rand.Rand
	uses []use

	over        float64 // share of runs that use up to twice what they may
	most        Cost    // that a run has used beyond what it may
	reserved    int     // by ramps, how often
	notReserved int
}

// serve returns a Run that takes a random time, and within it uses a random part of cost at random times.
func (w *world) serve(g Group, cost Cost, atOnce int, mean time.Duration) func(context.Context, time.Time) Cost {
	return func(ctx context.Context, _ time.Time) Cost {
		began := time.Now()
		w.mu.Lock()
		takes := time.Duration(w.r.ExpFloat64() * float64(mean))
		w.mu.Unlock()
		_ = workload.SleepUntilTimer(ctx, began.Add(takes))
		return w.use(g, cost, atOnce, began)
	}
}

// use notes what a run has used that began then and ends now, and returns what it tells of it.
func (w *world) use(g Group, cost Cost, atOnce int, began time.Time) Cost {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := func() time.Time { // often the very beginning or end
		return began.Add(time.Duration(min(max(w.r.Float64()*1.5-0.25, 0), 1) * float64(time.Since(began))))
	}
	used := Cost{
		Requests:     min(atOnce+w.r.IntN(cost.Requests-atOnce+1), cost.Requests),
		OutputTokens: w.r.IntN(cost.OutputTokens + 1),
		Money:        w.r.Float64() * cost.Money,
	}
	if w.r.IntN(4) == 0 {
		used = cost
	}
	if w.r.Float64() < w.over {
		used.OutputTokens += w.r.IntN(cost.OutputTokens + 1)
		used.Money += w.r.Float64() * cost.Money
		w.most.OutputTokens = max(w.most.OutputTokens, used.OutputTokens-cost.OutputTokens)
		w.most.Money = max(w.most.Money, used.Money-cost.Money)
	}
	for i := range used.Requests {
		when := began
		if i >= atOnce {
			when = at()
		}
		w.uses = append(w.uses, use{when, g.Name, g.Currency, Cost{Requests: 1}})
	}
	w.uses = append(w.uses,
		use{at(), g.Name, g.Currency, Cost{OutputTokens: used.OutputTokens}},
		use{at(), g.Name, g.Currency, Cost{Money: used.Money}},
	)
	if w.r.IntN(10) == 0 { // the connection broke, say: the server may have made them all
		return Cost{-1, -1, -1}
	}
	return used
}

// ramp asks a group for one request after another, as far as the budgets go, from time to time until ctx ends.
func (w *world) ramp(ctx context.Context, g Group, cost Cost, mean time.Duration) {
	for ctx.Err() == nil {
		release, reason, ok := w.Reserve(g.Name, cost)
		began := time.Now()
		w.mu.Lock()
		takes := time.Duration(w.r.ExpFloat64() * float64(mean))
		w.mu.Unlock()
		_ = workload.SleepUntilTimer(ctx, began.Add(takes))
		w.mu.Lock()
		if ok {
			w.reserved++
		} else if w.notReserved++; (release != nil) || (reason != "" && !slices.Contains(Reasons(), reason)) {
			panic(fmt.Sprintf("Reserve = %v, %q", release != nil, reason))
		}
		w.mu.Unlock()
		if ok {
			release(w.use(g, cost, 1, began))
		}
	}
}

// A bound is a budget with what it holds.
type bound struct {
	name  string
	limit float64
	span  time.Duration
	of    func(use) float64
}

// bounds returns all of a plan.
func bounds(p Plan) []bound {
	all := []bound{
		{"all: requests", float64(p.Budget.RequestsPerMinute), time.Minute, func(u use) float64 { return float64(u.cost.Requests) }},
		{"all: tokens", float64(p.Budget.OutputTokensPerHour), time.Hour, func(u use) float64 { return float64(u.cost.OutputTokens) }},
	}
	in := func(ok bool, v float64) float64 {
		if ok {
			return v
		}
		return 0
	}
	for currency, limit := range p.Budget.CostPerDay {
		all = append(all, bound{"all: " + currency, limit, 24 * time.Hour, func(u use) float64 {
			return in(u.currency == currency, u.cost.Money)
		}})
	}
	for _, g := range p.Groups {
		all = append(all,
			bound{g.Name + ": requests", float64(g.RequestsPerMinute), time.Minute, func(u use) float64 {
				return in(u.group == g.Name, float64(u.cost.Requests))
			}},
			bound{g.Name + ": tokens", float64(g.OutputTokensPerHour), time.Hour, func(u use) float64 {
				return in(u.group == g.Name, float64(u.cost.OutputTokens))
			}},
			bound{g.Name + ": money", g.CostPerDay, 24 * time.Hour, func(u use) float64 {
				return in(u.group == g.Name, u.cost.Money)
			}},
		)
	}
	return slices.DeleteFunc(all, func(b bound) bool { return b.limit == 0 })
}

// rounding is what sums of float64s are off, in proportion.
const rounding = 1e-9

// Over two simulated days of random jobs, bursts and a ramp, with reloads that change jobs, take groups away for a while
// and bring them back, no minute, hour or day sees more than its budget, for any group and for all together, whenever
// within the runs things are used; and the budgets are used.
func TestBudgetsOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, events := start(t, Options{Seed: 2})
		w := &world{Scheduler: s, r: rand.New(rand.NewPCG(3, 4))}
		p := Plan{
			Budget: Budget{RequestsPerMinute: 24, OutputTokensPerHour: 80_000, CostPerDay: map[string]float64{"USD": 3, "EUR": 1.4}},
			Groups: []Group{
				{Name: "tokens", OutputTokensPerHour: 25_000},
				{Name: "requests", RequestsPerMinute: 9},
				{Name: "money", CostPerDay: 0.9, Currency: "USD"},
				{Name: "ramp", OutputTokensPerHour: 30_000, CostPerDay: 2.5, Currency: "USD"},
				{Name: "elsewhere", RequestsPerMinute: 12, CostPerDay: 0.7, Currency: "EUR"},
				{Name: "free", Currency: "EUR"},
			},
		}
		plan := func(generation int) Plan {
			p := p
			for i, g := range p.Groups {
				for k, tokens := range []int{100, 800, 4_000} {
					j := Job{
						Key: fmt.Sprint(g.Name, "/", k), Group: g.Name, Fingerprint: fmt.Sprint((generation + k) / 3),
						Interval: time.Duration(14+11*k+3*i) * time.Second, Jitter: time.Second,
						Cost: Cost{Requests: 1 + k, OutputTokens: tokens},
					}
					if g.Name == "requests" {
						j.Cost.OutputTokens = 10
					}
					if g.Currency != "" {
						j.Cost.Money = float64(tokens) * 3.3e-6
					}
					if k == 1 {
						j.Burst = Burst{4, 2 * time.Minute}
						j.Cost.Requests = 5
					}
					j.Run = w.serve(g, j.Cost, j.atOnce(), 20*time.Second)
					p.Jobs = append(p.Jobs, j)
				}
			}
			return p
		}
		apply(t, s, plan(0))
		ctx, cancel := context.WithCancel(t.Context())
		var ramps sync.WaitGroup
		ramps.Go(func() { w.ramp(ctx, p.Groups[3], Cost{Requests: 2, OutputTokens: 500, Money: 2e-3}, 15*time.Second) })
		for hour := range 50 {
			time.Sleep(25 * time.Minute)
			if hour%5 == 4 {
				without := plan(hour)
				without.Groups = slices.Delete(slices.Clone(without.Groups), 1, 4)
				without.Jobs = slices.DeleteFunc(without.Jobs, func(j Job) bool {
					return !slices.ContainsFunc(without.Groups, func(g Group) bool { return g.Name == j.Group })
				})
				apply(t, s, without)
				time.Sleep(5 * time.Minute)
			}
			apply(t, s, plan(hour))
			time.Sleep(30 * time.Minute)
		}
		cancel()
		ramps.Wait()
		apply(t, s, Plan{})
		synctest.Wait()

		for _, b := range bounds(p) {
			if got := worst(w.uses, b.span, b.of); got > b.limit*(1+rounding) || got < b.limit*3/4 {
				t.Errorf("%s: %v in the worst %v; want at most %v, and most of it", b.name, got, b.span, b.limit)
			}
		}
		skipped := map[Reason]int{}
		for _, j := range plan(0).Jobs {
			for reason, n := range events.skips(j.Key) {
				skipped[reason] += n
			}
		}
		for _, reason := range Reasons()[5:] {
			if skipped[reason] == 0 {
				t.Errorf("nothing was skipped for %s: %v", reason, skipped)
			}
		}
		if w.reserved < 100 || w.notReserved < 100 {
			t.Errorf("the ramp sent %d requests, %d did not fit; want many of both", w.reserved, w.notReserved)
		}
		if n := len(w.uses); n < 20_000 {
			t.Errorf("%d uses; want more", n)
		}
	})
}

// Where a server generates more than it was asked for, a budget is overshot by that one request's excess at most.
func TestBudgetsOverAServerThatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, Options{})
		w := &world{Scheduler: s, r: rand.New(rand.NewPCG(5, 6)), over: 0.5}
		p := Plan{
			MaxInFlight: 1,
			Budget:      Budget{OutputTokensPerHour: 50_000, CostPerDay: map[string]float64{"USD": 5}},
			Groups: []Group{
				{Name: "a", OutputTokensPerHour: 30_000, CostPerDay: 2.8, Currency: "USD"},
				{Name: "b", OutputTokensPerHour: 30_000, CostPerDay: 2.8, Currency: "USD"},
			},
		}
		for i := range 6 {
			g := p.Groups[i%2]
			j := Job{
				Key: fmt.Sprint(g.Name, "/", i), Group: g.Name, Interval: time.Duration(20+i) * time.Second,
				Cost: Cost{Requests: 1, OutputTokens: 100 << i, Money: 1e-3 * float64(1+i)},
			}
			j.Run = w.serve(g, j.Cost, 1, 5*time.Second)
			p.Jobs = append(p.Jobs, j)
		}
		for range 50 {
			apply(t, s, p)
			time.Sleep(time.Hour)
		}
		apply(t, s, Plan{})
		synctest.Wait()
		for _, b := range bounds(p) {
			most := float64(w.most.OutputTokens)
			if b.span > time.Hour {
				most = w.most.Money
			}
			if got := worst(w.uses, b.span, b.of); got > (b.limit+most)*(1+rounding) || got < b.limit*3/4 {
				t.Errorf("%s: %v in the worst %v; want at most %v and one run's excess of %v, and most of it", b.name, got, b.span, b.limit, most)
			}
		}
	})
}

// Whatever the groups, budgets, jobs, ramps and reloads are, no budget is overshot.
func TestBudgetsHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(rt, name) }
		bounded := func(name string, from, to int) int { return draw(name, from, to) * draw(name+" bounded", 0, 1) }
		currencies := []string{"USD", "EUR"}
		p := Plan{
			MaxInFlight: bounded("global in flight", 1, 20),
			Budget: Budget{
				RequestsPerMinute: bounded("global requests", 1, 20), OutputTokensPerHour: bounded("global tokens", 1, 20_000),
				CostPerDay: map[string]float64{"USD": float64(bounded("global USD", 1, 500)) / 100, "EUR": float64(bounded("global EUR", 1, 500)) / 100},
			},
		}
		for i := range draw("groups", 1, 4) {
			p.Groups = append(p.Groups, Group{
				Name: fmt.Sprint("g", i), Currency: rapid.SampledFrom(currencies).Draw(rt, "currency"),
				MaxInFlight: bounded("in flight", 1, 20), RequestsPerMinute: bounded("requests", 1, 20),
				OutputTokensPerHour: bounded("tokens", 1, 20_000), CostPerDay: float64(bounded("money", 1, 500)) / 100,
			})
		}
		w := &world{}
		for i := range draw("jobs", 1, 8) {
			g := rapid.SampledFrom(p.Groups).Draw(rt, "group")
			j := Job{
				Key: fmt.Sprint(g.Name, "/", i), Group: g.Name,
				Cost: Cost{draw("cost", 1, 8), draw("tokens of a run", 0, 3_000), float64(draw("money of a run", 0, 10_000)) / 1e5},
			}
			if interval := time.Duration(draw("interval", 60, 1_500)) * time.Second; draw("is burst", 0, 3) == 0 {
				j.Burst = Burst{draw("burst", 1, 6), interval}
			} else {
				j.Interval = interval
			}
			j.Cost.Requests = max(j.Cost.Requests, j.Burst.Size)
			j.Run = w.serve(g, j.Cost, j.atOnce(), time.Duration(draw("takes", 0, 600))*time.Second)
			p.Jobs = append(p.Jobs, j)
		}
		ramp := rapid.SampledFrom(p.Groups).Draw(rt, "ramp")
		each := Cost{draw("ramp cost", 1, 3), draw("ramp tokens", 0, 500), float64(draw("ramp money", 0, 1_000)) / 1e5}
		seed := rapid.Uint64().Draw(rt, "seed")

		synctest.Test(t, func(t *testing.T) {
			s, _ := start(t, Options{Seed: seed})
			w.Scheduler, w.r = s, rand.New(rand.NewPCG(seed, 1))
			reloads := rand.New(rand.NewPCG(seed, 2))
			apply(t, s, p)
			ctx, cancel := context.WithCancel(t.Context())
			var ramps sync.WaitGroup
			ramps.Go(func() { w.ramp(ctx, ramp, each, 2*time.Minute) })
			for range 20 {
				time.Sleep(time.Duration(reloads.IntN(int(4 * time.Hour))))
				q := p
				switch reloads.IntN(4) {
				case 0:
					q = Plan{Budget: p.Budget}
				case 1: // other runs
					q.Jobs = slices.Clone(p.Jobs)
					for i := range q.Jobs {
						q.Jobs[i].Fingerprint = fmt.Sprint(reloads.IntN(2))
					}
				case 2: // another currency for a while, of which nothing is used
					q.Jobs, q.Groups = nil, slices.DeleteFunc(slices.Clone(p.Groups), func(g Group) bool { return g.Name == ramp.Name })
					for i := range q.Groups {
						q.Groups[i].Currency = "CHF"
					}
				}
				apply(t, s, q)
			}
			cancel()
			ramps.Wait()
			apply(t, s, Plan{})
			synctest.Wait()
			st := s.Status()
			if st.InFlight != 0 || len(s.underWay) != 0 {
				t.Errorf("after all: %d in flight", st.InFlight)
			}
		})
		for _, b := range bounds(p) {
			if got := worst(w.uses, b.span, b.of); got > b.limit*(1+rounding) {
				rt.Fatalf("%s: %v in the worst %v; want at most %v", b.name, got, b.span, b.limit)
			}
		}
	})
}
