package wire

// Frame is one unit of a streamed answer: a server-sent event or a line of NDJSON.
// Its slices alias the reader's buffer and are valid until the next frame is read.
type Frame struct {
	Name         []byte // the SSE event name; empty where there is none
	Data         []byte // the SSE data (lines joined by \n) or the NDJSON line
	Unterminated bool   // the stream ended without the blank line that closes an event
}

// Usage is what the server says it counted. Counts are cumulative over the answer.
// A usage of zeros is none: some servers send it until they have counted, and no prompt is empty.
type Usage struct {
	Known           bool // false: the server said nothing, and the counts are 0
	PromptTokens    int  // all prompt tokens, cached ones included; 0 where the server did not say (TGI's whole answers)
	CachedTokens    int  // prompt tokens answered from a prefix cache
	OutputTokens    int  // generated tokens, reasoning included
	ReasoningTokens int  // of those, hidden or shown reasoning
}

// settle decides whether anything was counted.
func (u *Usage) settle() { u.Known = u.PromptTokens > 0 || u.OutputTokens > 0 }

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

	Progress PromptProgress // the first report on the reading of the prompt
}

// PromptProgress is what a server reports while it still reads the prompt (llama.cpp, with return_progress).
// The report is on the stream's first event, so the arrival of that, less Seconds and the way back, is when the server
// began to read: what lies before is the wait in its queue.
type PromptProgress struct {
	Known     bool    // false: there was no report, and no other field is meaningful
	Seconds   float64 // since the reading began; -1 unknown
	Processed int     // prompt tokens read so far, cached ones included; -1 unknown
	Total     int     // prompt tokens in all; -1 unknown
	Cached    int     // prompt tokens from the prefix cache; -1 unknown
}

// Event is what one frame, or one whole answer, means.
// Byte slices alias the frame or the decoder's own buffer, and are valid until the next frame is decoded. Text is as on
// the wire, JSON escapes included (see AppendUnquoted).
type Event struct {
	Content   []byte // text of the answer
	Reasoning []byte // text of the model's thinking
	ToolCall  bool   // part of a tool call with something in it
	ToolName  []byte // the called function's name, on the chunk that carries it

	// Tokens is how many tokens were generated since the content-bearing event before this one, where the server says so
	// exactly and this event bears content; -1 unknown. See tokenCount.
	Tokens int
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
	Code       int    // an HTTP-like status, where the server gives one or a class that stands for 429; 0 unknown
	Overloaded bool   // the server said that it has too much to do
}

func (e *ServerError) Error() string {
	if e.Type != "" {
		return e.Type + ": " + e.Message
	}
	return e.Message
}
