package wire

import "net/url"

// openAIChat is POST {base}/chat/completions as OpenAI defined it and as vLLM, SGLang, TGI, llama.cpp, Ollama,
// LMDeploy, TensorRT-LLM and most hosted services speak it.
func openAIChat() *Protocol {
	return &Protocol{
		Name:    "openai_chat",
		Framing: SSE,
		Encode: func(base *url.URL, call *Call) (*Encoded, error) {
			return encodeJSON(base.JoinPath("chat/completions"), SSE, call, openAIChatBody(call))
		},
		NewDecoder: func() Decoder { return new(openAIDecoder) },
	}
}

func openAIChatBody(call *Call) map[string]any {
	o := &call.Options
	body := openAIBody(call)
	body["messages"] = call.Messages
	field := o.MaxTokensField
	if field == "" {
		field = "max_tokens"
	}
	put(body, field, call.MaxOutputTokens)
	put(body, "reasoning_effort", o.ReasoningEffort)
	if o.Tools != nil {
		body["tools"] = o.Tools
	}
	switch o.ToolChoice {
	case "":
	case "auto", "none", "required":
		body["tool_choice"] = o.ToolChoice
	default:
		body["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": o.ToolChoice}}
	}
	return body
}

// openAIBody is what the chat and the text completion of the OpenAI family have in common.
func openAIBody(call *Call) map[string]any {
	o := &call.Options
	body := map[string]any{"stream": call.Stream}
	put(body, "model", call.Model)
	if call.Stream {
		usage := map[string]any{"include_usage": true}
		put(usage, "continuous_usage_stats", o.ContinuousUsage)
		body["stream_options"] = usage
	}
	put(body, "temperature", o.Temperature)
	put(body, "top_p", o.TopP)
	put(body, "seed", o.Seed)
	put(body, "ignore_eos", o.IgnoreEOS)
	put(body, "min_tokens", o.MinTokens)
	put(body, "cache_salt", o.CacheSalt)
	put(body, "return_token_ids", o.ReturnTokenIDs)
	if o.ResponseFormat != nil {
		body["response_format"] = o.ResponseFormat
	}
	return body
}
