// Package discovery finds targets in files and at URLs, in the form that Prometheus' file_sd and http_sd have. It guarantees that
// a list is in force whole or not at all: what cannot be read, is half written or breaks a rule leaves the list before it in force,
// is counted, and costs no other list anything.
//
//	file, URL ──read──> document ──parse──> entries ──labels, template──> targets ──rules──> in force ──> OnChange
//	                       │                   │                           │               │
//	                       └───────────────────┴───────── an error ────────┴───────────────┘
//	                                                          │
//	                                     the list before it stays; Status tells; logged once
//
// A list is the content of one file, or the answer of one URL. In force means that no two targets of all lists have one name:
// a list that would bring a name that is taken is refused as a whole. The order in which targets are listed has no meaning, and
// a list that says the same in another order is no change.
//
// Files are looked at from time to time, not watched: it is all that works on every file system, and with the links by which
// Kubernetes changes mounted files. A file that changed or vanished is looked at again a second later, and only what two looks
// agree upon is taken over, for a YAML file that is half written is mostly a sound file with fewer targets.
package discovery
