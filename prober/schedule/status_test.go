package schedule

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatusOfBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t, Options{})
		p := Plan{
			Budget: Budget{RequestsPerMinute: 4, CostPerDay: map[string]float64{"USD": 0.3, "CHF": 1}},
			Groups: []Group{
				{Name: "a", OutputTokensPerHour: 150, CostPerDay: 0.7, Currency: "USD"},
				{Name: "b", Currency: "EUR"},
				{Name: "c", OutputTokensPerHour: 5},
			},
			Jobs: []Job{
				{Key: "a/x", Group: "a", Interval: 48 * time.Hour, Cost: Cost{OutputTokens: 100, Money: 0.25}, Run: nothing},
				{Key: "a/y", Group: "a", Interval: 48 * time.Hour, Cost: Cost{OutputTokens: 200, Money: 0.1}, Run: nothing},
				{Key: "c/x", Group: "c", Interval: 48 * time.Hour, Cost: Cost{OutputTokens: 6}, Run: nothing},
			},
		}
		apply(t, s, p)
		release, _, ok := s.Reserve("a", Cost{Requests: 1, OutputTokens: 90, Money: 0.2})
		if !ok {
			t.Fatal("there is no room")
		}
		look := func(when string, a, all []BudgetStatus) {
			t.Helper()
			want := []GroupStatus{
				{Name: "a", Requests: int(a[0].Used), OutputTokens: int(a[1].Used), Budgets: a},
				{Name: "b", Budgets: []BudgetStatus{
					{Measure: RequestsPerMinute}, {Measure: OutputTokensPerHour}, {Measure: CostPerDay, Currency: "EUR"},
				}},
				{Name: "c", Budgets: []BudgetStatus{
					{Measure: RequestsPerMinute}, {Measure: OutputTokensPerHour, Limit: 5, RoomIn: -1}, // never enough
				}},
			}
			st := s.Status()
			if diff := cmp.Diff(want, st.Groups); diff != "" {
				t.Errorf("%s, groups (-want +got):\n%s", when, diff)
			}
			if diff := cmp.Diff(all, st.Budgets); diff != "" {
				t.Errorf("%s, all groups (-want +got):\n%s", when, diff)
			}
		}
		look("reserved", []BudgetStatus{
			{Measure: RequestsPerMinute, Used: 1},
			{Measure: OutputTokensPerHour, Used: 90, Limit: 150, RoomIn: -1}, // as long as it is held
			{Measure: CostPerDay, Currency: "USD", Used: 0.2, Limit: 0.7},
		}, []BudgetStatus{
			{Measure: RequestsPerMinute, Used: 1, Limit: 4},
			{Measure: OutputTokensPerHour, Used: 90},
			{Measure: CostPerDay, Currency: "CHF", Limit: 1},
			{Measure: CostPerDay, Currency: "USD", Used: 0.2, Limit: 0.3},
		})
		time.Sleep(5 * time.Minute)
		release(Cost{Requests: 1, OutputTokens: 70, Money: 0.25})
		used := []BudgetStatus{
			{Measure: RequestsPerMinute},
			{Measure: OutputTokensPerHour, Used: 70, Limit: 150, RoomIn: time.Hour + 10*time.Second},
			{Measure: CostPerDay, Currency: "USD", Used: 0.25, Limit: 0.7},
		}
		all := []BudgetStatus{
			{Measure: RequestsPerMinute, Limit: 4},
			{Measure: OutputTokensPerHour, Used: 70},
			{Measure: CostPerDay, Currency: "CHF", Limit: 1},
			{Measure: CostPerDay, Currency: "USD", Used: 0.25, Limit: 0.3, RoomIn: 24*time.Hour + time.Minute},
		}
		look("used", used, all)
		time.Sleep(55 * time.Minute)
		used[1].RoomIn -= 55 * time.Minute
		all[3].RoomIn -= 55 * time.Minute
		look("55 minutes later", used, all)
		time.Sleep(used[1].RoomIn)
		all[3].RoomIn -= used[1].RoomIn
		used[1].Used, used[1].RoomIn, all[1].Used = 0, 0, 0
		look("an hour later", used, all)
	})
}

// A target's money in one currency is still on the books when it is billed in that currency again.
func TestBooksOfACurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := start(t, Options{})
		plan := func(currency string) Plan {
			return Plan{
				Groups: []Group{{Name: "chat", CostPerDay: 1, Currency: currency}},
				Jobs: []Job{{
					Key: "chat/rag", Group: "chat", Interval: 30 * time.Second, Cost: Cost{Money: 1},
					Run: func(context.Context, time.Time) Cost { return Cost{1, 0, 1} },
				}},
			}
		}
		for range 20 {
			for _, currency := range []string{"USD", "EUR"} {
				apply(t, s, plan(currency))
				time.Sleep(10 * time.Minute)
			}
		}
		if got := r.count(r.started, "chat/rag"); got != 2 {
			t.Errorf("%d runs at a day's cost each; want one in each of two currencies", got)
		}
		time.Sleep(24 * time.Hour)
		apply(t, s, plan("CHF"))
		s.mu.Lock()
		defer s.mu.Unlock()
		if n := len(s.books.spent); n > 1 {
			t.Errorf("the books have %d currencies; want the one that is in use at most", n)
		}
	})
}

// What a run used without having booked it is on the books as well, also where its group has gone meanwhile.
func TestBooksOfWhatWasNotBooked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := start(t, Options{})
		p := one(Job{
			Key: "chat/rag", Group: "chat", Interval: time.Minute,
			Run: func(ctx context.Context, _ time.Time) Cost {
				<-ctx.Done()
				time.Sleep(5 * time.Minute)
				return Cost{1, 100, 2}
			},
		})
		p.Groups[0].Currency = "USD"
		apply(t, s, p)
		time.Sleep(2 * time.Minute)
		for range 4 {
			apply(t, s, Plan{})
			time.Sleep(2 * time.Minute)
		}
		p.Jobs = nil
		apply(t, s, p)
		st := s.Status()
		if r.count(r.finished, "chat/rag") != 1 || st.Groups[0].OutputTokens != 100 || st.Groups[0].Budgets[2].Used != 2 || st.Budgets[2].Used != 2 {
			t.Errorf("status %+v; want 100 tokens and 2 USD on the books", st)
		}
	})
}
