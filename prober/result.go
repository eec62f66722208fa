package prober

import (
	"net/http"
	"time"

	"github.com/llmprober/llm_prober/prober/wire"
)

// Request is one question to one target, with everything needed to ask and to file the answer.
// It is not changed after it was handed to a Prober.
type Request struct {
	ID     string // correlation id: sent as X-Request-Id, logged, and put into exemplars
	Target string // the target's name
	Probe  string // the probe's name

	Intended time.Time // when the schedule wanted it; zero means now
	Call     wire.Call
	Limits   Limits
	Checks   Checks // what the answer must be
	Private  bool   // the question is a user's own: neither it nor the answer to it is to be shown

	// PromptUnits is how much generated text the prompt holds, in the workload's own unit;
	// the workload learns from it and the server's token count. 0: not generated text.
	PromptUnits int

	// Of a question that is asked again after a failure, as users' clients do:
	Attempt         int       // which try of it this is: 1 the first; 0 is taken as 1
	FirstDispatched time.Time // when the first try was dispatched; zero for the first itself

	Turn  int  // of a conversation, from 1; 0: not of one
	Burst int  // how many requests went out together with this one, itself included; 0: it went alone
	Cold  bool // the first request after the target, or the lane, was idle: it may have met a server that had to wake up
}

// Group is what the requests of one asking have in common: the tries of a question, the turns of a conversation, the
// members of a burst. It is empty for an id that is none of ours.
func (r *Request) Group() string { return group(r.ID) }

// Limits bound one request. A zero duration or size means the default given beside it.
type Limits struct {
	Connect    time.Duration // name, TCP and TLS together: 10s
	FirstToken time.Duration // dispatched until the first token, streaming only: Total
	Idle       time.Duration // between events, after the first token, streaming only: Total
	Total      time.Duration // dispatched until the end: 60s

	EventBytes int   // one event: 1 MiB
	BodyBytes  int64 // the whole answer, as it is on the wire after HTTP framing: 64 MiB
}

// Clock says whose clock stamped the arrival of the answer.
type Clock string

// The clocks.
const (
	ClockKernel Clock = "kernel" // the kernel's arrival time of the segment that completed each event
	ClockUser   Clock = "user"   // the time at which this process had read it, for at least one event
)

// TokenSource says where a count of output tokens comes from, best first.
type TokenSource string

// The token sources.
const (
	TokensUsage  TokenSource = "usage"  // the server's usage at the end of the answer
	TokensChunks TokenSource = "chunk"  // the server's count on each chunk (cumulative usage or token ids), but no final usage
	TokensEvents TokenSource = "events" // a count of content-bearing events: an estimate
	TokensNone   TokenSource = "none"   // nothing was generated, or it cannot be told
)

// Timeline is when each step of a request happened. A zero time means that the step did not happen.
// All times carry a monotonic reading, so differences are right through clock steps.
//
//	Intended -> Dispatched -> [DNS -> Connect -> TLS] -> Wrote -> Headers -> FirstEvent -> FirstToken -> FirstOutput -> LastToken -> End
type Timeline struct {
	Intended, Dispatched time.Time

	DNSStart, DNSDone         time.Time // zero for a literal address or a reused connection
	ConnectStart, ConnectDone time.Time // zero for a reused connection
	TLSStart, TLSDone         time.Time // zero for a reused or plain connection

	WriteStart, Wrote time.Time // before and after the request was written: the bracket is part of the stated error

	Headers     time.Time // arrival of the last byte of the response's header
	FirstEvent  time.Time // any event, role-only chunks included; streaming only
	FirstToken  time.Time // first content, reasoning or tool-call delta; streaming only
	FirstOutput time.Time // first delta other than reasoning; streaming only
	LastToken   time.Time // last content, reasoning or tool-call delta; streaming only
	End         time.Time // [DONE], the protocol's stop event, the end of the body, or the failure
}

// Chunk is one content-bearing event of a stream.
type Chunk struct {
	At     time.Duration // arrival since Dispatched
	Delay  time.Duration // receive delay: user clock minus kernel clock; 0 where there was no kernel stamp
	Tokens int32         // tokens in it, where known exactly; -1 unknown
}

// Result is one measured request. It is immutable: sinks may keep it and share it.
type Result struct {
	Request *Request

	Outcome    Outcome
	Err        error       // nil exactly when Outcome is OK; may hold text of the server, so never a label
	HTTPStatus int         // 0: no response
	Header     http.Header // of the response, as far as it is of interest (see keepHeaders); nil: none of that
	RemoteAddr string
	Reused     bool // on a connection that had served before

	Timeline Timeline
	Chunks   []Chunk // nil for non-streaming requests
	Clock    Clock

	Usage          wire.Usage  // as the server counted; Known is false where it did not
	OutputTokens   int         // best count, see OutputSource; 0 where nothing is known
	OutputSource   TokenSource //
	FinishReason   string      // bounded by the protocols, but not a label
	Timing         wire.ServerTiming
	ToolCalled     bool // a tool call was part of the answer
	ReasoningShown bool // reasoning was part of the stream

	BodyBytes    int64
	Retried      bool          // another try of the same question follows; a question has one result without
	RetryAfter   time.Duration // how long the server asks to be left alone; 0: it did not say
	Degraded     bool          // the prober itself was late beyond the configured bound: judge the numbers accordingly
	ReceiveDelay time.Duration // the largest over all events; 0 where there is no kernel stamp
}

// TTFT is the time to the first token, connection set-up included, and whether there is one.
// A failed request and a non-streaming one have none.
func (r *Result) TTFT() (time.Duration, bool) {
	if r.Outcome != OK || r.Timeline.FirstToken.IsZero() {
		return 0, false
	}
	return r.Timeline.FirstToken.Sub(r.Timeline.Dispatched), true
}

// UserTTFT is the time to the first token as the user felt it, and whether there is one: from the dispatch of the first
// try, over all that failed and the waits between them. Without retries it is the TTFT. A try that failed has none.
func UserTTFT(r *Result) (time.Duration, bool) {
	if r.Outcome != OK || r.Timeline.FirstToken.IsZero() {
		return 0, false
	}
	if first := r.Request.FirstDispatched; !first.IsZero() {
		return r.Timeline.FirstToken.Sub(first), true
	}
	return r.TTFT()
}

// Duration is the end-to-end time from dispatch to the end of the answer, or to the failure.
func (r *Result) Duration() time.Duration { return r.Timeline.End.Sub(r.Timeline.Dispatched) }

// DispatchDelay is how late the prober itself was: dispatched minus intended.
func (r *Result) DispatchDelay() time.Duration { return r.Timeline.Dispatched.Sub(r.Timeline.Intended) }

// Sink takes results. Observe is called from many goroutines and must not block for long.
type Sink interface {
	Observe(*Result)
}

// Sinks hands each result to every one of its members, in order.
type Sinks []Sink

// Observe implements Sink.
func (s Sinks) Observe(r *Result) {
	for _, sink := range s {
		sink.Observe(r)
	}
}
