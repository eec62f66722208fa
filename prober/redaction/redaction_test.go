package redaction

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	const key = `sk-"proj"/A+B<9>&\z0123456789`
	asJSON, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"as it is", "bad key " + key + ", sorry", "bad key <secret>, sorry"},
		{"twice", key + key, "<secret><secret>"},
		{"JSON", string(asJSON), `"<secret>"`},
		{"JSON that leaves signs of HTML", `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`, `"<secret>"`},
		{"Go", fmt.Sprintf("%q", key), `"<secret>"`},
		{"HTML", html.EscapeString(key), "<secret>"},
		{"a query", "?key=" + url.QueryEscape(key) + "&x=1", "?key=<secret>&x=1"},
		{"a path", "/" + url.PathEscape(key) + "/x", "/<secret>/x"},
		{"base64", base64.StdEncoding.EncodeToString([]byte(key)) + ".", "<secret>" + strings.Repeat("=", (3-len(key)%3)%3) + "."},
		{"cut off", "bad key " + key[:11] + "...", "bad key <secret>..."},
		{"cut off early", "bad key " + key[:5] + "...", "bad key " + key[:5] + "..."},
		{"nothing", "connection refused", "connection refused"},
		{"a short one", "wrong password hunter2", "wrong password <secret>"},
		{"a short one within a word", "hunter25 xhunter2", "hunter25 xhunter2"},
		{"a tiny one", "the abc of it", "the abc of it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Of(key, "hunter2", "abc", " ", "").Text(c.text); got != c.want {
				t.Errorf("Text(%q) = %q; want %q", c.text, got, c.want)
			}
		})
	}
	if got := (Secrets{}).Text("text"); got != "text" {
		t.Errorf("without secrets = %q; want the text", got)
	}
}

func TestError(t *testing.T) {
	s := Of("canary-0123456789")
	err := fmt.Errorf("read canary-0123456789: %w", io.ErrUnexpectedEOF)
	got := s.Error(err)
	if got.Error() != "read <secret>: unexpected EOF" || !errors.Is(got, io.ErrUnexpectedEOF) {
		t.Errorf("Error(%v) = %v; want it without the secret, and the same error", err, got)
	}
	if s.Error(nil) != nil {
		t.Error("Error(nil) is an error")
	}
	if s.Error(io.EOF) != io.EOF {
		t.Error("an error without a secret is another one")
	}
}

// Whatever stands around a secret of twelve bytes or more, no eight bytes of its beginning come through.
func TestNoBeginningComesThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9_.\-]{12,40}`).Draw(t, "secret")
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		cut := rapid.IntRange(8, len(secret)).Draw(t, "cut")
		if got := Of(secret).Text(before + secret[:cut] + after); strings.Contains(got, secret[:8]) {
			t.Fatalf("Text = %q, which has the beginning of %q", got, secret)
		}
	})
}
