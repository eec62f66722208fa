package prober

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/llmprober/llm_prober/prober/redaction"
)

// redact takes out of a result what is secret of the request, and returns what took it out: servers echo requests in their
// errors and headers, and these go into logs, onto pages and into records. more are further secrets, asked for where there
// is an error.
func (r *Result) redact(sent http.Header, more func() []string) redaction.Secrets {
	secrets := secretsOf(sent)
	if r.Err != nil {
		secrets = append(secrets, more()...)
		if r.Request.Private {
			for _, m := range r.Request.Call.Messages {
				secrets = append(secrets, m.Content)
			}
		}
	}
	hidden := redaction.Of(secrets...)
	if mismatch, ok := errors.AsType[*MismatchError](r.Err); ok {
		mismatch.Answer = hidden.Text(mismatch.Answer)
	}
	r.Err, r.FinishReason = hidden.Error(r.Err), hidden.Text(r.FinishReason)
	for _, values := range r.Header {
		for i := range values {
			values[i] = hidden.Text(values[i])
		}
	}
	return hidden
}

// secretsOf are the values of the headers that may hold a credential, each as a whole and each word of it: Bearer and its
// like are said by everybody, but the rest may be echoed without them.
func secretsOf(sent http.Header) []string {
	var secrets []string
	for name, values := range sent {
		if harmless(name) {
			continue
		}
		for _, value := range values {
			secrets = append(secrets, value)
			words := strings.Fields(value)
			if len(words) < 2 {
				continue
			}
			if name == "Authorization" {
				words = words[1:]
			}
			for _, w := range words {
				if len(w) >= leastWord {
					secrets = append(secrets, w)
				}
			}
			if user, err := base64.StdEncoding.DecodeString(words[0]); err == nil && strings.EqualFold(strings.Fields(value)[0], "Basic") {
				_, password, _ := strings.Cut(string(user), ":")
				secrets = append(secrets, string(user), password)
			}
		}
	}
	return secrets
}

// leastWord is the length below which a word of a header is taken for one that everybody says.
const leastWord = 8

// harmless names the headers that hold nothing to hide; everything else may be a credential.
func harmless(name string) bool {
	switch name {
	case "Accept", "Content-Type", "User-Agent", "X-Request-Id", "Traceparent", "Content-Length", "Host", "Anthropic-Version":
		return true
	}
	return false
}
