package web

import (
	"net/http"
	"time"

	"github.com/llmprober/llm_prober/prober/printable"
)

// maxConfig bounds the text on the configuration's page, in bytes.
const maxConfig = 1 << 20

// config plans the page of the configuration.
func (p *pages) config(*http.Request) plan {
	return plan{key: "config", template: "config.html", data: func(time.Time) (any, bool) {
		page := p.newPage("Configuration", "", "Configuration")
		page.Data = printable.Lines(p.Config(), maxConfig)
		return page, true
	}}
}
