package simulator

import (
	"math/rand/v2"
	"strings"
)

// words are what generated text is made of.
const words = `the of and to in is that it for was on are with as they at be this have from or one had by word but not what all
were we when your can said there use an each which she do how their if will up other about out many then them these so some
her would make like him into time has look two more write go see number no way could people my than first water been call
who oil its now find long down day did get come made may part over new sound take only little work know place year live me
back give most very after thing our just name good sentence man think say great where help through much before line right
too mean old any same tell boy follow came want show also around form three small set put end does another well large must
big even such because turn here why ask went men read need land different home us move try kind hand picture again change
off play spell air away animal house point page letter mother answer found study still learn should world`

// foreign are words with characters of two, three and four bytes.
const foreign = `café naïve Zürich façade jalapeño Ελλάδα привет 東京 你好 안녕 नमस्ते → — € … 🙂 🚀 👩‍🔬`

// piece is one token that the model can say.
type piece struct {
	text string
	json string // the text inside a JSON string, without the quotes
	id   int
}

// vocabulary is what the model can say. It is not changed once made.
type vocabulary struct {
	inner   []piece // words inside a sentence, with the blank before
	opening []piece // words that begin a sentence, with the blank before
	first   []piece // words that begin a paragraph
	foreign []piece
	ends    []piece // of sentences
	comma   piece
	newline piece
	stop    piece // ends the output; it has no text
	silent  piece // steers the model; it is shown to nobody

	tokens tokenizer
}

func newVocabulary(t tokenizer) *vocabulary {
	v := &vocabulary{stop: piece{id: t.id("<|end|>")}, silent: piece{id: t.id("<|part|>")}, tokens: t}
	make := v.piece
	for w := range strings.FieldsSeq(words) {
		title := strings.ToUpper(w[:1]) + w[1:]
		v.inner = append(v.inner, make(" "+w))
		v.opening = append(v.opening, make(" "+title))
		v.first = append(v.first, make(title))
	}
	for w := range strings.FieldsSeq(foreign) {
		v.foreign = append(v.foreign, make(" "+w))
	}
	for _, end := range []string{".", ".", ".", "!", "?", `."`} {
		v.ends = append(v.ends, make(end))
	}
	v.comma, v.newline = make(","), make("\n\n")
	return v
}

// piece is the token that is exactly that text.
func (v *vocabulary) piece(text string) piece {
	quoted := appendJSON(nil, text)
	return piece{text: text, json: string(quoted[1 : len(quoted)-1]), id: v.tokens.id(text)}
}

// writer says things: the same ones for the same seed.
type writer struct {
	v    *vocabulary
	rand *rand.Rand

	left  int  // words until the sentence ends
	open  bool // the next word begins a sentence
	fresh bool // and a paragraph
	comma bool // the last token was one
}

func newWriter(v *vocabulary, seed uint64) *writer {
	return &writer{v: v, rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), open: true, fresh: true}
}

// next is the next token.
func (w *writer) next() *piece {
	switch {
	case w.fresh && w.open:
		w.begin()
		return w.pick(w.v.first)
	case w.open:
		if w.rand.IntN(5) == 0 {
			w.fresh = true
			return &w.v.newline
		}
		w.begin()
		return w.pick(w.v.opening)
	case w.left == 0:
		w.open = true
		return w.pick(w.v.ends)
	case !w.comma && w.left > 1 && w.rand.IntN(12) == 0:
		w.comma = true
		return &w.v.comma
	}
	w.left--
	w.comma = false
	if w.rand.IntN(16) == 0 {
		return w.pick(w.v.foreign)
	}
	return w.pick(w.v.inner)
}

// paragraph makes the next token begin a paragraph.
func (w *writer) paragraph() { w.open, w.fresh = true, true }

func (w *writer) begin() {
	w.left = 4 + w.rand.IntN(12)
	w.open, w.fresh, w.comma = false, false, false
}

func (w *writer) pick(from []piece) *piece { return &from[w.rand.IntN(len(from))] }
