package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// ramps answers: what load did a target take, what did it do to latency, and is that less than before?
func ramps() board {
	ramp := choices("ramp", "Ramp", "Ramps of these targets.", of(collector.NameRampRunning, inFleet), "ramp")
	return board{
		uid: uidRamps, title: "Ramps", from: "now-12h", events: inFleet,
		about:     "Runs under load: offered and achieved load, what it did to latency, and how the knee moves from run to run.",
		variables: []dashboard.VariableModel{jobVariable(), targetsVariable(), modelVariable(inFleet), ramp},
		rows: []row{
			{panels: rampNumbers()},
			{title: "Load over time", panels: rampLoad()},
			{title: "Latency under load, from the intended time", panels: rampLatency()},
			{title: "The latest run, stage by stage", panels: rampStages()},
			{title: "From run to run", panels: rampHistory()},
		},
	}
}

func rampNumbers() []panel {
	each := []string{"target", "ramp"}
	named := "{{target}} {{ramp}}"
	newest := func(name string) string { return most(of(name, inRamps), each...) }
	return []panel{
		number("Running", "Whether a run is under way.", units.BoolYesNo, scale("text", step(1, "blue")), q(newest(collector.NameRampRunning), named)),
		number("Next run", "When the ramp is due next. Nothing without a schedule.", units.DateTimeFromNow, plain(), q(moment(of(collector.NameRampNextRun, inRamps), each...), named)),
		number("Last passed", "When the last run with the verdict pass ended.", units.DateTimeFromNow, plain(), q(moment(of(collector.NameRampLastSuccess, inRamps), each...), named)),
		number("Knee", "The highest load of the last run at which every objective held.", units.RequestsPerSecond, plain(), q(newest(collector.NameRampLastKnee), named)),
		number("Capacity", "The most that the target can serve, by the fit of the last run.", units.RequestsPerSecond, plain(), q(newest(collector.NameRampLastCapacity), named)),
		number("Headroom", "Share of the knee that was left above the load at which the last run found the target.", units.PercentUnit,
			scale("red", step(0.1, "yellow"), step(0.3, "green")), q(newest(collector.NameRampLastHeadroom), named)),
		number("Recovery", "How long after the overload of the last run its latency was normal again.", units.Seconds, plain(), q(newest(collector.NameRampLastRecovery), named)),
		number("Runs missed, 7 d", "Runs that were due and did not begin. They are not made up for.", units.Short, scale("green", step(1, "orange")),
			q(times(of(collector.NameRampMissed, inRamps), "7d", each...), named)),
	}
}

// lane is the labels by which what runs is told apart, and how it is named.
var lane = []string{"target", "ramp", "lane"}

const namedLane = "{{ramp}}/{{lane}}"

func rampLoad() []panel {
	requests := of(collector.NameRampRequests, inRamps)
	return []panel{
		lines("Offered and achieved", "Requests per second that the plan wants, and that ended. Where they part, requests pile up, or were shed. "+
			"Closed loops have no planned rate.", units.RequestsPerSecond,
			bound(most(of(collector.NameRampPlannedRate, inRamps), lane...), "planned "+namedLane),
			q(rate(requests, window, lane...), "achieved "+namedLane)).every(fastStep),
		lines("In flight", "Requests under way, and how many the plan wants of a closed loop. A steady rate with more and more in flight is a queue.", units.Short,
			bound(most(of(collector.NameRampPlannedConcurrency, inRamps), lane...), "planned "+namedLane),
			q(most(of(collector.NameRampInFlight, inRamps), lane...), "in flight "+namedLane)).every(fastStep),
		bars("Outcomes under load", "Requests per second by what became of them.", units.RequestsPerSecond,
			q(rate(requests, window, "lane", "outcome")+" > 0", "{{lane}} {{outcome}}")).wide(8).every(fastStep),
		lines("Shed", "Requests per second that were planned and not sent, because too many were in flight or a budget was spent.", units.RequestsPerSecond,
			q(rate(of(collector.NameRampShed, inRamps), window, lane...), namedLane)).wide(8).every(fastStep),
		lines("How late requests were sent", "p99 of the prober's own delay. A stage of which it cannot keep the plan is invalid: it says nothing of the server.", units.Seconds,
			q(quantile("0.99", of(collector.NameRampDispatchDelay, inRamps), window, lane...), namedLane)).wide(8).every(fastStep),
		lines("Tokens", "Tokens per second of the ramp's requests.", unitTokensPerSec,
			q(rate(of(collector.NameRampPromptTokens, inRamps), window, lane...), "prompt "+namedLane),
			q(rate(of(collector.NameRampOutputTokens, inRamps), window, lane...), "output "+namedLane)).wide(8).every(fastStep),
		lines("Stage", "Which stage each lane is in.", units.Short, q(most(of(collector.NameRampStage, inRamps), lane...), namedLane)).wide(8).every(fastStep),
		lines("Queue wait p95", "Under load, by how it is known.", units.Seconds,
			q(quantile("0.95", of(collector.NameRampQueueWait, inRamps), window, "lane", "source"), "{{lane}} {{source}}")).wide(8).every(fastStep),
	}
}

