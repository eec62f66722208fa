package ask

import (
	"encoding/json"
	"testing"

	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

func TestPurpose(t *testing.T) {
	tools := json.RawMessage(`[{"type":"function","function":{"name":"look_up"}},{"type":"function","function":{"name":"send"}}]`)
	object := json.RawMessage(`{"type":"json_object"}`)
	for _, test := range []struct {
		name    string
		options wire.Options
		want    workload.Purpose
		tool    string
	}{
		{"nothing", wire.Options{}, workload.Plain, ""},
		{"tools", wire.Options{Tools: tools}, workload.ToolCall, "look_up"},
		{"a tool by name", wire.Options{Tools: tools, ToolChoice: "send"}, workload.ToolCall, "send"},
		{"any tool", wire.Options{Tools: tools, ToolChoice: "required"}, workload.ToolCall, "look_up"},
		{"no tool", wire.Options{Tools: tools, ToolChoice: "none"}, workload.Plain, ""},
		{"no tool, but JSON", wire.Options{Tools: tools, ToolChoice: "none", ResponseFormat: object}, workload.JSON, ""},
		{"tools before JSON", wire.Options{Tools: tools, ResponseFormat: object}, workload.ToolCall, "look_up"},
		{"text", wire.Options{ResponseFormat: json.RawMessage(`{"type":"text"}`)}, workload.Plain, ""},
		{"reasoning", wire.Options{ReasoningEffort: "low"}, workload.Reasoning, ""},
		{"no reasoning", wire.Options{ReasoningEffort: "none"}, workload.Plain, ""},
		{"no JSON", wire.Options{Tools: json.RawMessage(`{`), ResponseFormat: json.RawMessage(`[`)}, workload.Plain, ""},
	} {
		if got, tool := purpose(&test.options); got != test.want || tool != test.tool {
			t.Errorf("%s: purpose() = %q, %q; want %q, %q", test.name, got, tool, test.want, test.tool)
		}
	}
}
