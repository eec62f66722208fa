// Package printable makes fit to be shown what may be anything: the words of servers, of files and of other programs. It
// guarantees that what it returns, or lets through, is valid UTF-8 without a character that moves a cursor, colours, hides
// or reorders text, breaks a line where there is one line, or has no glyph: control characters (C0, DEL, C1, so every
// terminal escape), formatting ones (those that turn the direction of writing among them), line and paragraph separators,
// and what is not assigned.
//
//	Line     one line, bounded           for a name or an error within a sentence, a table, a page
//	Lines    several lines, bounded      for a file or an answer that is shown whole
//	Escape   all of it, with \u escapes  for JSON, whose meaning stays the same
//	Writer   as Escape, as it goes by    around a terminal, for whatever else is written
//
// All text from outside that reaches a terminal, a log, a page or an answer of the API goes through here.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// shown tells whether a character is shown as it is. Of white space that is the blank alone.
func shown(c rune) bool { return unicode.IsPrint(c) }

// Line makes one line of s, of at most limit characters, 0 or more, and an ellipsis where there was more. Whatever is not to
// be shown becomes a blank, several of them one, and none is left at the ends. Bytes that are no UTF-8 become U+FFFD.
func Line(s string, limit int) string {
	if len(s) > 8*limit { // characters take at most 4 bytes: do not look at megabytes
		s = s[:8*limit]
	}
	var b strings.Builder
	n, space := 0, false
	for _, c := range s {
		if !shown(c) || c == ' ' {
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

// Lines keeps line breaks and tabs of s; whatever else is not to be shown becomes a blank. What is over the limit, in bytes,
// is cut off, as it says.
func Lines(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) {
			s = s[:len(s)-1]
		}
	}
	s = strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' || shown(c) {
			return c
		}
		return ' '
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	if cut {
		s += "\n… (cut off here)"
	}
	return s
}

// Escape writes what is not to be shown as JSON has it, \u202e, and keeps line breaks and tabs: a JSON text stays the same
// document. Bytes that are no UTF-8 become U+FFFD.
func Escape(s string) string {
	escaped, rest := appendEscaped(make([]byte, 0, len(s)), []byte(s))
	for range rest { // the beginning of a character that never ends
		escaped = utf8.AppendRune(escaped, utf8.RuneError)
	}
	return string(escaped)
}
