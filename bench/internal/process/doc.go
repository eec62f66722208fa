// Package process runs programs as processes of their own and tells from outside what they use up, so that what a benchmark
// itself costs is in none of its figures.
//
//	Build ──> binary ──Start──> Process ── Address: where it serves, as its log says
//	                               │
//	          /proc/PID ──Usage────┤  CPU time, memory, threads, descriptors
//	          /metrics ──Scrape────┘  as Prometheus asks: time, bytes, and what it says of itself
//
// What it guarantees: a process that was started has ended when Stop returns, with a log of why where it failed; a figure that
// cannot be had is an error, never 0.
package process