// planned is an objective on the indicator of the chosen targets, to be drawn under a ramp's latencies.
func planned(indicator string) query {
	return bound(most(of(collector.NameObjectiveThreshold, inFleet, fmt.Sprintf("indicator=%q", indicator)), "target", "objective"), "objective {{objective}}")
}

func rampLatency() []panel {
	ttft, duration := of(collector.NameRampTTFT, inRamps), of(collector.NameRampDuration, inRamps)
	achieved := rate(of(collector.NameRampRequests, inRamps), window)
	right := q(achieved, "achieved load")
	right.right = units.RequestsPerSecond
	return []panel{
		lines("TTFT and load", "Time to first token from when a request was intended, so that a server that stalls cannot hide what it made wait; and the load on the right.", units.Seconds,
			sampled(quantile("0.5", ttft, window, lane...), "p50 "+namedLane), sampled(quantile("0.95", ttft, window, lane...), "p95 "+namedLane),
			planned(config.IndicatorTTFT), right).every(fastStep).tall(9),
		scatter("TTFT against load", "Each point is a moment of the time shown: choose one run. The knee is where the points leave the ground.", units.RequestsPerSecond, units.Seconds,
			q(achieved, "achieved load"), q(quantile("0.5", ttft, window), "TTFT p50"), q(quantile("0.95", ttft, window), "TTFT p95")),
		lines("Whole request p95", "Time to the end of the answer from when the request was intended.", units.Seconds,
			sampled(quantile("0.95", duration, window, lane...), namedLane), planned(config.IndicatorDuration)).wide(8).every(fastStep),
		lines("Inter-token latency p95", "How far batching slows the reading of an answer.", units.Seconds,
			q(quantile("0.95", of(collector.NameRampITL, inRamps), window, lane...), namedLane)).wide(8).every(fastStep),
		lines("Time per output token p95", "From the first token to the last, by the tokens: one sample per request.", units.Seconds,
			q(quantile("0.95", of(collector.NameRampTPOT, inRamps), window, lane...), namedLane), planned(config.IndicatorTPOT)).wide(8).every(fastStep),
	}
}

// The series of a stage begin at 0 with it and stay until the next run: what they hold is the latest run,
// so that these are exact, and no rate is taken of them.

// latest is a quantile over all requests of each stage of the latest run.
func latest(q string, s series, by ...string) string {
	withLE := strings.Join(append([]string{"le"}, by...), ", ")
	return fmt.Sprintf("histogram_quantile(%s, sum by (%s) (%s))\nor\nhistogram_quantile(%s, sum by (%s) (%s))", q, list(by), s, q, withLE, s.part("_bucket"))
}

