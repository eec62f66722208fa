package config

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequestOptions(t *testing.T) {
	c, err := parseFile(t, "testdata/good/requests.yml")
	if err != nil {
		t.Fatal(err)
	}
	local, azure := c.Targets[0], c.Targets[1]
	fields := map[string]json.RawMessage{"flag": json.RawMessage("false"), "priority": json.RawMessage("10")}
	base := RequestOptions{MaxTokensField: "max_completion_tokens", ContinuousUsage: true, ReturnTokenIDs: true, Extra: fields}
	with := func(change func(*RequestOptions)) RequestOptions {
		o := base
		change(&o)
		return o
	}
	for _, tt := range []struct {
		name   string
		probe  string
		target *Target
		want   RequestOptions
	}{
		{"sampling", "sampling", local, with(func(o *RequestOptions) {
			o.Temperature, o.TopP, o.Seed = new(0.0), new(1.0), new(int64(-42))
			o.IgnoreEOS, o.MinTokens, o.CacheSalt, o.ReasoningEffort = true, 64, "007", "low"
		})},
		{"a target of another dialect", "sampling", azure, RequestOptions{
			Temperature: new(0.0), TopP: new(1.0), Seed: new(int64(-42)),
			IgnoreEOS: true, MinTokens: 64, CacheSalt: "007", ReasoningEffort: "low",
			MaxTokensField: "max_tokens", APIVersion: "2025-04-01-preview",
		}},
		{"tools", "tools", local, with(func(o *RequestOptions) {
			o.Tools = json.RawMessage(`[{"type":"function","function":{"name":"get_weather","description":"The weather of a city.",` +
				`"parameters":{"additionalProperties":false,"properties":{"city":{"type":"string"},"days":{"maximum":1e1,"minimum":1,"type":"integer"}},"required":["city"],"type":"object"},` +
				`"strict":true}},{"type":"function","function":{"name":"now"}}]`)
			o.ToolChoice = "get_weather"
		})},
		{"an object", "object", local, with(func(o *RequestOptions) { o.ResponseFormat = json.RawMessage(`{"type":"json_object"}`) })},
		{"a schema", "schema", local, with(func(o *RequestOptions) {
			o.ResponseFormat = json.RawMessage(`{"type":"json_schema","json_schema":{"name":"answer","description":"An answer.",` +
				`"schema":{"properties":{"text":{"type":"string"}},"type":"object"},"strict":false}}`)
		})},
		{"further fields", "body", local, with(func(o *RequestOptions) {
			o.Extra = map[string]json.RawMessage{
				"flag": json.RawMessage("false"), "priority": json.RawMessage("10"), // the target's
				"stop": json.RawMessage("null"), "max_tokens": json.RawMessage("null"),
				"integer": json.RawMessage("9007199254740993"), "number": json.RawMessage("-0.10"), "exponent": json.RawMessage("1E-3"),
				"text": json.RawMessage(`"1"`), "quoted_null": json.RawMessage(`"null"`), "quoted_bool": json.RawMessage(`"yes"`),
				"date": json.RawMessage(`"2024-10-21"`), "lines": json.RawMessage(`"first\nsecond\n"`),
				"empty":                json.RawMessage(`{"list":[],"mapping":{},"text":""}`),
				"nested":               json.RawMessage(`{"a":"ü","b":[1,{"a":2,"z":1}]}`),
				"key with: signs":      json.RawMessage(`{"1":"one"}`),
				"chat_template_kwargs": json.RawMessage(`{"enable_thinking":false}`),
			}
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.Probes[tt.probe].RequestOptions(tt.target)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("RequestOptions (-want +got):\n%s", diff)
			}
			if _, err := json.Marshal(got); err != nil { // an invalid RawMessage is an error
				t.Error(err)
			}
		})
	}
}

// The keys that protocols lack are keys.
func TestUnsentOptionsAreKeys(t *testing.T) {
	for _, protocol := range Protocols() {
		for _, key := range UnsentOptions(protocol) {
			if key != jsonObject && len(placesByKey()[key]) == 0 {
				t.Errorf("%s lacks %q, which is no key", protocol, key)
			}
		}
	}
}

func TestRegexp(t *testing.T) {
	if got := Regexp("").Compile(); got != nil {
		t.Errorf(`Regexp("").Compile() = %v; want nil`, got)
	}
	if got := Regexp("a+").Compile(); !got.MatchString("caat") || got.MatchString("ct") {
		t.Errorf(`Regexp("a+").Compile() = %v`, got)
	}
}

func TestThreshold(t *testing.T) {
	for text, want := range map[string]float64{"800ms": 0.8, "1m30s": 90, "20": 20, "0.25": 0.25} {
		var got Threshold
		if err := got.UnmarshalText([]byte(text)); err != nil || got.Value() != want || got.String() != text {
			t.Errorf("threshold %s is read as %v, worth %v, %v; want %v", text, got, got.Value(), err, want)
		}
		asJSON, err := json.Marshal(got)
		if err != nil || string(asJSON) != `"`+text+`"` && string(asJSON) != text {
			t.Errorf("json.Marshal(%s) = %s, %v", text, asJSON, err)
		}
	}
}
