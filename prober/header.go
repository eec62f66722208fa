package prober

import (
	"net/http"
	"strings"
)

// maxHeaderText bounds what is kept of one header.
const maxHeaderText = 256

// keepHeaders copies what of a response's header is of interest later: where the server says its time went, which
// request it takes this for, and what it still allows. Everything else is let go, cookies first of all.
// It is nil where there is none of it.
func keepHeaders(h http.Header) http.Header {
	var kept http.Header
	for name, values := range h {
		if len(values) == 0 || !interesting(name) {
			continue
		}
		if kept == nil {
			kept = http.Header{}
		}
		value := values[0]
		if len(value) > maxHeaderText {
			value = strings.ToValidUTF8(value[:maxHeaderText], "")
		}
		kept[name] = []string{value}
	}
	return kept
}

// interesting takes a name in canonical form.
func interesting(name string) bool {
	switch name {
	case "X-Request-Id", "Request-Id", "Apim-Request-Id", "X-Generation-Id", "Cf-Ray", "Server", "Server-Timing",
		"Retry-After", "Retry-After-Ms", "Openai-Processing-Ms", "X-Envoy-Upstream-Service-Time",
		"X-Queue-Time", "X-Inference-Time", "X-Validation-Time", "X-Total-Time", "X-Time-Per-Token": // TGI
		return true
	}
	for _, prefix := range []string{"Fireworks-", "X-Ratelimit-", "Anthropic-Ratelimit-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