func rampStages() []panel {
	var (
		each     = []string{"target", "ramp", "lane", "stage"}
		ttft     = of(collector.NameRampTTFT, inRamps)
		requests = of(collector.NameRampRequests, inRamps)
		failed   = of(collector.NameRampRequests, inRamps, `outcome!="ok"`)
	)
	total := func(s series) string { return "sum by (" + list(each) + ") (" + s.String() + ")" }
	valid := func(e string) string { return par(e) + " >= 0" }
	return []panel{
		keyed("Stages", "Every request of each stage of the latest run, not a sample of them in time. Canceled requests count as failed here.", each,
			toBoard(uidTarget, "Look into this target", "&var-target=${__data.fields.target}"),
			column{title: "Requests", unit: units.Short, expr: total(requests)},
			column{title: "Failed", unit: units.PercentUnit, expr: "(" + total(failed) + " or 0 * " + total(requests) + ")\n/ (" + total(requests) + " > 0)"},
			column{title: "Shed", unit: units.Short, expr: total(of(collector.NameRampShed, inRamps))},
			column{title: "TTFT p50", unit: units.Seconds, expr: valid(latest("0.5", ttft, each...))},
			column{title: "TTFT p95", unit: units.Seconds, expr: valid(latest("0.95", ttft, each...))},
			column{title: "TTFT p99", unit: units.Seconds, expr: valid(latest("0.99", ttft, each...))},
			column{title: "Duration p95", unit: units.Seconds, expr: valid(latest("0.95", of(collector.NameRampDuration, inRamps), each...))},
			column{title: "Inter-token p95", unit: units.Seconds, expr: valid(latest("0.95", of(collector.NameRampITL, inRamps), each...))},
			column{title: "Output tokens", unit: units.Short, expr: total(of(collector.NameRampOutputTokens, inRamps))},
		).wide(16),
		grouped("TTFT by stage", "The latest run: its stages in order, with all lanes of all chosen ramps together. Choose one ramp.", units.Seconds, "stage",
			column{title: "p50", expr: valid(latest("0.5", ttft, "stage"))},
			column{title: "p95", expr: valid(latest("0.95", ttft, "stage"))}).wide(8),
	}
}

// verdicts is how verdicts look.
func verdicts() []state {
	colors := map[record.Verdict]string{
		record.Pass: "green", record.NotEnoughRuns: "blue", record.Regressed: "orange", record.Fail: "red",
		record.Invalid: "purple", record.Aborted: "dark-red", record.CutShort: "text",
	}
	var named []state
	for _, v := range record.Verdicts() {
		named = append(named, state{text: string(v), color: colors[v]})
	}
	return named
}

// lastVerdict is the number of the last run's verdict, in the order of verdicts, of each ramp.
func lastVerdict() string {
	var numbered []string
	for i, v := range record.Verdicts() {
		numbered = append(numbered, fmt.Sprintf("%d * %s", i+1, of(collector.NameRampLastVerdict, inRamps, fmt.Sprintf("verdict=%q", v))))
	}
	return "max by (target, ramp) (\n  " + strings.Join(numbered, "\n  or ") + "\n) > 0"
}

func rampHistory() []panel {
	each := []string{"target", "ramp"}
	named := "{{target}} {{ramp}}"
	newest := func(name string, more ...string) string { return most(of(name, inRamps), append(more, each...)...) }
	return []panel{
		states("Verdict of the last run", "What the newest run before each moment came to.", verdicts(), q(lastVerdict(), named)),
		steps("Knee and capacity", "Requests per second at which every objective held, and the most that can be served by the fit. A knee that drops is a regression that "+
			"quiet probes do not see.", units.RequestsPerSecond,
			q(newest(collector.NameRampLastKnee), "knee "+named), q(newest(collector.NameRampLastCapacity), "capacity "+named)),
		steps("Headroom, run by run", "Share of the knee that was left above the load at which each run found the target.", units.PercentUnit, q(newest(collector.NameRampLastHeadroom), named)),
		steps("Recovery, run by run", "How long after the overload latency was normal again.", units.Seconds, q(newest(collector.NameRampLastRecovery), named)).wide(8),
		steps("Cost at the knee, per 1,000 requests", "What the target costs at the highest load at which it keeps its objectives.", units.Short,
			q(newest(collector.NameRampLastCostPerThousand, "currency"), named+" {{currency}}")).wide(8),
		steps("Cost at the knee, per 1,000,000 output tokens", "The same, by output tokens.", units.Short,
			q(newest(collector.NameRampLastCostPerMillionToks, "currency"), named+" {{currency}}")).wide(8),
		bars("Runs", "Runs that ended within the day before, by verdict.", units.Short,
			q(times(of(collector.NameRampRuns, inRamps), "1d", "ramp", "verdict")+" > 0", "{{ramp}} {{verdict}}")).every("1d"),
		bars("Runs missed", "Runs within the day before that were due and did not begin, by reason.", units.Short,
			q(times(of(collector.NameRampMissed, inRamps), "1d", "ramp", "reason")+" > 0", "{{ramp}} {{reason}}")).every("1d"),
	}
}
