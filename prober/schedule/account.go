package schedule

import "time"

// An account keeps what the jobs of one group, and all that Reserve books there, have under way and have used.
// Times are since the scheduler's start.
type account struct {
	bounds   Group
	planned  bool // the group is in the plan in force
	inFlight int  // requests of jobs
	open     int  // runs and reservations under way
	books    books

	pausedUntil time.Duration
}

func newAccount() *account {
	return &account{books: newBooks([measures]Reason{
		requests: BudgetRequests, outputTokens: BudgetOutputTokens, money: BudgetCost,
	})}
}

// plan puts a group's bounds in force. What is on the books stays.
func (a *account) plan(g Group) {
	a.bounds, a.planned = g, true
	a.books.bound(g.budget())
}

// spare reports whether nothing would be lost with the account.
func (a *account) spare(now time.Duration) bool {
	return !a.planned && a.open == 0 && now >= a.pausedUntil && a.books.empty(now)
}

// A booking is a run or a reservation under way.
type booking struct {
	account *account
	began   time.Duration // since the scheduler's start
	charge  charge
}

// bookLocked books what begins now.
func (s *Scheduler) bookLocked(a *account, now time.Duration, c charge) *booking {
	b := &booking{account: a, began: now, charge: c}
	a.open++
	a.books.begin(now, &b.charge)
	s.books.begin(now, &b.charge)
	return b
}

// settleLocked ends a booking; negative numbers of used leave what was booked.
func (s *Scheduler) settleLocked(b *booking, now time.Duration, used Cost) {
	b.account.open--
	b.account.books.end(now, b.began, &b.charge, used.amounts())
	s.books.end(now, b.began, &b.charge, used.amounts())
}

// budgetsRefuseLocked returns the reason why what would begin now cannot, or "".
func (s *Scheduler) budgetsRefuseLocked(a *account, now time.Duration, c *charge) Reason {
	if reason := a.books.refuses(now, c); reason != "" {
		return reason
	}
	return s.books.refuses(now, c)
}
