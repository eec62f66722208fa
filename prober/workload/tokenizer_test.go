package workload

import (
	"strings"

	"github.com/llmprober/llm_prober/prober/wire"
)

// A tokenizer counts the tokens of one text. These are pretences, as unlike each other as real ones and more.
type tokenizer struct {
	name     string
	overhead int // of the chat template, for each message and for the answer's opening together
	count    func(text string) int
}

func (t tokenizer) messages(ms []wire.Message) int {
	n := 0
	for _, m := range ms {
		n += t.overhead + t.count(m.Content)
	}
	return n
}

func tokenizers() []tokenizer {
	return []tokenizer{
		{name: "vocabulary", overhead: 9, count: vocabularyTokens},
		{name: "small_vocabulary", overhead: 7, count: smallVocabularyTokens},
		{name: "pieces_of_4", overhead: 5, count: pieces(4)},
		{name: "bytes_by_3.3", overhead: 4, count: func(s string) int { return int(float64(len(s))/3.3 + 0.999) }},
	}
}

// vocabularyTokens is a large byte-pair vocabulary: a word with the space before it is one token, and so is each
// other character.
func vocabularyTokens(s string) int {
	n := 0
	each(s, func(word string) { n++ }, func(byte) { n++ })
	return n
}

// smallVocabularyTokens knows few words whole: those of up to four letters and, by a rule as blind to our lists as a
// vocabulary trained on other text, two thirds of the longer ones. It splits the others in two.
func smallVocabularyTokens(s string) int {
	n := 0
	each(s, func(word string) {
		n++
		if len(word) > 4 && (int(word[0])+int(word[len(word)/2])+int(word[len(word)-1]))%3 == 0 {
			n++
		}
	}, func(byte) { n++ })
	return n
}

// pieces cuts words into pieces of at most size bytes, not counting the space before.
func pieces(size int) func(string) int {
	return func(s string) int {
		n := 0
		each(s, func(word string) { n += (len(word) + size - 1) / size }, func(byte) { n++ })
		return n
	}
}

// each calls word for each run of letters or digits and other for each further character but spaces.
func each(s string, word func(string), other func(byte)) {
	for len(s) > 0 {
		i := strings.IndexFunc(s, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
		})
		switch {
		case i < 0:
			word(s)
			return
		case i > 0:
			word(s[:i])
		}
		if s[i] != ' ' {
			other(s[i])
		}
		s = s[i+1:]
	}
}
