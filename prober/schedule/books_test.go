package schedule

import (
	"math"
	"testing"
	"time"
)

// newTestBooks returns books of a group with a budget.
func newTestBooks(to Budget) books {
	b := newBooks([measures]Reason{BudgetRequests, BudgetOutputTokens, BudgetCost})
	b.bound(to)
	return b
}

func refuses(b *books, now time.Duration, c Cost) Reason {
	ch := newCharge(c, 1, "USD")
	return b.refuses(now, &ch)
}

// Tokens and money may be used at any time of a run, so they count from its beginning until a span after its end.
func TestWhatARunUsesCountsUntilASpanAfterItsEnd(t *testing.T) {
	const began, ended = 3 * time.Minute, 95 * time.Minute
	for _, measure := range []struct {
		reason     Reason
		budget     Budget
		span, slot time.Duration
		cost       func(hundredths int) Cost
	}{
		{
			BudgetOutputTokens, Budget{OutputTokensPerHour: 100}, time.Hour, 10 * time.Second,
			func(n int) Cost { return Cost{Requests: 1, OutputTokens: n} },
		},
		{
			BudgetCost, Budget{CostPerDay: map[string]float64{"USD": 1, "EUR": 0.01}}, 24 * time.Hour, time.Minute,
			func(n int) Cost { return Cost{Requests: 1, Money: float64(n) / 100} },
		},
	} {
		t.Run(string(measure.reason), func(t *testing.T) {
			b := newTestBooks(measure.budget)
			booked := newCharge(measure.cost(80), 1, "USD")
			if got := b.refuses(began, &booked); got != "" {
				t.Fatalf("refuses = %q; want a run", got)
			}
			b.begin(began, &booked)
			for _, test := range []struct {
				at   time.Duration
				ends bool // with 60 used
				room int
			}{
				{began, false, 20},
				{began + 61*time.Minute, false, 20}, // still under way
				{ended, false, 20},
				{ended, true, 40},
				{ended + measure.span - measure.slot, false, 40},
				{ended + measure.span - 1, false, 40},
				{ended + measure.span + measure.slot, false, 100},
			} {
				if test.ends {
					b.end(test.at, began, &booked, measure.cost(60).amounts())
				}
				if got := refuses(&b, test.at, measure.cost(test.room)); got != "" {
					t.Errorf("at %v, refuses %d = %q; want a run", test.at, test.room, got)
				}
				if got := refuses(&b, test.at, measure.cost(test.room+1)); got != measure.reason {
					t.Errorf("at %v, refuses %d = %q; want %q", test.at, test.room+1, got, measure.reason)
				}
			}
		})
	}
}

// The first request counts from the beginning of a run, however long it takes; what follows it counts as tokens do.
func TestRequestsCountForAMinute(t *testing.T) {
	const began, ended = 10 * time.Second, 200 * time.Second
	for _, test := range []struct {
		name   string
		cost   int
		atOnce int
		used   int
		counts map[time.Duration]int64
	}{
		{"one", 1, 1, 1, map[time.Duration]int64{began: 1, 69 * time.Second: 1, 71 * time.Second: 0, ended: 0}},
		{"none", 1, 1, 0, map[time.Duration]int64{began: 1, 71 * time.Second: 0, ended: 0}},
		{"burst", 8, 8, 8, map[time.Duration]int64{began: 8, 69 * time.Second: 8, 71 * time.Second: 0, ended: 0}},
		{"attempts", 3, 1, 2, map[time.Duration]int64{
			began: 3, 71 * time.Second: 2, ended: 1, ended + 59*time.Second: 1, ended + 61*time.Second: 0,
		}},
		{"attempts unknown", 3, 1, -1, map[time.Duration]int64{began: 3, ended: 2, ended + 61*time.Second: 0}},
		{"more than booked", 1, 1, 5, map[time.Duration]int64{began: 1, ended: 4, ended + 61*time.Second: 0}},
		{"burst that was cut short", 8, 8, 3, map[time.Duration]int64{began: 8, 30 * time.Second: 8, ended: 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestBooks(Budget{})
			booked := newCharge(Cost{Requests: test.cost}, test.atOnce, "")
			b.begin(began, &booked)
			for at := began; at < ended+2*time.Minute; at += time.Second {
				if at == ended {
					b.end(at, began, &booked, Cost{Requests: test.used}.amounts())
				}
				if want, ok := test.counts[at]; ok && b.asked[requests].total(at) != want {
					t.Errorf("at %v there are %d requests on the books; want %d", at, b.asked[requests].total(at), want)
				}
			}
		})
	}
}

