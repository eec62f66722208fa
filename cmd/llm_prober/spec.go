package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
	"github.com/llmprober/llm_prober/prober/schedule"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// spec is what the configuration says of a probe of a target. recorded is the probe's own prompts, or nil.
func spec(tc *config.Target, name string, pc *config.Probe, recorded *workload.Recorded, sink prober.Sink) (ask.Spec, error) {
	s := ask.Spec{
		Name: name, Recorded: recorded, Sink: sink, Turns: pc.Turns, Reuse: pc.Connection == config.ConnectionReuse,
		Shape: workload.Shape{
			PromptTokens: workload.Range(pc.PromptTokens), SharedPrefixTokens: pc.SharedPrefixTokens, Instruction: pc.Instruction,
		},
		Call: wire.Call{
			Model: tc.Model, MaxOutputTokens: pc.MaxOutputTokens, Stream: *pc.Stream, Options: wire.Options(pc.RequestOptions(tc)),
		},
		Limits: prober.Limits{
			Connect: time.Duration(pc.ConnectTimeout), FirstToken: time.Duration(pc.FirstTokenTimeout),
			Idle: time.Duration(pc.IdleTimeout), Total: time.Duration(pc.Timeout),
		},
		Checks: prober.Checks{
			Contains: pc.Expect.Contains, Regexp: pc.Expect.Regexp.Compile(), JSON: pc.Expect.JSON, ToolCalled: pc.Expect.ToolCalled,
		},
	}
	if b := pc.Burst; b != nil {
		s.Burst = ask.Burst{Size: b.Size, AfterIdle: time.Duration(b.AfterIdle)}
	}
	if r := pc.Retry; r != nil {
		var words []string
		for _, on := range r.On {
			if status := on.Status(); status != 0 {
				words = append(words, strconv.Itoa(status))
			} else {
				words = append(words, string(on))
			}
		}
		on, err := ask.ParseFailures(words...)
		if err != nil {
			return s, fmt.Errorf("retry: %w", err)
		}
		s.Retry = ask.Retry{Attempts: r.Attempts, On: on, Backoff: time.Duration(r.Backoff), MaxBackoff: time.Duration(r.MaxBackoff)}
	}
	return s, nil
}

// recordings are the prompt files of a configuration, each read once.
type recordings map[string]*workload.Recorded

// of returns the prompts of a probe; nil where they are generated.
func (r recordings) of(pc *config.Probe) (*workload.Recorded, error) {
	if pc.Prompts == nil {
		return nil, nil
	}
	key := fmt.Sprintf("%v %s", pc.Prompts.SkipBadLines, pc.Prompts.File)
	if r[key] == nil {
		recorded, err := workload.LoadRecorded(pc.Prompts.File, workload.RecordedOptions{SkipBad: pc.Prompts.SkipBadLines})
		if err != nil {
			return nil, fmt.Errorf("prompts: %w", err)
		}
		r[key] = recorded
	}
	return r[key], nil
}

// cost is what an asking spent, for budgets: with a price by the token in money, too.
func cost(s ask.Spent, price *collector.TokenPrice) schedule.Cost {
	c := schedule.Cost{Requests: s.Requests, OutputTokens: s.OutputTokens}
	switch {
	case price == nil:
	case s.PromptTokens < 0 || s.OutputTokens < 0:
		c.Money = -1
	default:
		c.Money = price.Of(s.PromptTokens, s.CachedPromptTokens, s.OutputTokens)
	}
	return c
}
