package schedule

import (
	"slices"
	"time"
)

// Used is what counts against the budgets in force at a moment, for the process that follows this one. It is made to be
// kept as JSON. What has no bound is not in it. The zero value is nothing.
type Used struct {
	All    UsedOf            `json:"all"`    // of all groups together
	Groups map[string]UsedOf `json:"groups"` // by name; those with nothing on the books are absent
}

// UsedOf are the amounts of one set of books, each as old as it is.
type UsedOf struct {
	Requests     []UsedAt            `json:"requests,omitempty"`
	OutputTokens []UsedAt            `json:"output_tokens,omitempty"`
	Money        map[string][]UsedAt `json:"money,omitempty"` // by currency, in billionths of its unit
}

// None reports whether there is nothing.
func (u *UsedOf) None() bool { return len(u.Requests)+len(u.OutputTokens)+len(u.Money) == 0 }

// UsedAt is an amount that was used by a moment of the wall clock.
type UsedAt struct {
	At     int64 `json:"at"` // milliseconds since 1970
	Amount int64 `json:"n"`
}

// longest is the longest span of a budget.
const longest = 24 * time.Hour

// Used returns what counts against the budgets now. What is reserved by runs under way is in it as used, in full: whether
// they will end before the process does is not known.
func (s *Scheduler) Used() Used {
	s.mu.Lock()
	defer s.mu.Unlock()
	wall := time.Now()
	now := s.since(wall)
	u := Used{All: s.books.used(now, wall), Groups: map[string]UsedOf{}}
	for name, a := range s.accounts {
		if of := a.books.used(now, wall); !of.None() {
			u.Groups[name] = of
		}
	}
	return u
}

// Restore books what an earlier process used, as old as it is by now; call it before the first Apply. What is of the
// future, by a clock that was wrong, counts as used now.
func (s *Scheduler) Restore(u Used) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wall := time.Now()
	now := s.since(wall)
	s.books.restore(now, wall, u.All)
	for name, of := range u.Groups {
		a, ok := s.accounts[name]
		if !ok {
			a = newAccount()
			s.accounts[name] = a
		}
		a.books.restore(now, wall, of)
	}
}

func (b *books) used(now time.Duration, wall time.Time) UsedOf {
	of := func(measure int, currency string) []UsedAt {
		if b.limit(measure, currency) == most {
			return nil
		}
		return b.meter(measure, currency).uses(now, wall)
	}
	u := UsedOf{Requests: of(requests, ""), OutputTokens: of(outputTokens, ""), Money: map[string][]UsedAt{}}
	for currency := range b.perDay {
		if uses := of(money, currency); len(uses) > 0 {
			u.Money[currency] = uses
		}
	}
	return u
}

func (b *books) restore(now time.Duration, wall time.Time, u UsedOf) {
	b.asked[requests].restore(now, wall, u.Requests)
	b.asked[outputTokens].restore(now, wall, u.OutputTokens)
	for currency, uses := range u.Money {
		b.meter(money, currency).restore(now, wall, uses)
	}
	b.tidy(now)
}

// uses returns what counts now, each amount at the end of its slot: a window of other slots forgets it no earlier.
func (m *meter) uses(now time.Duration, wall time.Time) []UsedAt {
	uses := m.used.uses(now, wall)
	if m.reserved > 0 {
		uses = append(uses, UsedAt{At: wall.UnixMilli() + 1, Amount: m.reserved})
	}
	return uses
}

func (m *meter) restore(now time.Duration, wall time.Time, uses []UsedAt) {
	for _, u := range uses {
		then := now + min(time.UnixMilli(u.At).Sub(wall.Round(0)), 0)
		if u.Amount > 0 && then > now-m.used.span() {
			m.used.correct(now, then, u.Amount)
		}
	}
}

func (w *window) uses(now time.Duration, wall time.Time) []UsedAt {
	w.at(now)
	var uses []UsedAt
	for i := range int64(len(w.slots)) {
		slot := w.last - i
		if slot < 0 {
			break
		}
		if n := w.slots[slot%int64(len(w.slots))]; n > 0 {
			end := min(time.Duration(slot+1)*w.slot, now)
			uses = append(uses, UsedAt{At: wall.Add(end-now).UnixMilli() + 1, Amount: n}) // no earlier than the end
		}
	}
	slices.Reverse(uses)
	return uses
}

// span is for how long an amount counts, at least.
func (w *window) span() time.Duration { return time.Duration(len(w.slots)-1) * w.slot }
