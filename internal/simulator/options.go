package simulator

import (
	"fmt"
	"log/slog"
	"time"
)

// Options say what kind of server to be. The zero value is a plausible single-GPU vLLM.
type Options struct {
	Dialect     string // how it speaks: one of Dialects, or several with commas, of which the first has a route; empty: "vllm"
	Model       string // the served model's name; empty: "sim-8b"
	MaxModelLen int    // most tokens of prompt and output together; 0: 32768
	Tokenizer   string // "a" (about 1.3 tokens per English word) or "b" (about 1.8); empty: "a"
	Seed        uint64 // of all that is drawn: texts, lengths, faults
	APIKey      string // what requests to the model must show; empty: nothing

	// ReasoningEffort is how hard the model thinks before it answers where the request does not say: none, minimal, low,
	// medium, high, xhigh or max. Empty: not at all.
	ReasoningEffort string

	Profile string // constants of a model on a machine, for what is left open below: one of Profiles; empty: none

	// The engine: one step gives each running sequence one token. See the package's formula.
	MaxRunning      int           // sequences in one batch; 0: 64
	MaxQueued       int           // as vLLM's --max-num-queued-reqs: running and waiting together, above it 503; 0: no bound
	StepBase        time.Duration // of each step; 0: 9ms
	StepPerSequence time.Duration // added for each running sequence; 0: 60µs
	PrefillPerToken time.Duration // added for each prompt token computed in the step; 0: 33µs (30 thousand tokens a second)
	KVTokens        int           // capacity of the KV cache in tokens, at least MaxModelLen; 0: 16 × MaxModelLen
	BlockTokens     int           // tokens in a block of it; 0: 16

	// MaxBatchedTokens bounds what a step computes, prompt and output tokens together, as vLLM's --max-num-batched-tokens:
	// a prompt that does not fit is read in several steps. At least MaxRunning; 0: no bound.
	MaxBatchedTokens int
	// Preempt lets a sequence join as soon as there is room for what it computes next, and puts back the latest when the
	// cache is full, which then computes everything anew: as vLLM and SGLang. False: it joins when there is room for all
	// that it may ever need, as in TGI.
	Preempt bool
	// PrefixCache lets prompts that begin alike share blocks, and keeps blocks of prompts until their room is needed.
	PrefixCache bool
	// Priority admits by the requests' priority, lower first, and then by arrival. False: by arrival.
	Priority bool

	// Fixed times: either one above 0 replaces the engine by one without queue, batch or bound.
	// The first token is due FirstToken after the request was read, and each further one PerToken later.
	FirstToken time.Duration
	PerToken   time.Duration

	// StampEvents adds to each event when it was due and when it was written, for every request.
	// A request asks for itself with "stamp_events": true.
	StampEvents bool

	// MeanOutputTokens, above 0, lets answers end by themselves after a geometrically distributed number of tokens with
	// this mean, unless the request says ignore_eos. 0: answers run to their cap.
	MeanOutputTokens float64

	// PerRequestMetrics puts vLLM's metrics object into answers, as --enable-per-request-metrics does.
	PerRequestMetrics bool

	Faults  []Fault  // what goes wrong from the start; POST /control/faults replaces them
	Changes []Change // what changes about the engine, and when; POST /control/engine adds to them
	// Compress is how much faster the times of Changes go than real ones, for tests: with 3600 an hour takes a second.
	// What steps and loads take is not compressed. 0: 1.
	Compress float64

	TruthRequests int // how many requests' truth is kept; 0: 4096

	// PlainTimers makes the engine wait with the runtime's timers alone: up to 1 ms late on a real clock, but exact inside
	// a testing/synctest bubble, which the precise wait would escape.
	PlainTimers bool

	Logger *slog.Logger // nil: silent
}

// fixed reports whether the answers' times are fixed.
func (o *Options) fixed() bool { return o.FirstToken > 0 || o.PerToken > 0 }

// complete fills in the defaults and says what is wrong with the rest.
func (o Options) complete() (Options, error) {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	if err := o.applyProfile(); err != nil {
		return o, err
	}
	if o.Dialect == "" {
		o.Dialect = "vllm"
	}
	if o.Model == "" {
		o.Model = "sim-8b"
	}
	if o.Tokenizer == "" {
		o.Tokenizer = "a"
	}
	def(&o.MaxModelLen, 32768)
	def(&o.MaxRunning, 64)
	def(&o.KVTokens, 16*o.MaxModelLen)
	def(&o.BlockTokens, 16)
	def(&o.TruthRequests, 4096)
	defTime(&o.StepBase, 9*time.Millisecond)
	defTime(&o.StepPerSequence, 60*time.Microsecond)
	defTime(&o.PrefillPerToken, 33*time.Microsecond)
	if o.Compress == 0 {
		o.Compress = 1
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}

	_, known := thoughts(o.ReasoningEffort)
	for _, c := range []struct {
		name string
		bad  bool
	}{
		{"MaxModelLen", o.MaxModelLen < 2},
		{"ReasoningEffort", !known},
		{"MaxRunning", o.MaxRunning < 0},
		{"MaxQueued", o.MaxQueued < 0},
		{"BlockTokens", o.BlockTokens < 0},
		{"MaxBatchedTokens", o.MaxBatchedTokens < 0},
		{"TruthRequests", o.TruthRequests < 0},
		{"StepBase", o.StepBase < 0},
		{"StepPerSequence", o.StepPerSequence < 0},
		{"PrefillPerToken", o.PrefillPerToken < 0},
		{"Compress", !(o.Compress > 0)},
		{"FirstToken", o.FirstToken < 0},
		{"PerToken", o.PerToken < 0},
		{"MeanOutputTokens", o.MeanOutputTokens != 0 && !(o.MeanOutputTokens >= 1)},
	} {
		if c.bad {
			return o, fmt.Errorf("simulator: option %s is out of range", c.name)
		}
	}
	if o.MaxBatchedTokens > 0 && o.MaxBatchedTokens < o.MaxRunning {
		return o, fmt.Errorf("simulator: option MaxBatchedTokens (%d) is below MaxRunning (%d): a full batch could not make a token each", o.MaxBatchedTokens, o.MaxRunning)
	}
	if o.KVTokens < o.MaxModelLen {
		return o, fmt.Errorf("simulator: option KVTokens (%d) is below MaxModelLen (%d): the longest request could never run", o.KVTokens, o.MaxModelLen)
	}
	o.KVTokens = (o.KVTokens + o.BlockTokens - 1) / o.BlockTokens * o.BlockTokens
	return o, nil
}
