package prober

import (
	"iter"
	"time"
)

// What a result says about latency, as pure functions of it.
//
//	dispatched  wrote   headers     first token   chunk     chunk      last token   end
//	    |--...----|--------|------------|-----------|---------|-----------|----------|
//	     dns,connect, wait   first_token|<-  gap  ->|<- gap ->|<-  gap  ->|  finish
//	     tls, write                     |<---------- decode ------------->|
//
// Times on either side of a difference may come from different clocks, the kernel's and this process's.
// A difference below zero is within their error and is taken as zero.

// maxTokens bounds the tokens of one answer for which per-token samples are made. No model writes this much in one
// answer; a server that claims more is wrong, and would otherwise have us count to its number.
const maxTokens = 1 << 20

// Phase is a part of a request's time. The set is closed, so a phase may be a metric label.
type Phase string

// The phases of a request, in order. Those of a successful request add up to its duration, but for the moments
// between them (taking a connection, handing over to the next step).
const (
	PhaseDNS        Phase = "dns"         // resolving the name
	PhaseConnect    Phase = "connect"     // the TCP handshake
	PhaseTLS        Phase = "tls"         // the TLS handshake
	PhaseWrite      Phase = "write"       // handing the request to the kernel
	PhaseWait       Phase = "wait"        // request written -> response header arrived
	PhaseFirstToken Phase = "first_token" // response header -> first token; streaming only
	PhaseDecode     Phase = "decode"      // first token -> last token; streaming only
	PhaseFinish     Phase = "finish"      // last token -> end of the answer; streaming only
	PhaseBody       Phase = "body"        // response header -> end of the answer; not streaming only
)

// PhasesOf lists the phases that a streaming probe, or one that does not stream, can have.
func PhasesOf(stream bool) []Phase {
	if stream {
		return []Phase{PhaseDNS, PhaseConnect, PhaseTLS, PhaseWrite, PhaseWait, PhaseFirstToken, PhaseDecode, PhaseFinish}
	}
	return []Phase{PhaseDNS, PhaseConnect, PhaseTLS, PhaseWrite, PhaseWait, PhaseBody}
}

// Phases yields the phases that happened in r and how long each took, in order. A failed request yields none.
//
// Engines differ in when they send the header: some at once, some with the first token. So wait and first_token
// are only comparable between targets as a sum.
func Phases(r *Result) iter.Seq2[Phase, time.Duration] {
	return func(yield func(Phase, time.Duration) bool) {
		if r.Outcome != OK {
			return
		}
		t := &r.Timeline
		step := func(p Phase, from, to time.Time) bool {
			return from.IsZero() || to.IsZero() || yield(p, max(0, to.Sub(from)))
		}
		_ = step(PhaseDNS, t.DNSStart, t.DNSDone) &&
			step(PhaseConnect, t.ConnectStart, t.ConnectDone) &&
			step(PhaseTLS, t.TLSStart, t.TLSDone) &&
			step(PhaseWrite, t.WriteStart, t.Wrote) &&
			step(PhaseWait, t.Wrote, t.Headers) &&
			restPhases(r, step)
	}
}

// restPhases are the phases after the header, which depend on whether the answer was streamed.
func restPhases(r *Result, step func(Phase, time.Time, time.Time) bool) bool {
	t := &r.Timeline
	if !r.Request.Call.Stream {
		return step(PhaseBody, t.Headers, t.End)
	}
	return step(PhaseFirstToken, t.Headers, t.FirstToken) &&
		step(PhaseDecode, t.FirstToken, t.LastToken) &&
		step(PhaseFinish, t.LastToken, t.End)
}

// ChunkGaps yields the time between each two consecutive content-bearing chunks of a successful request.
func ChunkGaps(r *Result) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		if r.Outcome != OK {
			return
		}
		for i := 1; i < len(r.Chunks); i++ {
			if !yield(gap(r, i)) {
				return
			}
		}
	}
}

// gap is the time between chunk i and the one before it.
func gap(r *Result, i int) time.Duration { return max(0, r.Chunks[i].At-r.Chunks[i-1].At) }

