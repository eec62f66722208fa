// Package web serves what a person looks at: the status of every target and probe, one target at length, what runs when, the
// configuration, and what each metric means.
//
// What it guarantees:
//
//   - Nothing that a server, a configuration or a request said is ever more than text on the page, and never more than some of it.
//   - The pages work without JavaScript and load nothing from another host; a policy in each answer holds browsers to that.
//   - What it keeps is bounded by the number of probes, whatever servers answer, and for however long it runs.
//   - Many viewers cost what one does: a page is drawn at most once a second, and no result waits for a drawing of all.
//
// The way of one result:
//
//	prober.Result -> History.Observe -> results, failures, courses and day of its target and probe
//	                                        |
//	   Options: objectives, engines, GPUs, schedule -> a page, drawn on the server -> its part that changes, as events
//
// What else is known of targets comes by the functions of [Options] as plain values, see sources.go.
package web
