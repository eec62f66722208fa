package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/collector/gpu"
)

// hardware answers: what do the engines and the GPUs do, and which of them is unwell?
func hardware() board {
	job := choices("job", "Job", "The scrape jobs of probers and GPU agents.",
		series{match: fmt.Sprintf("__name__=~\"%s|%s\"", gpu.MetricCollectorState, engine.NameUp)}, "job")
	target := choices("target", "Target", "Endpoints whose engine is read.", of(engine.NameUp, inJob), "target")
	device := choices("gpu", "GPU", "GPUs, by their UUID.", of(gpu.MetricUp, inJob), "uuid")
	return board{
		uid: uidGPU, title: "GPU and engine", from: "now-6h", events: inFleet,
		about:     "The serving engines by their own word, and the GPUs by the driver's, ramps marked.",
		variables: []dashboard.VariableModel{job, target, device},
		rows: []row{
			{panels: gpuNumbers()},
			{title: "Engines: load", panels: engineLoad()},
			{title: "Engines: time", panels: engineTimes()},
			{title: "Engines: themselves", panels: enginesThemselves()},
			{title: "GPUs", panels: gpuTable()},
			{title: "GPUs: work", panels: gpuWork()},
			{title: "GPUs: power and heat", panels: gpuPower()},
			{title: "GPUs: faults", panels: gpuFaults()},
			{title: "MIG devices (where there are)", collapsed: true, panels: migDevices()},
			{title: "How the GPUs are read", collapsed: true, panels: gpuReading()},
		},
	}
}

const namedGPU = "{{instance}} GPU {{gpu}}"

// perGPU is the labels of a GPU. instance is the machine, which its index needs to mean anything.
var perGPU = []string{"instance", "gpu", "uuid"}

func gpuNumbers() []panel {
	of := func(name string) series { return of(name, inGPUs) }
	return []panel{
		number("Engines that answer", "Engines whose metrics could be read the last time, and how many there are.", units.Short, plain(),
			q("sum("+most(series{engine.NameUp, string(inFleet)}, "target")+")", "up"),
			q("count("+most(series{engine.NameUp, string(inFleet)}, "target")+")", "of")).wide(4),
		number("GPUs that answer", "GPUs that can be read, and how many were ever seen. One that was lost stays counted until the prober restarts.", units.Short, plain(),
			q("sum(max by (uuid) ("+of(gpu.MetricUp).String()+"))", "up"), q("count(max by (uuid) ("+of(gpu.MetricUp).String()+"))", "of")).wide(4),
		number("GPUs missing", "GPUs that ought to be there, as configured or by the PCI bus, and that the driver does not list.", units.Short, scale("green", step(1, "red")),
			q(fmt.Sprintf("sum(max by (instance) (%s{%s}) - max by (instance) (%s{%s}))", gpu.MetricDevicesExpected, inJob, gpu.MetricDevicesVisible, inJob), "")).wide(4),
		number("GPUs that need something done", "GPUs for which the driver wants a reset, a reboot or more.", units.Short, scale("green", step(1, "red")),
			q(orZero("count(max by (uuid) ("+of(gpu.MetricRecoveryAction).String()+") > 0)"), "")).wide(4),
		number("XIDs, 24 h", "Kinds of errors that the driver reported within a day, GPU by GPU.", units.Short, scale("green", step(1, "red")),
			q(orZero("count(max by (uuid, xid) ("+of(gpu.MetricXIDLast).String()+") > time() - 86400)"), "")).wide(4),
		number("GPUs held down by heat", "GPUs that over the last 5 minutes were slowed down by heat or by the power brake.", units.Short, scale("green", step(1, "red")),
			q(orZero(fmt.Sprintf(`count(max by (uuid) (rate(%s{%s, reason=~"sw_thermal|hw_thermal|hw_power_brake"}[5m])) > 0)`, gpu.MetricClockEventSeconds, inGPUs)), "")).wide(4),
	}
}

// engineGauge and engineCounter are of all traffic of a target's engine, whoever sent it.
func engineGauge(name string) query { return q(most(of(name, inFleet), "target"), "{{target}}") }

func engineCounter(name string) string { return rate(of(name, inFleet), window, "target") }

