package simulator

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Capacity is what an engine can do for requests that are all of one shape and share no prefix, computed from its
// constants. Beyond it the queue grows without end: it is the knee that a load test must find.
//
// A request is in a full batch of B for as many steps as it makes tokens, and for those before in which only a piece of its
// prompt is read; where the budget T of tokens in a step is what limits, for as many as it takes until all are through:
//
//	steps = max(output + pieces - 1, B × (prompt + output - 1) / T)      pieces = prompt / (T - B), rounded up
//	seconds for each request = steps/B × StepBase + (output + pieces - 1) × StepPerSequence + prompt × PrefillPerToken
type Capacity struct {
	Batch             int           // sequences that run at once: MaxRunning, or as many as the KV cache holds
	Step              time.Duration // mean length of a step with a full batch
	RequestsPerSecond float64
	TokensPerSecond   float64       // output tokens
	UnloadedTTFT      time.Duration // time to first token of a request that meets nobody

	// About says that the cache limits the batch of an engine that puts sequences back: then more run at once than Batch,
	// some of them twice, and how much is done lies above the figures where answers are long beside their prompts (by up
	// to a half) and below them where they are not (by up to a tenth or so).
	About bool
}

// Capacity computes the engine's capacity for requests of so many prompt and output tokens, both at least 1.
// It is zero where the server has fixed times: then it has no bound.
func (s *Server) Capacity(prompt, output int) Capacity {
	o := &s.opts
	if o.fixed() {
		return Capacity{}
	}
	full := o.KVTokens / o.BlockTokens / ((prompt + output + o.BlockTokens - 1) / o.BlockTokens)
	b := min(o.MaxRunning, full)
	if b == 0 {
		return Capacity{}
	}
	parts := float64(output) // steps that a request takes part in
	stay := parts            // steps that it is in the batch for
	alone := 1               // steps that its prompt takes where there is nobody else
	if t := float64(o.MaxBatchedTokens); t > 0 {
		alone = int(math.Ceil(float64(prompt) / t))
		parts += math.Ceil(float64(prompt)/max(t-float64(b), 1)) - 1
		stay = max(parts, float64(b)*float64(prompt+output-1)/t)
	}
	each := stay/float64(b)*o.StepBase.Seconds() + parts*o.StepPerSequence.Seconds() + float64(prompt)*o.PrefillPerToken.Seconds()
	return Capacity{
		Batch:             b,
		Step:              time.Duration(each * float64(b) / stay * float64(time.Second)),
		RequestsPerSecond: 1 / each,
		TokensPerSecond:   float64(output) / each,
		UnloadedTTFT:      time.Duration(alone)*(o.StepBase+o.StepPerSequence) + time.Duration(prompt)*o.PrefillPerToken,
		About:             o.Preempt && full < o.MaxRunning,
	}
}

// Explain says in a few lines what kind of server this is and where it saturates.
func (s *Server) Explain() string {
	o := &s.opts
	var b strings.Builder
	if o.fixed() {
		fmt.Fprintf(&b, "%s, fixed times: first token after %v, then one each %v; no queue, no bound.\n", o.Model, o.FirstToken, o.PerToken)
		return b.String()
	}
	if o.Profile != "" {
		for _, p := range Profiles() {
			if p.Name == o.Profile {
				fmt.Fprintf(&b, "%s: %s. Its constants are plausible, not measured.\n", p.Name, p.Describes)
			}
		}
	}
	fmt.Fprintf(&b, "%s: up to %d sequences in a batch, step = %v + %v a sequence + %v a prompt token, %d tokens of KV cache.\n",
		o.Model, o.MaxRunning, o.StepBase, o.StepPerSequence, o.PrefillPerToken, o.KVTokens)
	var more []string
	if o.MaxBatchedTokens > 0 {
		more = append(more, fmt.Sprintf("at most %d tokens in a step", o.MaxBatchedTokens))
	}
	if o.Preempt {
		more = append(more, "the latest sequence is put back when the cache is full")
	}
	if o.PrefixCache {
		more = append(more, "prompts that begin alike share what is cached of them")
	}
	if o.Priority {
		more = append(more, "admission by priority")
	}
	if o.MaxQueued > 0 {
		more = append(more, fmt.Sprintf("more than %d requests, running and waiting, are refused", o.MaxQueued))
	}
	if more != nil {
		text := strings.Join(more, "; ")
		fmt.Fprintf(&b, "%s%s.\n", strings.ToUpper(text[:1]), text[1:])
	}
	for _, shape := range []struct{ prompt, output int }{{50, 64}, {400, 256}, {4000, 200}} {
		if shape.prompt+shape.output > o.MaxModelLen {
			continue
		}
		c := s.Capacity(shape.prompt, shape.output)
		at := "at"
		if c.About {
			at = "at about"
		}
		digits := 1
		if c.RequestsPerSecond < 1 {
			digits = 2
		}
		fmt.Fprintf(&b, "%5d prompt and %3d output tokens: saturates %s %.*f requests/s (%.0f tokens/s, %d running, %.1f ms a token); unloaded TTFT %.1f ms.\n",
			shape.prompt, shape.output, at, digits, c.RequestsPerSecond, c.TokensPerSecond, c.Batch, 1e3*c.Step.Seconds(), 1e3*c.UnloadedTTFT.Seconds())
	}
	return b.String()
}
