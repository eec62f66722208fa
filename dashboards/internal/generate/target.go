package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/config"
)

// target answers, of one target: what is it like, where did the time go, and what did its engine and its GPUs do meanwhile?
// Its rows are in the order in which a request meets them.
func target() board {
	one := choice("target", "Target", "The endpoint to look into.", of(collector.NameUp, inJob), "target")
	return board{
		uid: uidTarget, title: "Target", from: "now-6h", events: inTarget,
		about:     "One target in depth: its latencies, where the time of its requests goes, and what its engine and GPUs do meanwhile.",
		variables: []dashboard.VariableModel{jobVariable(), one, modelVariable(inTarget), probeVariable(inTarget)},
		rows: []row{
			{panels: targetNumbers()},
			{title: "Latency of $probe", repeat: "probe", panels: latencies()},
			{title: "Where the time goes", panels: timeShares()},
			{title: "1. Network", panels: network()},
			{title: "2. Queue", panels: queue()},
			{title: "3. Prefill", panels: prefill()},
			{title: "4. Decode", panels: decode()},
			{title: "Outcomes", panels: outcomes()},
			{title: "Tokens, cost and budgets", panels: tokens()},
			{title: "Engine", panels: engineOfTarget()},
			{title: "GPUs", panels: gpusOfTarget()},
			{title: "Retries, bursts, conversations and patience (where probes have them)", collapsed: true, panels: rarely()},
		},
	}
}

// threshold is what an objective allows, as configured, for the chosen probes.
func threshold(indicator string) query {
	return bound(most(of(collector.NameObjectiveThreshold, inProbe, fmt.Sprintf("indicator=%q", indicator)), "objective", "probe"), "objective {{objective}}")
}

// pinned is what a quantile was when a baseline was saved.
func pinned(indicator, quantile string) query {
	return bound(most(of(collector.NameBaseline, inProbe, fmt.Sprintf("indicator=%q, quantile=%q", indicator, quantile)), "probe", "quantile"), "pinned baseline {{quantile}}")
}

func targetNumbers() []panel {
	var (
		up       = of(collector.NameUp, inProbe)
		ttft     = of(collector.NameTimeToFirstToken, inProbe)
		parts    = of(collector.NameTTFTBreakdown, inProbe)
		queue    = of(collector.NameTTFTBreakdown, inProbe, `part="queue"`)
		ok       = of(collector.NameRequests, inProbe, `outcome="ok"`)
		requests = of(collector.NameRequests, inProbe)
	)
	return []panel{
		number("Probes up", "Of the chosen probes, those whose newest request was ok, and how many there are.", units.Short, plain(),
			q("sum(min by (probe) ("+up.String()+"))", "up"), q("count(count by (probe) ("+up.String()+"))", "of")),
		number("Requests that were ok", "Share of the requests in the time shown.", units.PercentUnit, scale("red", step(0.95, "yellow"), step(0.99, "green")),
			q("sum(increase("+ok.String()+"["+span+"]))\n/ (sum(increase("+requests.String()+"["+span+"])) > 0)", "")),
		number("TTFT p50", "Median time to first token in the time shown, over the chosen probes.", units.Seconds, plain(), q(quantile("0.5", ttft, span), "")),
		number("TTFT p95", "One request in twenty took longer to its first token in the time shown.", units.Seconds, plain(), q(quantile("0.95", ttft, span), "")),
		number("Tokens/s p50", "Median of the requests' output rate in the time shown.", unitTokensPerSec, plain(),
			q(quantile("0.5", of(collector.NameOutputRate, inProbe), span), "")),
		number("Queue share", "Share of the time to first token that was waiting in the server's queue, in the time shown, as far as it is known or estimated.",
			units.PercentUnit, plain(), q(sumRate(queue, span)+"\n/ ("+sumRate(parts, span)+" > 0)", "")),
		number("Least error budget left", "What the worst objective of the chosen probes has left of its error budget of 30 days.", units.PercentUnit, colorsOf(budgetColors),
			q("min("+budgetLeft(inProbe, "target", "probe", "objective")+")", "")),
		number("Last success", "Time since any of the chosen probes was ok.", units.Seconds, plain(),
			q("time() - max("+of(collector.NameLastSuccess, inProbe).String()+" > 0)", "")),
	}
}