// InterTokenLatencies yields, for each chunk of a successful request but the first, the time since the chunk before it
// divided by its tokens, and the number of those tokens. It yields nothing unless it is known what each chunk holds:
//
//   - the tokens of every chunk but the first are known and greater than zero, or
//   - each chunk holds one token: the server's usage equals the number of chunks, or exceeds it by one
//     (an end-of-sequence token is counted, but never shown), and no chunk is known to be otherwise.
func InterTokenLatencies(r *Result) iter.Seq2[time.Duration, int] {
	return func(yield func(time.Duration, int) bool) {
		if r.Outcome != OK {
			return
		}
		tokens := func(i int) int { return int(r.Chunks[i].Tokens) }
		switch {
		case chunksCounted(r):
		case oneTokenEach(r):
			tokens = func(int) int { return 1 }
		default:
			return
		}
		for i := 1; i < len(r.Chunks); i++ {
			n := tokens(i)
			if !yield(gap(r, i)/time.Duration(n), n) {
				return
			}
		}
	}
}

// chunksCounted reports whether the tokens of each chunk but the first are known, and do not contradict the total.
func chunksCounted(r *Result) bool {
	sum := 0
	for i := 1; i < len(r.Chunks); i++ {
		n := int(r.Chunks[i].Tokens)
		if n <= 0 {
			return false
		}
		if sum += n; sum > maxTokens {
			return false
		}
	}
	return r.OutputSource != TokensUsage || sum <= r.OutputTokens
}

// oneTokenEach reports whether each chunk holds exactly one token, judged by the server's total.
func oneTokenEach(r *Result) bool {
	if r.OutputSource != TokensUsage {
		return false
	}
	for i := range r.Chunks {
		if n := r.Chunks[i].Tokens; n >= 0 && n != 1 {
			return false
		}
	}
	n := StreamedTokens(r)
	return n == len(r.Chunks) || n == len(r.Chunks)+1
}

// StreamedTokens is the number of output tokens that came through the stream, as the server counted them; 0 where it did not
// count, for an estimate is no basis for a time per token.
//
// A server that hides the model's reasoning counts tokens that it never sends. They are left out: they were generated
// before the first token that was seen, and would make the stream look many times as fast as it was.
// Hidden means: reasoning tokens were counted, and the first token was not one of them.
func StreamedTokens(r *Result) int {
	switch r.OutputSource {
	case TokensUsage:
		n := r.OutputTokens
		if !r.ReasoningShown {
			n -= r.Usage.ReasoningTokens
		}
		return max(0, n)
	case TokensChunks:
		return r.OutputTokens
	default:
		return 0
	}
}

// decodeSpan is the time from the first to the last token of a successful request and the tokens generated in it: all but
// those that came with the first one. How many these were is one, unless the server says otherwise.
func decodeSpan(r *Result) (span time.Duration, tokens int, ok bool) {
	t := &r.Timeline
	if r.Outcome != OK || t.FirstToken.IsZero() {
		return 0, 0, false
	}
	first := 1
	if len(r.Chunks) > 0 && r.Chunks[0].Tokens > 1 {
		first = int(r.Chunks[0].Tokens)
	}
	span, tokens = t.LastToken.Sub(t.FirstToken), StreamedTokens(r)-first
	return span, tokens, tokens >= 1 && span > 0
}

// TPOT is the time per output token after the first: (last token - first token) / (output tokens - 1).
// There is none for an answer of fewer than two tokens, for one that arrived all at once, and where the server did not count.
func TPOT(r *Result) (time.Duration, bool) {
	span, tokens, ok := decodeSpan(r)
	if !ok {
		return 0, false
	}
	return span / time.Duration(tokens), true
}

// TokensPerSecond is the inverse of [TPOT], under the same conditions: (output tokens - 1) / (last token - first token).
func TokensPerSecond(r *Result) (float64, bool) {
	span, tokens, ok := decodeSpan(r)
	if !ok {
		return 0, false
	}
	return float64(tokens) / span.Seconds(), true
}
