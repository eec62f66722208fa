package simulator

import (
	"math"
	"math/rand/v2"
)

// kind is what a token is for.
type kind int

const (
	kindSilent     kind = iota // steers, and is shown to nobody: the begin of a call, its name while it is not complete
	kindThought                // reasoning
	kindThoughtEnd             // ends it; shown to nobody
	kindText                   // of the answer
	kindName                   // the token that completes the name of the called tool; its text is the whole name
	kindArguments              // of the call
	kindCalled                 // ends the call; shown to nobody
	kindStop                   // ends the output; it has no text
)

// token is one token of an answer.
type token struct {
	kind kind
	*piece
}

// speech is what an answer says, token by token:
//
//	[thought ..., thought end,] then text ...                                        for as long as it is asked
//	                              or text ...                                        of a JSON document, stop
//	                              or silent ..., name, arguments ..., called         of a tool, stop
//
// Thoughts and free text come from the writer, the rest is made beforehand: to say a token allocates nothing.
type speech struct {
	writer  *writer
	silent  *piece
	thought int     // thoughts still to come
	think   bool    // the silent token that ends them is still to come
	fixed   []token // what comes then; afterwards, free text
	calls   bool    // fixed is a call
}

// compose decides what is said in answer to q, in how many tokens, and why it ends: at the cap, or before it where the
// answer is a call or a document, or where the model ends it by itself.
func (s *Server) compose(q *question, maximum int, seed uint64) (sp *speech, output int, why finishReason) {
	v := s.vocabulary
	sp = &speech{writer: newWriter(v, seed), silent: &v.silent}
	effort := q.effort
	if effort == "" {
		effort = s.opts.ReasoningEffort
	}
	most, _ := thoughts(effort) // checked before
	if q.budget > 0 {
		most = q.budget
	}
	if n := min(most, maximum/2); n >= 2 {
		sp.thought, sp.think = n-1, true
		maximum -= n
		defer func() { output += n }()
	}

	switch called := q.called(); {
	case called != nil:
		sp.calls = true
		sp.fixed = v.call(called.name, document(called.parameters, rand.New(rand.NewPCG(seed, 0xca11))))
	case q.format.json:
		sp.fixed = v.say(nil, kindText, document(q.format.schema, rand.New(rand.NewPCG(seed, 0xd0c))))
	default:
		output, why = s.opts.length(q, maximum, rand.New(rand.NewPCG(seed, 0x1e47)))
		return sp, output, why
	}
	if n := len(sp.fixed) + 1; n <= maximum {
		return sp, n, finishStop
	}
	return sp, maximum, finishLength
}

// length decides how long free text is and why it ends: at its cap, or earlier where the request lets the model end it
// and the options say that it does.
func (o *Options) length(q *question, maximum int, draw *rand.Rand) (int, finishReason) {
	if q.ignoreEOS || o.MeanOutputTokens == 0 {
		return maximum, finishLength
	}
	// Geometric with the given mean, counted from 1; the end-of-sequence token counts, as it does with vLLM.
	n := 1.0
	if p := 1 - 1/o.MeanOutputTokens; p > 0 {
		n += math.Floor(math.Log(1-draw.Float64()) / math.Log(p))
	}
	if n = max(n, 2, float64(q.minTokens)); n < float64(maximum) {
		return int(n), finishStop
	}
	return maximum, finishLength
}

// next is the next token.
func (sp *speech) next() token {
	switch {
	case sp.thought > 0:
		sp.thought--
		return token{kindThought, sp.writer.next()}
	case sp.think:
		sp.think = false
		sp.writer.paragraph()
		return token{kindThoughtEnd, sp.silent}
	case len(sp.fixed) > 0:
		t := sp.fixed[0]
		sp.fixed = sp.fixed[1:]
		return t
	}
	return token{kindText, sp.writer.next()}
}

// say appends the tokens of text.
func (v *vocabulary) say(to []token, k kind, text string) []token {
	v.tokens.each(text, func(part string) { to = append(to, token{k, new(v.piece(part))}) })
	return to
}

// call is the tokens of a call: the name can be told only once it is complete.
func (v *vocabulary) call(name, arguments string) []token {
	t := []token{{kindSilent, &v.silent}}
	t = v.say(t, kindSilent, name)
	last := v.piece(name)
	last.id = t[len(t)-1].id
	t[len(t)-1] = token{kindName, &last}
	t = v.say(t, kindArguments, arguments)
	return append(t, token{kindCalled, &v.silent})
}
