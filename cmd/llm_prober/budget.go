package main

import (
	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/schedule"
)

// budgetsNow is what of the budgets is used, for the metrics.
func (d *daemon) budgetsNow() []collector.Budget {
	cfg := d.inForce.Load()
	if cfg == nil {
		return nil
	}
	var budgets []collector.Budget
	add := func(tc *config.Target, statuses []schedule.BudgetStatus) {
		for _, s := range statuses {
			if s.Limit == 0 {
				continue
			}
			b := collector.Budget{Name: string(s.Measure), Currency: s.Currency, Limit: s.Limit, Used: s.Used}
			if tc != nil {
				b.Target, b.Model, b.Labels = tc.Name, tc.Model, tc.Labels
			}
			budgets = append(budgets, b)
		}
	}
	status := d.scheduler.Status()
	add(nil, status.Budgets)
	for _, g := range status.Groups {
		if tc := cfg.Target(g.Name); tc != nil {
			add(tc, g.Budgets)
		}
	}
	return budgets
}