// latencies is of one probe: the row is repeated.
func latencies() []panel {
	ttft, itl := of(collector.NameTimeToFirstToken, inProbe), of(collector.NameInterTokenLatency, inProbe)
	return []panel{
		smoke("TTFT, all requests", "Every successful request of this probe by its time to first token. Two bands are two kinds of requests, or two servers; "+
			"a smear upwards is a queue.", units.Seconds, ttft),
		lines("TTFT quantiles", "Time to first token, against its objective and the pinned baseline where there are. Windows of 20 minutes or more: the p95 of "+
			"fewer requests is close to the slowest one.", units.Seconds,
			sampled(quantile("0.5", ttft, window), "p50"), sampled(quantile("0.9", ttft, window), "p90"), sampled(quantile("0.95", ttft, window), "p95"),
			threshold(config.IndicatorTTFT), pinned(config.IndicatorTTFT, "0.5"), pinned(config.IndicatorTTFT, "0.9")).wide(15).tall(9),
		smoke("Inter-token latency, all tokens", "Every token of this probe by the time since the one before it. Only where the tokens of each chunk are known.",
			units.Seconds, itl),
		lines("Inter-token latency quantiles", "Tokens are many: one request has hundreds, so that p99 means something here.", units.Seconds,
			sampled(quantile("0.5", itl, window), "p50"), sampled(quantile("0.95", itl, window), "p95"), sampled(quantile("0.99", itl, window), "p99")).wide(15).tall(9),
	}
}

func timeShares() []panel {
	ttft, parts := of(collector.NameTimeToFirstToken, inProbe), of(collector.NameTTFTBreakdown, inProbe)
	phases, duration := of(collector.NamePhaseDuration, inProbe), of(collector.NameDuration, inProbe)
	return []panel{
		stacked("Time to first token, by part", "Mean seconds to the first token, and how much of it each part has. Where the server tells nothing, "+
			"queue, prefill and first_decode are estimates.", units.Seconds,
			q(sumRate(parts, window, "part")+"\n/ ignoring (part) group_left ()\n("+countRate(ttft, window)+" > 0)", "{{part}}")),
		stacked("Whole request, by phase", "Mean seconds of a whole request, and how much of it each phase has. Engines differ in when they send the header: "+
			"only wait and first_token together compare between targets.", units.Seconds,
			q(sumRate(phases, window, "phase")+"\n/ ignoring (phase) group_left ()\n("+countRate(duration, window)+" > 0)", "{{phase}}")),
	}
}

func network() []panel {
	steps := of(collector.NamePhaseDuration, inProbe, `phase=~"dns|connect|tls"`)
	connects := of(collector.NamePhaseDuration, inProbe, `phase="connect"`)
	return []panel{
		lines("Connection set-up", "Mean of each step, of the requests that had it: a reused connection has none.", units.Seconds,
			q(mean(steps, window, "phase"), "{{phase}}")).wide(8),
		lines("Writing the request", "Mean time until the request was handed to the kernel. It grows when the server does not read.", units.Seconds,
			q(mean(of(collector.NamePhaseDuration, inProbe, `phase="write"`), window, "probe"), "{{probe}}")).wide(8),
		lines("New connections", "Share of the requests for which a connection had to be set up.", units.PercentUnit,
			q(countRate(connects, window, "probe")+"\n/ ("+countRate(of(collector.NameDuration, inProbe), window, "probe")+" > 0)", "{{probe}}")).wide(8),
	}
}

