package wire

import "net/url"

// openAICompletions is POST {base}/completions: a prompt is continued, no chat template is applied.
// OpenAI keeps it for old models; vLLM, SGLang, TGI, llama.cpp, Ollama and TensorRT-LLM speak it.
func openAICompletions() *Protocol {
	return &Protocol{
		Name:    "openai_completions",
		Framing: SSE,
		Encode: func(base *url.URL, call *Call) (*Encoded, error) {
			body := openAIBody(call)
			body["prompt"] = call.text()
			put(body, "max_tokens", call.MaxOutputTokens) // the newer name is the chat's alone
			return encodeJSON(base.JoinPath("completions"), SSE, call, body)
		},
		NewDecoder: func() Decoder { return new(openAIDecoder) },
	}
}
