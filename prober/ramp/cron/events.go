package cron

import (
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Events hears what becomes of ramps. Its methods are called from many goroutines, some under the Scheduler's lock: they
// must not block and must not call the Scheduler.
type Events interface {
	Planned(name string, next time.Time)                                    // the next occasion, jitter included; zero: there is none
	Missed(name string, reason Reason, nominal ...time.Time)                // these occasions had no run, in their order
	ClaimedElsewhere(name string, nominal time.Time)                        // another prober runs it
	Started(name string, nominal time.Time, trigger record.Trigger)         // nominal is zero without an occasion
	Finished(name string, nominal time.Time, trigger record.Trigger)        // comes once after each Started
	Panicked(name string, nominal time.Time, trigger record.Trigger, v any) // comes before Finished
}

// NoEvents is an Events that does not listen.
type NoEvents struct{}

// Planned implements Events.
func (NoEvents) Planned(string, time.Time) {}

// Missed implements Events.
func (NoEvents) Missed(string, Reason, ...time.Time) {}

// ClaimedElsewhere implements Events.
func (NoEvents) ClaimedElsewhere(string, time.Time) {}

// Started implements Events.
func (NoEvents) Started(string, time.Time, record.Trigger) {}

// Finished implements Events.
func (NoEvents) Finished(string, time.Time, record.Trigger) {}

// Panicked implements Events.
func (NoEvents) Panicked(string, time.Time, record.Trigger, any) {}