func queue() []panel {
	// Sources that a target can have and that said nothing are left out: they are not a number.
	sourced := func(q string) string {
		return par(quantile(q, of(collector.NameQueueWait, inProbe), window, "probe", "source")) + " >= 0"
	}
	return []panel{
		lines("Queue wait p50", "Half of the requests waited longer before they were first scheduled. Sources differ in what they see and are never merged: "+
			"body and header are the server's word on this request, engine is of all its traffic, estimated is time beyond what an unloaded server would take.",
			units.Seconds, q(sourced("0.5"), "{{probe}} {{source}}"), threshold(config.IndicatorQueueWait)).wide(8),
		lines("Queue wait p95", "One request in twenty waited longer than this.", units.Seconds,
			q(sourced("0.95"), "{{probe}} {{source}}"), threshold(config.IndicatorQueueWait)).wide(8),
		lines("Unloaded TTFT, as learnt", "What the time to first token would be without other load, by prompt length: the floor from which the estimated queue wait is counted. "+
			"When it rises, the server itself became slower.", units.Seconds,
			q(most(of(collector.NameUnloadedTTFT, inTarget, `model=~"$model"`), "model", "prompt_tokens"), "{{model}} {{prompt_tokens}} tokens")).wide(8),
	}
}

func prefill() []panel {
	part := of(collector.NameTTFTBreakdown, inProbe, `part="prefill"`)
	cached, prompt := of(collector.NameCachedPromptTokens, inProbe), of(collector.NamePromptTokens, inProbe)
	return []panel{
		lines("Prefill", "Mean time to compute the prompt: what the server says, or an estimate.", units.Seconds, q(mean(part, window, "probe"), "{{probe}}")).wide(8),
		lines("Prefill, by the engine", "Mean over all of the engine's traffic, from first scheduling to first token. Only engines that tell.", units.Seconds,
			q(mean(of(engine.NamePrefill, inTarget), window, "target"), "all traffic")).wide(8).every("1m"),
		lines("Prompt tokens from a cache", "Share of the probes' prompt tokens that the server says it had cached. A prompt that ought to be new and is cached measures nothing.",
			units.PercentUnit, q(rate(cached, window, "probe")+"\n/ ("+rate(prompt, window, "probe")+" > 0)", "{{probe}}")).wide(8),
	}
}

func decode() []panel {
	tpot, speed, gap := of(collector.NameTimePerOutputToken, inProbe), of(collector.NameOutputRate, inProbe), of(collector.NameChunkGap, inProbe)
	return []panel{
		lines("Time per output token", "From the first token to the last, by the tokens: one sample per request. It grows with the batch and falls with the clocks.", units.Seconds,
			sampled(quantile("0.5", tpot, window, "probe"), "{{probe}} p50"), sampled(quantile("0.95", tpot, window, "probe"), "{{probe}} p95"),
			threshold(config.IndicatorTPOT)).wide(8),
		lines("Output tokens per second", "How fast a reader gets tokens: the median, and the slowest tenth.", unitTokensPerSec,
			sampled(quantile("0.5", speed, window, "probe"), "{{probe}} p50"), sampled(quantile("0.1", speed, window, "probe"), "{{probe}} p10"),
			threshold(config.IndicatorRate)).wide(8),
		lines("Gaps between chunks", "What a reader sees as stutter, however many tokens a chunk has.", units.Seconds,
			sampled(quantile("0.95", gap, window, "probe"), "{{probe}} p95"), sampled(quantile("0.99", gap, window, "probe"), "{{probe}} p99")).wide(8),
	}
}

func outcomes() []panel {
	duration := of(collector.NameDuration, inProbe)
	return []panel{
		lines("Whole request", "Time to the end of the answer, successful requests only. Answers differ in length: compare a probe with itself.", units.Seconds,
			sampled(quantile("0.5", duration, window, "probe"), "{{probe}} p50"), sampled(quantile("0.95", duration, window, "probe"), "{{probe}} p95"),
			threshold(config.IndicatorDuration)).wide(8),
		bars("Outcomes", "Requests per minute by what became of them.", units.RequestsPerMinute,
			q("60 * "+rate(of(collector.NameRequests, inProbe), window, "outcome")+" > 0", "{{outcome}}")).wide(8),
		bars("Probes that were not sent", "Times per minute that a probe was due and nothing was sent, by reason: gaps in what is known.", units.OpsPerMinute,
			q("60 * "+rate(of(collector.NameSkipped, inProbe), window, "probe", "reason")+" > 0", "{{probe}} {{reason}}")).wide(8),
	}
}

