// Package schedule says when: it runs the continuous low-rate mix of probes for months.
//
// It guarantees that
//
//   - a job's ticks lie on a fixed grid of the wall clock that depends on its key, its interval and the seed alone, so
//     that restarts and reloads keep them, jobs do not synchronise, and nothing drifts;
//   - a tick runs at most one run: what cannot run in time is skipped and counted by [Reason], never queued and
//     never made up for;
//   - a target is never asked more than its caps and budgets allow: not in any hour, not across reloads;
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
//	     -> cap reached? ----------------------------> skipped: target_in_flight, global_in_flight
//	     -> budget too small for one more? ----------> skipped: budget_requests, budget_output_tokens
//	     -> run
//
// The grid is laid when a job is first applied. From then on ticks follow the monotonic clock, so a step of the wall
// clock neither bunches nor loses ticks; the next restart lays the grid anew.
package schedule
