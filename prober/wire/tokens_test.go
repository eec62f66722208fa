package wire

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTokenCount plays a server that generates tokens, holds some back, and counts on some of its events only.
// What is said of an event is the truth or nothing, and with all events counted it is always something.
func TestTokenCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c tokenCount
		total, since := 0, 0 // tokens in all, and since the last content-bearing event
		always := rapid.Bool().Draw(t, "every event is counted")
		for range rapid.IntRange(0, 30).Draw(t, "events") {
			n := rapid.IntRange(0, 5).Draw(t, "tokens")
			total += n
			since += n
			ev := Event{}
			if since > 0 && rapid.Bool().Draw(t, "content") { // text comes from tokens
				ev.Content = []byte("x")
			}
			counted := always || rapid.Bool().Draw(t, "counted")
			said := 0
			if counted {
				said = total
			}
			got := c.upTo(said, &ev)
			switch {
			case !ev.Generated():
				if got != -1 {
					t.Fatalf("upTo(%d) without content = %d; want -1", said, got)
				}
				continue
			case got != -1 && got != since, always && got == -1:
				t.Fatalf("upTo(%d) = %d; want %d", said, got, since)
			}
			since = 0
		}
	})
}

func TestJoiner(t *testing.T) {
	var j joiner
	for _, pieces := range [][]string{{}, {"a"}, {"", "a", ""}, {"a", "b"}, {"ab", "cd", "ef"}, {"xy"}, {"longer than before", "", "!"}, {"x", "y"}} {
		var got []byte
		for _, p := range pieces {
			got = j.add(got, []byte(p))
		}
		if want := strings.Join(pieces, ""); string(got) != want {
			t.Errorf("pieces %q join to %q; want %q", pieces, got, want)
		}
	}
	one := []byte("one")
	if got := j.add(nil, one); &got[0] != &one[0] || !bytes.Equal(got, one) {
		t.Errorf("a single piece was copied")
	}
}