func engineLoad() []panel {
	price := of(collector.NameHourlyPrice, inFleet)
	return []panel{
		lines("Requests running", "Requests in the batch.", units.Short, engineGauge(engine.NameRunning)).wide(8).every(fastStep),
		lines("Requests waiting", "Requests that the engine has taken in and not yet scheduled.", units.Short, engineGauge(engine.NameWaiting)).wide(8).every(fastStep),
		lines("KV cache in use", "Of several instances the fullest.", units.PercentUnit, engineGauge(engine.NameKVCacheUsage)).wide(8).every(fastStep),
		lines("Tokens generated", "By all traffic.", unitTokensPerSec, q(engineCounter(engine.NameGenerationTokens), "{{target}}")).wide(8).every("1m"),
		lines("Prompt tokens", "By all traffic, cached ones included.", unitTokensPerSec, q(engineCounter(engine.NamePromptTokens), "{{target}}")).wide(8).every("1m"),
		lines("Prefix cache hits", "Share of the prompt tokens that came from the cache.", units.PercentUnit,
			q(engineCounter(engine.NameCachedPromptTokens)+"\n/ ("+engineCounter(engine.NamePromptTokens)+" > 0)", "{{target}}")).wide(8).every("1m"),
		lines("Preemptions", "Running requests per minute that were put back because the KV cache was full.", units.OpsPerMinute,
			q("60 * "+engineCounter(engine.NamePreemptions), "{{target}}")).wide(8).every("1m"),
		bars("Requests that ended", "Per second, by how.", units.RequestsPerSecond,
			q(rate(of(engine.NameFinished, inFleet), window, "target", "reason")+" > 0", "{{target}} {{reason}}")).wide(8).every("1m"),
		lines("Cost of a million output tokens", "At the load of the hour before, all of the price put on output. Only targets that are priced by the hour.", units.Short,
			q("1e6 * "+most(price, "target", "currency")+"\n/ on (target) group_left ()\n(3600 * "+rate(of(engine.NameGenerationTokens, inFleet), "1h", "target")+" > 0)", "{{target}} {{currency}}")).wide(8),
	}
}

func engineTimes() []panel {
	p95 := func(name string) query {
		return q(quantile("0.95", of(name, inFleet), window, "target"), "{{target}} p95")
	}
	p50 := func(name string) query {
		return q(quantile("0.5", of(name, inFleet), window, "target"), "{{target}} p50")
	}
	average := func(name string) query { return q(mean(of(name, inFleet), window, "target"), "{{target}}") }
	const coarse = " As coarse as the engine's own buckets."
	return []panel{
		lines("Queue wait, mean", "As the engine counts it. Most engines note it when the request ends, so that it lags.", units.Seconds, average(engine.NameQueueWait)).wide(8).every("1m"),
		lines("Time to first token", "From a request's arrival at the engine."+coarse, units.Seconds, p50(engine.NameTimeToFirstToken), p95(engine.NameTimeToFirstToken)).wide(8).every("1m"),
		lines("Inter-token latency", "Between two tokens, or two steps' tokens, of a request."+coarse, units.Seconds,
			p50(engine.NameInterTokenLatency), p95(engine.NameInterTokenLatency)).wide(8).every("1m"),
		lines("Prefill, mean", "From first scheduling to first token.", units.Seconds, average(engine.NamePrefill)).wide(6).every("1m"),
		lines("Decode, mean", "From first token to last.", units.Seconds, average(engine.NameDecode)).wide(6).every("1m"),
		lines("Tokens in a step, mean", "Prompt and generation together.", unitTokens, average(engine.NameStepTokens)).wide(6).every("1m"),
		lines("Requests in a batch, mean", "What the engine put together.", units.Short, average(engine.NameBatchSize)).wide(6).every("1m"),
	}
}

func enginesThemselves() []panel {
	return []panel{
		bars("Engine could not be read", "Failed fetches per minute of the engine's metrics, by reason.", units.OpsPerMinute,
			q("60 * "+rate(of(engine.NameScrapeFailures, inFleet), window, "target", "reason")+" > 0", "{{target}} {{reason}}")).wide(6).every("1m"),
		lines("Age of what is known", "Since the fetch that the engine's series are from.", units.Seconds, engineGauge(engine.NameSnapshotAge)).wide(6).every(fastStep),
		bars("Restarts", "Times that the engine's counters began anew. One with every fetch means a load balancer that leads to several engines.", units.Short,
			q(times(of(engine.NameRestarts, inFleet), window, "target")+" > 0", "{{target}}")).wide(6).every("1m"),
		lines("Memory of the engine's process", "Of the process that serves the metrics, where it tells.", units.BytesIEC, engineGauge(engine.NameProcessMemory)).wide(6).every("1m"),
	}
}

