// Package ask asks one probe of one target, once: it writes the prompt, sends the request, asks again where a user's client
// would, holds the conversation, or sends the burst, and hands each result to a sink.
//
// It guarantees that
//
//   - every request that was sent is exactly one Result, and every question has exactly one Result that is not Retried;
//   - what an asking spent is never told as less than it can have been;
//   - asking has one way, whoever asks: the continuous schedule and thousands of a ramp's goroutines call the same Ask of
//     the same Probe, and no lock is held while a server is waited for.
//
// A Target is an endpoint with its connections and with what was learnt of it; a Probe is one request shape at it.
//
//	Target.Probe(Spec) -> Probe.Ask(ctx, intended) -> Spent
//	                         |
//	                         +-- one question                       intended ──> result
//	                         +-- with retry:  tries one after       intended ──> result  wait  result  wait ──> result
//	                         |                the other                         Retried       Retried
//	                         +-- with turns:  questions one after   intended ──> result ──> result ──> result
//	                         |                the other, each with                turn 1      turn 2     turn 3
//	                         |                all said before
//	                         +-- with burst:  questions at once     intended ─┬> result  Cold
//	                                                                          ├> result
//	                                                                          └> result
//
// The requests of one asking have ids of one group: the first half of their digits is the same (see prober.SiblingID).
package ask
