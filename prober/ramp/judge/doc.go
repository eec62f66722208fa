// Package judge reads a run's record and says what it means: the verdict, the diagnosis, and how it compares with other
// runs.
//
// It guarantees that nothing is claimed which a test has not shown: an objective is held or missed with 95 % confidence or
// it is open, a pattern is named with the test and its numbers, and a run is called regressed only against the spread of
// enough other runs. Its functions are pure: no clock, no files, the same record always gives the same words.
//
//	record.Run ──> points: what each lane did under each load
//	                 │
//	                 ├──> objectives ──> knee ──> cost, headroom        throughput(load) ──> capacity
//	                 ├──> windows through time ──> patterns, drift, neighbours, recovery
//	                 └──> one number of each indicator ──┐
//	other runs' numbers ─────────────────────────────────┴──> comparison
//	                                                             │
//	           verdict and its reasons <──────────────────────────
//
// # What the tests take as given
//
// Windows of a run depend on each other: a slow one is followed by a slow one. Their means have standard errors for a
// series whose values are correlated with the one before (AR(1)), the correlation being estimated and corrected for its
// bias. Requests of a run share its luck: a comparison looks at one number of each run, never at requests
// (of pairs of runs of an unchanged server with 5 % of noise between runs, a U-test on raw requests calls 46 % different).
//
// # False alarms
//
// Each pattern is tested at a level of 0.001, shared out over the lanes and loads that it looks at, and must also be large
// enough to matter. TestHealthyRunsHaveNoPatterns holds the share of healthy runs in which a pattern is named below 1 %
// for each, with noise that is correlated and has heavy tails.
package judge
