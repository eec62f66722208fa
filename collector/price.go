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

// String is the price in words; that of nil says that there is none.
func (p *TokenPrice) String() string {
	if p == nil {
		return "no price by the token"
	}
	return fmt.Sprintf("%g %s for a million tokens of input, %g cached, %g of output", p.Input, p.Currency, p.CachedInput, p.Output)
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

// Result is what a request cost, by the tokens that the server counted: 0 where it counted none. Estimated output is left out.
func (p *TokenPrice) Result(r *prober.Result) float64 {
	if !r.Usage.Known {
		return 0
	}
	prompt := max(0, r.Usage.PromptTokens)
	cached := min(max(0, r.Usage.CachedTokens), prompt)
	output := 0
	if r.OutputSource == prober.TokensUsage || r.OutputSource == prober.TokensChunks {
		output = max(0, r.OutputTokens)
	}
	return p.Of(prompt, cached, output)
}

// Of is what so many tokens cost; cached ones are among those of the prompt.
func (p *TokenPrice) Of(prompt, cached, output int) float64 {
	return (float64(prompt-cached)*p.Input + float64(cached)*p.CachedInput + float64(output)*p.Output) / 1e6
}
