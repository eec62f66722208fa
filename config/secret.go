package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// secretToken stands for a secret wherever one would be printed. It is what Prometheus prints, too.
const secretToken = "<secret>"

// Secret is a string that is never printed: every format verb, YAML and JSON show <secret> in its place.
// Convert it to string to use it. ${NAME} in it was replaced by the environment variable NAME when the file was loaded.
type Secret string

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.shown()) }

// MarshalYAML hides the secret.
func (s Secret) MarshalYAML() (any, error) { return s.shown(), nil }

// MarshalJSON hides the secret.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.shown()) }

func (s Secret) shown() string {
	if s == "" {
		return ""
	}
	return secretToken
}

// reference matches what may follow a "${".
var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces each ${NAME} in text by what lookup knows of NAME. What is put in is not searched again.
// Its errors do not quote text, but name variables.
func expand(text string, lookup func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		rest = "${" + rest
		m := reference.FindStringSubmatch(rest)
		if m == nil {
			return "", errors.New(`after "${" comes the name of an environment variable and "}", as in ${API_KEY}`)
		}
		value, ok := lookup(m[1])
		switch {
		case !ok:
			return "", fmt.Errorf("environment variable %s is not set", m[1])
		case value == "":
			return "", fmt.Errorf("environment variable %s is empty", m[1])
		}
		out.WriteString(value)
		text = rest[len(m[0]):]
	}
}