func tokens() []panel {
	return []panel{
		bars("Tokens of the probes", "Tokens per hour that probing used. Those of source events are estimates, one for each chunk.", unitTokens,
			q("3600 * "+rate(of(collector.NamePromptTokens, inProbe), window), "prompt"),
			q("3600 * "+rate(of(collector.NameOutputTokens, inProbe), window, "source")+" > 0", "output, by {{source}}")).wide(8),
		lines("Cost of probing per day", "What the 24 hours before each moment cost. Only targets that are priced by the token.", units.Short,
			q(increase(of(collector.NameCost, inProbe), "1d", "probe", "currency"), "{{probe}} {{currency}}")).wide(8),
		lines("Budgets of probing", "Used share of what the target may be asked in a minute, an hour or a day. At 100 % probes are skipped.", units.PercentUnit,
			q(most(of(collector.NameBudgetUsed, inTarget), "budget")+"\n/ ("+most(of(collector.NameBudgetLimit, inTarget), "budget")+" > 0)", "{{budget}}")).wide(8).every(""),
	}
}

func engineOfTarget() []panel {
	gauge := func(name string) string { return most(of(name, inTarget), "target") }
	counter := func(name string) string { return rate(of(name, inTarget), window, "target") }
	return []panel{
		lines("Requests in the engine", "How many run and how many wait, of all traffic. Waiting that grows comes before latency that grows.", units.Short,
			q(gauge(engine.NameRunning), "running"), q(gauge(engine.NameWaiting), "waiting")).wide(8).every(fastStep),
		lines("KV cache in use", "Of several instances the fullest. Near 100 % requests wait, or are preempted.", units.PercentUnit,
			q(gauge(engine.NameKVCacheUsage), "in use")).wide(8).every(fastStep),
		lines("Preemptions", "Running requests per minute that were put back because the KV cache was full.", units.OpsPerMinute,
			q("60 * "+counter(engine.NamePreemptions), "preempted")).wide(8).every("1m"),
		lines("Tokens of all traffic", "What the engine processes, the probes' own included.", unitTokensPerSec,
			q(counter(engine.NamePromptTokens), "prompt"), q(counter(engine.NameGenerationTokens), "generated")).wide(8).every("1m"),
		lines("Prefix cache hits", "Share of the prompt tokens of all traffic that came from the cache; lookups where the engine counts those alone.", units.PercentUnit,
			q(counter(engine.NameCachedPromptTokens)+"\n/ ("+counter(engine.NamePromptTokens)+" > 0)", "of prompt tokens"),
			q(counter(engine.NamePrefixHits)+"\n/ ("+counter(engine.NamePrefixQueries)+" > 0)", "of lookups")).wide(8).every("1m"),
		lines("TTFT as the engine has it", "Beside the probes' own: the difference is network, gateway and what else stands before the engine. Of all traffic.", units.Seconds,
			q(quantile("0.5", of(engine.NameTimeToFirstToken, inTarget), window), "engine p50"),
			q(quantile("0.95", of(engine.NameTimeToFirstToken, inTarget), window), "engine p95"),
			q(quantile("0.5", of(collector.NameTimeToFirstToken, inProbe), window), "probes p50")).wide(8),
	}
}

// serving keeps to the GPUs that serve the target, and to those of which it has a MIG device.
// A GPU may be read by an agent of another job, so that only its uuid joins.
func serving(expr string) string {
	served := of(gpu.MetricTargetInfo, inTarget)
	return fmt.Sprintf("%s\nand on (uuid) (\n  %s\n  or on (uuid) (%s and on (mig_uuid) label_replace(%s, \"mig_uuid\", \"$1\", \"uuid\", \"(.+)\"))\n)",
		expr, served, of(gpu.MetricMIGInfo, anywhere), served)
}

