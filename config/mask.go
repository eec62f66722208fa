package config

import (
	"reflect"
	"regexp"
	"strings"
	"unicode"
)

// Lines of a file that is not YAML are masked by their looks: what stands behind a key that is known to hold no secret
// is shown, and the first thing that is anything else hides the rest of its line.

// appearance is what a key's name tells about the text behind it.
type appearance int

const (
	unknownKey appearance = iota
	plainKey              // wherever it stands, its value is no secret
	outerKey              // a mapping or a list may follow
)

// appearances tells for every key that a configuration can have.
func appearances() map[string]appearance {
	looks := map[string]appearance{}
	secrets := map[string]bool{}
	everyKey(func(_, key string, t reflect.Type) {
		rule, isScalar := scalarOf(t)
		switch {
		case !isScalar:
			looks[key] = outerKey
		case rule.secret, rule.private:
			secrets[key] = true
		case looks[key] != outerKey:
			looks[key] = plainKey
		}
	})
	for key := range secrets {
		delete(looks, key)
	}
	return looks
}

var (
	structureFirst = regexp.MustCompile(`^[ \t\-?,\[\]{}]+`)
	keyFirst       = regexp.MustCompile(`^(["']?)([A-Za-z_][A-Za-z0-9_.-]*)(["']?)[ \t]*:([ \t]|$)`)
	mappingFirst   = regexp.MustCompile(`^[ \t]*\{[ \t]*([a-z_]+)[ \t]*:`)
	valueFirst     = regexp.MustCompile(`^[^,\]}]*`)
	keyInValue     = regexp.MustCompile(`["']?[A-Za-z0-9_.-]+["']?[ \t]*:([ \t]|$)`)
	commentFirst   = regexp.MustCompile(`^#| #`)
)

// maskText shows a line of which only its looks are known, and where column col is in what is shown.
func maskText(line []rune, _, col int) (string, int) {
	looks := appearances()
	var out strings.Builder
	rest := string(line)
	take := func(n int) string {
		out.WriteString(rest[:n])
		taken := rest[:n]
		rest = rest[n:]
		return taken
	}
	done := func() (string, int) {
		shown := out.String()
		return shown, min(col, len([]rune(shown))+1)
	}
	for {
		take(len(structureFirst.FindString(rest)))
		if rest == "" || rest[0] == '#' {
			return done()
		}
		m := keyFirst.FindStringSubmatch(rest)
		if m == nil {
			if looks[strings.TrimSpace(rest)] != unknownKey { // a key that lacks its colon
				take(len(rest))
			}
			break
		}
		look := looks[m[2]]
		if look == unknownKey {
			inner := mappingFirst.FindStringSubmatch(rest[len(m[0]):])
			if inner == nil || looks[inner[1]] == unknownKey { // not a name with a mapping of ours behind it
				break
			}
			look = outerKey
		}
		take(len(m[0]))
		if look == outerKey {
			continue
		}
		value := valueFirst.FindString(rest)
		if comment := commentFirst.FindStringIndex(value); comment != nil {
			value = value[:comment[0]]
		}
		if next := keyInValue.FindStringIndex(value); next != nil { // two keys on one line
			value = value[:next[0]]
		}
		if holdsCredentials(m[2], value) {
			break
		}
		take(len(value))
		if strings.HasPrefix(strings.TrimLeft(rest, " "), "#") {
			return done()
		}
		if rest != "" && !structureFirst.MatchString(rest) && !keyFirst.MatchString(rest) {
			break
		}
	}
	if rest == "" {
		return done()
	}
	if caretAt := len([]rune(out.String())) + 1; col > caretAt {
		col = caretAt
	}
	shown := out.String() + hidden
	return shown, col
}

// holdsCredentials reports whether a value may be a URL with a user, a query or a fragment, where keys are often put.
func holdsCredentials(key, value string) bool {
	if key == "url" || strings.HasSuffix(key, "_url") {
		return !bareURL.MatchString(value)
	}
	return strings.Contains(value, "://") && strings.ContainsAny(value, "@?#")
}

// bareURL matches a scheme, a host, a port and a path, each of which may be missing.
var bareURL = regexp.MustCompile(`^[ "']*([a-z0-9]+://)?([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]*\])(:[0-9]*)?(/[^@?#:]*)?$`)

// isWord reports whether a name is one word. One that is not may be a key and its value in one, for want of a colon.
func isWord(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_.-/", r)
	}) < 0
}
