package judge

import (
	"fmt"
	"strings"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// costOf is what the work costs at a load; nil where there is no price, or nothing was done.
func costOf(run *record.Run, p *point, perHour float64) *record.Cost {
	if p == nil || p.stage == nil {
		return nil
	}
	c := &record.Cost{Currency: run.Environment.Currency, Load: p.load}
	price, tokens, requests := 0.0, int64(0), 0
	for _, s := range p.stage.Probes {
		price += s.Cost
		tokens += s.OutputTokens
		requests += s.Outcomes["ok"]
	}
	switch {
	case price > 0 && requests > 0 && tokens > 0:
		c.By = "tokens"
		c.PerThousandRequests = price / float64(requests) * 1e3
		c.PerMillionTokens = price / float64(tokens) * 1e6
	case perHour > 0 && p.done > 0 && p.tokens > 0:
		c.By = "hour"
		c.PerThousandRequests = perHour / 3600 / p.done * 1e3
		c.PerMillionTokens = perHour / 3600 / p.tokens * 1e6
	default:
		return nil
	}
	return c
}

func costWords(c *record.Cost, open bool) string {
	by := "by the price of its tokens"
	if c.By == "hour" {
		by = "by the price of the hour"
	}
	money := func(v float64) string { return strings.TrimSpace(number(v) + " " + c.Currency) }
	return fmt.Sprintf("At %s, 1,000 requests cost %s and 1M output tokens %s, %s.",
		loadWords(open, c.Load), money(c.PerThousandRequests), money(c.PerMillionTokens), by)
}
