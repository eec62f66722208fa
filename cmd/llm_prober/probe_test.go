package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestProbeTellsPromptTokens(t *testing.T) {
	for _, test := range []struct {
		name       string
		usage      wire.Usage
		text, json string
	}{
		{"told", wire.Usage{Known: true, PromptTokens: 53, OutputTokens: 2}, "  prompt 53  output 2 (usage)", `"prompt_tokens":53,"cached_prompt_tokens":0`},
		{"nothing told", wire.Usage{}, "  prompt unknown  output 2 (usage)", `"prompt_tokens":null,"cached_prompt_tokens":null`},
		{"the answer's alone", wire.Usage{Known: true, OutputTokens: 2}, "  prompt unknown  output 2 (usage)", `"prompt_tokens":null,"cached_prompt_tokens":null`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &prober.Result{Request: &prober.Request{ID: "id"}, Outcome: prober.OK, Usage: test.usage, OutputTokens: 2, OutputSource: "usage"}
			var text, lines bytes.Buffer
			if err := (textReport{&text}).request(1, r); err != nil || !strings.Contains(text.String(), test.text) {
				t.Errorf("text = %q, %v; want %q", text.String(), err, test.text)
			}
			if err := (jsonReport{json.NewEncoder(&lines)}).request(1, r); err != nil || !strings.Contains(lines.String(), test.json) {
				t.Errorf("json = %q, %v; want %q", lines.String(), err, test.json)
			}
		})
	}
}
