package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxTokens bounds a prompt's length, so that a slip of the keyboard does not make the prober write gigabytes.
const maxTokens = 10_000_000

// Range is a length or a span of lengths in tokens, both ends included: 400 or 20-60.
// Min is at least 1 and at most Max.
type Range struct{ Min, Max int }

// ParseRange reads "400" or "20-60".
func ParseRange(s string) (Range, error) {
	low, high, isSpan := strings.Cut(s, "-")
	if !isSpan {
		high = low
	}
	lo, errLow := parseTokens(low)
	hi, errHigh := parseTokens(high)
	switch {
	case errLow != nil || errHigh != nil:
		return Range{}, fmt.Errorf("%q is not a number of tokens: write a number such as 400, or a range such as 20-60", s)
	case lo < 1:
		return Range{}, errors.New("a prompt has at least 1 token")
	case lo > hi:
		return Range{}, fmt.Errorf("the range is upside down: write %d-%d", hi, lo)
	case hi > maxTokens:
		return Range{}, fmt.Errorf("a prompt of %d tokens is longer than %d, the most that can be asked for", hi, maxTokens)
	}
	return Range{lo, hi}, nil
}

// parseTokens reads a decimal number without sign, so that 010 or 1e3 is not taken for something else.
func parseTokens(s string) (int, error) {
	if !isDecimal(s) {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(s)
}

// isDecimal reports whether s is a decimal number without sign and without leading zeros.
func isDecimal(s string) bool {
	if s == "" || len(s) > 1 && s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// String is the form in which the range is written in the file.
func (r Range) String() string {
	if r.Min == r.Max {
		return strconv.Itoa(r.Min)
	}
	return fmt.Sprintf("%d-%d", r.Min, r.Max)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Range) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRange(string(text))
	return err
}

// MarshalYAML writes a single length as a number.
func (r Range) MarshalYAML() (any, error) {
	if r.Min == r.Max {
		return r.Min, nil
	}
	return r.String(), nil
}

// MarshalJSON writes a single length as a number.
func (r Range) MarshalJSON() ([]byte, error) {
	if r.Min == r.Max {
		return json.Marshal(r.Min)
	}
	return json.Marshal(r.String())
}
