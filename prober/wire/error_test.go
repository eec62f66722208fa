package wire

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestErrorFrom(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   ServerError
	}{
		{"OpenAI", 400, `{"error":{"message":"too long","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}`,
			ServerError{Message: "too long", Type: "invalid_request_error", Code: 400}},
		{"a word as code is the class where there is no type", 400, `{"error":{"message":"m","code":"context_length_exceeded"}}`,
			ServerError{Message: "m", Type: "context_length_exceeded", Code: 400}},
		{"digits as code are the status", 0, `{"error":{"message":"m","code":"429"}}`, ServerError{Message: "m", Code: 429}},
		{"a null type does not hide a status", 0, `{"error":{"message":"m","status":503,"type":null}}`,
			ServerError{Message: "m", Code: 503, Overloaded: true}},
		{"a number does not hide the class", 0, `{"error":{"message":"m","type":"x","status":500}}`, ServerError{Message: "m", Type: "x", Code: 500}},
		{"vLLM", 400, `{"error":{"message":"m","type":"BadRequestError","param":null,"code":400}}`,
			ServerError{Message: "m", Type: "BadRequestError", Code: 400}},
		{"llama.cpp is loading", 503, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`,
			ServerError{Message: "Loading model", Type: "unavailable_error", Code: 503, Overloaded: true}},
		{"TGI is overloaded", 429, `{"error":"Model is overloaded","error_type":"overloaded"}`,
			ServerError{Message: "Model is overloaded", Type: "overloaded", Code: 429, Overloaded: true}},
		{"Ollama", 503, `{"error":"server busy, please try again.  maximum pending requests exceeded"}`,
			ServerError{Message: "server busy, please try again.  maximum pending requests exceeded", Code: 503, Overloaded: true}},
		{"Anthropic", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
			ServerError{Message: "Overloaded", Type: "overloaded_error", Code: 529, Overloaded: true}},
		{"Gemini", 503, `{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`,
			ServerError{Message: "The model is overloaded.", Type: "UNAVAILABLE", Code: 503, Overloaded: true}},
		{"Gemini, as an array", 429, "[{\n  \"error\": {\"code\": 429, \"message\": \"quota\", \"status\": \"RESOURCE_EXHAUSTED\"}\n}\n]",
			ServerError{Message: "quota", Type: "RESOURCE_EXHAUSTED", Code: 429}},
		{"FastAPI", 422, `{"detail":[{"loc":["body"],"msg":"field required"}]}`,
			ServerError{Message: `[{"loc":["body"],"msg":"field required"}]`, Code: 422}},
		{"Mistral", 422, `{"object":"error","message":{"detail":"x"},"type":"invalid_request_error"}`,
			ServerError{Message: `{"detail":"x"}`, Type: "invalid_request_error", Code: 422}},
		{"what stands beside the error is added", 400, `{"timestamp":"t","status":400,"error":"Bad Request","message":"the prompt is too long"}`,
			ServerError{Message: "Bad Request: the prompt is too long", Code: 400}},
		{"the same words are not said twice", 400, `{"error":"no","message":"no"}`, ServerError{Message: "no", Code: 400}},
		{"an error without any known word", 500, `{"error":{"reason":"x"}}`, ServerError{Message: `{"reason":"x"}`, Code: 500}},
		{"an error that is only a type", 500, `{"error":{"type":"x"}}`, ServerError{Message: `{"type":"x"}`, Type: "x", Code: 500}},
		{"an error within an error", 500, `{"error":{"error":{"message":"inner"}}}`, ServerError{Message: "inner", Code: 500}},
		{"true is an error", 500, `{"error":true,"message":"m"}`, ServerError{Message: "true: m", Code: 500}},
		{"an empty error is none", 500, `{"error":{},"message":"m"}`, ServerError{Message: "m", Code: 500}},
		{"escapes", 400, `{"error":"caf\u00e9 \ud83d\ude00\n"}`, ServerError{Message: "café 😀", Code: 400}},
		{"the body's status counts where there is none", 0, `{"error":{"message":"m","code":429}}`, ServerError{Message: "m", Code: 429}},
		{"the body's overload counts whatever the status", 500, `{"error":{"message":"m","code":503}}`,
			ServerError{Message: "m", Code: 500, Overloaded: true}},
		{"the class stands for a status", 0, `{"error":{"message":"m","type":"rate_limit_error"}}`,
			ServerError{Message: "m", Type: "rate_limit_error", Code: 429}},
		{"the code stands for a status beside another class", 0, `{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}`,
			ServerError{Message: "m", Type: "tokens", Code: 429}},
		{"plain text", 502, "  bad gateway\n", ServerError{Message: "bad gateway", Code: 502}},
		{"broken JSON", 500, `{"error":"x"`, ServerError{Message: `{"error":"x"`, Code: 500}},
		{"JSON of another shape", 500, `{"a":1}`, ServerError{Message: `{"a":1}`, Code: 500}},
		{"an empty array", 500, `[]`, ServerError{Message: `[]`, Code: 500}},
		{"nothing", 503, "", ServerError{Code: 503, Overloaded: true}},
		{"invalid UTF-8 in text", 500, "a\xffb", ServerError{Message: "a\uFFFDb", Code: 500}},
		{"invalid UTF-8 in JSON", 500, "{\"error\":\"a\xffb\"}", ServerError{Message: "a\uFFFDb", Code: 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(&tt.want, ErrorFrom(tt.status, []byte(tt.body))); diff != "" {
				t.Errorf("ErrorFrom(%d, %s) (-want +got):\n%s", tt.status, tt.body, diff)
			}
		})
	}
}

// TestErrorTextIsBounded holds what may come from a foreign server to a size that logs and labels can bear.
func TestErrorTextIsBounded(t *testing.T) {
	long := strings.Repeat("ö", maxErrorText)
	for name, body := range map[string]string{
		"text":  long,
		"JSON":  `{"error":{"message":"` + long + `","type":"` + long + `"}}`,
		"both":  `{"error":"` + long + `","message":"` + long + `x"}`,
		"bytes": strings.Repeat("\xffa", maxErrorText/2), // each bad one grows to three
		"other": `{"error":{"x":"` + long + `"}}`,
	} {
		e := ErrorFrom(500, []byte(body))
		if len(e.Message) > maxErrorText+3 || strings.Count(e.Message, "...") != 1 || !utf8.ValidString(e.Message) {
			t.Errorf("%s: message has %d bytes, ends in %q; want at most %d and one ellipsis",
				name, len(e.Message), e.Message[len(e.Message)-8:], maxErrorText+3)
		}
		if len(e.Type) > maxErrorText/10+3 || !utf8.ValidString(e.Type) {
			t.Errorf("%s: class has %d bytes; want at most %d", name, len(e.Type), maxErrorText/10+3)
		}
	}
}
