package wire

// Frame is one unit of a streamed answer: a server-sent event or a line of NDJSON.
// Its slices alias the reader's buffer and are valid until the next frame is read.
type Frame struct {
	Name         []byte // the SSE event name; empty where there is none
	Data         []byte // the SSE data (lines joined by \n) or the NDJSON line
	Unterminated bool   // the stream ended without the blank line that closes an event
}

// Usage is what the server says it counted. Counts are cumulative over the answer.
type Usage struct {
	Known           bool // false: the server said nothing, and the counts are 0
	PromptTokens    int  // all prompt tokens, cached ones included
	CachedTokens    int  // prompt tokens answered from a prefix cache
	OutputTokens    int  // generated tokens, reasoning included
	ReasoningTokens int  // of those, hidden or shown reasoning
}

// ServerTiming is where the server says the time went. A field is negative where the server did not say.
type ServerTiming struct {
	Known             bool    // false: no field is meaningful
	QueueSeconds      float64 // waiting before the first scheduling
	PrefillSeconds    float64 // reading the prompt
	DecodeSeconds     float64 // generating
	LoadSeconds       float64 // loading the model
	TotalSeconds      float64 // all of it, as the server adds it up
	PrefillTokens     int     // prompt tokens computed, cached ones not included; -1 unknown
	GeneratedTokens   int     // tokens generated; -1 unknown
	FirstTokenSeconds float64 // the server's own time to first token, by its own definition
}

// Event is what one frame, or one whole answer, means.
// Byte slices alias the frame; string content is as on the wire, JSON escapes included (see Unquote).
type Event struct {
	Content   []byte // text of the answer
	Reasoning []byte // text of the model's thinking
	ToolCall  bool   // part of a tool call with something in it
	ToolName  []byte // the called function's name, on the chunk that carries it

	Tokens int   // tokens in this very event, where the server says so exactly; -1 unknown
	Usage  Usage // cumulative counts, where this event carries them

	FinishReason []byte // why generation ended; empty while it goes on
	Done         bool   // the protocol's own end of the stream was reached; nothing may follow
	Err          *ServerError
	Timing       ServerTiming
}

// Generated reports whether the event carries any generated content: text, reasoning or a part of a tool call.
func (e *Event) Generated() bool { return len(e.Content) > 0 || len(e.Reasoning) > 0 || e.ToolCall }

// Output reports whether the event carries generated content other than reasoning.
func (e *Event) Output() bool { return len(e.Content) > 0 || e.ToolCall }

// Reset makes e ready for the next frame.
func (e *Event) Reset() { *e = Event{Tokens: -1} }

// ServerError is an error that the server put into its answer, whatever the HTTP status.
type ServerError struct {
	Message    string
	Type       string // the server's own class ("overloaded_error", "BadRequestError", ...); may be empty
	Code       int    // an HTTP-like status, where the server gives one; 0 unknown
	Overloaded bool   // the server said that it has too much to do
}

func (e *ServerError) Error() string {
	if e.Type != "" {
		return e.Type + ": " + e.Message
	}
	return e.Message
}
