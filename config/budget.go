package config

import (
	"maps"
	"slices"
	"strings"
)

// budget checks what probing may cost a target.
func (v *validator) budget(n *node) {
	for _, key := range []string{"output_tokens_per_hour", "requests_per_minute", "cost_per_day"} {
		v.notNegative(n.get(key))
	}
}

func (v *validator) notNegative(n *node) {
	if n != nil {
		v.must(!strings.HasPrefix(n.text, "-"), n, "a budget must not be negative; 0 is no bound")
	}
}

// globalBudget checks what all requests together may cost.
func (v *validator) globalBudget(b *GlobalBudget, n *node) {
	v.notNegative(n.get("output_tokens_per_hour"))
	v.notNegative(n.get("requests_per_minute"))
	for _, amount := range n.get("cost_per_day").sound() {
		v.must(currencyPattern.MatchString(amount.key.text), amount.key, "a currency is written with three capital letters, such as USD")
		v.must(b.CostPerDay[amount.key.text] > 0, amount, "the cost of a day is above 0; leave it out for no bound")
	}
}

// currencies lists what prices are in.
func (c *Config) currencies() []string {
	found := map[string]bool{}
	for _, t := range c.allSettings() {
		if t.Price != nil && t.Price.Input != nil {
			found[t.Price.Currency] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// allSettings lists the settings of targets and of templates.
func (c *Config) allSettings() []*TargetSettings {
	var all []*TargetSettings
	for _, t := range c.Targets {
		all = append(all, &t.TargetSettings)
	}
	for _, t := range c.templates() {
		all = append(all, &t.TargetSettings)
	}
	return all
}

// templates lists the templates of targets from outside.
func (c *Config) templates() []*TargetTemplate {
	var all []*TargetTemplate
	for _, f := range c.TargetFiles {
		all = append(all, &f.Template)
	}
	for _, h := range c.HTTPSD {
		all = append(all, &h.Template)
	}
	if c.ProbeOnDemand != nil {
		all = append(all, &c.ProbeOnDemand.Template)
	}
	return all
}
