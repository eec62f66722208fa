package workload

import (
	"math/rand/v2"
	"strings"
	"unicode"

	"github.com/llmprober/llm_prober/prober/wire"
)

// ConversationShape is what a conversation asks for.
//
// The first prompt has its tokens as other prompts have theirs. A further question has them within 5 tokens or 3 %, once the
// target has counted prompts of some hundred tokens. Short ones alone do not tell what is template and what is text: as long
// as it has counted no others, an unusual tokenizer can make a third more of a long question.
type ConversationShape struct {
	Turns           Range // questions of the user; drawn evenly, 1 at least
	FirstTokens     Range // the first prompt, as the server counts it, template included
	TurnTokens      Range // each further question's own text: history and template not counted
	MaxOutputTokens int   // the cap that each answer should reach; 0: as long as the model likes

	SharedPrefixTokens int    // of the first prompt, as a Shape's
	Prefix             string // of the first prompt, as a Shape's

	Purpose     Purpose  // of each question, as a Shape's
	Fields      []string // of each question, as a Shape's
	Tool        string   // of each question, as a Shape's
	Instruction string   // of each question, as a Shape's
}

// question is the shape of one question: what all have in common.
func (s *ConversationShape) question() Shape {
	return Shape{MaxOutputTokens: s.MaxOutputTokens, Purpose: s.Purpose, Fields: s.Fields, Tool: s.Tool, Instruction: s.Instruction}
}

// Conversation is a chat in which each question carries all that was said before, so that a server's prefix cache can answer
// all of it but the last question:
//
//	turn 1   Gold lake song ...          unique: conversations share no cache among themselves
//	turn 2   Gold lake song ... | answer 1 | Thanks. ...
//	turn 3   Gold lake song ... | answer 1 | Thanks. ... | answer 2 | Thanks. ...
//
// It is not safe for concurrent use, as its questions must be asked one after the other.
type Conversation struct {
	generator *Generator
	shape     ConversationShape
	n         uint64 // of the first line
	source    *rand.PCG
	turns     int // in all
	turn      int // the last one asked; 0: none
	messages  []wire.Message
	answer    string // to the last question
}

// fallbackTokens is how long a made-up answer is where no cap says.
const fallbackTokens = 64

// Conversation begins a conversation. The user's words depend on the generator's seed and on how many prompts and
// conversations were begun before, as a prompt's do.
func (g *Generator) Conversation(shape ConversationShape) *Conversation {
	n := g.next.Add(1) - 1
	source := rand.NewPCG(g.seed, n)
	return &Conversation{generator: g, shape: shape, n: n, source: source, turns: max(shape.Turns.draw(source), 1)}
}

// Next writes the next question, with all that was said before; false once the conversation is over.
//
// Only the first one is to be learnt from: it alone has Units. The later ones hold text that is not ours.
func (c *Conversation) Next() (Prompt, bool) {
	if c.turn == c.turns {
		return Prompt{}, false
	}
	c.turn++
	// Two sources for each turn, so that the user's words do not depend on whether there was an answer.
	key := c.source.Uint64()
	user, model := rand.NewPCG(key, 0), rand.NewPCG(key, 1)
	if c.turn == 1 {
		first := c.shape.question()
		first.PromptTokens = c.shape.FirstTokens
		first.SharedPrefixTokens, first.Prefix = c.shape.SharedPrefixTokens, c.shape.Prefix
		p := c.generator.prompt(first, c.n, user)
		p.Turn = 1
		c.messages, c.answer = p.Messages, ""
		return p, true
	}
	if strings.TrimSpace(c.answer) == "" {
		c.answer = c.generator.answer(c.shape.MaxOutputTokens, model)
	}
	p := c.generator.followUp(c.shape, user)
	c.messages = append(c.messages, wire.Message{Role: "assistant", Content: c.answer}, p.Messages[0])
	c.answer = ""
	p.Messages = c.messages[:len(c.messages):len(c.messages)]
	p.Turn = c.turn
	return p, true
}

// Answered puts the model's answer to the last question into the history, to the letter. Without one, or with a blank one,
// as after a failed request, text of the cap's length stands in for it.
func (c *Conversation) Answered(text string) { c.answer = text }

// followUp writes a later question alone.
func (g *Generator) followUp(shape ConversationShape, source *rand.PCG) Prompt {
	const opening = "Thanks."
	tokens := shape.TurnTokens.draw(source)
	instruction, answer := shape.question().instruction(tokens, source)
	// No count of the server's tells what the fixed parts cost beyond ordinary text. As they are short words and marks, each
	// one is a token, or more than one where all text has more tokens.
	units := g.textUnits(tokens)
	perUnit := g.calibration.Fit(tokens).PerUnit
	if beyond := float64(wordsAndMarks(opening+instruction))/perUnit - float64(len(opening+instruction)); beyond > 0 {
		units -= int(beyond + 0.5)
	}
	b, uncounted := g.fill([]byte(opening), units, instruction, source)
	return Prompt{
		Messages:        []wire.Message{{Role: "user", Content: string(b)}},
		MaxOutputTokens: shape.MaxOutputTokens,
		Tokens:          tokens,
		Least:           units < len(b)-uncounted-minWord,
		Answer:          answer,
	}
}

// wordsAndMarks is how many words, marks and line breaks there are in a text.
func wordsAndMarks(text string) int {
	n, word := 0, false
	for _, c := range text {
		letter := unicode.IsLetter(c) || unicode.IsDigit(c)
		if c != ' ' && !(letter && word) {
			n++
		}
		word = letter
	}
	return n
}

// answer writes what a model could have answered.
func (g *Generator) answer(tokens int, source rand.Source) string {
	if tokens <= 0 {
		tokens = fallbackTokens
	}
	return string(g.decks.appendShuffled(nil, g.textUnits(tokens), source))
}
