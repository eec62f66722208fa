package ask

import (
	"context"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/workload"
)

const (
	// answerBytes bounds what is kept of each answer for the turns after it. A longer one is cut: the history is then not what
	// the server said to the letter, but its beginning is, which is what prefix caches go by.
	answerBytes = 64 << 10

	// A later question is a tenth of the first prompt, as a user's is who goes on about what was said, but no shorter than the
	// words that every question has.
	laterShare     = 10
	leastLaterTurn = 8 // tokens

	// turnTemplate is what a chat template adds for the two messages of a turn, at the most: ChatML has 8 to 10, Llama 3 10.
	turnTemplate = 16 // tokens
)

// conversationShape makes the shape of a conversation of that of its first prompt.
func conversationShape(first *workload.Shape, turns int) workload.ConversationShape {
	later := func(tokens int) int { return max(tokens/laterShare, leastLaterTurn) }
	longest := max(first.PromptTokens.Min, first.PromptTokens.Max)
	return workload.ConversationShape{
		Turns:              workload.Range{Min: turns, Max: turns},
		FirstTokens:        first.PromptTokens,
		TurnTokens:         workload.Range{Min: later(first.PromptTokens.Min), Max: later(longest)},
		MaxOutputTokens:    first.MaxOutputTokens,
		SharedPrefixTokens: first.SharedPrefixTokens, Prefix: first.Prefix,
		Purpose: first.Purpose, Fields: first.Fields, Tool: first.Tool, Instruction: first.Instruction,
	}
}

// converse holds one conversation. Each turn is asked as soon as the one before it is answered, and only if it is: a failed one
// ends the conversation.
func (p *Probe) converse(ctx context.Context, intended time.Time, s *Spent) {
	talk := p.prompts.Conversation(p.talk)
	id := prober.NewID()
	for prompt, ok := talk.Next(); ok; prompt, ok = talk.Next() {
		q := p.carry(id, intended, &prompt)
		q.Turn = prompt.Turn
		r, text := p.settle(ctx, q, how{keep: answerBytes}, s)
		if r.Outcome != prober.OK {
			return
		}
		talk.Answered(text)
		id, intended = prober.SiblingID(id), time.Now()
	}
}
