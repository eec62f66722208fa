package prober

// Outcome is what became of one request: ok, or exactly one reason why not.
// The set is closed, so an outcome may be a metric label; the error's text may not.
type Outcome string

// The outcomes, in the order in which a request can meet them.
const (
	OK                Outcome = "ok"
	DNS               Outcome = "dns"                 // the host's name was not resolved
	Connect           Outcome = "connect"             // refused, unreachable, or lost before the response began
	TLS               Outcome = "tls"                 // the handshake failed
	TimeoutConnect    Outcome = "timeout_connect"     // no connection (name, TCP and TLS) in time
	TimeoutFirstToken Outcome = "timeout_first_token" // connected, but no token in time
	TimeoutIdle       Outcome = "timeout_idle"        // tokens came, then no event for too long
	TimeoutTotal      Outcome = "timeout_total"       // the whole took too long
	RateLimited       Outcome = "rate_limited"        // HTTP 429
	Overloaded        Outcome = "overloaded"          // HTTP 503 or 529, or the server said so in the stream
	HTTP4xx           Outcome = "http_4xx"            // any other 4xx; also an unfollowed 3xx
	HTTP5xx           Outcome = "http_5xx"            // any other 5xx
	StreamError       Outcome = "stream_error"        // the server reported an error in the stream of a 200
	MalformedStream   Outcome = "malformed_stream"    // the answer cannot be read: bad framing, bad JSON, bad UTF-8
	TruncatedStream   Outcome = "truncated_stream"    // ended or reset after the response began, without a finish
	EmptyOutput       Outcome = "empty_output"        // finished in order, but nothing was generated
	ContentMismatch   Outcome = "content_mismatch"    // the answer is not what the probe's checks want
	TooLarge          Outcome = "too_large"           // one event, or the whole answer, is over its limit
	Canceled          Outcome = "canceled"            // ended by us (shutdown, reload): never a failure
	Unsent            Outcome = "unsent"              // this machine had no file descriptor, port or memory for it: never a failure
)

// Outcomes lists every outcome that says something of the target: these are the values of the outcome label. Canceled and
// Unsent are counted apart.
func Outcomes() []Outcome {
	return []Outcome{
		OK, DNS, Connect, TLS, TimeoutConnect, TimeoutFirstToken, TimeoutIdle, TimeoutTotal,
		RateLimited, Overloaded, HTTP4xx, HTTP5xx, StreamError, MalformedStream, TruncatedStream,
		EmptyOutput, ContentMismatch, TooLarge,
	}
}

// Failed reports whether o counts against objectives: everything but OK, and what says nothing of the target.
func (o Outcome) Failed() bool { return o != OK && o.OfTarget() }

// OfTarget reports whether o says something of the target, and not of the prober alone: everything but Canceled and Unsent.
func (o Outcome) OfTarget() bool { return o != Canceled && o != Unsent }
