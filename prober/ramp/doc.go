// Package ramp puts a planned load on servers and keeps what came of it: stages, lanes, abort limits, the search for the
// knee.
//
// It guarantees that requests of an open loop begin when they were planned, whatever the server does; that every time is
// counted from the moment at which the request was wanted, with the time from its dispatch beside it; and that where the
// prober could not keep the plan, the record says so: such a stage is invalid, it is never silently slower.
//
//	              Plan
//	               │ Run
//	 ┌─────────────┼─────────────┐         one common start
//	lane          lane          lane       open loop: arrivals of a process whose rate follows the stages
//	 │ dispatch    │             │         closed loop: so many workers, each asks again when it is free
//	 ↓             ↓             ↓
//	Ask           Ask           Ask        one goroutine for each request under way; over the cap they are shed, and counted
//	 │ Result      │             │
//	 ├──> statistics of lane, stage and probe; windows through time ──> record.Run
//	 ├──> Observer: metrics, terminal, pages, the file of requests
//	 └──> abort limits ──> no further dispatch, a short grace, and an end to what is under way
//
// Of each stage only the requests that were wanted in its measured part are judged:
//
//	      warm-up        measured          (next stage, or drain)
//	|─────────────────|───────────────────|──────────────────|
//	Started          From                 To               Ended
//
// A stage that holds a load other than the one before it has a warm-up: a tenth of it, 30 s at most, unless the plan says
// otherwise. All other stages have none: in a ramp the load changes all the time, and what follows a spike at once is what
// one wants to see. A drain is the wait for the answers to the last requests; nothing begins in it.
package ramp
