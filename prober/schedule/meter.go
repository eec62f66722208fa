package schedule

import "time"

// A meter keeps what counts against one budget.
type meter struct {
	reserved int64 // by runs under way
	used     window
}

func newMeter(span time.Duration, slots int) *meter {
	return &meter{used: newWindow(span, slots)}
}

// total is what counts against the budget.
func (m *meter) total(now time.Duration) int64 { return m.reserved + m.used.total(now) }

// begin books a run: what it uses at once, and what it may use before it ends.
func (m *meter) begin(now time.Duration, first, rest int64) {
	if first > 0 {
		m.used.add(now, first)
	}
	m.reserved += rest
}

// end replaces what begin booked at then by what was used, first things first. A negative number leaves the booking.
func (m *meter) end(now, then time.Duration, first, rest, used int64) {
	m.reserved -= rest
	switch {
	case used < 0:
		m.used.add(now, rest)
	case used < first:
		m.used.correct(now, then, used-first)
	default:
		m.used.add(now, used-first)
	}
}

// room returns how long it takes until n more are within a limit, if no more is used and what is reserved will be.
// It returns false where that is never.
func (m *meter) room(now time.Duration, n, limit int64) (time.Duration, bool) {
	return m.used.until(now, m.total(now)-(limit-n))
}
