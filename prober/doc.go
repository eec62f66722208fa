// Package prober asks one question of one LLM endpoint and measures the answer, token by token.
//
// It guarantees that every Request becomes exactly one Result with exactly one Outcome, within the request's
// limits, whatever the server does; and that every time in a Result says by whose clock it was taken.
//
//	Request -> Prober.Do -> transport (bytes, arrival times) -> wire (frames, events) -> Result -> Sink
//
// It knows nothing of Prometheus, of pages or of GPUs: those are sinks, and data never flows back from them.
package prober
