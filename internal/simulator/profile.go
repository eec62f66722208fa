package simulator

import (
	"fmt"
	"strings"
	"time"
)

// Profile is a set of constants for one model on one kind of machine. They are plausible, not measured. The arithmetic
// behind them, at half of the arithmetic peak and at the whole of the memory's bandwidth, is
//
//	step          weights / bandwidth, and a little for the launch of kernels and, on several GPUs, for what they tell each other
//	each sequence its keys and values, of 1000 tokens of context, / bandwidth, and its share of sampling and scheduling
//	prompt token  2 × parameters / (peak / 2)
//	cache         (90 % of the memory - weights - 2 GB of each GPU) / size of a token's keys and values
type Profile struct {
	Name      string
	Describes string

	Model            string
	MaxModelLen      int
	MaxRunning       int
	MaxBatchedTokens int
	KVTokens         int
	StepBase         time.Duration
	StepPerSequence  time.Duration
	PrefillPerToken  time.Duration
}

// Profiles lists the profiles that Options.Profile may name.
func Profiles() []Profile {
	const us = time.Microsecond
	return []Profile{
		// 16 GB of weights, 3.35 TB/s, 990 TFLOP/s, 128 KiB a token.
		{"h100-8b", "an 8B model in 16 bits on one H100 with 80 GB", "llama-3.1-8b", 32768, 256, 8192, 400_000, 6500 * us, 50 * us, 32 * us},
		// 2.04 TB/s, 312 TFLOP/s.
		{"a100-8b", "an 8B model in 16 bits on one A100 with 80 GB", "llama-3.1-8b", 32768, 256, 8192, 400_000, 10 * time.Millisecond, 80 * us, 103 * us},
		// 0.3 TB/s, 121 TFLOP/s, 24 GB: a cache so small that sequences are put back.
		{"l4-8b", "an 8B model in 16 bits on one L4 with 24 GB", "llama-3.1-8b", 8192, 64, 2048, 26_000, 56 * time.Millisecond, 480 * us, 264 * us},
		// 140 GB of weights in 4 parts, 320 KiB a token.
		{"4xh100-70b", "a 70B model in 16 bits on four H100 with 80 GB, in tensor parallel", "llama-3.1-70b", 32768, 256, 8192, 420_000, 15 * time.Millisecond, 60 * us, 71 * us},
	}
}

// applyProfile fills in what the options leave open from the profile that they name. A profile is of an engine as vLLM runs it:
// it puts sequences back when the cache is full, and keeps prompts in it.
func (o *Options) applyProfile() error {
	if o.Profile == "" {
		return nil
	}
	var names []string
	for _, p := range Profiles() {
		names = append(names, p.Name)
		if p.Name != o.Profile {
			continue
		}
		if o.Model == "" {
			o.Model = p.Model
		}
		for _, x := range []struct {
			to *int
			v  int
		}{{&o.MaxModelLen, p.MaxModelLen}, {&o.MaxRunning, p.MaxRunning}, {&o.MaxBatchedTokens, p.MaxBatchedTokens}, {&o.KVTokens, p.KVTokens}} {
			if *x.to == 0 {
				*x.to = x.v
			}
		}
		for _, x := range []struct {
			to *time.Duration
			v  time.Duration
		}{{&o.StepBase, p.StepBase}, {&o.StepPerSequence, p.StepPerSequence}, {&o.PrefillPerToken, p.PrefillPerToken}} {
			if *x.to == 0 {
				*x.to = x.v
			}
		}
		o.Preempt, o.PrefixCache = true, true
		return nil
	}
	return fmt.Errorf("simulator: unknown profile %q: choose of %s", o.Profile, strings.Join(names, ", "))
}