func gpuTable() []panel {
	value := func(name string, more ...string) string { return most(of(name, inGPUs, more...), perGPU...) }
	down := []dashboard.Threshold{{Color: "green"}, step(1, "red")}
	return []panel{
		keyed("GPUs now", "One row for each GPU. What a GPU does not support is empty.", perGPU,
			toBoard(uidGPU, "Only this GPU", "&var-gpu=${__data.fields.uuid}"),
			column{title: "Up", unit: units.Short, expr: least(of(gpu.MetricUp, inGPUs), perGPU...), mapping: upMapping},
			column{title: "SM busy", unit: units.PercentUnit, expr: value(gpu.MetricSMActive)},
			column{title: "Clock", unit: units.PercentUnit, expr: value(gpu.MetricClock, `domain="sm"`) + " / " + value(gpu.MetricClockMax, `domain="sm"`)},
			column{title: "Memory", unit: units.PercentUnit, expr: value(gpu.MetricMemoryUsed) + " / " + value(gpu.MetricMemoryTotal)},
			column{title: "Power", unit: units.Watt, expr: value(gpu.MetricPower)},
			column{title: "Below throttling", unit: units.Celsius, expr: least(of(gpu.MetricTemperatureMargin, inGPUs), perGPU...),
				colors: []dashboard.Threshold{{Color: "red"}, step(3, "yellow"), step(8, "green")}},
			column{title: "Uncorrected ECC", unit: units.Short, colors: down,
				expr: "sum by (" + list(perGPU) + ") (max by (instance, gpu, uuid, type) (last_over_time(" + of(gpu.MetricECCErrors, inGPUs, `type="uncorrected", lifetime="volatile"`).String() + "[5m])))"},
			column{title: "Remap pending", unit: units.BoolYesNo, colors: down, expr: value(gpu.MetricRowRemapPending)},
			column{title: "Recovery action", unit: units.Short, colors: down, expr: value(gpu.MetricRecoveryAction)},
		),
	}
}

func gpuGauge(name string, more ...string) query {
	return q(most(of(name, inGPUs, more...), perGPU...), namedGPU)
}

// gpuRatio is one gauge of a GPU as a share of another.
func gpuRatio(part, whole string, more ...string) query {
	return q(most(of(part, inGPUs, more...), perGPU...)+" / "+most(of(whole, inGPUs, more...), perGPU...), namedGPU)
}

func gpuCounter(name, legend string, more ...string) query {
	by := append([]string{}, perGPU...)
	return q(fmt.Sprintf("max by (%s) (rate(%s[%s]))", list(append(by, more...)), of(name, inGPUs), window), legend)
}

func gpuWork() []panel {
	return []panel{
		lines("SM busy", "Share of the streaming multiprocessors that were busy. Hopper and newer.", units.PercentUnit, gpuGauge(gpu.MetricSMActive)).wide(8).every(fastStep),
		lines("Tensor pipes busy", "Share of the time. Prefill is where this is high. Hopper and newer.", units.PercentUnit, gpuGauge(gpu.MetricTensorActive)).wide(8).every(fastStep),
		lines("Memory bandwidth used", "Share of what there is. Decode is where this is high. Hopper and newer.", units.PercentUnit, gpuGauge(gpu.MetricDRAMActive)).wide(8).every(fastStep),
		lines("Anything running", "Share of the time with a kernel resident: it says nothing about how much of the GPU was used.", units.PercentUnit, gpuGauge(gpu.MetricUtilization)).wide(8).every(fastStep),
		lines("Memory in use", "Over a soak it ought to be flat.", units.PercentUnit, gpuRatio(gpu.MetricMemoryUsed, gpu.MetricMemoryTotal)).wide(8).every(fastStep),
		lines("Clock", "Of the highest one, of the streaming multiprocessors. Over a soak it ought not to sag.", units.PercentUnit, gpuRatio(gpu.MetricClock, gpu.MetricClockMax, `domain="sm"`)).wide(8).every(fastStep),
	}
}

func gpuPower() []panel {
	held := of(gpu.MetricClockEventActive, inGPUs, `reason!~"gpu_idle|applications_clocks|display_clocks"`)
	return []panel{
		states("Held down by", "What holds the clocks below what was asked for, at the moment of sampling. sw_power_cap is usual at full load; heat and the power brake are not.",
			[]state{{text: "held down", color: "orange"}}, q("max by (instance, gpu, uuid, reason) ("+held.String()+") == 1", namedGPU+" {{reason}}")),
		stacked("Time held down", "Seconds per second, counted by the driver, so that what happens between two samplings shows.", units.PercentUnit,
			gpuCounter(gpu.MetricClockEventSeconds, namedGPU+" {{reason}}", "reason")).wide(8).every("1m"),
		lines("Power", "And the limit in force.", units.Watt, gpuGauge(gpu.MetricPower),
			bound(most(of(gpu.MetricPowerLimit, inGPUs), perGPU...), "limit "+namedGPU)).wide(8).every(fastStep),
		lines("Temperature", "By sensor: of the chip, and of its memory where it has one of its own.", units.Celsius,
			q("max by (instance, gpu, uuid, sensor) ("+of(gpu.MetricTemperature, inGPUs).String()+")", namedGPU+" {{sensor}}")).wide(8).every(fastStep),
	}
}

