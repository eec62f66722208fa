package ask

import (
	"encoding/json"

	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// purpose is what a probe's prompts ask for, so that the model does what the request's options are there for, and the name of
// the function that it is to call.
func purpose(o *wire.Options) (_ workload.Purpose, tool string) {
	var tools []struct{ Function struct{ Name string } }
	var format struct{ Type string }
	// What is no JSON here does not become a request either: encoding it fails.
	_ = json.Unmarshal(o.Tools, &tools)
	_ = json.Unmarshal(o.ResponseFormat, &format)
	switch {
	case len(tools) > 0 && o.ToolChoice != "none":
		for _, t := range tools {
			if t.Function.Name == o.ToolChoice {
				return workload.ToolCall, o.ToolChoice
			}
		}
		return workload.ToolCall, tools[0].Function.Name
	case format.Type != "" && format.Type != "text":
		return workload.JSON, ""
	case o.ReasoningEffort != "" && o.ReasoningEffort != "none":
		return workload.Reasoning, ""
	}
	return workload.Plain, ""
}
