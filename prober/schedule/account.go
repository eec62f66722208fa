package schedule

import "time"

// An account keeps what the jobs of one group have under way and have used. Times are since the scheduler's start.
//
// Output tokens count from the moment the run begins, at the most that it can use, until an hour after it has ended, at
// what it used. So whenever within the run the tokens are made, those made in any one hour are within the budget.
type account struct {
	bounds   Group
	planned  bool // the group is in the plan in force
	inFlight int

	requests window // begun
	reserved int    // output tokens of runs under way
	used     window // output tokens of ended runs

	pausedUntil time.Duration
}

func newAccount() *account {
	return &account{
		requests: newWindow(time.Minute, 60),
		used:     newWindow(time.Hour, 360),
	}
}

// refuses returns why a run of this cost cannot begin now, or "".
func (a *account) refuses(now time.Duration, c Cost) Reason {
	over := func(used, more, bound int) bool { return bound > 0 && used+more > bound }
	switch {
	case now < a.pausedUntil:
		return Paused
	case over(a.inFlight, 1, a.bounds.MaxInFlight):
		return TargetInFlight
	case over(a.requests.total(now), c.Requests, a.bounds.RequestsPerMinute):
		return BudgetRequests
	case over(a.outputTokens(now), c.OutputTokens, a.bounds.OutputTokensPerHour):
		return BudgetOutputTokens
	}
	return ""
}

// outputTokens is what counts against the hour's budget.
func (a *account) outputTokens(now time.Duration) int { return a.reserved + a.used.total(now) }

// begin books a run.
func (a *account) begin(now time.Duration, c Cost) {
	a.inFlight++
	a.requests.add(now, c.Requests)
	a.reserved += c.OutputTokens
}

// end replaces what begin booked at then by what was used; negative numbers leave the booking.
func (a *account) end(now, then time.Duration, booked, used Cost) {
	a.inFlight--
	if used.Requests >= 0 {
		a.requests.correct(now, then, used.Requests-booked.Requests)
	}
	if used.OutputTokens < 0 {
		used.OutputTokens = booked.OutputTokens
	}
	a.reserved -= booked.OutputTokens
	a.used.add(now, used.OutputTokens)
}

// spare reports whether nothing would be lost with the account.
func (a *account) spare(now time.Duration) bool {
	return !a.planned && a.inFlight == 0 && now >= a.pausedUntil &&
		a.requests.total(now) == 0 && a.used.total(now) == 0
}
