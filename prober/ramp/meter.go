package ramp

import "time"

// A meter keeps a level that steps, and its integral over time: from it come means over any part of a run.
type meter struct {
	level int
	area  float64   // level × seconds, until at
	at    time.Time // of the last step
}

// step changes the level at a time that is not before the last one.
func (m *meter) step(now time.Time, by int) {
	m.area, m.at = m.until(now), now
	m.level += by
}

// until is the integral until t, not before the last step.
func (m *meter) until(t time.Time) float64 {
	if m.at.IsZero() {
		return 0
	}
	return m.area + float64(m.level)*max(t.Sub(m.at).Seconds(), 0)
}

// mean is the mean level between two times whose integrals are known.
func mean(from, to float64, over time.Duration) float64 {
	if over <= 0 {
		return 0
	}
	return (to - from) / over.Seconds()
}
