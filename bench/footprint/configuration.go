package main

import (
	"fmt"
	"strings"
	"time"
)

// shape is a probe of the fleet.
type shape struct {
	name   string
	prompt string // tokens
	output int    // tokens; the simulator's answers have as many
	stream bool
}

// shapes are what people ask of a model, with answers of so many tokens: a chat, a question about documents, a job that is not
// streamed, code, and a label of 8 tokens at most.
func shapes(tokens int) []shape {
	return []shape{
		{"interactive", "20-60", tokens, true},
		{"rag", "4000", tokens, true},
		{"batch", "400", tokens, false},
		{"code", "1000", tokens, true},
		{"classify", "200", min(8, tokens), true},
	}
}

// mostShapes is how many there are.
const mostShapes = 5

// kase is one of the cases: what is configured, and what it may take.
type kase struct {
	name     string
	targets  int
	shapes   []shape
	engines  int
	interval time.Duration
	limits   limits
}

// limits are what a case may take at most; 0: any.
type limits struct {
	cpuShare      float64 // of one core
	rss           int64
	scrape, start float64 // seconds
}

// cases are idle and fleet.
func (s *settings) cases() []kase {
	return []kase{
		{"idle", 1, shapes(s.tokens)[:1], 0, s.idleInterval, limits{cpuShare: 0.003, rss: 40e6}},
		{"fleet", s.targets, shapes(s.tokens)[:s.probes], min(s.engines, s.targets), s.interval, limits{0.05, 150e6, 0.1, 2}},
	}
}

// target names the i-th of a case.
func (c *kase) target(i int) string {
	if c.targets == 1 {
		return "chat"
	}
	return fmt.Sprintf("chat-%03d", i)
}

// model is the simulator's.
const model = "sim"

// configuration is the file of a case, whose probes ask server at that interval and want at most so many tokens; 0: as many
// as the shape says.
func (c *kase) configuration(server string, interval time.Duration, output int) string {
	var b strings.Builder
	b.WriteString("global:\n  timeout: 60s\n  max_in_flight: 1000\n  labels: {vantage: eu-west}\nprobes:\n")
	for _, shape := range c.shapes {
		tokens := shape.output
		if output > 0 {
			tokens = min(tokens, output)
		}
		fmt.Fprintf(&b, "  %s: {prompt_tokens: %s, max_output_tokens: %d, stream: %t, interval: %s}\n", shape.name, shape.prompt, tokens, shape.stream, interval)
	}
	b.WriteString("targets:\n")
	for i := range c.targets {
		fmt.Fprintf(&b, "  - name: %s\n    url: %s/v1\n    model: %s\n    labels: {team: search}\n    probes: [", c.target(i), server, model)
		for j, shape := range c.shapes {
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString(shape.name)
		}
		b.WriteString("]\n")
		if i < c.engines {
			fmt.Fprintf(&b, "    engine: {metrics_url: %s/metrics}\n", server)
		}
	}
	b.WriteString("objectives:\n")
	for i := range c.targets {
		fmt.Fprintf(&b, "  - {name: %s_ttft, target: %s, probe: %s, indicator: ttft, threshold: 500ms, goal: 0.99}\n",
			strings.ReplaceAll(c.target(i), "-", "_"), c.target(i), c.shapes[0].name)
	}
	return b.String()
}
