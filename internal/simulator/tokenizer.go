package simulator

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// tokenizer pretends to be one: it cuts text into pieces as byte-pair encodings roughly do, the same way each time.
//
//   - a word, with the one blank before it, is cut into pieces of at most piece bytes (never within a character);
//   - each punctuation mark and each newline is a token; other white space is one token for each 16 bytes.
//
// A chat adds perMessage tokens for each message and perChat for the whole: the template.
type tokenizer struct {
	piece      int
	perMessage int
	perChat    int
	vocabulary int // number of token ids
}

// newTokenizer returns the tokenizer of that name.
func newTokenizer(name string) (tokenizer, error) {
	switch name {
	case "a":
		return tokenizer{piece: 7, perMessage: 5, perChat: 4, vocabulary: 128256}, nil
	case "b":
		return tokenizer{piece: 4, perMessage: 3, perChat: 2, vocabulary: 32000}, nil
	}
	return tokenizer{}, fmt.Errorf("simulator: unknown tokenizer %q: choose \"a\" or \"b\"", name)
}

// each calls f with every token of text, in order, as a substring.
func (t tokenizer) each(text string, f func(piece string)) {
	for i := 0; i < len(text); {
		n := t.next(text[i:])
		f(text[i : i+n])
		i += n
	}
}

// next is the length in bytes of the first token of text, which is not empty.
func (t tokenizer) next(text string) int {
	if n := blanks(text); n > 0 {
		rest, _ := utf8.DecodeRuneInString(text[n:])
		switch {
		case text[n-1] != ' ' || !inWord(rest):
			return n
		case n > 1:
			return n - 1 // the last blank before a word belongs to the word
		}
		return 1 + t.word(text[1:], t.piece-1)
	}
	r, size := utf8.DecodeRuneInString(text)
	if inWord(r) {
		return t.word(text, t.piece)
	}
	return size
}

// blanks is the length of the white space that text begins with, up to 16 bytes or the first newline.
func blanks(text string) int {
	n := 0
	for n < min(len(text), 16) {
		r, size := utf8.DecodeRuneInString(text[n:])
		if r == '\n' || !unicode.IsSpace(r) {
			break
		}
		n += size
	}
	return n
}

// word is the length of the first piece of a word, of at most limit bytes but at least one character.
func (t tokenizer) word(text string, limit int) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeRuneInString(text[n:])
		if !inWord(r) || (n > 0 && n+size > limit) {
			break
		}
		n += size
	}
	return n
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// count is the number of tokens in text.
func (t tokenizer) count(text string) int {
	n := 0
	t.each(text, func(string) { n++ })
	return n
}

// ids appends the token ids of text to ids.
func (t tokenizer) ids(ids []int, text string) []int {
	t.each(text, func(piece string) { ids = append(ids, t.id(piece)) })
	return ids
}

// id is a piece's token id: an FNV-1a hash, so that equal pieces have equal ids and most different ones do not.
func (t tokenizer) id(piece string) int {
	h := uint32(2166136261)
	for i := range len(piece) {
		h = (h ^ uint32(piece[i])) * 16777619
	}
	return int(h % uint32(t.vocabulary))
}
