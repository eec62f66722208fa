package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const weatherTool = `[
	{"type":"function","function":{"name":"get_weather","description":"Tells the weather.","strict":true,
		"parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}},
	{"type":"function","function":{"name":"now"}}
]`

const weatherFormat = `{"type":"json_schema","json_schema":{"name":"weather","description":"The weather.","strict":true,
	"schema":{"type":"object","properties":{"celsius":{"type":"number"}}}}}`

// encodeCases are the calls whose encoding is kept for each protocol in testdata/encode/PROTOCOL.json:
// it shows which options are sent, and where.
func encodeCases() map[string]*Call {
	hello := []Message{{"user", "Hello"}}
	with := func(change func(c *Call)) *Call {
		c := &Call{Model: "m", Messages: hello, MaxOutputTokens: 16, Stream: true}
		change(c)
		return c
	}
	option := func(change func(o *Options)) *Call { return with(func(c *Call) { change(&c.Options) }) }
	return map[string]*Call{
		"stream":     with(func(c *Call) {}),
		"whole":      with(func(c *Call) { c.Stream = false }),
		"no cap":     with(func(c *Call) { c.MaxOutputTokens = 0 }),
		"no model":   with(func(c *Call) { c.Model = "" }),
		"long model": with(func(c *Call) { c.Model = "models/a b?" }),
		"conversation": with(func(c *Call) {
			c.Messages = []Message{{"system", "Be brief."}, {"user", "Hello"}, {"assistant", "Hi <you>"}, {"tool", "{}"}, {"system", "Be kind."}, {"user", "Bye\n"}}
		}),
		"everything": option(func(o *Options) {
			*o = Options{
				Temperature: new(0.5), TopP: new(0.9), Seed: new(int64(42)), IgnoreEOS: true, MinTokens: 8, CacheSalt: "salt",
				ReasoningEffort: "low", Tools: json.RawMessage(weatherTool), ToolChoice: "get_weather", ResponseFormat: json.RawMessage(weatherFormat),
				MaxTokensField: "max_completion_tokens", ContinuousUsage: true, ReturnTokenIDs: true, APIVersion: "2025-01-01-preview",
			}
		}),
		"temperature 0":        option(func(o *Options) { o.Temperature, o.TopP = new(0.0), new(1.0) }),
		"tool choice auto":     option(func(o *Options) { o.ToolChoice = "auto" }),
		"tool choice none":     option(func(o *Options) { o.ToolChoice = "none" }),
		"tool choice required": option(func(o *Options) { o.ToolChoice = "required" }),
		"format text":          option(func(o *Options) { o.ResponseFormat = json.RawMessage(`{"type":"text"}`) }),
		"format json":          option(func(o *Options) { o.ResponseFormat = json.RawMessage(`{"type":"json_object"}`) }),
		"no reasoning":         option(func(o *Options) { o.ReasoningEffort = "none" }),
		"most reasoning":       option(func(o *Options) { o.ReasoningEffort = "xhigh" }),
		"extra": option(func(o *Options) {
			o.Temperature, o.TopP = new(0.5), new(0.9)
			o.Extra = map[string]json.RawMessage{
				"temperature":      json.RawMessage(`0.75`),
				"top_p":            json.RawMessage(`null`),
				"stop":             json.RawMessage(`["x",null]`),
				"stream_options":   json.RawMessage(`{"include_obfuscation":false}`),
				"options":          json.RawMessage(`{"temperature":0.75,"top_p":null,"num_ctx":2048}`),
				"parameters":       json.RawMessage(`{"temperature":0.75,"top_p":null,"top_k":5}`),
				"generationConfig": json.RawMessage(`{"temperature":0.75,"topP":null,"thinkingConfig":{"thinkingBudget":128}}`),
			}
		}),
	}
}

func TestEncode(t *testing.T) {
	base, err := url.Parse("http://localhost:8000/v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range protocols() {
		t.Run(p.Name, func(t *testing.T) {
			var got bytes.Buffer
			cases := encodeCases()
			for i, name := range slices.Sorted(maps.Keys(cases)) {
				fmt.Fprintf(&got, "%c\n%q: {\n", "{,"[min(i, 1)], name)
				if e, err := p.Encode(base, cases[name]); err != nil {
					fmt.Fprintf(&got, "  \"error\": %q\n}", err)
				} else {
					header, err := json.Marshal(e.Header)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&got, "  \"url\": %q,\n  \"header\": %s,\n  \"body\": %s\n}", e.URL, header, e.Body)
				}
			}
			got.WriteString("\n}\n")
			if !json.Valid(got.Bytes()) {
				t.Errorf("not JSON:\n%s", &got)
			}
			golden := filepath.Join("testdata", "encode", p.Name+".json")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("requests differ (-want +got):\n%s", diff)
			}
			if base.String() != "http://localhost:8000/v1" {
				t.Errorf("the base URL was changed to %s", base)
			}
		})
	}
}

