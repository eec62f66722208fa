package schedule

import (
	"maps"
	"slices"
	"time"
)

// books keep what counts against the budgets of a group, or of all groups together. Times are since the scheduler's
// start.
//
//	a run            |begin ------------------ end|
//	first requests   |- 60 s -|
//	other requests   |reserved: the most there are|- 60 s: those sent -|
//	output tokens    |reserved: the most there are|- 60 min: those generated ----|
//	money            |reserved: the most it costs |- 24 h: what it cost ---------------|
//
// So whenever within a run something is used, what is used in any one minute, hour or day is within the budget.
type books struct {
	reasons [measures]Reason
	limits  [money]int64      // of requests and output tokens; most: no bound
	perDay  map[string]int64  // bounds of money by currency
	asked   [money]*meter     // of requests and output tokens
	spent   map[string]*meter // of money by currency, once there is some
}

func newBooks(reasons [measures]Reason) books {
	b := books{reasons: reasons, spent: map[string]*meter{}}
	b.asked[requests] = newMeter(time.Minute, 60)
	b.asked[outputTokens] = newMeter(time.Hour, 360)
	b.bound(Budget{})
	return b
}

// bound puts a budget in force. What is on the books stays.
func (b *books) bound(to Budget) {
	for measure, n := range [money]int{requests: to.RequestsPerMinute, outputTokens: to.OutputTokensPerHour} {
		b.limits[measure] = most
		if n > 0 {
			b.limits[measure] = min(int64(n), most)
		}
	}
	b.perDay = map[string]int64{}
	for currency, amount := range to.CostPerDay {
		if amount > 0 {
			b.perDay[currency] = roundedDown(amount)
		}
	}
}

// limit returns the bound of a measure; most where there is none.
func (b *books) limit(measure int, currency string) int64 {
	if measure != money {
		return b.limits[measure]
	}
	if limit, ok := b.perDay[currency]; ok {
		return limit
	}
	return most
}

func (b *books) meter(measure int, currency string) *meter {
	if measure != money {
		return b.asked[measure]
	}
	m, ok := b.spent[currency]
	if !ok {
		m = newMeter(24*time.Hour, 24*60)
		b.spent[currency] = m
	}
	return m
}

// refuses returns the reason why a run cannot begin now, or "". Of what a run does not use, there cannot be too little.
func (b *books) refuses(now time.Duration, c *charge) Reason {
	for measure := range measures {
		n := c.of(measure)
		if n > 0 && b.meter(measure, c.currency).total(now) > b.limit(measure, c.currency)-n {
			return b.reasons[measure]
		}
	}
	return ""
}

// begin books a run.
func (b *books) begin(now time.Duration, c *charge) {
	for measure := range measures {
		if c.of(measure) > 0 {
			b.meter(measure, c.currency).begin(now, c.first[measure], c.rest[measure])
		}
	}
}

// end replaces what begin booked at then by what was used; negative numbers leave the booking.
func (b *books) end(now, then time.Duration, c *charge, used amounts) {
	for measure := range measures {
		if c.of(measure) > 0 || used[measure] > 0 {
			b.meter(measure, c.currency).end(now, then, c.first[measure], c.rest[measure], used[measure])
		}
	}
}

// currencies returns those with a bound or with something on the books, sorted.
func (b *books) currencies(now time.Duration) []string {
	b.tidy(now)
	all := slices.AppendSeq(slices.Collect(maps.Keys(b.spent)), maps.Keys(b.perDay))
	slices.Sort(all)
	return slices.Compact(all)
}

// tidy forgets the currencies of which there is nothing on the books.
func (b *books) tidy(now time.Duration) {
	maps.DeleteFunc(b.spent, func(_ string, m *meter) bool { return m.total(now) == 0 })
}

// empty reports whether there is nothing on the books.
func (b *books) empty(now time.Duration) bool {
	b.tidy(now)
	return len(b.spent) == 0 && b.asked[requests].total(now) == 0 && b.asked[outputTokens].total(now) == 0
}
