package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"testing"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/wire"
)

// TestUnsentOptionsAgree keeps what config warns of what wire does: an option is sent, or it is listed as one that is not.
func TestUnsentOptionsAgree(t *testing.T) {
	options := map[string]wire.Options{
		"temperature":                  {Temperature: new(0.5)},
		"top_p":                        {TopP: new(0.5)},
		"seed":                         {Seed: new(int64(7))},
		"ignore_eos":                   {IgnoreEOS: true},
		"min_output_tokens":            {MinTokens: 5},
		"cache_salt":                   {CacheSalt: "s"},
		"reasoning_effort":             {ReasoningEffort: "low"},
		"tools":                        {Tools: json.RawMessage(`[{"type":"function","function":{"name":"f"}}]`)},
		"tool_choice":                  {ToolChoice: "auto"},
		"response_format: json_object": {ResponseFormat: json.RawMessage(`{"type":"json_object"}`)},
		"response_format: json_schema": {ResponseFormat: json.RawMessage(`{"type":"json_schema","json_schema":{"name":"a","schema":{}}}`)},
		"max_tokens_field":             {MaxTokensField: "max_completion_tokens"},
		"continuous_usage":             {ContinuousUsage: true},
		"return_token_ids":             {ReturnTokenIDs: true},
		"extra_body":                   {Extra: map[string]json.RawMessage{"a": json.RawMessage("1")}},
	}
	base := &url.URL{Scheme: "http", Host: "h"}
	for _, name := range wire.Names() {
		p, err := wire.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		encode := func(o wire.Options) []byte {
			e, err := p.Encode(base, &wire.Call{
				Model: "m", Messages: []wire.Message{{Role: "user", Content: "x"}}, MaxOutputTokens: 9, Stream: true, Options: o,
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return e.Body
		}
		plain := encode(wire.Options{})
		for key, o := range options {
			sent, listed := !bytes.Equal(encode(o), plain), slices.Contains(config.UnsentOptions(name), key)
			if sent == listed {
				t.Errorf("%s: %s is sent: %v; config lists it as unsent: %v", name, key, sent, listed)
			}
		}
	}
}
