package wire

import "encoding/json"

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // "system", "user", "assistant" or "tool"
	Content string `json:"content"`
}

// Call is one question to a model, independent of the protocol that carries it.
// It is never changed once made, so it may be shared between goroutines.
type Call struct {
	Model           string    // the server's name of the model; empty only where the protocol has none
	Messages        []Message // in order, oldest first
	MaxOutputTokens int       // cap on generated tokens; 0 leaves it to the server
	Stream          bool      // ask for the answer token by token
	Options         Options
}

// Options are the parts of a request that not every server takes.
// The zero value asks for nothing special; what a protocol has no word for is not sent.
type Options struct {
	Temperature *float64 // nil leaves it to the server
	TopP        *float64 // nil leaves it to the server
	Seed        *int64   // nil leaves it to the server

	IgnoreEOS       bool            // generate up to the cap whatever the model says
	MinTokens       int             // least number of generated tokens; 0 sends nothing
	CacheSalt       string          // keeps prefix caches of different salts apart; empty sends nothing
	ReasoningEffort string          // "low", "medium", "high", ...; empty sends nothing
	Tools           json.RawMessage // JSON array in the OpenAI function-tool shape; nil sends nothing
	ToolChoice      string          // "auto", "none", "required" or a function's name; empty sends nothing
	ResponseFormat  json.RawMessage // JSON object as OpenAI's response_format; nil sends nothing

	MaxTokensField  string // "max_tokens" (default when empty) or "max_completion_tokens"; chat completions only
	ContinuousUsage bool   // ask for cumulative usage on every chunk (vLLM, SGLang)
	ReturnTokenIDs  bool   // ask for token ids on every chunk (vLLM)
	APIVersion      string // Azure's api-version; empty: the one in the URL, else DefaultAzureAPIVersion

	// Extra holds further top-level fields of the body. They win over ours: an object goes into the one that the
	// protocol makes under the same name, member by member; null takes our field away; anything else stands as it is.
	Extra map[string]json.RawMessage
}
