package main

//lint:file-ignore SA1019 Every Grafana loads classic dashboards; the new kind is for Grafana 13 alone.

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/llmprober/llm_prober/collector"
)

// The series that alerts/rules/objectives.yml records: burns over days are too dear to compute for each point of a graph.
const (
	recordedBurn   = "target_objective:llm_objective_burn:rate"
	recordedBudget = "target_objective:llm_objective_budget_remaining:ratio30d"
)

// objectives answers: which objective is being missed, how fast, and what is left of the month's budget?
func objectives() board {
	var (
		events = of(collector.NameObjectiveEvents, inGoals)
		bad    = of(collector.NameObjectiveBad, inGoals)
		goal   = of(collector.NameObjectiveGoal, inGoals)
		each   = []string{"target", "probe", "objective"}
		named  = "{{target}} {{probe}} {{objective}}"
	)
	recorded := func(name string) string {
		return "max by (target, probe, objective) (" + of(name, inGoals).String() + ")"
	}
	// Each alert looks at a long window, and at a short one for it to go on still.
	pair := func(factor float64, long, short, title, about string) panel {
		return against(factor, title, about, unitTimes,
			q(recorded(recordedBurn+long), named+" "+long), q(recorded(recordedBurn+short), named+" "+short)).every("1m")
	}
	toTarget := toBoard(uidTarget, "Look into this target", "&var-target=${__data.fields.target}&var-probe=${__data.fields.probe}")
	objective := choices("objective", "Objective", "Objectives of these probes.", of(collector.NameObjectiveGoal, inProbes), "objective")
	return board{
		uid: uidObjectives, title: "Objectives", from: "now-24h", events: inFleet,
		about:     "What was promised, what is kept, and how fast the error budgets are being burnt. The graphs of burn and budget need the recording rules.",
		variables: []dashboard.VariableModel{jobVariable(), targetsVariable(), modelVariable(inFleet), probeVariable(inFleet), objective},
		rows: []row{
			{panels: []panel{
				number("Objectives", "How many objectives are configured for what is chosen.", units.Short, plain(),
					q("count("+most(goal, each...)+")", "")).wide(4),
				number("Overspent", "Objectives that have used up their error budget of 30 days.", units.Short, scale("green", step(1, "red")),
					q(orZero("count("+budgetLeft(inGoals, each...)+" <= 0)"), "")).wide(5),
				number("Burning at 14.4 and more", "Objectives that over the last hour burn a month's budget in two days or less.", units.Short, scale("green", step(1, "red")),
					q(orZero("count("+burn(inGoals, "1h", each...)+" > 14.4)"), "")).wide(5),
				number("Burning at more than 1", "Objectives that over the last 6 hours burn faster than their goal allows.", units.Short, scale("green", step(1, "orange")),
					q(orZero("count("+burn(inGoals, "6h", each...)+" > 1)"), "")).wide(5),
				number("Least budget left", "Of all objectives, what the worst one has left of its error budget of 30 days.", units.PercentUnit, colorsOf(budgetColors),
					q("min("+budgetLeft(inGoals, each...)+")", "")).wide(5),
			}},
			{title: "All objectives", panels: []panel{
				keyed("Objectives, one by one",
					"Computed from the prober's own counts, not from histogram buckets, so that failures count and thresholds are exact. "+
						"A burn of 1 spends exactly the budget of 30 days in 30 days. With less than 30 days of history the budget is of what there is.",
					[]string{"target", "probe", "objective", "indicator"}, toTarget,
					column{title: "Goal", unit: units.PercentUnit, expr: most(goal, "target", "probe", "objective", "indicator")},
					column{title: "Threshold (s, or tok/s)", unit: units.Short,
						expr: most(of(collector.NameObjectiveThreshold, inGoals), "target", "probe", "objective", "indicator")},
					column{title: "Good, 30 d", unit: units.PercentUnit, expr: "1 - " + badShare(inGoals, "30d", "target", "probe", "objective", "indicator")},
					column{title: "Budget left, 30 d", unit: units.PercentUnit, colors: budgetColors, expr: budgetLeft(inGoals, "target", "probe", "objective", "indicator")},
					column{title: "Burn, 1 h", unit: unitTimes, colors: burnColors, expr: burn(inGoals, "1h", "target", "probe", "objective", "indicator")},
					column{title: "Burn, 6 h", unit: unitTimes, colors: burnColors, expr: burn(inGoals, "6h", "target", "probe", "objective", "indicator")},
					column{title: "Burn, 1 d", unit: unitTimes, colors: burnColors, expr: burn(inGoals, "1d", "target", "probe", "objective", "indicator")},
					column{title: "Burn, 3 d", unit: unitTimes, colors: burnColors, expr: burn(inGoals, "3d", "target", "probe", "objective", "indicator")},
					column{title: "Bad, 1 h", unit: units.Short, expr: increase(bad, "1h", "target", "probe", "objective", "indicator")},
					column{title: "Judged, 1 h", unit: units.Short, expr: increase(events, "1h", "target", "probe", "objective", "indicator")},
				).tall(10),
			}},
			{title: "Budget", panels: []panel{
				against(0, "Error budget left, over the 30 days before", "At 100 % nothing was bad within 30 days; below the line the goal is missed. Recorded by the rules.",
					units.PercentUnit, q(recorded(recordedBudget), named)).every("5m"),
				lines("Good requests, over the 6 hours before", "Share of the judged requests that were good, against the goal.", units.PercentUnit,
					q("1 - "+badShare(inGoals, "6h", each...), named), bound(most(goal, each...), "goal "+named)),
			}},
			{title: "Burn, in multiples of what the goal allows", panels: []panel{
				pair(14.4, "1h", "5m", "Within the hour: pages above 14.4", "At 14.4 an hour costs 2 % of a month's budget. The alert wants both windows above the line, and 5 bad requests. Recorded by the rules."),
				pair(6, "6h", "30m", "Within six hours: pages above 6", "At 6, six hours cost 5 % of a month's budget. The alert wants both windows above the line, and 10 bad requests. Recorded by the rules."),
				pair(3, "1d", "2h", "Within a day: a ticket above 3", "At 3 a day costs a tenth of a month's budget. The alert wants both windows above the line, and 10 bad requests. Recorded by the rules."),
				pair(1, "3d", "6h", "Within three days: a ticket above 1", "Above 1 the month's goal will be missed. The alert wants both windows above the line, and 15 bad requests. Recorded by the rules."),
			}},
			{title: "What was judged", panels: []panel{
				bars("Bad requests", "Requests per hour that an objective judged bad: failures, and those beyond the threshold.", units.Short,
					q("3600 * "+rate(bad, window, each...)+" > 0", named)),
				lines("Judged requests", "Requests per hour that an objective judged. Few of them make any share of them coarse.", units.Short,
					q("3600 * "+rate(events, window, each...), named)),
			}},
		},
	}
}