func TestEncodeURL(t *testing.T) {
	const key = "?key=k"
	tests := []struct {
		protocol, base, want string
		change               func(c *Call)
	}{
		{protocol: "openai_chat", base: "http://h/v1/", want: "http://h/v1/chat/completions"},
		{protocol: "openai_chat", base: "http://h", want: "http://h/chat/completions"},
		{protocol: "openai_chat", base: "http://h/a%2Fb/v1" + key, want: "http://h/a%2Fb/v1/chat/completions" + key},
		{protocol: "openai_completions", base: "http://h/v1", want: "http://h/v1/completions"},
		{protocol: "openai_responses", base: "http://h/v1", want: "http://h/v1/responses"},
		{protocol: "anthropic_messages", base: "https://api.anthropic.com", want: "https://api.anthropic.com/v1/messages"},
		{protocol: "anthropic_messages", base: "https://api.anthropic.com/", want: "https://api.anthropic.com/v1/messages"},
		{protocol: "anthropic_messages", base: "https://h/v1", want: "https://h/v1/messages"},
		{protocol: "anthropic_messages", base: "https://h/v1/", want: "https://h/v1/messages"},
		{protocol: "anthropic_messages", base: "https://h/proxy", want: "https://h/proxy/v1/messages"},
		{protocol: "anthropic_messages", base: "https://h/av1", want: "https://h/av1/v1/messages"},
		{protocol: "ollama_chat", base: "http://h:11434", want: "http://h:11434/api/chat"},
		{protocol: "tgi_generate", base: "http://h", want: "http://h/generate_stream"},
		{protocol: "tgi_generate", base: "http://h", want: "http://h/generate", change: func(c *Call) { c.Stream = false }},
		{protocol: "azure_openai", base: "https://x.openai.azure.com", want: "https://x.openai.azure.com/openai/deployments/m/chat/completions?api-version=" + DefaultAzureAPIVersion},
		{protocol: "azure_openai", base: "https://x?api-version=2025-04-01-preview", want: "https://x/openai/deployments/m/chat/completions?api-version=2025-04-01-preview"},
		{protocol: "azure_openai", base: "https://x?api-version=a", want: "https://x/openai/deployments/a%2Fb%20c/chat/completions?api-version=b",
			change: func(c *Call) { c.Model, c.Options.APIVersion = "a/b c", "b" }},
		{protocol: "gemini", base: "https://h/v1beta", want: "https://h/v1beta/models/m:streamGenerateContent?alt=sse"},
		{protocol: "gemini", base: "https://h/v1beta" + key, want: "https://h/v1beta/models/m:streamGenerateContent?alt=sse&key=k"},
		{protocol: "gemini", base: "https://h/v1beta", want: "https://h/v1beta/models/m:generateContent", change: func(c *Call) { c.Stream = false }},
		{protocol: "gemini", base: "https://h/v1beta", want: "https://h/v1beta/tunedModels/x:streamGenerateContent?alt=sse", change: func(c *Call) { c.Model = "tunedModels/x" }},
		{protocol: "gemini", base: "https://h/v1/projects/p/locations/l", want: "https://h/v1/projects/p/locations/l/publishers/google/models/x:streamGenerateContent?alt=sse",
			change: func(c *Call) { c.Model = "publishers/google/models/x" }},
	}
	for _, tt := range tests {
		p, err := Lookup(tt.protocol)
		if err != nil {
			t.Fatal(err)
		}
		base, err := url.Parse(tt.base)
		if err != nil {
			t.Fatal(err)
		}
		call := &Call{Model: "m", Messages: []Message{{"user", "x"}}, MaxOutputTokens: 1, Stream: true}
		if tt.change != nil {
			tt.change(call)
		}
		e, err := p.Encode(base, call)
		if err != nil {
			t.Errorf("%s: Encode(%s): %v", tt.protocol, tt.base, err)
			continue
		}
		if got := e.URL.String(); got != tt.want {
			t.Errorf("%s: Encode(%s) goes to %s; want %s", tt.protocol, tt.base, got, tt.want)
		}
	}
}

// TestEncodeMistakes keeps what a user is told of options that cannot be translated.
func TestEncodeMistakes(t *testing.T) {
	translate := []string{"openai_responses", "anthropic_messages", "gemini"}
	tests := []struct {
		name      string
		options   Options
		protocols []string // those that must refuse; the others pass the option on or have no word for it
		want      string
	}{
		{"tools are no array", Options{Tools: json.RawMessage(`{}`)}, translate, "read tools"},
		{"tools are not JSON", Options{Tools: json.RawMessage(`[`)}, Names(), ""},
		{"a tool of another shape", Options{Tools: json.RawMessage(`[{"type":"web_search"}]`)}, translate, "element 0 is not"},
		{"a tool without a name", Options{Tools: json.RawMessage(`[{"type":"function","function":{}}]`)}, translate, "put tools of the server's own shape into extra"},
		{"an unknown format", Options{ResponseFormat: json.RawMessage(`{"type":"xml"}`)}, append(translate, "ollama_chat", "tgi_generate"), "read response format: want type"},
		{"a format without schema", Options{ResponseFormat: json.RawMessage(`{"type":"json_schema"}`)}, append(translate, "ollama_chat", "tgi_generate"), "with a schema"},
		{"extra is not JSON", Options{Extra: map[string]json.RawMessage{"x": json.RawMessage(`{`)}}, Names(), "encode request"},
	}
	base := &url.URL{Scheme: "http", Host: "h"}
	for _, tt := range tests {
		for _, p := range protocols() {
			_, err := p.Encode(base, &Call{Model: "m", MaxOutputTokens: 1, Options: tt.options})
			switch {
			case tt.name == "tools are not JSON" && (p.Name == "tgi_generate" || p.Name == "openai_completions"):
				if err != nil {
					t.Errorf("%s: %s: Encode() = %v; it has no tools", tt.name, p.Name, err)
				}
			case !slices.Contains(tt.protocols, p.Name):
				if err != nil {
					t.Errorf("%s: %s: Encode() = %v; want no error", tt.name, p.Name, err)
				}
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("%s: %s: Encode() = %v; want an error with %q", tt.name, p.Name, err, tt.want)
			}
		}
	}
}
