// Command alerts replays simulated months of probing through the alert rules that we ship, and counts what they would have said.
//
// It evaluates the expressions of alerts/rules themselves, by Prometheus's own engine, on series as a scrape would have
// left them: classic or native histograms, counters that a restart resets, a scrape missed now and then.
//
//	model ──samples──> scrapes ──> storage <──> engine <── the rules, in their order
//	                                  │
//	                                  └── alerts: pending, firing, resolved ──> false alarms, delays
//
// A rule is evaluated for all times of a replay at once, as a range query with its group's interval as the step, and its
// result is stored before the next rule is. That gives the values of an evaluation time by time, because no rule of ours reads
// what a later one writes.
package main
