package workload

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/llmprober/llm_prober/prober/wire"
)

// Range is a length or a span of lengths, both ends included. A Max below Min is taken as Min.
type Range struct{ Min, Max int }

// Shape is what a probe asks for.
type Shape struct {
	PromptTokens Range // as the server counts them, template included; drawn evenly

	// SharedPrefixTokens is how many tokens of text at the front are the same in every prompt of the same Prefix name,
	// the template's own not counted. 0: the prompt begins with a line of its own, so that no prefix cache can answer.
	SharedPrefixTokens int
	Prefix             string // names the shared text; prompts with the same name share it, also across restarts

	MaxOutputTokens int // the cap that the answer should reach; 0: as long as the model likes

	Purpose Purpose  // what the closing instruction asks for
	Fields  []string // of the object, with JSON; nil: title, mood and place
	Tool    string   // the function's name, with ToolCall; empty: any

	// Instruction takes the place of the purpose's, at the end of the prompt, which is what models heed most. It counts as a
	// part of the prompt's length. Empty: the purpose's own.
	Instruction string
}

// Prompt is one question.
type Prompt struct {
	Messages        []wire.Message // not to be changed
	MaxOutputTokens int            // the shape's cap, or the recorded one; 0: none was given

	// Of generated prompts:
	Units  int    // how much generated text it holds: what Calibration.Observe wants to hear; 0: not to be learnt from
	Tokens int    // asked; of a conversation's later turns, of the turn's own text
	Least  bool   // the shortest prompt there is has more tokens than were asked, and this is it
	Answer string // to a Reasoning prompt: a right answer ends with this number or name; else empty
	Turn   int    // of a conversation, from 1; 0: not of one
}

// Generator writes prompts for one target and model. It is safe for concurrent use.
//
// The n-th prompt's text depends on the seed and n alone; only its length depends on what was observed meanwhile.
// Its first line is its own: it comes again after 2^21 (2,097,152) prompts.
type Generator struct {
	calibration *Calibration
	seed        uint64
	decks       *decks
	firstLine   uint64 // number of the first prompt's line
	next        atomic.Uint64

	mu       sync.Mutex
	prefixes map[string]prefix // by name and tokens asked
}

// A prefix is the shared text of some prompts.
type prefix struct {
	text  string
	units int
}

// NewGenerator returns a generator whose texts depend on seed and whose lengths follow c.
// Take a random seed for each process, or their first lines are the same.
func NewGenerator(seed uint64, c *Calibration) *Generator {
	return &Generator{
		calibration: c,
		seed:        seed,
		firstLine:   rand.NewPCG(seed, 1).Uint64(),
		decks:       newDecks(rand.NewPCG(seed, seed)),
		prefixes:    make(map[string]prefix),
	}
}

// A shared prefix keeps its length until the calibration finds it wrong by more than this share.
const prefixTolerance = 0.02

// Prompt writes the next prompt.
func (g *Generator) Prompt(shape Shape) Prompt {
	n := g.next.Add(1) - 1
	return g.prompt(shape, n, rand.NewPCG(g.seed, n))
}

// prompt writes a prompt with the n-th first line.
func (g *Generator) prompt(shape Shape, n uint64, source *rand.PCG) Prompt {
	tokens := shape.PromptTokens.draw(source)
	units := g.calibration.Units(tokens)
	instruction, answer := shape.instruction(tokens, source)

	b := make([]byte, 0, max(units, 0)+64+len(instruction))
	if shape.SharedPrefixTokens > 0 {
		b = append(b, g.prefix(shape, tokens)...)
		b = append(b, '\n')
	}
	b = appendLine(b, g.firstLine+n)
	b, uncounted := g.fill(b, units, instruction, source)
	p := Prompt{
		Messages:        []wire.Message{{Role: "user", Content: string(b)}},
		MaxOutputTokens: shape.MaxOutputTokens,
		Units:           len(b) - uncounted,
		Tokens:          tokens,
		Answer:          answer,
	}
	p.Least = units < p.Units-minWord
	return p
}

// fill appends text and the instruction to b, which holds a first line, so that it has so many units in all.
// It returns how many of its bytes are none.
func (g *Generator) fill(b []byte, units int, instruction string, source rand.Source) (_ []byte, uncounted int) {
	if rest := units - len(b) - len(instruction); rest >= minBody {
		b = append(b, '\n')
		b = g.decks.appendShuffled(b, rest-1, source)
	} else {
		uncounted = sentenceCost
		b = g.decks.appendWords(b, rest+sentenceCost, source)
	}
	return append(b, instruction...), uncounted
}

// Calibrate asks count how many tokens the server makes of a few messages (as an engine's /tokenize tells, for free),
// so that the first real prompt is already right. What was counted before an error is kept.
func (g *Generator) Calibrate(ctx context.Context, count func(context.Context, []wire.Message) (int, error)) error {
	for _, tokens := range []int{20, 100, 1000, 1000} { // from wrong to right; the last one confirms
		p := g.Prompt(Shape{PromptTokens: Range{tokens, tokens}})
		n, err := count(ctx, p.Messages)
		if err != nil {
			return fmt.Errorf("calibrate: count a prompt of about %d tokens: %w", tokens, err)
		}
		if n <= 0 {
			return fmt.Errorf("calibrate: the server counted %d tokens in a prompt of %d bytes", n, p.Units)
		}
		g.calibration.Observe(p.Units, n)
	}
	return nil
}

func (r Range) draw(source *rand.PCG) int {
	if r.Max <= r.Min {
		return r.Min
	}
	return r.Min + rand.New(source).IntN(r.Max-r.Min+1)
}

// textUnits is how long a text of so many tokens is, without a template.
func (g *Generator) textUnits(tokens int) int {
	return int(float64(tokens)/g.calibration.Fit(tokens).PerUnit + 0.5)
}

// prefix returns the text that shape's prompts share. It is the beginning of a text that depends on the name alone.
func (g *Generator) prefix(shape Shape, tokens int) string {
	want := min(shape.SharedPrefixTokens, tokens)
	units := g.textUnits(want)
	key := shape.Prefix + "\x00" + strconv.Itoa(want)

	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.prefixes[key]
	if off := units - p.units; !ok || float64(max(off, -off)) > prefixTolerance*float64(p.units) {
		h := fnv.New64a()
		h.Write([]byte(shape.Prefix))
		p = prefix{text: string(newDecks(rand.NewPCG(h.Sum64(), 0)).appendText(nil, units)), units: units}
		g.prefixes[key] = p
	}
	return p.text
}

// appendLine appends the n-th line: three words of four letters.
func appendLine(b []byte, n uint64) []byte {
	i := scatter(uint32(n % lines))
	at := len(b)
	b = append(b, lineWords[i>>14]...)
	b[at] -= 'a' - 'A'
	b = append(b, ' ')
	b = append(b, lineWords[i>>7&0x7f]...)
	b = append(b, ' ')
	return append(b, lineWords[i&0x7f]...)
}

// lines is the number of different first lines.
const lines = 1 << 21

// scatter maps the numbers below lines onto themselves, one to one, so that neighbours end up far apart.
// Each step (multiplying by an odd number, xor with the upper half) can be undone.
func scatter(i uint32) uint32 {
	i = i * 0x9E3779B1 % lines
	i ^= i >> 11
	i = i * 0x85EBCA6B % lines
	i ^= i >> 11
	return i
}
