package main

import (
	"encoding/json"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/wire"
)

// dialect is one way in which a server tells of its queue.
type dialect struct {
	name     string
	protocol string // how it is asked
	path     string // of its base URL
	stream   bool
	source   queuewait.Source
	row      string // of the report; that of the source where there is one dialect of it

	// question is the i-th question's further fields; nil: none. What is asked so has a row of its own.
	question func(i int) map[string]json.RawMessage
}

func dialects() []dialect {
	return []dialect{
		{name: "vllm", protocol: "openai_chat", path: "/v1", stream: true, source: queuewait.Body, row: bodyRow},
		{name: "tgi", protocol: "openai_chat", path: "/v1", source: queuewait.Header, row: headerRow},
		{name: "llamacpp", protocol: "openai_chat", path: "/v1", stream: true, source: queuewait.Derived, row: derivedRow, question: everySecondProgress},
		{name: "ollama", protocol: "ollama_chat", path: "", stream: true, source: queuewait.Derived, row: ollamaRow},
	}
}

func lookup(name string) (dialect, bool) {
	for _, d := range dialects() {
		if d.name == name {
			return d, true
		}
	}
	return dialect{}, false
}

// everySecondProgress asks llama.cpp for its progress every other time, so that both ways to derive the wait are measured.
func everySecondProgress(i int) map[string]json.RawMessage {
	if i%2 == 0 {
		return nil
	}
	return map[string]json.RawMessage{"return_progress": json.RawMessage("true")}
}

// The model and the machine: small enough that a queue builds up at few requests a second, so that neither the load nor
// the counting of it disturbs what is measured.
const model = "sim-8b"

// options are the server's.
func (d dialect) options() simulator.Options {
	return simulator.Options{
		Dialect: d.name, Model: model, MaxModelLen: 8192, MaxRunning: 16,
		StepBase: 9 * time.Millisecond, StepPerSequence: 60 * time.Microsecond, PrefillPerToken: 33 * time.Microsecond,
		PerRequestMetrics: true, TruthRequests: 1 << 15,
	}
}

// call is the i-th question.
func (d dialect) call(i int, messages []wire.Message, output int, stream bool) wire.Call {
	c := wire.Call{
		Model: model, Messages: messages, MaxOutputTokens: output, Stream: stream,
		Options: wire.Options{IgnoreEOS: true},
	}
	if d.question != nil && stream {
		c.Options.Extra = d.question(i)
	}
	return c
}
