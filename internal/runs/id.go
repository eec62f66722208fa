package runs

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
	"time"
)

const idTime = "20060102T150405Z"

var idPattern = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[A-Za-z0-9_.-]{1,64}-[0-9a-f]{4,16}$`)

// NewID makes the id of a run: it sorts by the second in which the run started, and differs from all others.
// Characters of the ramp's name that are no good in file names everywhere become _.
func NewID(started time.Time, ramp string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '.', r == '-':
			return r
		}
		return '_'
	}, ramp)
	if name == "" {
		name = "_"
	}
	var suffix [4]byte
	rand.Read(suffix[:]) // never fails: crypto/rand ends the program rather than return an error
	return started.UTC().Format(idTime) + "-" + name[:min(len(name), 64)] + "-" + hex.EncodeToString(suffix[:])
}

// ValidID tells whether id could be one that NewID made. No other is ever looked for on disk.
func ValidID(id string) bool { return idPattern.MatchString(id) }
