// Package web serves what a person looks at: the status of every target and probe, now and over the last requests.
//
// What it guarantees:
//
//   - Nothing that a server, a configuration or a request said is ever more than text on the page.
//   - The pages work without JavaScript and load nothing from another host; a policy in each answer holds browsers to that.
//   - What it keeps is bounded by the number of probes, whatever servers answer, and for however long it runs.
//   - Many viewers cost what one does: a page is drawn at most once a second.
//
// The way of one result:
//
//	prober.Result -> History.Observe -> ring of its target and probe -> status page, drawn on the server
package web
