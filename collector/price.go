package collector

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/llmprober/llm_prober/prober"
)

// TokenPrice is what one million tokens cost.
type TokenPrice struct {
	Currency                   string // such as USD; not empty
	Input, CachedInput, Output float64
}

// HourlyPrice is what one hour of a target costs.
type HourlyPrice struct {
	Currency string // such as USD; not empty
	Amount   float64
}

func (p *TokenPrice) check() error { return checkAmounts(p.Currency, p.Input, p.CachedInput, p.Output) }

func checkAmounts(currency string, amounts ...float64) error {
	var errs []error
	if currency == "" || !utf8.ValidString(currency) {
		errs = append(errs, fmt.Errorf("price: currency %q: want a name such as USD", currency))
	}
	for _, a := range amounts {
		if !(a >= 0) || math.IsInf(a, 0) { // a counter must not go down
			errs = append(errs, fmt.Errorf("price: %v: want 0 or more", a))
		}
	}
	return errors.Join(errs...)
}

// cost is what a request cost, by the tokens that the server counted: 0 where it counted none. Estimated output is left out.
func (p *TokenPrice) cost(r *prober.Result) float64 {
	if !r.Usage.Known {
		return 0
	}
	prompt := max(0, r.Usage.PromptTokens)
	cached := min(max(0, r.Usage.CachedTokens), prompt)
	output := 0
	if r.OutputSource == prober.TokensUsage || r.OutputSource == prober.TokensChunks {
		output = max(0, r.OutputTokens)
	}
	return (float64(prompt-cached)*p.Input + float64(cached)*p.CachedInput + float64(output)*p.Output) / 1e6
}
