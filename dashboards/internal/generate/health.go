package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/llmprober/llm_prober/collector"
)

// Metrics that client_golang and Prometheus itself bring, of any process.
const (
	nameCPU          = "process_cpu_seconds_total"
	nameMemory       = "process_resident_memory_bytes"
	nameOpenFiles    = "process_open_fds"
	nameMaxFiles     = "process_max_fds"
	nameStart        = "process_start_time_seconds"
	nameGoroutines   = "go_goroutines"
	nameSchedLatency = "go_sched_latencies_seconds"
	namePageErrors   = "promhttp_metric_handler_errors_total"
	namePages        = "promhttp_metric_handler_requests_total"
	nameScraped      = "scrape_samples_scraped"
	nameScrapeTime   = "scrape_duration_seconds"
	nameScrapeUp     = "up"
)

// health answers: can these numbers be trusted, or was the prober itself the bottleneck?
func health() board {
	var (
		job       = "{{instance}}"
		degraded  = of(collector.NameDegraded, inJob)
		requests  = of(collector.NameRequests, inJob)
		clocks    = of(collector.NameMeasurements, inJob)
		user      = of(collector.NameMeasurements, inJob, `clock="user"`)
		dispatch  = of(collector.NameDispatchDelay, inJob)
		receive   = of(collector.NameReceiveDelay, inJob)
		lag       = of(collector.NameSchedulerLag, inJob)
		skipped   = of(collector.NameSkipped, inJob)
		gauge     = func(name string) string { return most(of(name, inJob), "instance") }
		each      = "instance"
		byBudget  = []string{"target", "budget"}
		discovery = of(collector.NameDiscoveryRefreshes, inJob, `result="failure"`)
	)
	return board{
		uid: uidHealth, title: "Prober health", from: "now-6h", events: anywhere,
		about:     "The prober itself: whether it was late, what it left out, and what it costs its machine.",
		variables: []dashboard.VariableModel{jobVariable()},
		rows: []row{
			{panels: []panel{
				number("Probers up", "Probers that Prometheus can scrape.", units.Short, scale("red", step(1, "green")),
					q("sum("+of(nameScrapeUp, inJob).String()+")", "")),
				number("Probes", "Pairs of target and probe that are being measured.", units.Short, plain(), q("sum("+of(collector.NameProbeSeries, inJob).String()+")", "")),
				number("Degraded measurements", "Share of the requests in the time shown during which the prober itself was late.", units.PercentUnit,
					scale("green", step(0.01, "yellow"), step(0.05, "red")),
					q("sum(increase("+degraded.String()+"["+span+"]))\n/ (sum(increase("+requests.String()+"["+span+"])) > 0)", "")),
				number("By the user's clock", "Share of the measurements in the time shown that have no kernel time for at least one event: they include the prober's own waiting.", units.PercentUnit, plain(),
					q("(sum(increase("+user.String()+"["+span+"])) or vector(0))\n/ (sum(increase("+clocks.String()+"["+span+"])) > 0)", "")),
				number("Configuration", "Whether the newest configuration file was loaded (1), or the one before it is still in force (0).", units.BoolYesNo, scale("red", step(1, "green")),
					q("min("+of(collector.NameReloadSuccessful, inJob).String()+")", "loaded")),
				number("Configuration loaded", "When the configuration in force was loaded.", units.DateTimeFromNow, plain(),
					q(moment(of(collector.NameReloadSuccessTime, inJob), each), job)),
				number("Started", "When the process started.", units.DateTimeFromNow, plain(), q(moment(of(nameStart, inJob), each), job)),
				number("Version", "What is running.", units.Short, plain(),
					q("count by (version) ("+of(collector.NameBuildInfo, inJob).String()+")", "{{version}}")),
			}},
			{title: "Is it late?", panels: []panel{
				lines("Dispatch delay", "How late requests were sent, from the time that the schedule intended.", units.Seconds,
					q(quantile("0.5", dispatch, window, each), job+" p50"), q(quantile("0.99", dispatch, window, each), job+" p99")).wide(8),
				lines("Receive delay", "How long after its arrival in the kernel an answer was read, at worst within each request. Latencies by the kernel's clock do not include it.", units.Seconds,
					q(quantile("0.5", receive, window, each), job+" p50"), q(quantile("0.99", receive, window, each), job+" p99")).wide(8),
				lines("Scheduler lag", "How late the schedule's own timer woke. When this grows first, the machine is short of processor time.", units.Seconds,
					q(quantile("0.99", lag, window, each), job+" p99")).wide(8),
				lines("Degraded share", "Share of the requests during which the prober was late beyond the configured bound.", units.PercentUnit,
					q(rate(degraded, window, each)+"\n/ ("+rate(requests, window, each)+" > 0)", job)).wide(8),
				stacked("Measurements by clock", "Requests per minute, by whose clock stamped the answer.", units.RequestsPerMinute,
					q("60 * "+rate(clocks, window, "clock"), "{{clock}}")).wide(8),
				lines("Goroutines waiting for a processor", "p99 of Go's own scheduler.", units.Seconds, q(quantile("0.99", of(nameSchedLatency, inJob), window, each), job)).wide(8),
			}},
			{title: "What it left out", panels: []panel{
				bars("Skipped, by reason", "Times per minute that a probe was due and nothing was sent.", units.OpsPerMinute,
					q("60 * "+rate(skipped, window, "reason")+" > 0", "{{reason}}")).wide(8),
				bars("Skipped, by target", "The same, by target.", units.OpsPerMinute, q("60 * "+rate(skipped, window, "target")+" > 0", "{{target}}")).wide(8),
				bars("Canceled and unfiled", "Requests per minute that the prober ended itself, and results that no series could take.", units.OpsPerMinute,
					q("60 * "+rate(of(collector.NameCanceledRequests, inJob), window, each)+" > 0", job+" canceled"),
					q("60 * "+rate(of(collector.NameUnfiled, inJob), window, each)+" > 0", job+" unfiled")).wide(8),
				lines("Budgets", "Used share of what a target, or all together, may use. At 100 % probes are skipped.", units.PercentUnit,
					q(most(of(collector.NameBudgetUsed, inJob), byBudget...)+"\n/ ("+most(of(collector.NameBudgetLimit, inJob), byBudget...)+" > 0)", "{{target}} {{budget}}")).every(""),
				lines("In flight", "Requests that were dispatched and have not ended.", units.Short,
					q("sum by (instance) ("+of(collector.NameInFlight, inJob).String()+")", job)).every(""),
			}},
			{title: "Configuration and discovery", panels: []panel{
				bars("Loads of the configuration", "Attempts, by result.", units.Short,
					q(times(of(collector.NameConfigReloads, inJob), window, each, "result")+" > 0", job+" {{result}}")).wide(8).every("1m"),
				lines("Targets discovered", "Targets that each source names. Only with target_files or http_sd.", units.Short,
					q(most(of(collector.NameDiscoveryTargets, inJob), each, "source"), job+" {{source}}")).wide(8).every(""),
				bars("Failed refreshes", "Attempts to read a list of targets that failed: the last good list stays.", units.Short,
					q(times(discovery, window, each, "source")+" > 0", job+" {{source}}")).wide(4).every("1m"),
				lines("Age of the lists", "Time since the list of each source was last read.", units.Seconds,
					q(age(of(collector.NameDiscoveryLastSuccess, inJob), each, "source"), job+" {{source}}")).wide(4).every(""),
			}},
			{title: "The process", panels: []panel{
				lines("Processor", "Cores in use.", units.Short, q(rate(of(nameCPU, inJob), window, each), job)).wide(6).every(fastStep),
				lines("Memory", "Resident. Over weeks it ought to be flat.", units.BytesIEC, q(gauge(nameMemory), job)).wide(6).every(""),
				lines("Open files", "Of those that the process may open.", units.PercentUnit, q(gauge(nameOpenFiles)+" / "+gauge(nameMaxFiles), job)).wide(6).every(""),
				lines("Goroutines", "They ought to follow the requests in flight, and not grow.", units.Short, q(gauge(nameGoroutines), job)).wide(6).every(""),
				lines("Samples per scrape", "How much Prometheus reads each time.", units.Short, q(gauge(nameScraped), job)).wide(6).every(""),
				lines("Time of a scrape", "As Prometheus sees it.", units.Seconds, q(gauge(nameScrapeTime), job)).wide(6).every(""),
				bars("Scrapes answered", "Per minute, by HTTP status. 503 means too many at once.", units.OpsPerMinute,
					q("60 * "+rate(of(namePages, inJob), window, each, "code")+" > 0", job+" {{code}}")).wide(6).every("1m"),
				bars("Errors on /metrics", "Families that could not be gathered or written.", units.OpsPerMinute,
					q("60 * "+rate(of(namePageErrors, inJob), window, each, "cause")+" > 0", job+" {{cause}}")).wide(6).every("1m"),
			}},
		},
	}
}
