package config

import (
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "ABC", 0}, {"interval", "intervall", 1}, {"probes", "porbes", 1},
		{"kitten", "sitting", 3}, {"ab", "ba", 1}, {"größe", "grösse", 2}, {"abcd", "acbd", 1}, {"openai-chat", "openai_chat", 1},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d; want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestDistanceIsADistance(t *testing.T) {
	word := rapid.StringMatching(`[a-d]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := distance(a, b)
		longer, shorter := max(utf8.RuneCountInString(a), utf8.RuneCountInString(b)), min(utf8.RuneCountInString(a), utf8.RuneCountInString(b))
		if d != distance(b, a) || (d == 0) != (a == b) || d > longer || d < longer-shorter {
			t.Errorf("distance(%q, %q) = %d", a, b, d)
		}
	})
}

func TestDidYouMean(t *testing.T) {
	known := []string{"timeout", "interval", "jitter"}
	for name, want := range map[string]string{
		"intervall": `; did you mean "interval"?`,
		"Timeout":   `; did you mean "timeout"?`,
		"tiemout":   `; did you mean "timeout"?`,
		"int":       `; did you mean "interval"?`,
		"in":        "; known: interval, jitter, timeout",
		"xyz":       "; known: interval, jitter, timeout",
		"ütter":     `; did you mean "jitter"?`,
		"":          "; known: interval, jitter, timeout",
	} {
		if got := didYouMean(name, known); got != want {
			t.Errorf("didYouMean(%q) = %q; want %q", name, got, want)
		}
	}
	if got := didYouMean("a", nil); got != "" {
		t.Errorf("didYouMean without names = %q; want nothing", got)
	}
}