// heard is by how much counters grew that do not exist before the first of what they count: one that was not there a window ago
// grew by all that it has.
func heard(s series, by ...string) string {
	newest := func(offset string) string {
		return fmt.Sprintf("max by (%s) (last_over_time(%s[%s]%s))", list(by), s, window, offset)
	}
	return fmt.Sprintf("round(max by (%s) (increase(%s[%s]))) > 0\nor\n(%s > 0 unless %s)", list(by), s, window, newest(""), newest(" offset "+window))
}

func gpuFaults() []panel {
	return []panel{
		bars("XIDs", "Errors that the driver reported, by code: docs/gpu.md says what they mean. One error may be heard from the driver and from the kernel log.", units.Short,
			q(heard(of(gpu.MetricXIDErrors, inGPUs), "instance", "gpu", "uuid", "xid", "source"), namedGPU+" XID {{xid}} ({{source}})")).wide(8).every("1m"),
		bars("ECC errors", "Memory errors since the driver was loaded, by kind. Corrected ones are a warning, uncorrected ones a loss.", units.Short,
			q("max by (instance, gpu, uuid, type) (increase("+of(gpu.MetricECCErrors, inGPUs, `lifetime="volatile"`).String()+"["+window+"])) > 0", namedGPU+" {{type}}")).wide(8).every("1m"),
		bars("Rows replaced", "Memory rows replaced by spare ones, by the errors that caused it.", units.Short,
			q("max by (instance, gpu, uuid, cause) (increase("+of(gpu.MetricRemappedRows, inGPUs).String()+"["+window+"])) > 0", namedGPU+" {{cause}}")).wide(8).every("1m"),
		lines("PCIe traffic", "Sent and received by the GPU.", units.BytesPerSecondIEC,
			gpuCounter(gpu.MetricPCIeTransmit, "sent "+namedGPU), gpuCounter(gpu.MetricPCIeReceive, "received "+namedGPU)).wide(8).every("1m"),
		lines("NVLink traffic", "Payload over all links.", units.BytesPerSecondIEC,
			gpuCounter(gpu.MetricNVLinkTransmit, "sent "+namedGPU), gpuCounter(gpu.MetricNVLinkReceive, "received "+namedGPU)).wide(8).every("1m"),
		lines("Link errors", "PCIe packets that were sent again, and NVLink errors, per second.", units.OpsPerSecond,
			gpuCounter(gpu.MetricPCIeReplays, "PCIe "+namedGPU), gpuCounter(gpu.MetricNVLinkErrors, "NVLink "+namedGPU+" {{kind}}", "kind")).wide(8).every("1m"),
	}
}

func migDevices() []panel {
	by := append([]string{}, perGPU...)
	by = append(by, "gpu_instance_id")
	named := namedGPU + "/{{gpu_instance_id}}"
	gauge := func(name string) string { return most(of(name, inGPUs), by...) }
	return []panel{
		lines("SM busy", "Share of the instance's streaming multiprocessors. Hopper and newer.", units.PercentUnit, q(gauge(gpu.MetricMIGSMActive), named)).wide(8).every(fastStep),
		lines("Memory bandwidth used", "Share of the instance's. Hopper and newer.", units.PercentUnit, q(gauge(gpu.MetricMIGDRAMActive), named)).wide(8).every(fastStep),
		lines("Memory in use", "Share of the instance's.", units.PercentUnit, q(gauge(gpu.MetricMIGMemoryUsed)+" / "+gauge(gpu.MetricMIGMemoryTotal), named)).wide(8).every(fastStep),
	}
}

func gpuReading() []panel {
	one := func(name string) string { return "max by (instance) (" + of(name, inJob).String() + ")" }
	return []panel{
		lines("Age of the readings", "Time since the last successful sampling began. Old readings are withdrawn.", units.Seconds, q(one(gpu.MetricSnapshotAge), "{{instance}}")).wide(6).every(fastStep),
		lines("Time of a sampling", "What reading all GPUs took.", units.Seconds, q(one(gpu.MetricCollectorDuration), "{{instance}}")).wide(6).every(fastStep),
		bars("Workers replaced", "Replacements of the process that talks to the driver, by reason.", units.Short,
			q(times(of(gpu.MetricCollectorRestarts, inJob), window, "instance", "reason")+" > 0", "{{instance}} {{reason}}")).wide(6).every("1m"),
		bars("Failed calls", "Calls to the driver that failed, per minute.", units.OpsPerMinute,
			q("60 * "+rate(of(gpu.MetricCollectorErrors, inJob), window, "instance", "call", "code")+" > 0", "{{instance}} {{call}} {{code}}")).wide(6).every("1m"),
	}
}
