// Package collector is what Prometheus reads: it turns the results of probing into metrics.
//
// What it guarantees:
//
//   - The series of one target and probe appear together, at zero, and go together.
//     A reload that leaves them unchanged leaves their values unchanged.
//   - A number that cannot be had is not made up: a failed request has no latency sample, a probe that does not
//     stream has no token series, and without exact token counts there is no latency per token.
//   - No label value comes from a server: outcomes, phases, sources and reasons are closed sets.
//   - A counter never goes down and a histogram's sum never shrinks.
//   - A reader of /metrics who hangs keeps nobody else from it, nor more memory than a bound for all such readers.
//
// The way of one result:
//
//	prober.Result -> Probes.Observe -> the unit of its target and probe -> histograms, counters, gauges
//	       |                                                                      |
//	       |        config -> Probes.Apply: which units there are    /metrics <- Probes.Collect
//	       |                                                                      |
//	       +-> Objectives.Observe -> good or bad, by each objective of its probe -> counters
//
// What is learnt of a request elsewhere (its queue wait, where its time to first token went, the target's unloaded time) is
// filed by methods of [Probes] that take plain values.
//
// The names, types and help texts of all families stand in one table, [Families]; docs/metrics.md is written from it.
package collector
