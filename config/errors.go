package config

import (
	"fmt"
	"strings"
)

// Error is one fault of a configuration file. It shows no secret.
type Error struct {
	File    string
	Line    int // from 1
	Column  int // from 1, in characters
	Message string
	Excerpt string // the line and, below it, a caret under the fault; what may be secret is masked. Empty after the 50th fault
}

// Error returns file:line:column: message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// ErrorList is all the faults of one file, in the order of the file, each once. Those after the 50th are for counting: they do not say which
// name may have been meant.
type ErrorList []*Error

// maxShown is how many faults a message tells. A file that is no configuration at all has one in each line, and each reload
// puts the message into the log.
const maxShown = 50

// Error returns each fault with its excerpt, and of more than 50 the number of the others:
//
//	prober.yml:4:5: unknown key "intervall" in probes.chat; did you mean "interval"?
//	        intervall: 15s
//	        ^
func (l ErrorList) Error() string {
	var b strings.Builder
	for i, e := range l {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == maxShown {
			fmt.Fprintf(&b, "and %d more", len(l)-i)
			break
		}
		b.WriteString(e.Error())
		for line := range strings.Lines(e.Excerpt) {
			b.WriteString("\n" + strings.TrimRight("    "+line, " \n"))
		}
	}
	return b.String()
}

// Unwrap returns the faults, for errors.As.
func (l ErrorList) Unwrap() []error {
	list := make([]error, len(l))
	for i, e := range l {
		list[i] = e
	}
	return list
}
