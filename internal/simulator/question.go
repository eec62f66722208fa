package simulator

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// question is what one request asks, whatever the protocol it comes in.
type question struct {
	id        string  // the request's own; empty: none
	model     *string // nil: whatever is served
	prompt    prompt
	maximum   *int // cap on output tokens; nil: what the context leaves
	minTokens int
	ignoreEOS bool
	seed      *int64 // nil: drawn
	stream    bool
	priority  int    // lower goes first
	salt      string // keeps its prompt apart from those with another in the prefix cache
	stamp     bool   // say in each event when it was due and when it was written

	effort string // of the reasoning; empty: the server's
	budget int    // its most tokens; 0: by the effort
	tools  []tool
	choice string // which tool is called: auto, none, required, or its name; empty: auto
	format format
}

// prompt is what the model reads: a chat, to which the template adds tokens, or plain text, or token ids.
type prompt struct {
	messages []chatMessage
	tools    json.RawMessage
	text     string
	given    []int // token ids
	plain    bool  // text or given, not messages
}

// tokens is the number of tokens of the prompt.
func (p *prompt) tokens(t tokenizer) int {
	switch {
	case p.given != nil:
		return len(p.given)
	case p.plain:
		return t.count(p.text)
	}
	return t.promptTokens(p.messages, p.tools)
}

// ids is the same as token ids.
func (p *prompt) ids(t tokenizer) []int {
	switch {
	case p.given != nil:
		return p.given
	case p.plain:
		return t.ids(nil, p.text)
	}
	return t.promptIDs(p.messages, p.tools)
}

// characters is the length of the prompt's text.
func (p *prompt) characters() int {
	n := utf8.RuneCountInString(p.text)
	for _, m := range p.messages {
		n += utf8.RuneCountInString(string(m.Content))
	}
	return n
}

// answered reports whether the prompt ends with what a tool has answered: then the model speaks, and calls none.
func (p *prompt) answered() bool {
	if len(p.messages) == 0 {
		return false
	}
	role := p.messages[len(p.messages)-1].Role
	return role == "tool" || role == "function"
}

// tool is a function that the model may call.
type tool struct {
	name       string
	parameters json.RawMessage // a JSON schema; nil: it takes none
}

// format is the shape of the answer.
type format struct {
	json   bool            // a JSON document
	schema json.RawMessage // that fits this JSON schema; nil: any object
}

// called is the tool that is called; nil: none.
func (q *question) called() *tool {
	if len(q.tools) == 0 || q.choice == "none" || q.prompt.answered() {
		return nil
	}
	for i := range q.tools {
		if q.tools[i].name == q.choice {
			return &q.tools[i]
		}
	}
	return &q.tools[0]
}

// thoughts is how many tokens a model thinks before it answers, at most: made up, but in the order of magnitude of what
// models do. An effort that is not known is none, and false.
func thoughts(effort string) (tokens int, ok bool) {
	switch strings.ToLower(effort) {
	case "", "none":
		return 0, true
	case "minimal":
		return 16, true
	case "low":
		return 64, true
	case "medium":
		return 256, true
	case "high":
		return 1024, true
	case "xhigh", "max":
		return 4096, true
	}
	return 0, false
}
