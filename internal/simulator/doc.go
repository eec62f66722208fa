// Package simulator is an LLM server that a prober cannot tell from a real vLLM, or SGLang, TGI, llama.cpp, Ollama or hosted
// service: the same wire, the same metrics, and behind them a continuous-batching engine in which load really makes requests
// wait. What it guarantees is the truth: for each request it keeps when it arrived, how long it waited, and when each token
// was due and was really sent.
//
//	request ──protocol──> question ──┬──> sequence ──> engine: when each token comes ──┐      one of scheduler: queue, batch, cache
//	                                 │                                                 │             pacer: fixed times, no queue
//	                                 └──> speech: what each token says ────────────────┤
//	                                                                                   ↓
//	   GET /ground_truth <── what was sent, and when <── voice: how the protocol writes it ──> events on the wire
//
// A dialect is one kind of server: its protocols, its pages, its errors, and a /metrics that counts when that server does.
// The engine knows nothing of all that: its tokens are numbers and times.
//
// The engine computes on its own time line and the process only follows it: each step begins where the one before ended,
//
//	end = begin + slow × (StepBase + running × StepPerSequence + prefilled tokens × PrefillPerToken)
//
// whatever the process was late by, so that nothing drifts and a late write is told from a slow engine: each token has the
// time at which it was due and the time at which it was written. What goes wrong with requests is a Fault, what changes about
// the engine in the course of time a Change.
//
// The rest of the program knows nothing of this package but its HTTP face.
package simulator
