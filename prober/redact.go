package prober

import (
	"net/http"
	"strings"
)

// redact takes out of err's text what is secret of the header that was sent: servers echo requests in their errors, and
// an error goes into logs and onto pages. What is asked with errors.Is and errors.As stays the same.
func redact(err error, sent http.Header) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for name, values := range sent {
		if harmless(name) {
			continue
		}
		for _, value := range values {
			for _, secret := range append(strings.Fields(value), value) {
				// Shorter ones are words such as Bearer, or would blacken half of the text.
				if len(secret) >= 8 {
					text = strings.ReplaceAll(text, secret, "<secret>")
				}
			}
		}
	}
	if text == err.Error() {
		return err
	}
	return &redacted{text, err}
}

// harmless names the headers that hold nothing to hide; everything else may be a credential.
func harmless(name string) bool {
	switch name {
	case "Accept", "Content-Type", "User-Agent", "X-Request-Id", "Traceparent", "Content-Length", "Host", "Anthropic-Version":
		return true
	}
	return false
}

// redacted is an error with another text.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }
