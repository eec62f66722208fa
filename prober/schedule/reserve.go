package schedule

import (
	"sync"
	"time"
)

// Reserve books c with the budgets of a group and of all groups, for requests that are no job's, such as a ramp's.
// What jobs and reservations use together stays within the budgets. Where c does not fit now, ok is false, nothing is
// booked, release is nil, and reason says which budget is too small; it is "" where the plan has no such group.
//
// One request of c counts as sent now. All else of c is held until release says what was used of it, with negative
// numbers where that is unknown: then all of c counts as used. What was used counts for a minute, an hour or a day
// from then on. Release must be called, once; further calls do nothing. What is 0 in c is not asked for. Thus a ramp
// may book each request ({1, tokens, money}), which holds all its budgets; or before it begins the most that it can
// use ({0, tokens, money}), and then never lacks any on the way.
//
// In-flight caps and pauses are not looked at: under load they are the caller's to judge.
func (s *Scheduler) Reserve(group string, c Cost) (release func(used Cost), reason Reason, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[group]
	if a == nil || !a.planned {
		return nil, "", false
	}
	now := s.since(time.Now())
	ch := newCharge(c, 1, a.bounds.Currency)
	if reason := s.budgetsRefuseLocked(a, now, &ch); reason != "" {
		return nil, reason, false
	}
	b := s.bookLocked(a, now, ch)
	var once sync.Once
	return func(used Cost) {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.settleLocked(b, s.since(time.Now()), used)
		})
	}, "", true
}
