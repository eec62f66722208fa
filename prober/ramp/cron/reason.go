package cron

// Reason is why an occasion had no run. The set is closed, so it may be a metric label.
// That another prober claimed it is no such reason: it had its run there.
type Reason string

// The reasons.
const (
	Busy        Reason = "busy"         // a ramp was loading one of the targets
	Blackout    Reason = "blackout"     // it fell, or would have run, into a time without ramps
	Late        Reason = "late"         // noticed too late: the machine was suspended, or the wall clock set forward
	Down        Reason = "down"         // no prober was running
	Paused      Reason = "paused"       // the ramp was paused by hand
	ClaimFailed Reason = "claim_failed" // nobody knows whether another prober runs it, so it was left alone
)

// Reasons lists every reason.
func Reasons() []Reason { return []Reason{Busy, Blackout, Late, Down, Paused, ClaimFailed} }
