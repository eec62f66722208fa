package web

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/wire"
)

// curl is a command that asks a question as the prober did, with placeholders where the secrets were. It ends in no line break.
func curl(e Endpoint, call *wire.Call) (string, error) {
	protocol, err := wire.Lookup(e.Protocol)
	if err != nil {
		return "", err
	}
	base, err := url.Parse(e.URL)
	if err != nil {
		return "", fmt.Errorf("the target's URL cannot be read") // its text could hold a secret
	}
	encoded, err := protocol.Encode(base, call)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("curl -sS")
	if call.Stream {
		b.WriteString(" -N")
	}
	b.WriteString(" " + quoted(withoutSecrets(encoded.URL)))
	sent := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(encoded.Header)) {
		for _, value := range encoded.Header[name] {
			b.WriteString(" \\\n  -H " + quoted(name+": "+value))
		}
		sent[strings.ToLower(name)] = true
	}
	for _, secret := range secretHeaders(&e) {
		if name, _, _ := strings.Cut(secret, ":"); !sent[strings.ToLower(name)] {
			b.WriteString(" \\\n  -H \"" + secret + `"`)
		}
	}
	b.WriteString(" \\\n  -d " + quoted(printable.Escape(string(encoded.Body))))
	return b.String(), nil
}

// secretHeaders are the headers with a credential in them, with placeholders for the shell.
func secretHeaders(e *Endpoint) []string {
	var headers []string
	for _, name := range e.Headers {
		switch {
		case name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
			// no name of a header, so none that the shell may see
		case strings.EqualFold(name, "Authorization"):
			headers = append(headers, "Authorization: Bearer $API_KEY")
		default:
			headers = append(headers, name+": $"+strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(name), "x-"), "-", "_")))
		}
	}
	if len(headers) == 0 {
		switch e.Protocol {
		case "anthropic_messages":
			headers = append(headers, "X-Api-Key: $API_KEY")
		case "azure_openai":
			headers = append(headers, "Api-Key: $API_KEY")
		case "gemini":
			headers = append(headers, "X-Goog-Api-Key: $API_KEY")
		default:
			headers = append(headers, "Authorization: Bearer $API_KEY")
		}
	}
	return headers
}

// withoutSecrets is an address without credentials in it. In its query the values stay that are known to be none.
func withoutSecrets(u *url.URL) string {
	shown := *u
	shown.User = nil
	query := shown.Query()
	for name := range query {
		if name != "api-version" && name != "alt" && name != "version" {
			query[name] = []string{"API_KEY"}
		}
	}
	shown.RawQuery = query.Encode()
	return shown.String()
}

// quoted is one word for a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
