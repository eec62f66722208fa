package api

import (
	"regexp"
	"strings"
	"unicode"
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
	if len(s) > 8*limit { // runes take at most 4 bytes: do not look at megabytes
		s = s[:8*limit]
	}
	s = credentials.ReplaceAllStringFunc(s, func(found string) string {
		if strings.HasPrefix(found, "://") {
			return "://<secret>@"
		}
		return "<secret>"
	})
	var b strings.Builder
	n, space := 0, false
	for _, c := range s {
		if !unicode.IsPrint(c) || c == ' ' {
			space = b.Len() > 0
			continue
		}
		if n >= limit {
			b.WriteString("…")
			break
		}
		if space {
			b.WriteByte(' ')
			n++
			space = false
		}
		b.WriteRune(c)
		n++
	}
	return b.String()
}
