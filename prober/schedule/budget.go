package schedule

import (
	"fmt"
	"maps"
	"slices"
)

// Budget bounds what may be asked in any 60 seconds, any 60 minutes and any 24 hours.
type Budget struct {
	RequestsPerMinute   int                // requests begun; 0: no bound
	OutputTokensPerHour int                // output tokens; 0: no bound
	CostPerDay          map[string]float64 // money by currency; 0 or absent: no bound
}

// Measure is what a budget bounds. The set is closed, so a measure may be a metric label.
type Measure string

// The measures.
const (
	RequestsPerMinute   Measure = "requests_per_minute"
	OutputTokensPerHour Measure = "output_tokens_per_hour"
	CostPerDay          Measure = "cost_per_day"
)

// Measures lists every measure.
func Measures() []Measure { return []Measure{RequestsPerMinute, OutputTokensPerHour, CostPerDay} }

// Cost is what a run asks of its target.
type Cost struct {
	Requests     int     // further attempts and turns included; all but the first, or a burst's Size, are sent later on
	OutputTokens int     // of all requests
	Money        float64 // of all requests, in the currency of the job's group
}

// faults returns what is wrong with the budget.
func (b *Budget) faults() []string {
	var all []string
	if b.RequestsPerMinute < 0 || b.OutputTokensPerHour < 0 {
		all = append(all, "a bound is negative")
	}
	for _, currency := range slices.Sorted(maps.Keys(b.CostPerDay)) {
		amount := b.CostPerDay[currency]
		if amount != 0 && !(amount >= 1/billionths && amount <= mostMoney) { // true for NaN
			all = append(all, fmt.Sprintf("CostPerDay is %v %s: want 0, or 1e-09 to 1e+09", amount, currency))
		}
		if amount != 0 && currency == "" {
			all = append(all, "CostPerDay has no currency")
		}
	}
	return all
}

// The measures as indices, in the order in which budgets are looked at.
const (
	requests = iota
	outputTokens
	money
	measures
)

// amounts are one of each measure; money in billionths.
type amounts [measures]int64

// amounts returns what is known of the cost, with -1 for what is not.
func (c Cost) amounts() amounts {
	a := amounts{requests: int64(c.Requests), outputTokens: int64(c.OutputTokens), money: -1}
	if c.Money >= 0 { // false for NaN
		a[money] = roundedUp(c.Money)
	}
	for measure := range a {
		a[measure] = max(-1, min(a[measure], most/2)) // a server's word on its tokens may be anything
	}
	return a
}

// A charge is what a run is booked with at the most.
type charge struct {
	currency string
	first    amounts // used as the run begins: its first request, or all of a burst
	rest     amounts // used at any time before it ends
}

// newCharge returns the charge of a run of which atOnce requests are sent as it begins.
func newCharge(c Cost, atOnce int, currency string) charge {
	ch := charge{currency: currency, rest: c.amounts()}
	for measure := range ch.rest {
		ch.rest[measure] = max(ch.rest[measure], 0)
	}
	ch.first[requests] = min(int64(atOnce), ch.rest[requests])
	ch.rest[requests] -= ch.first[requests]
	return ch
}

// of returns all of one measure.
func (c *charge) of(measure int) int64 { return c.first[measure] + c.rest[measure] }
