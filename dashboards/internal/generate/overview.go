package main

//lint:file-ignore SA1019 Every Grafana loads classic dashboards; the new kind is for Grafana 13 alone.

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/llmprober/llm_prober/collector"
)

// Colours that mean the same everywhere.
var (
	budgetColors = []dashboard.Threshold{{Color: "red"}, step(0, "orange"), step(0.25, "yellow"), step(0.5, "green")}
	burnColors   = []dashboard.Threshold{{Color: "green"}, step(1, "yellow"), step(6, "orange"), step(14.4, "red")}
	upMapping    = []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{
		Type: dashboard.MappingTypeValueToText,
		Options: map[string]dashboard.ValueMappingResult{
			"0": {Text: new("down"), Color: new("red"), Index: new(int32(0))},
			"1": {Text: new("up"), Color: new("green"), Index: new(int32(1))},
		},
	}}}
)

// overview answers: who burns its budget, and where does the time go?
func overview() board {
	var (
		up       = of(collector.NameUp, inProbes)
		lastRun  = of(collector.NameLastRun, inProbes)
		ttft     = of(collector.NameTimeToFirstToken, inProbes)
		rates    = of(collector.NameOutputRate, inProbes)
		parts    = of(collector.NameTTFTBreakdown, inProbes)
		queue    = of(collector.NameTTFTBreakdown, inProbes, `part="queue"`)
		cost     = of(collector.NameCost, inProbes)
		requests = of(collector.NameRequests, inProbes)
		failures = of(collector.NameRequests, inProbes, `outcome!="ok"`)
		running  = of(collector.NameRampRunning, inFleet)
		each     = []string{"target", "probe"}
	)
	queueShare := sumRate(queue, span, each...) + "\n/ (" + sumRate(parts, span, each...) + " > 0)"
	toTarget := toBoard(uidTarget, "Look into this target", "&var-target=${__data.fields.target}&var-probe=${__data.fields.probe}")
	toRamps := toBoard(uidRamps, "Look into this ramp", "&var-target=${__data.fields.target}&var-ramp=${__data.fields.ramp}")
	return board{
		uid: uidOverview, title: "Overview", from: "now-6h", events: inFleet,
		about:     "All targets at a glance: who burns its error budget, and where the time goes.",
		variables: []dashboard.VariableModel{jobVariable(), targetsVariable(), modelVariable(inFleet), probeVariable(inFleet)},
		rows: []row{
			{panels: []panel{
				number("Targets up", "Targets of which at least one probe's newest request was ok, and how many there are.",
					units.Short, plain(),
					q("count(max by (target) ("+up.String()+") == 1) or vector(0)", "up"),
					q("count(count by (target) ("+up.String()+"))", "of")).wide(4),
				number("Probes failing", "Pairs of target and probe of which the newest request failed. Probes that have not run yet do not count.",
					units.Short, scale("green", step(1, "red")),
					q(orZero("count("+most(up, each...)+" == 0 and "+most(lastRun, each...)+" > 0)"), "")),
				number("Requests that failed", "Share of all requests in the time shown that were not ok.",
					units.PercentUnit, scale("green", step(0.01, "yellow"), step(0.05, "red")),
					q("sum(increase("+failures.String()+"["+span+"]))\n/ (sum(increase("+requests.String()+"["+span+"])) > 0)", "")),
				number("Least error budget left", "Of all objectives, what the worst one has left of its error budget of 30 days. Below 0 it is overspent.",
					units.PercentUnit, colorsOf(budgetColors),
					q("min("+budgetLeft(inProbes, "target", "probe", "objective")+")", "")),
				number("Objectives burning", "Objectives that over the last 6 hours burn their error budget faster than their goal allows.",
					units.Short, scale("green", step(1, "orange")),
					q(orZero("count("+burn(inProbes, "6h", "target", "probe", "objective")+" > 1)"), "")),
				number("Alerts firing", "Alerts of llm_prober's rules that fire now, of all targets.",
					units.Short, scale("green", step(1, "red")),
					q(orZero(`count(ALERTS{alertname=~"LLM.+", alertstate="firing"})`), "")),
				number("Ramps running", "Ramps that put load on a target now.",
					units.Short, scale("text", step(1, "blue")),
					q(orZero("sum(max by (target, ramp) ("+running.String()+"))"), "")),
				number("Cost of probing, 24 h", "What probing cost over the last day, by the configured prices. Nothing where no target is priced by the token.",
					units.Short, plain(),
					q(increase(cost, "1d", "currency"), "{{currency}}")).wide(2),
			}},
			{title: "Fleet", panels: []panel{
				keyed("Targets and probes",
					"One row for each probe of each target; a click on a target looks into it. Quantiles, token rate and queue share are of the whole time shown: "+
						"choose an hour or more. Budget and burn are those of the probe's worst objective.",
					each, toTarget,
					column{title: "Up", unit: units.Short, expr: most(up, each...), mapping: upMapping},
					column{title: "TTFT p50", unit: units.Seconds, expr: par(quantile("0.5", ttft, span, each...)) + " >= 0"},
					column{title: "TTFT p95", unit: units.Seconds, expr: par(quantile("0.95", ttft, span, each...)) + " >= 0"},
					column{title: "Tokens/s p50", unit: unitTokensPerSec, expr: par(quantile("0.5", rates, span, each...)) + " >= 0"},
					column{title: "Queue share", unit: units.PercentUnit, expr: queueShare},
					column{title: "Budget left, 30 d", unit: units.PercentUnit, colors: budgetColors,
						expr: "min by (target, probe) (" + budgetLeft(inProbes, "target", "probe", "objective") + ")"},
					column{title: "Burn, 1 h", unit: unitTimes, colors: burnColors,
						expr: "max by (target, probe) (" + burn(inProbes, "1h", "target", "probe", "objective") + ")"},
					column{title: "Last success", unit: units.Seconds, expr: age(of(collector.NameLastSuccess, inProbes), each...)},
				).tall(10),
			}},
			{title: "Time to first token", panels: []panel{
				lines("TTFT p50 by target", "Median time to first token, over all chosen probes of a target. Failed requests have none: see what failed.",
					units.Seconds, sampled(quantile("0.5", ttft, window, "target"), "{{target}}")),
				lines("TTFT p95 by target", "One request in twenty waits longer for its first token. Windows of 20 minutes or more, for probes are few.",
					units.Seconds, sampled(quantile("0.95", ttft, window, "target"), "{{target}}")),
			}},
			{title: "Where the time goes", panels: []panel{
				stacked("Time to first token, by part", "Mean seconds to the first token over all chosen probes, and how much of it each part has. "+
					"What no source tells is in unknown.",
					units.Seconds, q(sumRate(parts, window, "part")+"\n/ ignoring (part) group_left ()\n("+countRate(ttft, window)+" > 0)", "{{part}}")),
				lines("Queue share by target", "Share of the time to first token that was waiting in the server's queue, as far as it is known or estimated.",
					units.PercentUnit, q(sumRate(queue, window, "target")+"\n/ ("+sumRate(parts, window, "target")+" > 0)", "{{target}}")),
			}},
			{title: "Failures and cost", panels: []panel{
				bars("Failed requests, by outcome", "Requests per minute that were not ok, by what became of them.",
					units.RequestsPerMinute, q("60 * "+rate(failures, window, "target", "outcome")+" > 0", "{{target}} {{outcome}}")).wide(8),
				lines("Cost of probing per day", "What the 24 hours before each moment cost, by target. Only targets that are priced by the token.",
					units.Short, q(increase(cost, "1d", "target", "currency"), "{{target}} {{currency}}")).wide(8),
				lines("Budgets of probing", "Share of what a target, or all together, may use in a minute, an hour or a day. At 100 % probes are skipped.",
					units.PercentUnit, q(budgetShare(), "{{target}} {{budget}}")).wide(8).every(""),
			}},
			{title: "Ramps", panels: []panel{
				keyed("Ramps, running and next", "One row for each ramp; a click on a target looks into it.",
					[]string{"target", "ramp", "verdict"}, toRamps,
					column{title: "Running", unit: units.BoolYesNo, expr: most(running, "target", "ramp")},
					column{title: "Next run", unit: units.DateTimeFromNow, expr: moment(of(collector.NameRampNextRun, inFleet), "target", "ramp")},
					column{title: "Last run", unit: units.DateTimeFromNow, expr: moment(of(collector.NameRampLastRun, inFleet), "target", "ramp")},
					column{title: "Last passed", unit: units.DateTimeFromNow, expr: moment(of(collector.NameRampLastSuccess, inFleet), "target", "ramp")},
					column{title: "Knee", unit: units.RequestsPerSecond, expr: most(of(collector.NameRampLastKnee, inFleet), "target", "ramp")},
					column{title: "Headroom", unit: units.PercentUnit, expr: most(of(collector.NameRampLastHeadroom, inFleet), "target", "ramp")},
					column{title: "Verdict holds", unit: units.BoolYesNo, expr: most(of(collector.NameRampLastVerdict, inFleet), "target", "ramp", "verdict") + " == 1"},
				).tall(7),
			}},
		},
	}
}

// budgetShare is how much of each budget is used.
func budgetShare() string {
	by := []string{"target", "budget"}
	return fmt.Sprintf("%s\n/ (%s > 0)", most(of(collector.NameBudgetUsed, inFleet), by...), most(of(collector.NameBudgetLimit, inFleet), by...))
}
