package schedule

import "time"

// Events hears what becomes of each tick. Its methods are called from many goroutines, must not block, and must not
// change the job. A removed job is heard of until its last run has ended.
//
// A tick is either Skipped as Missed; or Ticked, and then Skipped for another reason or Started and later Finished.
type Events interface {
	Ticked(job *Job, late time.Duration) // late: how long after it was due the tick was looked at
	Skipped(job *Job, reason Reason, n int)
	Started(job *Job)
	Finished(job *Job)
	Panicked(job *Job) // comes before Finished
}

// NoEvents is an Events that does not listen.
type NoEvents struct{}

// Ticked implements Events.
func (NoEvents) Ticked(*Job, time.Duration) {}

// Skipped implements Events.
func (NoEvents) Skipped(*Job, Reason, int) {}

// Started implements Events.
func (NoEvents) Started(*Job) {}

// Finished implements Events.
func (NoEvents) Finished(*Job) {}

// Panicked implements Events.
func (NoEvents) Panicked(*Job) {}
