package config

import "slices"

// protocol is a way of speaking to an endpoint.
type protocol struct {
	name  string
	path  string   // what requests add to a target's url
	ends  []string // a url that ends so has some of it already, which is a mistake; {model} stands for the target's model
	lacks []string // the options of probes and targets that it has no word for: they are not sent
}

// protocols is the table; the first one is the default.
func protocols() []protocol {
	const (
		completions = "/chat/completions"
		deployments = "/openai/deployments"
		generate    = "/generate"
		models      = "/models"
	)
	calling := []string{"tools", "tool_choice", "reasoning_effort"}
	engines := []string{"ignore_eos", "min_output_tokens", "cache_salt"}
	counting := []string{"max_tokens_field", "continuous_usage", "return_token_ids"}
	return []protocol{
		{"openai_chat", completions, []string{completions}, nil},
		{"openai_completions", "/completions", []string{"/completions"}, slices.Concat(calling, []string{"max_tokens_field"})},
		{"openai_responses", "/responses", []string{"/responses"}, slices.Concat([]string{"min_output_tokens"}, counting)},
		{"azure_openai", deployments + "/MODEL" + completions, []string{completions, deployments, deployments + "/{model}"}, nil},
		{"anthropic_messages", "/v1/messages", []string{"/messages"}, slices.Concat([]string{"seed", jsonObject}, engines, counting)},
		{"gemini", models + "/MODEL:generateContent", []string{":generateContent", ":streamGenerateContent", models, models + "/{model}"}, slices.Concat(engines, counting)},
		{"ollama_chat", "/api/chat", []string{"/api/chat"}, slices.Concat([]string{"tool_choice"}, engines, counting)},
		{"tgi_generate", generate + " or " + generate + "_stream", []string{generate, generate + "_stream"}, slices.Concat(calling, []string{jsonObject}, engines, counting)},
	}
}

// jsonObject is the option response_format with the type json_object.
const jsonObject = "response_format: json_object"

// Protocols lists the names that a target's protocol may have, the default first.
func Protocols() []string {
	var names []string
	for _, p := range protocols() {
		names = append(names, p.name)
	}
	return names
}

// UnsentOptions lists the keys of probes and targets that a protocol has no word for, so that they have no effect with it.
func UnsentOptions(protocol string) []string {
	for _, p := range protocols() {
		if p.name == protocol {
			return p.lacks
		}
	}
	return nil
}

// chats reports whether a protocol has conversations: messages in turn, not one text.
func chats(protocol string) bool {
	return protocol != "openai_completions" && protocol != "tgi_generate"
}
