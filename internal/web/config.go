package web

import (
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxConfig bounds the text on the configuration's page, in bytes.
const maxConfig = 1 << 20

// config plans the page of the configuration.
func (p *pages) config(*http.Request) plan {
	return plan{key: "config", template: "config.html", data: func(time.Time) (any, bool) {
		page := p.newPage("Configuration", "", "Configuration")
		page.Data = block(p.Config(), maxConfig)
		return page, true
	}}
}

// block makes a text of several lines of what may be anything: of control and formatting characters it keeps line breaks
// and tabs, and what is over the limit, in bytes, is cut off, as it says.
func block(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) {
			s = s[:len(s)-1]
		}
	}
	s = strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' || unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	if cut {
		s += "\n… (cut off here)"
	}
	return s
}
