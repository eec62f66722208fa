package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// RetryOn is what a request is asked again after: a code of HTTP as text ("429"), or the outcome of a request ("connect").
type RetryOn string

// Status returns the code of HTTP; 0: it is an outcome.
func (r RetryOn) Status() int {
	code, err := strconv.Atoi(string(r))
	if err != nil {
		return 0
	}
	return code
}

// RetryOutcomes lists the outcomes after which a request may be asked again: all but ok and content_mismatch, in which an answer came.
func RetryOutcomes() []string {
	return []string{
		"dns", "connect", "tls", "timeout_connect", "timeout_first_token", "timeout_idle", "timeout_total",
		"rate_limited", "overloaded", "http_4xx", "http_5xx", "stream_error", "malformed_stream", "truncated_stream",
		"empty_output", "too_large",
	}
}

// checkRetryOn says what keeps a text from being a RetryOn.
func checkRetryOn(n *node) error {
	if isDecimal(n.text) {
		if code, err := strconv.Atoi(n.text); err != nil || code < 400 || code > 599 {
			return fmt.Errorf("%s is not the code of a failure, which is between 400 and 599", n.text)
		}
		return nil
	}
	if !slices.Contains(RetryOutcomes(), n.text) {
		return fmt.Errorf("%q is neither a code of HTTP, such as 429, nor an outcome that can be tried again after%s", n.text, didYouMean(n.text, RetryOutcomes()))
	}
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RetryOn) UnmarshalText(text []byte) error {
	*r = RetryOn(text)
	return nil
}

// MarshalYAML writes a code as a number.
func (r RetryOn) MarshalYAML() (any, error) { return r.written(), nil }

// MarshalJSON writes a code as a number.
func (r RetryOn) MarshalJSON() ([]byte, error) { return json.Marshal(r.written()) }

func (r RetryOn) written() any {
	if code := r.Status(); code > 0 {
		return code
	}
	return string(r)
}
