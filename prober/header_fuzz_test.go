package prober

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"
)

// Whatever a server asks for, it is left alone for a day at most, and what is a whole number of seconds is taken as it is.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "30", "1.5", "-1", "NaN", "Inf", "1e400", "0x1p10", "Wed, 21 Oct 2065 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", "never", " 5", "99999999999999999999"} {
		f.Add(seed, "")
		f.Add("7", seed)
	}
	now := time.Unix(1_795_305_600, 0)
	f.Fuzz(func(t *testing.T, seconds, ms string) {
		h := http.Header{}
		h.Set("Retry-After", seconds)
		h.Set("Retry-After-Ms", ms)
		got := retryAfter(h, now)
		if got < 0 || got > maxRetryAfter {
			t.Errorf("retryAfter(%q, %q) = %v", seconds, ms, got)
		}
		if n, err := strconv.ParseUint(seconds, 10, 16); ms == "" && err == nil && got != time.Duration(n)*time.Second {
			t.Errorf("retryAfter(%q) = %v; want %d s", seconds, got, n)
		}
		if n, err := strconv.ParseUint(ms, 10, 16); err == nil && n > 0 && got != time.Duration(n)*time.Millisecond {
			t.Errorf("retryAfter(%q, %q) = %v; want %d ms", seconds, ms, got, n)
		}
	})
}

// Whatever a server sends with its answer, little of it is kept: short, and of few names.
func FuzzKeepHeaders(f *testing.F) {
	f.Add("X-Request-Id", "abc", "Set-Cookie", "secret")
	f.Add("x-ratelimit-remaining-tokens", "\x00\xff", "server", "é")
	f.Add("Fireworks-\u202e", "1", "Anthropic-Ratelimit-", "")
	f.Fuzz(func(t *testing.T, name, value, other, second string) {
		h := http.Header{}
		h.Add(name, value)
		h.Add(name, second)
		h.Add(other, second)
		kept := keepHeaders(h)
		if kept != nil && len(kept) == 0 {
			t.Error("an empty header is kept")
		}
		for name, values := range kept {
			if !interesting(name) || len(values) != 1 || len(values[0]) > maxHeaderText {
				t.Errorf("%q of %q is kept as %q", name, h, values)
			}
			if was := h[name][0]; utf8.ValidString(was) && !utf8.ValidString(values[0]) {
				t.Errorf("%q: %q is cut within a character: %q", name, was, values[0])
			}
		}
		for _, name := range []string{"Set-Cookie", "Authorization", "Cookie", "Www-Authenticate"} {
			if kept.Get(name) != "" {
				t.Errorf("%s is kept", name)
			}
		}
	})
}

// Whatever /tokenize answers, a count is one that a prompt can have.
func FuzzTokenCount(f *testing.F) {
	for _, seed := range []string{`{"count": 12, "max_model_len": 4096, "tokens": [1, 2]}`, `{"count": 0}`, `{"count": -1}`, `{"count": 1.5}`, `{"count": 1e3}`, `{"count": "7"}`,
		`{"count": 9223372036854775807}`, `{"COUNT": 3}`, `[]`, `null`, ``, `{"count": 12`} {
		f.Add([]byte(seed), uint32(100))
	}
	f.Fuzz(func(t *testing.T, answer []byte, bytes uint32) {
		sent := int(bytes)
		n, ok := tokenCount(answer, sent)
		if !ok && n != 0 || ok && (n < 1 || n > maxTokenCount(sent)) {
			t.Errorf("tokenCount(%q, %d) = %d, %v", answer, sent, n, ok)
		}
		if ok && !json.Valid(answer) {
			t.Errorf("tokenCount(%q) = %d of what is no JSON", answer, n)
		}
	})
}
