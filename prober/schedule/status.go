package schedule

import (
	"cmp"
	"slices"
	"time"
)

// Status is a look at a scheduler.
type Status struct {
	Jobs     []JobStatus    // by key
	Groups   []GroupStatus  // by name
	InFlight int            // requests of the jobs of all groups
	Budgets  []BudgetStatus // of all groups together, one of each measure; of money, one of each currency there is
}

// JobStatus is a look at one job.
type JobStatus struct {
	Key     string
	Group   string
	Next    time.Time // the next tick; zero: a burst is under way, and its end decides
	Running bool
}

// GroupStatus is a look at one group.
type GroupStatus struct {
	Name         string
	InFlight     int            // requests of jobs
	Requests     int            // that count against the minute's budget
	OutputTokens int            // that count against the hour's budget: used, and reserved by runs under way
	Budgets      []BudgetStatus // one of each measure; of money, the group's Currency alone, if it has one
	PausedUntil  time.Time      // zero: not paused
}

// BudgetStatus is a look at one budget.
type BudgetStatus struct {
	Measure  Measure
	Currency string  // of money
	Used     float64 // in the last minute, hour or day; what is reserved by runs under way included
	Limit    float64 // 0: no bound

	// RoomIn is how long it takes until the least demanding of the jobs concerned fits in, if nothing else is begun and
	// what is under way uses all that it may. 0: it fits. Negative: as things are it will not.
	RoomIn time.Duration
}

// Status returns what is in force.
func (s *Scheduler) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.since(time.Now())
	st := Status{InFlight: s.inFlight}
	least := demands{}
	for _, t := range s.tasks {
		job := JobStatus{Key: t.job.Key, Group: t.job.Group, Running: t.running}
		if t.queued() {
			job.Next = t.due
		}
		st.Jobs = append(st.Jobs, job)
		least.note(&t.account.books, &t.charge)
		least.note(&s.books, &t.charge)
	}
	for name, a := range s.accounts {
		if !a.planned {
			continue
		}
		g := GroupStatus{
			Name:         name,
			InFlight:     a.inFlight,
			Requests:     int(a.books.asked[requests].total(now)),
			OutputTokens: int(a.books.asked[outputTokens].total(now)),
		}
		var currencies []string
		if a.bounds.Currency != "" {
			currencies = []string{a.bounds.Currency}
		}
		g.Budgets = a.books.status(now, least, currencies)
		if now < a.pausedUntil {
			g.PausedUntil = s.start.Add(a.pausedUntil)
		}
		st.Groups = append(st.Groups, g)
	}
	st.Budgets = s.books.status(now, least, s.books.currencies(now))
	slices.SortFunc(st.Jobs, func(a, b JobStatus) int { return cmp.Compare(a.Key, b.Key) })
	slices.SortFunc(st.Groups, func(a, b GroupStatus) int { return cmp.Compare(a.Name, b.Name) })
	return st
}

// demands are how much the least demanding jobs use, of what they do use.
type demands map[demand]int64

type demand struct {
	books    *books
	measure  int
	currency string // of money
}

// note reckons with a job.
func (d demands) note(b *books, c *charge) {
	for measure := range measures {
		n := c.of(measure)
		key := demandFor(b, measure, c.currency)
		if old, ok := d[key]; n > 0 && (!ok || n < old) {
			d[key] = n
		}
	}
}

func demandFor(b *books, measure int, currency string) demand {
	if measure != money {
		currency = ""
	}
	return demand{b, measure, currency}
}

// status returns a look at each budget.
func (b *books) status(now time.Duration, least demands, currencies []string) []BudgetStatus {
	look := func(measure int, currency string, unit float64) BudgetStatus {
		m, limit := b.meter(measure, currency), b.limit(measure, currency)
		st := BudgetStatus{Measure: Measures()[measure], Currency: currency, Used: float64(m.total(now)) / unit}
		if limit == most {
			return st
		}
		st.Limit = float64(limit) / unit
		var ok bool
		if st.RoomIn, ok = m.room(now, max(least[demandFor(b, measure, currency)], 1), limit); !ok {
			st.RoomIn = -1
		}
		return st
	}
	all := []BudgetStatus{look(requests, "", 1), look(outputTokens, "", 1)}
	for _, currency := range currencies {
		all = append(all, look(money, currency, billionths))
	}
	return all
}
