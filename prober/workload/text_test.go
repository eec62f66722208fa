package workload

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestListsAreEven(t *testing.T) {
	for i, words := range lists {
		if i < minClosing {
			continue
		}
		seen := map[string]bool{}
		for _, w := range words {
			if len(w) != len(words[0]) || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" || seen[w] {
				t.Errorf("list %d: %q is of another length than %q, not in lower case, or there twice", i, w, words[0])
			}
			seen[w] = true
		}
		if i <= maxClosing && len(words[0]) != i {
			t.Errorf("list %d has words of %d letters", i, len(words[0]))
		}
	}
	seen := map[string]bool{}
	for _, w := range lineWords {
		if len(w) != 4 || seen[w] {
			t.Errorf("first lines: %q has not four letters or is there twice", w)
		}
		seen[w] = true
	}
	if got := len(seen) * len(seen) * len(seen); got != lines {
		t.Errorf("the words make %d lines; want %d", got, lines)
	}
	total := 0
	for _, words := range lists {
		total += len(words)
	}
	if total < 500 {
		t.Errorf("the lists hold %d words; want several hundred", total)
	}
}

func TestScatterIsOneToOne(t *testing.T) {
	seen := make([]bool, lines)
	for i := range uint32(lines) {
		j := scatter(i)
		if seen[j] {
			t.Fatalf("scatter(%d) = %d, which another number has", i, j)
		}
		seen[j] = true
	}
}

func TestTextHasExactlyTheBytesAsked(t *testing.T) {
	d := newDecks(rand.NewPCG(1, 2))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(-5, 700), rapid.IntRange(0, 200_000)).Draw(t, "n")
		seed := rapid.Uint64().Draw(t, "seed")
		for name, text := range map[string][]byte{
			"in order": d.appendText(nil, n),
			"shuffled": d.appendShuffled(nil, n, rand.NewPCG(seed, 0)),
		} {
			if len(text) != max(n, minText) {
				t.Fatalf("%s: len(text of %d bytes) = %d; want %d", name, n, len(text), max(n, minText))
			}
			checkSentences(t, string(text))
		}
	})
}

// checkSentences fails where text is not made of sentences: words with one space or line break between,
// a capital at the beginning and a full stop at the end.
func checkSentences(t *rapid.T, text string) {
	t.Helper()
	capital := true
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '\n' }) {
		bare := strings.TrimRight(word, ".,")
		if len(word)-len(bare) > 1 || strings.Trim(bare[1:], "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Fatalf("%q in a text is no word", word)
		}
		if got := bare[0] < 'a'; got != capital {
			t.Fatalf("%q in a text: capital = %v; want %v", word, got, capital)
		}
		capital = strings.HasSuffix(word, ".")
	}
	if !capital || strings.Contains(text, "  ") || strings.Contains(text, " \n") {
		t.Fatalf("text does not end in a full stop, or has spaces too many: %q", text)
	}
}

func TestShuffledTextsHaveTheSameWords(t *testing.T) {
	d := newDecks(rand.NewPCG(1, 2))
	words := func(b []byte) []string {
		return slices.Sorted(strings.FieldsFuncSeq(strings.ToLower(string(b)), func(r rune) bool {
			return r < 'a' || r > 'z'
		}))
	}
	for _, n := range []int{32, 200, 5_000, 60_000} {
		a := d.appendShuffled(nil, n, rand.NewPCG(1, 1))
		b := d.appendShuffled(nil, n, rand.NewPCG(2, 2))
		if n >= 200 && bytes.Equal(a, b) {
			t.Errorf("two texts of %d bytes are the same", n)
		}
		if diff := cmp.Diff(words(d.appendText(nil, n)), words(a)); diff != "" {
			t.Errorf("words of a shuffled text of %d bytes (-want +got):\n%s", n, diff)
		}
		if diff := cmp.Diff(words(a), words(b)); diff != "" {
			t.Errorf("words of two shuffled texts of %d bytes (-first +second):\n%s", n, diff)
		}
	}
}

func TestShortTextBeginsLongText(t *testing.T) {
	d := newDecks(rand.NewPCG(1, 2))
	long := d.appendText(nil, 5_000)
	for n := 200; n < 4_000; n += 37 {
		short := d.appendText(nil, n)
		if same := n - 12; !bytes.Equal(short[:same], long[:same]) { // the last word is another one
			t.Errorf("the first %d bytes of texts of %d and %d bytes differ", same, n, len(long))
		}
	}
}

func TestAppendWords(t *testing.T) {
	d := newDecks(rand.NewPCG(1, 2))
	for n := minWord; n < 60; n++ {
		b := d.appendWords(nil, n, rand.NewPCG(1, 1))
		if len(b) != n || b[0] != ' ' || bytes.Contains(b, []byte("  ")) {
			t.Errorf("appendWords(%d bytes) = %q (%d bytes)", n, b, len(b))
		}
	}
	source := rand.NewPCG(1, 1)
	bytesOf := func(n int) int {
		sum := 0
		for range 4_000 {
			sum += len(d.appendWords(nil, n, source))
		}
		return sum
	}
	for n := -3; n < minWord; n++ {
		got, want := float64(bytesOf(n))/4_000, max(float64(n), 0)
		if got < want-0.15 || got > want+0.15 {
			t.Errorf("appendWords(%d bytes) appends %.2f bytes in the mean; want %v", n, got, want)
		}
	}
}
