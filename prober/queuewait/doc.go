// Package queuewait says where the time before the first token went: how long a request waited in the server's queue, by
// source, and what it would have taken without any other load.
//
// It guarantees that what comes from different sources is never merged, that a wait is never negative, and that what
// cannot be known is absent: a source that does not apply gives nothing, a difference that is below zero by more than its
// own error is not published, and the parts of a [Breakdown] add up to the time to first token with the rest named as
// unknown.
//
//	dispatched          wrote                                                         first token
//	    |--dns,connect,tls,write--|--½ trip--|--queue--|--prefill--|--first decode--|--½ trip--|
//	                                         |<-body-->|
//	                                         |<header >|
//	                              |<------- derived: all of this, less the parts that the server tells ------->|
//	                              |<-- estimated: all of this, less what it takes without other load: floor -->|
//
// The sources, in the order of trust:
//
//   - [Body]: the server's own figure for this request, in its answer.
//   - [Header]: the same in a header of the response, mostly rounded.
//   - [Derived]: what remains when the parts that the server tells are taken off.
//   - [Engine]: the mean over all of the engine's requests in an interval, from its metrics. Not this request's wait.
//   - [Estimated]: the time to first token less the unloaded one, which a [Model] learns from the probes themselves. It is
//     the whole delay that other load caused: the queue, and the slower steps of a shared batch. No client can part
//     these.
//
// A [Target] holds what has to be remembered of one target, and applies all sources to its results.
package queuewait
