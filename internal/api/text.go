package api

import (
	"regexp"
	"strings"

	"github.com/llmprober/llm_prober/prober/printable"
)

// How much of a text from outside is told, in characters.
const (
	maxError = 400
	maxName  = 200
)

// credentials are what looks like one. The credentials that a request was sent with have been taken out of its error by
// package prober; these are those that a server quotes of somebody else.
var credentials = regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}|\b(?:sk|pk|rk|hf|gsk|xai)[-_][A-Za-z0-9_-]{8,}|://[^/\s@]+:[^/\s@]+@`)

// text makes a line of what may be anything: without credentials, without characters that control a terminal, and not
// longer than the limit.
func text(s string, limit int) string {
	s = printable.Line(s, 8*limit) // a control character within a credential does not hide it, and nobody looks at megabytes
	s = credentials.ReplaceAllStringFunc(s, func(found string) string {
		if strings.HasPrefix(found, "://") {
			return "://<secret>@"
		}
		return "<secret>"
	})
	return printable.Line(s, limit)
}
