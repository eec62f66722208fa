package web

import (
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/cron"
)

// Every reason for which a load run can be missed is on the page, in words of its own.
func TestScheduleSaysWhyRunsWereMissed(t *testing.T) {
	nominal := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	said := map[string]cron.Reason{}
	for _, reason := range cron.Reasons() {
		words := reasonWords(string(reason))
		if other, twice := said[words]; twice || words == string(reason) || !strings.Contains(words, " ") {
			t.Errorf("reasonWords(%s) = %q, those of %q; want words of its own: add them to reasonWords", reason, words, other)
		}
		said[words] = reason
		pages := newHandler(t, Options{History: newHistory(), Schedule: func() Schedule {
			return Schedule{Ramps: []Ramp{{Name: "nightly_soak", Target: "chat", Missed: nominal, Reason: string(reason)}}}
		}})
		if body := get(t, pages, "/schedule").Body.String(); !strings.Contains(body, "<bdi>nightly_soak</bdi> did not run on Nov 22 02:00 UTC: "+words+".</p>") {
			t.Errorf("%s: the page does not say %q:\n%s", reason, words, body)
		}
	}
	if got := missedWords(time.Time{}, ""); got != "" {
		t.Errorf("missedWords of no missed run = %q; want nothing", got)
	}
}