// What ended soon enough to be corrected leaves room at once.
func TestRequestsNotSentAreGivenBack(t *testing.T) {
	b := newTestBooks(Budget{RequestsPerMinute: 8})
	booked := newCharge(Cost{Requests: 8}, 8, "")
	b.begin(10*time.Second, &booked)
	b.end(20*time.Second, 10*time.Second, &booked, Cost{Requests: 3}.amounts())
	if got := b.asked[requests].total(20 * time.Second); got != 3 {
		t.Errorf("%d requests on the books; want the 3 that were sent", got)
	}
}

// A budget that is used up does not stop what does not use it.
func TestWhatIsNotUsedIsNotBounded(t *testing.T) {
	b := newTestBooks(Budget{RequestsPerMinute: 9, OutputTokensPerHour: 100, CostPerDay: map[string]float64{"USD": 1}})
	all := newCharge(Cost{Requests: 1, OutputTokens: 50, Money: 0.5}, 1, "USD")
	b.begin(0, &all)
	b.end(0, 0, &all, Cost{Requests: 1, OutputTokens: 1000, Money: 7}.amounts())
	for _, test := range []struct {
		cost Cost
		want Reason
	}{
		{Cost{Requests: 1}, ""},
		{Cost{Requests: 9}, BudgetRequests},
		{Cost{Requests: 1, OutputTokens: 1}, BudgetOutputTokens},
		{Cost{Requests: 1, Money: 1e-12}, BudgetCost},
		{Cost{Requests: 1, OutputTokens: 1, Money: 1}, BudgetOutputTokens},
	} {
		if got := refuses(&b, 0, test.cost); got != test.want {
			t.Errorf("refuses(%+v) = %q; want %q", test.cost, got, test.want)
		}
	}
}

// What a server claims cannot make room.
func TestNoClaimMakesRoom(t *testing.T) {
	for _, used := range []Cost{
		{math.MaxInt, math.MaxInt, math.MaxFloat64},
		{math.MaxInt, math.MaxInt, math.Inf(1)},
		{math.MinInt, math.MinInt, math.Inf(-1)},
		{-1, -1, math.NaN()},
	} {
		b := newTestBooks(Budget{RequestsPerMinute: 9, OutputTokensPerHour: 9, CostPerDay: map[string]float64{"USD": 9}})
		for range 100 {
			all := newCharge(Cost{Requests: 1, OutputTokens: 1, Money: 1}, 1, "USD")
			b.begin(0, &all)
			b.end(0, 0, &all, used.amounts())
		}
		for measure := range measures {
			if got := b.meter(measure, "USD").total(0); got < 100 {
				t.Errorf("after a hundred runs that used %v, the books say %d of measure %d", used, got, measure)
			}
		}
	}
}

func TestMoneyIsExact(t *testing.T) {
	b := newTestBooks(Budget{CostPerDay: map[string]float64{"USD": 0.7}})
	for i := range 10 {
		c := newCharge(Cost{Money: 0.07}, 1, "USD")
		if got := b.refuses(0, &c); got != "" {
			t.Fatalf("run %d of 10 refused", i+1)
		}
		b.begin(0, &c)
	}
	if got := refuses(&b, 0, Cost{Money: 1e-9}); got != BudgetCost {
		t.Errorf("a billionth beyond is not refused")
	}
	for _, amount := range []float64{0.0041, 0.067, 0.134} { // which float64 has a little more of
		if got, want := roundedUp(amount), int64(math.Round(amount*1e9)); got != want {
			t.Errorf("roundedUp(%v) = %d; want %d", amount, got, want)
		}
	}
	for _, amount := range []float64{1.001, 1.003, 1.019} { // which float64 has a little less of
		if got, want := roundedDown(amount), int64(math.Round(amount*1e9)); got != want {
			t.Errorf("roundedDown(%v) = %d; want %d", amount, got, want)
		}
	}
	if got, want := roundedUp(1.4e-9), int64(2); got != want {
		t.Errorf("roundedUp(1.4e-9) = %d; want %d", got, want)
	}
	if got, want := roundedDown(1.6e-9), int64(1); got != want {
		t.Errorf("roundedDown(1.6e-9) = %d; want %d", got, want)
	}
}
