// Package schedule says when: it runs the continuous low-rate mix of probes for months.
//
// It guarantees that
//
//   - a job's ticks lie on a fixed grid of the wall clock that depends on its key, its interval and the seed alone, so
//     that restarts and reloads keep them, jobs do not synchronise, and nothing drifts;
//   - a [Burst] comes once its lane has been silent, counted from the end of the one before;
//   - a tick runs at most one run: what cannot run in time is skipped and counted by [Reason], never queued and
//     never made up for;
//   - a target is never asked more than its caps and budgets allow, nor all together more than the plan's: not in any
//     minute, hour or day, not across reloads, and not by the requests that others book by [Scheduler.Reserve];
//   - reloading leaves unchanged jobs, and their runs under way, alone;
//   - a run that panics costs that run only.
//
// One goroutine waits for the next tick of all jobs; each run has a goroutine of its own.
//
//	          offset = hash(key, seed) mod interval
//	        |<----->|
//	--------+-------o-----------+-------o-----------+-------o-----------> wall clock
//	        k*interval          (k+1)*interval
//
//	tick -> late by a whole interval? ---------------> skipped: missed
//	     -> its last run still under way? -----------> skipped: overlap
//	     -> group asked to be left alone? -----------> skipped: paused
//	     -> cap too small for one more? -------------> skipped: target_in_flight, global_in_flight
//	     -> budget of its group too small? ----------> skipped: budget_requests, budget_output_tokens, budget_cost
//	     -> budget of all groups too small? ---------> skipped: global_budget_requests, global_budget_output_tokens,
//	     -> run                                                 global_budget_cost
//
// A run is booked with the most that it may use, its [Cost], before it begins, and with what it did use once it has
// ended; where that is unknown, with the most. So no budget is overshot by what keeps to its Cost. Where a server
// generates more than it was asked for, a budget is overshot by no more than the excess of the runs then under way, and
// nothing more runs until there is room. The books are the process's; [Scheduler.Used] and [Scheduler.Restore] hand them
// on to the next one.
//
// The grid is laid when a job is first applied. From then on ticks follow the monotonic clock, so a step of the wall
// clock neither bunches nor loses ticks; the next restart lays the grid anew.
package schedule
