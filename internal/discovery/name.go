package discovery

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
)

// maxName is how many characters the name of a target may have.
const maxName = 64

// nameOf makes the name of a target that is given none: host, port and model, with a hyphen for whatever a name cannot have.
// It depends on these alone. One that is too long keeps its beginning and gets a part of the hash of all of it.
func nameOf(base *url.URL, model string) string {
	whole := strings.NewReplacer("[", "", "]", "").Replace(strings.ToLower(base.Host)) + "-" + model
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, whole)
	if first := name[0]; first >= '0' && first <= '9' || first == '.' || first == '-' {
		name = "_" + name
	}
	if len(name) > maxName {
		hash := sha256.Sum256([]byte(whole))
		name = fmt.Sprintf("%s-%x", name[:maxName-9], hash[:4])
	}
	return name
}
