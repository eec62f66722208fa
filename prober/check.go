package prober

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/llmprober/llm_prober/prober/wire"
)

// Checks say what an answer must be. An answer that is not ends as ContentMismatch. The zero value checks nothing.
// Reasoning is not looked at: it is not the answer.
type Checks struct {
	Contains   []string       // each must be in the text, to the letter
	Regexp     *regexp.Regexp // must match somewhere in the text; nil: not checked
	JSON       bool           // the text is one JSON document
	ToolCalled string         // the function that must be called; "*": any; empty: not checked
}

// any reports whether there is something to check, so that an answer's text has to be kept.
func (c *Checks) any() bool {
	return len(c.Contains) > 0 || c.Regexp != nil || c.JSON || c.ToolCalled != ""
}

// MismatchError is an answer that is not what the checks want. Its text has nothing of the answer, for errors go where answers
// do not.
type MismatchError struct {
	Want   string // what the answer is not
	Answer string // its beginning, for those who may see it; empty where the question is private
}

// Error implements error.
func (e *MismatchError) Error() string { return e.Want }

// judge returns what is wrong with an answer; nil: nothing.
func (c *Checks) judge(a *gathered, private bool) error {
	text := string(a.text)
	wrong := func(format string, args ...any) error {
		e := &MismatchError{Want: fmt.Sprintf(format, args...)}
		if !private {
			e.Answer = excerpt(text)
		}
		return e
	}
	for _, want := range c.Contains {
		if !strings.Contains(text, want) {
			return wrong("the answer does not contain %q", want)
		}
	}
	if c.Regexp != nil && !c.Regexp.MatchString(text) {
		return wrong("the answer does not match %q", c.Regexp)
	}
	if c.JSON && !json.Valid([]byte(text)) {
		return wrong("the answer is not one JSON document")
	}
	if c.ToolCalled == "*" && len(a.tools) == 0 {
		return wrong("no tool was called")
	}
	if c.ToolCalled != "" && c.ToolCalled != "*" && !a.tools[c.ToolCalled] {
		return wrong("tool %q was not called", c.ToolCalled)
	}
	return nil
}

// excerpt shows the beginning of an answer.
func excerpt(text string) string {
	const enough = 200
	if len(text) <= enough {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q... (%d bytes)", strings.ToValidUTF8(text[:enough], ""), len(text))
}

// gathered is the text of an answer as far as somebody wants it.
type gathered struct {
	text  []byte
	tools map[string]bool // names of called functions
}

// add takes the content of one event.
func (a *gathered) add(ev *wire.Event) {
	a.text = wire.AppendUnquoted(a.text, ev.Content)
	if len(ev.ToolName) > 0 {
		if a.tools == nil {
			a.tools = map[string]bool{}
		}
		a.tools[string(wire.AppendUnquoted(nil, ev.ToolName))] = true
	}
}

// head is the beginning of the text: at most limit bytes, and no half of a character.
func (a *gathered) head(limit int) string {
	text := a.text
	if len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text = text[:limit]
	}
	return string(text)
}
