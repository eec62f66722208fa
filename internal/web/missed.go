package web

import (
	"time"

	"github.com/llmprober/llm_prober/prober/printable"
)

// missedWords say when a load run was to begin and did not, and why. Zero: nothing is to be said.
func missedWords(nominal time.Time, reason string) string {
	if nominal.IsZero() {
		return ""
	}
	return stamp(nominal) + ": " + reasonWords(reason)
}

// reasonWords are what a reason of package cron means to whoever looks after the prober; a test has all of them.
func reasonWords(reason string) string {
	switch reason {
	case "busy":
		return "another load run was on the target"
	case "blackout":
		return "it would have met a blackout"
	case "late":
		return "the prober was over five minutes late: it was suspended, or its clock set forward"
	case "down":
		return "no prober was up, or it died before the run was on record"
	case "paused":
		return "its schedule was paused"
	case "claim_failed":
		return "nobody could tell whether another prober runs it: see the log"
	}
	return printable.Line(reason, maxName)
}
