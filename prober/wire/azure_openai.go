package wire

import (
	"net/url"
)

// DefaultAzureAPIVersion is the dated version of Azure's API that is asked for where none is given: the first generally
// available one that streams the usage.
const DefaultAzureAPIVersion = "2024-10-21"

// azureOpenAI is POST {base}/openai/deployments/{model}/chat/completions?api-version=...: OpenAI's chat under Azure's
// dated API, where the model is the name of a deployment and the key is in the header api-key. Azure's newer
// {base}/openai/v1 is plain openai_chat.
func azureOpenAI() *Protocol {
	return &Protocol{
		Name:    "azure_openai",
		Framing: SSE,
		Encode: func(base *url.URL, call *Call) (*Encoded, error) {
			if call.Model == "" {
				return nil, errNoModel
			}
			u := base.JoinPath("openai/deployments", url.PathEscape(call.Model), "chat/completions")
			query := u.Query()
			switch {
			case call.Options.APIVersion != "":
				query.Set("api-version", call.Options.APIVersion)
			case query.Get("api-version") == "":
				query.Set("api-version", DefaultAzureAPIVersion)
			}
			u.RawQuery = query.Encode()
			return encodeJSON(u, SSE, call, openAIChatBody(call))
		},
		NewDecoder: func() Decoder { return new(openAIDecoder) },
	}
}
