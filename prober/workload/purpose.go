package workload

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Purpose is what a prompt asks for, so that it suits the request that carries it.
// The instruction is a part of the prompt's length.
type Purpose string

// The purposes.
const (
	Plain      Purpose = ""            // going on with the text, up to the cap
	JSON       Purpose = "json"        // a JSON object about the text: for structured output
	ToolCall   Purpose = "tool_call"   // a call of a function with what the text says
	Reasoning  Purpose = "reasoning"   // a small puzzle, whose answer is in Prompt.Answer; the text is no part of it
	LongAnswer Purpose = "long_answer" // a list that is known to take longer than the cap
)

// The closing instructions. They are words as in the text, so that their bytes have about as many tokens.
const (
	shortInstruction    = "\nGo on at length."
	longInstruction     = "\nContinue this text in the same style."
	atLeast             = " Write at least %d words and do not stop before that."
	longInstructionAt   = 100 // tokens asked: it would crowd out the text of shorter prompts
	jsonInstruction     = "\nReply in JSON alone, one object with the fields %s."
	toolInstruction     = "\nCall the tool %s with what this text says, and say nothing else."
	anyToolInstruction  = "\nCall the tool that fits this text, and say nothing else."
	numberPuzzle        = "\nA hall has %d rows of %d seats, and %d seats are taken. How many are free? Think it through and end with the number."
	orderPuzzle         = "\n%s. Who is the %s? Think it through and end with the name."
	longListInstruction = "\nWrite a list of %d sentences that go on with this text, number each one and leave none out."
	tokensOfSentence    = 12 // that is hardly less
	longListWithoutACap = 200
)

// instruction writes what a prompt of so many tokens ends with, and the right answer where there is one.
func (s Shape) instruction(tokens int, source rand.Source) (text, answer string) {
	if s.Instruction != "" {
		return "\n" + s.Instruction, ""
	}
	switch s.Purpose {
	case JSON:
		fields := s.Fields
		if len(fields) == 0 {
			fields = []string{"title", "mood", "place"}
		}
		return fmt.Sprintf(jsonInstruction, list(fields)), ""
	case ToolCall:
		if s.Tool == "" {
			return anyToolInstruction, ""
		}
		return fmt.Sprintf(toolInstruction, s.Tool), ""
	case Reasoning:
		r := rand.New(source)
		if r.IntN(2) == 0 {
			return puzzleOfNumbers(r)
		}
		return puzzleOfOrder(r)
	case LongAnswer:
		sentences := longListWithoutACap
		if s.MaxOutputTokens > 0 {
			sentences = s.MaxOutputTokens/tokensOfSentence + 1
		}
		return fmt.Sprintf(longListInstruction, sentences), ""
	}
	if tokens < longInstructionAt {
		return shortInstruction, ""
	}
	if s.MaxOutputTokens > 0 {
		return longInstruction + fmt.Sprintf(atLeast, s.MaxOutputTokens), ""
	}
	return longInstruction, ""
}

// list is a, b and c.
func list(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// puzzleOfNumbers has an answer of three digits, which everybody writes the same way and which is not in the question.
func puzzleOfNumbers(r *rand.Rand) (text, answer string) {
	rows, seats, taken := 21+r.IntN(78), 6+r.IntN(4), 11+r.IntN(15) // 21·6 − 25 = 101; 98·9 − 11 = 871
	return fmt.Sprintf(numberPuzzle, rows, seats, taken), strconv.Itoa(rows*seats - taken)
}

// puzzleOfOrder tells the order of four people in three pieces.
func puzzleOfOrder(r *rand.Rand) (text, answer string) {
	names := []string{"John", "Mary", "Paul", "Anna", "Mark", "Jane", "Dave", "Rose"}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	pieces := []string{
		names[0] + " is older than " + names[1],
		names[1] + " is older than " + names[2],
		names[2] + " is older than " + names[3],
	}
	r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
	which := r.IntN(4)
	return fmt.Sprintf(orderPuzzle, strings.Join(pieces, ". "), []string{"oldest", "second oldest", "second youngest", "youngest"}[which]), names[which]
}
