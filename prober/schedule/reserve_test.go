package schedule

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, Options{})
		p := Plan{
			MaxInFlight: 1,
			Budget:      Budget{RequestsPerMinute: 30, OutputTokensPerHour: 150, CostPerDay: map[string]float64{"USD": 3}},
			Groups: []Group{
				{Name: "a", MaxInFlight: 1, RequestsPerMinute: 20, OutputTokensPerHour: 100, CostPerDay: 2, Currency: "USD"},
				{Name: "b", Currency: "USD"},
				{Name: "c", Currency: "EUR"},
			},
		}
		apply(t, s, p)
		reserve := func(group string, c Cost, want Reason) func(Cost) {
			t.Helper()
			release, reason, ok := s.Reserve(group, c)
			if reason != want || ok != (want == "") || (release != nil) != ok {
				t.Errorf("Reserve(%s, %+v) = %q, %v; want %q", group, c, reason, ok, want)
			}
			return release
		}
		for _, test := range []struct {
			group string
			cost  Cost
			want  Reason
		}{
			{"a", Cost{Requests: 21}, BudgetRequests},
			{"a", Cost{OutputTokens: 101}, BudgetOutputTokens},
			{"a", Cost{Money: 2.01}, BudgetCost},
			{"b", Cost{Requests: 31}, GlobalBudgetRequests},
			{"b", Cost{OutputTokens: 151}, GlobalBudgetOutputTokens},
			{"b", Cost{Money: 3.01}, GlobalBudgetCost},
		} {
			reserve(test.group, test.cost, test.want)
		}
		if _, reason, ok := s.Reserve("nobody", Cost{}); ok || reason != "" {
			t.Errorf("Reserve of an unknown group = %q, %v; want neither", reason, ok)
		}
		reserve("c", Cost{Money: 1000}, "")(Cost{}) // another currency, and given back

		first := reserve("a", Cost{Requests: 10, OutputTokens: 60, Money: 1.5}, "")
		reserve("a", Cost{OutputTokens: 41}, BudgetOutputTokens)
		reserve("b", Cost{Money: 1.6}, GlobalBudgetCost)
		second := reserve("b", Cost{OutputTokens: 90, Money: 1.5}, "")
		reserve("b", Cost{Requests: 1, OutputTokens: 1}, GlobalBudgetOutputTokens)
		time.Sleep(3 * 24 * time.Hour) // held for as long as it takes
		apply(t, s, Plan{Budget: p.Budget})
		apply(t, s, p)
		reserve("b", Cost{Money: 0.01}, GlobalBudgetCost)
		reserve("a", Cost{Money: 0.51}, BudgetCost)

		first(Cost{Requests: 10, OutputTokens: 20, Money: 0.5})
		first(Cost{}) // does nothing more
		reserve("a", Cost{Requests: 12}, BudgetRequests)
		reserve("a", Cost{OutputTokens: 81}, BudgetOutputTokens)
		reserve("a", Cost{Money: 1.51}, BudgetCost)
		reserve("a", Cost{Requests: 11, OutputTokens: 40, Money: 1}, "")(Cost{})
		second(Cost{-1, -1, -1})
		reserve("b", Cost{Money: 1.01}, GlobalBudgetCost)

		time.Sleep(24*time.Hour + time.Minute)
		reserve("a", Cost{Requests: 20, OutputTokens: 100, Money: 2}, "")(Cost{})
	})
}

// A ramp and a job share what there is.
func TestReserveAndJobsShareBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, events := start(t, Options{})
		var l log
		p := Plan{
			Groups: []Group{{Name: "chat", CostPerDay: 1, Currency: "USD"}},
			Jobs: []Job{{
				Key: "chat/rag", Group: "chat", Interval: time.Minute, Cost: Cost{Money: 0.2}, Run: l.lasting(0),
			}},
		}
		apply(t, s, p)
		release, _, ok := s.Reserve("chat", Cost{Money: 0.9})
		if !ok {
			t.Fatal("nothing is on the books, but there is no room")
		}
		time.Sleep(10 * time.Minute)
		if n, skipped := len(l.times()), events.skips("chat/rag"); n != 0 || skipped[BudgetCost] != 10 {
			t.Errorf("beside a ramp that may cost nearly all: %d runs, skipped %v; want 10 times %s", n, skipped, BudgetCost)
		}
		release(Cost{Money: 0.5})
		time.Sleep(10 * time.Minute)
		if n := len(l.times()); n != 10 {
			t.Errorf("once it has cost half: %d runs; want 10", n)
		}
	})
}

// Many at once reserve no more than there is.
func TestReserveAtOnce(t *testing.T) {
	s, _ := start(t, Options{})
	apply(t, s, Plan{
		Budget: Budget{CostPerDay: map[string]float64{"USD": 20}},
		Groups: []Group{{Name: "a", OutputTokensPerHour: 1_000, Currency: "USD"}, {Name: "b", Currency: "USD"}},
	})
	var mu sync.Mutex
	var used, most Cost
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for range 500 {
				c := Cost{OutputTokens: r.IntN(200), Money: float64(r.IntN(500)) / 100}
				release, _, ok := s.Reserve([]string{"a", "b"}[i%2], c)
				if !ok {
					continue
				}
				mu.Lock()
				used.OutputTokens += c.OutputTokens * (1 - i%2)
				used.Money += c.Money
				most.OutputTokens, most.Money = max(most.OutputTokens, used.OutputTokens), max(most.Money, used.Money)
				used.OutputTokens -= c.OutputTokens * (1 - i%2)
				used.Money -= c.Money
				mu.Unlock()
				release(Cost{})
			}
		})
	}
	wg.Wait()
	if most.OutputTokens > 1_000 || most.Money > 20 {
		t.Errorf("reserved at once: %+v; want at most 1000 tokens and 20 USD", most)
	}
	for _, b := range s.Status().Budgets {
		if b.Used != 0 {
			t.Errorf("after all was given back, %+v is used", b)
		}
	}
}
