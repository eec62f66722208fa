// Package cron says when ramps run: at the times of a crontab line, by hand, or not at all.
//
// It guarantees that
//
//   - an occasion, which is one time of one schedule, begins at most one run, also across restarts, changes of the
//     configuration, steps of the wall clock and, with [FileClaims] or [LeaseClaims], several probers of one configuration;
//   - an occasion without a run is reported by [Reason] and not made up for; of several probers, once none of them can have it;
//   - a run begins five minutes after its time and jitter at the latest, also where the prober is suspended with the claim in its hand;
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
//	due + jitter -> 5 minutes after the jitter's end, or not the newest? --> missed: late
//	             -> paused? ------------------------------> missed: paused
//	             -> in a blackout, or would run into one? -> missed: blackout
//	             -> a ramp on one of the targets? --------> missed: busy
//	             -> cannot be claimed? -------------------> missed: claim_failed
//	             -> another prober has claimed it? -------> claimed elsewhere: it runs there, and is not missed
//	             -> suspended meanwhile, and now too late? -> missed: late
//	             -> run
//
// What one of several probers missed another may have run. So it is reported half a minute after the last moment at which
// another might have claimed it, and not at all if one has:
//
//	     nominal      + jitter             + 5 minutes        + 30 s
//	--------|------------|---------------------|----------------|---- reported, unless it is claimed
//	        claims of probers that are well    of suspended ones
//
// Occasions while no prober ran are missed as well (reason down): they are counted at the start, from the last run that
// is on record; of several probers, from the last one that another has claimed, and those which this one has claimed itself and
// has no record of. When the wall clock is set back, occasions that were seen do not come again; only when it is set back by
// more than a day are all schedules laid anew.
package cron