func gpusOfTarget() []panel {
	device := func(name string, more ...string) string { return most(of(name, anywhere, more...), "gpu", "uuid") }
	const each = "GPU {{gpu}} {{uuid}}"
	return []panel{
		lines("GPU busy", "Share of the streaming multiprocessors that were busy (Hopper and newer), and of the time in which anything ran at all.", units.PercentUnit,
			q(serving(device(gpu.MetricSMActive)), "SM "+each), q(serving(device(gpu.MetricUtilization)), "any "+each)).wide(8).every(fastStep),
		lines("Clock", "Of the highest one. When it sags under load, look at what holds it down.", units.PercentUnit,
			q(serving(device(gpu.MetricClock, `domain="sm"`)+" / "+device(gpu.MetricClockMax, `domain="sm"`)), each)).wide(8).every(fastStep),
		stacked("Held down by", "Seconds per second for which a reason held the clocks down. sw_power_cap is usual at full load; heat and the power brake are not.", units.PercentUnit,
			q(serving(fmt.Sprintf("max by (gpu, uuid, reason) (rate(%s[%s])) > 0", of(gpu.MetricClockEventSeconds, anywhere), window)), "{{reason}} "+each)).wide(8).every("1m"),
		lines("GPU memory in use", "An engine takes its share when it starts: what grows later is something else.", units.PercentUnit,
			q(serving(device(gpu.MetricMemoryUsed)+" / "+device(gpu.MetricMemoryTotal)), each)).wide(8).every(fastStep),
		lines("Distance from throttling", "Degrees below the temperature at which the GPU slows down.", units.Celsius,
			q(serving("min by (gpu, uuid) ("+gpu.MetricTemperatureMargin+")"), each)).wide(8).every(fastStep),
		lines("Power", "Of the limit in force.", units.PercentUnit,
			q(serving(device(gpu.MetricPower)+" / "+device(gpu.MetricPowerLimit)), each)).wide(8).every(fastStep),
	}
}

func rarely() []panel {
	user, cold := of(collector.NameUserTTFT, inProbe), of(collector.NameColdTTFT, inProbe)
	spread, turns := of(collector.NameBurstSpread, inProbe), of(collector.NameTurnTTFT, inProbe)
	return []panel{
		bars("Retries", "Further attempts per minute, because one before them failed. Only probes with retry.", units.OpsPerMinute,
			q("60 * "+rate(of(collector.NameRetries, inProbe), window, "probe"), "{{probe}}")).wide(8),
		lines("TTFT as a user who retries feels it", "From the first attempt to the first token of the last, waits included. Only probes with retry.", units.Seconds,
			q(quantile("0.5", user, window, "probe"), "{{probe}} p50"), q(quantile("0.95", user, window, "probe"), "{{probe}} p95")).wide(8),
		lines("Users who would have left", "Share who would have given up before the first token, by the configured curve of patience.", units.PercentUnit,
			q(mean(of(collector.NameAbandonment, inProbe), window, "probe"), "{{probe}}")).wide(8),
		lines("Cold TTFT", "Mean of the first requests after silence, over six hours, for they are rare. Only probes with bursts.", units.Seconds,
			q(mean(cold, "6h", "probe"), "{{probe}}")).wide(8),
		lines("Spread of a burst", "Mean over six hours of the longest less the shortest time to first token of those who came together.", units.Seconds,
			q(mean(spread, "6h", "probe"), "{{probe}}")).wide(8),
		lines("TTFT by turn", "Median by the turn of a conversation: flat where the server caches what was said, rising where it does not.", units.Seconds,
			q(quantile("0.5", turns, window, "probe", "turn"), "{{probe}} turn {{turn}}")).wide(8),
		lines("Cached share by turn", "Share of a turn's prompt tokens that the server says it had cached.", units.PercentUnit,
			q(rate(of(collector.NameTurnCachedPromptTokens, inProbe), window, "probe", "turn")+"\n/ ("+
				rate(of(collector.NameTurnPromptTokens, inProbe), window, "probe", "turn")+" > 0)", "{{probe}} turn {{turn}}")).wide(8),
	}
}
