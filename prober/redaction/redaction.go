// Package redaction takes secrets out of texts that come from elsewhere: servers echo what they were sent, in errors,
// headers and redirects, and such texts go into logs, onto pages and into records.
//
// It guarantees that a secret does not come through as it is, nor as JSON, HTML, a URL, Go or base64 would write it, nor
// as a beginning of eight or more bytes of one that was cut off. A server that means to give a secret away can write it
// in a way of its own, and no text is safe from that.
package redaction

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shown is what stands in a secret's place. It is what Prometheus prints, too.
const Shown = "<secret>"

// The lengths that decide how a secret is looked for, in bytes.
const (
	least  = 4  // what is shorter is no secret, and would blacken every text
	word   = 8  // what is shorter is hidden only where it stands as a word of its own
	cutOff = 12 // of what is as long, a beginning of word bytes is hidden, too
)

// Secrets are texts that must not be seen. The zero value hides nothing.
type Secrets struct {
	forms []string // no two are the same
}

// Of makes Secrets of what is to be hidden. Texts of less than four bytes are not.
func Of(texts ...string) Secrets {
	var s Secrets
	for _, text := range texts {
		if text = strings.TrimSpace(text); len(text) < least {
			continue
		}
		s.forms = append(s.forms, text)
		if len(text) >= word {
			s.forms = append(s.forms, written(text)...)
		}
	}
	slices.Sort(s.forms)
	s.forms = slices.Compact(s.forms)
	return s
}

// written are the ways in which programs write a text into others.
func written(text string) []string {
	inside := func(quoted string) string { return quoted[1 : len(quoted)-1] }
	forms := []string{
		url.QueryEscape(text), url.PathEscape(text), html.EscapeString(text), inside(strconv.Quote(text)),
		base64.RawStdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)), // with padding it begins alike
	}
	if quoted, err := json.Marshal(text); err == nil {
		forms = append(forms, inside(string(quoted)))
	}
	return append(forms, strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), `"`, `\"`))
}

// Text is text without the secrets.
func (s Secrets) Text(text string) string {
	var b strings.Builder
	rest := 0 // where what is not written yet begins
	for i := 0; i < len(text); {
		n := s.at(text, i)
		if n == 0 {
			i++
			continue
		}
		b.WriteString(text[rest:i])
		b.WriteString(Shown)
		i += n
		rest = i
	}
	if rest == 0 {
		return text
	}
	b.WriteString(text[rest:])
	return b.String()
}

// at is the length of the secret that stands at a place of text; 0: there is none.
func (s Secrets) at(text string, i int) int {
	longest := 0
	for _, form := range s.forms {
		n := common(text[i:], form)
		switch {
		case len(form) < word: // a word of its own, or none
			if n < len(form) || letterLast(text[:i]) || letterFirst(text[i+n:]) {
				continue
			}
		case n < len(form) && (len(form) < cutOff || n < word):
			continue
		}
		longest = max(longest, n)
	}
	return longest
}

// common is the length of what two texts begin with alike.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func letterFirst(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func letterLast(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// Error is err with its text without the secrets. What is asked of it with errors.Is and errors.As stays the same; a nil
// error stays nil, and one without a secret itself.
func (s Secrets) Error(err error) error {
	if err == nil {
		return nil
	}
	was := err.Error()
	if text := s.Text(was); text != was {
		return &redacted{text, err}
	}
	return err
}

// redacted is an error with another text.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }
