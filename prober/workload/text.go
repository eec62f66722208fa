package workload

import (
	"iter"
	"math/rand/v2"
	"strings"
)

// A slot is one word of a sentence pattern: a fixed word, or any word of one list, and the punctuation after it.
type slot struct {
	fixed string // empty: a word of the list
	list  int    // index into lists
	after string // "", "," or "."
	width int    // letters and punctuation, without the space before
}

// lists are all lists that slots draw from. Those for closings come first, at the index of their words' length.
var lists = [...][]string{
	3: nouns3, 4: nouns4, 5: nouns5, 6: nouns6, 7: nouns7, 8: nouns8, 9: nouns9, 10: nouns10,
	adjectives4, adjectives5, verbs4, verbs5, verbs6, prepositions4, prepositions5, prepositions6,
}

const (
	minClosing = 3 // letters: any length from here to maxClosing has a list, so that every number of bytes can be met
	maxClosing = 10
)

// sentences are the patterns, in the order in which every text uses them, over and over; a line ends after the last.
// A letter and a digit stand for any word of that list. The mixture of lengths is kept even within each sentence.
var sentences = compile(`
	The a5 n5 v6 p4 the n6, and v4 the n4 p5 it.
	One n5 v5 the a4 n4 p6 this n6.
	She v4 that a5 n6 and v6 p4 the n5.
	They v5 some n4 p4 each a4 n5.
	Then the n4 v6 p5 its a5 n6.
	We v4 the n6, but the n5 v5 p4 them.
	His a4 n5 v6 the n4 p6 every n5.
	When the n6 v4, the a5 n4 v5 near us.`)

func compile(patterns string) []slot {
	names := map[string]int{
		"n4": 4, "n5": 5, "n6": 6, "a4": 11, "a5": 12, "v4": 13, "v5": 14, "v6": 15, "p4": 16, "p5": 17, "p6": 18,
	}
	var slots []slot
	for field := range strings.FieldsSeq(patterns) {
		word := strings.TrimRight(field, ".,")
		s := slot{after: field[len(word):]}
		if list, ok := names[word]; ok {
			s.list = list
			s.width = len(lists[list][0]) + len(s.after)
		} else {
			s.fixed = word
			s.width = len(field)
		}
		slots = append(slots, s)
	}
	return slots
}

// minText is the shortest text: the shortest closing word and its full stop.
const minText = minClosing + 1

// layout yields the slots that make a text of exactly n bytes (minText at least), each with what stands before it.
// Layouts of different lengths are alike but for the last slot, whose word is as long as it takes.
func layout(n int) iter.Seq2[slot, string] {
	const shortest = 1 + minText // what can still follow a word: a space and the shortest text
	return func(yield func(slot, string) bool) {
		rest, before := max(n, minText), ""
		for {
			for _, s := range sentences {
				after := rest - len(before) - s.width
				if after < shortest && (after != 0 || s.after != ".") {
					letters := rest - len(before) - 1
					yield(slot{list: letters, after: ".", width: letters + 1}, before)
					return
				}
				if !yield(s, before) || after == 0 {
					return
				}
				rest, before = after, " "
			}
			before = "\n"
		}
	}
}

// decks are the words of each list in an order of their own.
type decks [len(lists)][]string

func newDecks(source rand.Source) *decks {
	d := new(decks)
	r := rand.New(source)
	for i, words := range lists {
		d[i] = make([]string, len(words))
		for j, k := range r.Perm(len(words)) {
			d[i][j] = words[k]
		}
	}
	return d
}

// appendText appends a text of exactly n bytes (minText at least) to b, its words taken from the decks in order.
// The first bytes of a long text are those of a short one, but for the short one's last word.
func (d *decks) appendText(b []byte, n int) []byte {
	var next [len(lists)]int
	return d.append(b, n, func(list int) int {
		next[list]++
		return next[list] - 1
	})
}

// appendShuffled appends a text of exactly n bytes (minText at least) to b. It has the words that appendText would use,
// in another order: so texts of one length differ, but not in their words, and tokenizers count them the same.
func (d *decks) appendShuffled(b []byte, n int, source rand.Source) []byte {
	var order [len(lists)]shuffle
	for s := range layout(n) {
		if s.fixed == "" {
			order[s.list].of++
		}
	}
	r := rand.New(source)
	for i := range order {
		order[i].start(r)
	}
	return d.append(b, n, func(list int) int { return order[list].next() })
}

// append appends a text of n bytes whose words are the cards that draw names, list by list.
func (d *decks) append(b []byte, n int, draw func(list int) int) []byte {
	capital := true
	for s, before := range layout(n) {
		b = append(b, before...)
		word := s.fixed
		if word == "" {
			word = d[s.list][draw(s.list)%len(d[s.list])]
		}
		at := len(b)
		b = append(b, word...)
		b = append(b, s.after...)
		if capital && b[at] >= 'a' {
			b[at] -= 'a' - 'A'
		}
		capital = s.after == "."
	}
	return b
}

// A shuffle goes through the numbers below of, each once, in steps of a length that is prime to of.
type shuffle struct{ of, at, step int }

func (s *shuffle) start(r *rand.Rand) {
	if s.of < 2 {
		return
	}
	s.at = r.IntN(s.of)
	for s.step = 1 + r.IntN(s.of-1); gcd(s.step, s.of) != 1; {
		s.step = 1 + r.IntN(s.of-1)
	}
}

func (s *shuffle) next() int {
	i := s.at
	if s.at += s.step; s.at >= s.of {
		s.at -= s.of
	}
	return i
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

const (
	minBody = 32             // bytes: a shorter text would be lopsided as sentences
	minWord = 1 + minClosing // a space and the shortest word

	// sentenceCost is how many bytes of words cost as many tokens as a text's line break and full stop cost more than
	// their two bytes: 8 for a vocabulary that has a token for each, 0 where every byte costs the same.
	sentenceCost = 4
)

// appendWords appends exactly n bytes of words, each with a space before it, whose lengths are those of the sentences.
// Fewer bytes than minWord give one word so often that the mean is right, and none otherwise.
func (d *decks) appendWords(b []byte, n int, source rand.Source) []byte {
	if n < minWord && n > 0 && rand.New(source).IntN(minWord) < n {
		n = minWord
	}
	if n < minWord {
		return b
	}
	widths := [...]int{5, 4, 6, 3}
	for i := 0; n > 0; i++ {
		letters := n - 1
		if letters > 7 {
			letters = min(widths[i%len(widths)], n-1-minWord) // leave room for one more
		}
		b = append(b, ' ')
		b = append(b, d[letters][i%len(d[letters])]...)
		n -= 1 + letters
	}
	return b
}
