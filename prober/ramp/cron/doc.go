// Package cron says when ramps run: at the times of a crontab line, by hand, or not at all.
//
// It guarantees that
//
//   - an occasion, which is one time of one schedule, begins at most one run, also across restarts, changes of the
//     configuration, steps of the wall clock and, with [FileClaims] or [LeaseClaims], several probers of one configuration;
//   - an occasion without a run is reported by [Reason] and not made up for;
//   - of all ramps of one Scheduler, at most one at a time loads a target, however it was started;
//   - a run is ended, with a cause, when its ramp is removed or changed, and every run is waited for;
//   - a run that panics costs that run only.
//
// Schedules follow the wall clock of their time zone:
//
//	                     01:00    02:00           03:00    04:00
//	clocks go forward  ----|--------|===============|--------|---->   02:30 is not: its run begins at 03:00, once
//	                                 (no such times)
//
//	                     01:00    01:00    02:00
//	clocks go back     ----|========|========|-------------------->   01:30 comes twice: the first one counts
//	                         once     again
//
// A schedule that names every hour (`*/20 * * * *`) means "every so often", and goes on in the hour that comes again.
// So a nightly ramp runs every night exactly once, and one of every 20 minutes runs every 20 minutes.
//
// What becomes of an occasion:
//
//	due + jitter -> over 5 minutes ago, or not the newest? --> missed: late
//	             -> paused? ------------------------------> missed: paused
//	             -> in a blackout, or would run into one? -> missed: blackout
//	             -> a ramp on one of the targets? --------> missed: busy
//	             -> cannot be claimed? -------------------> missed: claim_failed
//	             -> another prober has claimed it? -------> claimed elsewhere: it runs there, and is not missed
//	             -> run
//
// Occasions while no prober ran are missed as well (reason down): they are counted at the start, from the last run that
// is on record. When the wall clock is set back, occasions that were seen do not come again; only when it is set back by
// more than a day are all schedules laid anew.
package cron
