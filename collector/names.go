package collector

// The names of the metric families. A dashboard, a rule or a page that names one takes it from here.
const (
	NameTimeToFirstToken   = "llm_probe_time_to_first_token_seconds"
	NameDuration           = "llm_probe_duration_seconds"
	NameInterTokenLatency  = "llm_probe_inter_token_latency_seconds"
	NameChunkGap           = "llm_probe_chunk_gap_seconds"
	NameTimePerOutputToken = "llm_probe_time_per_output_token_seconds"
	NameOutputRate         = "llm_probe_output_tokens_per_second"
	NamePhaseDuration      = "llm_probe_phase_duration_seconds"

	NameQueueWait     = "llm_probe_queue_wait_seconds"
	NameTTFTBreakdown = "llm_probe_ttft_breakdown_seconds"
	NameAbandonment   = "llm_probe_expected_abandonment_ratio"

	NameRetries     = "llm_probe_retries_total"
	NameUserTTFT    = "llm_probe_user_time_to_first_token_seconds"
	NameBurstSpread = "llm_probe_burst_ttft_spread_seconds"
	NameColdTTFT    = "llm_probe_cold_time_to_first_token_seconds"

	NameTurnTTFT               = "llm_probe_turn_time_to_first_token_seconds"
	NameTurnPromptTokens       = "llm_probe_turn_prompt_tokens_total"
	NameTurnCachedPromptTokens = "llm_probe_turn_cached_prompt_tokens_total"

	NameRequests           = "llm_probe_requests_total"
	NameCanceledRequests   = "llm_probe_canceled_total"
	NameSkipped            = "llm_probe_skipped_total"
	NamePromptTokens       = "llm_probe_prompt_tokens_total"
	NameCachedPromptTokens = "llm_probe_cached_prompt_tokens_total"
	NameOutputTokens       = "llm_probe_output_tokens_total"
	NameCost               = "llm_probe_cost_total"

	NameUp          = "llm_probe_up"
	NameInterval    = "llm_probe_interval_seconds"
	NameInFlight    = "llm_probe_in_flight"
	NameLastRun     = "llm_probe_last_run_timestamp_seconds"
	NameLastSuccess = "llm_probe_last_success_timestamp_seconds"

	NameUnloadedTTFT = "llm_probe_unloaded_ttft_seconds"
	NameHourlyPrice  = "llm_target_price_per_hour"

	NameBudgetLimit = "llm_budget_limit"
	NameBudgetUsed  = "llm_budget_used"

	NameBaseline = "llm_baseline_seconds"

	NameDiscoveryTargets     = "llm_prober_discovery_targets"
	NameDiscoveryRefreshes   = "llm_prober_discovery_refreshes_total"
	NameDiscoveryLastSuccess = "llm_prober_discovery_last_success_timestamp_seconds"

	NameObjectiveEvents    = "llm_objective_events_total"
	NameObjectiveBad       = "llm_objective_bad_total"
	NameObjectiveGoal      = "llm_objective_goal_ratio"
	NameObjectiveThreshold = "llm_objective_threshold"

	NameMeasurements  = "llm_prober_measurements_total"
	NameDegraded      = "llm_prober_measurement_degraded_total"
	NameDispatchDelay = "llm_prober_dispatch_delay_seconds"
	NameReceiveDelay  = "llm_prober_receive_delay_seconds"
	NameSchedulerLag  = "llm_prober_scheduler_lag_seconds"
	NameUnfiled       = "llm_prober_unfiled_results_total"
	NameProbeSeries   = "llm_prober_probes"

	NameBuildInfo         = "llm_prober_build_info"
	NameReloadSuccessful  = "llm_prober_config_last_reload_successful"
	NameReloadSuccessTime = "llm_prober_config_last_reload_success_timestamp_seconds"
	NameConfigReloads     = "llm_prober_config_reloads_total"
)

// Values of labels that are not those of another package.
const (
	otherSkipReason = "other"
	// The reason of requests that this machine had no file descriptor, port or memory for: prober.Unsent.
	skippedUnsent = "prober_resources"
	resultSuccess = "success"
	resultFailure = "failure"
)

// requestIDExemplar is the label of the exemplars.
const requestIDExemplar = "request_id"

// Kind is the type of a metric family.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram" // classic and native at once
)

// Scope says how often a family's series exist.
type Scope string

// The scopes.
const (
	PerStream    Scope = "per streaming probe" // once for each target and probe that streams; absent for the others
	PerProbe     Scope = "per probe"           // once for each target and probe
	PerTarget    Scope = "per target"          // once for each target: without the label probe
	PerBudget    Scope = "per budget"          // once for each budget of a target, and of all together
	PerObjective Scope = "per objective"       // once for each objective
	PerRamp      Scope = "per ramp"            // once for each ramp
	PerLane      Scope = "per lane"            // once for each lane of a run that is under way
	PerStage     Scope = "per stage"           // once for each lane, stage and probe of a ramp's latest run
	PerProber    Scope = "per prober"          // once
)

// Family is one metric family.
type Family struct {
	Name    string
	Kind    Kind
	Scope   Scope
	Labels  []string  // beside target, model, probe, the target's own labels and the global ones
	Buckets []float64 // the classic upper bounds of a histogram, without +Inf; empty: only +Inf, the rest is native
	Help    string    // what /metrics says
	Note    string    // what docs/metrics.md says beyond that; may be empty
}

// Families lists every family of this package, in the order of the documentation.
func Families() []Family { return append(probeFamilies(), rampFamilies()...) }

// probeFamilies lists every family that a result, a reload or the schedule fills.
func probeFamilies() []Family {
	return []Family{
		{
			Name: NameTimeToFirstToken, Kind: Histogram, Scope: PerStream, Buckets: ttftBuckets(),
			Help: "Time from dispatching a request to its first generated token (text, reasoning or tool call), connection set-up included. Successful streaming requests only.",
			Note: "A failed request has no sample here: read it together with `" + NameRequests + "`. The first request of a burst is in `" + NameColdTTFT + "` instead. Exemplar: `request_id`.",
		},
		{
			Name: NameColdTTFT, Kind: Histogram, Scope: PerStream, Buckets: ttftBuckets(),
			Help: "Time to first token of the first request after the probe was silent, for probes that send bursts. Successful streaming requests only.",
			Note: "Such a request is not in `" + NameTimeToFirstToken + "`: what it costs to wake a server must not be taken for how it serves. " +
				"The others of its burst are: they wait for the same start. Only the probe itself was silent: another probe of the target keeps it warm.",
		},
		{
			Name: NameBurstSpread, Kind: Histogram, Scope: PerStream, Buckets: ttftBuckets(),
			Help: "Longest less shortest time to first token within one burst: one sample per burst of which two requests or more were successful.",
			Note: "What scaling from zero and a cold batch cost the last of the users who came together. The first request of the burst counts here, too.",
		},
		{
			Name: NameUserTTFT, Kind: Histogram, Scope: PerStream, Buckets: ttftBuckets(),
			Help: "Time from dispatching the first attempt to the first token of the last one, waits between them included: what the user of a client that retries feels.",
			Note: "Only for probes with `retry`. One sample for each request that was answered in the end; one that was not has none. `" + NameTimeToFirstToken + "` judges each attempt by itself.",
		},
		{
			Name: NameTurnTTFT, Kind: Histogram, Scope: PerStream, Labels: []string{"turn"}, Buckets: ttftBuckets(),
			Help: "Time to first token by the turn of a conversation, from 1. Successful streaming requests only.",
			Note: "Only for probes with `turns`. Each turn carries all that was said before; what the server has cached of it shows in `" + NameTurnCachedPromptTokens + "`.",
		},
		{
			Name: NameDuration, Kind: Histogram, Scope: PerProbe, Buckets: durationBuckets(),
			Help: "Time from dispatching a request to the end of its answer, connection set-up included. Successful requests only.",
			Note: "How long failures take is a matter of the timeouts, not of the server, and would drown the rest. Exemplar: `request_id`.",
		},
		{
			Name: NameInterTokenLatency, Kind: Histogram, Scope: PerStream, Buckets: itlBuckets(),
			Help: "Time between two content-bearing chunks divided by the tokens in the later one, counted once per token. Only where the tokens of each chunk are known. Successful streaming requests only.",
			Note: "Known means: the server counted each chunk, or its usage equals the number of chunks, give or take the end-of-sequence token that is counted but never shown. " +
				"Otherwise there is no sample here, and `" + NameChunkGap + "` is what can be said.",
		},
		{
			Name: NameChunkGap, Kind: Histogram, Scope: PerStream, Buckets: chunkGapBuckets(),
			Help: "Time between two consecutive content-bearing chunks, however many tokens they hold. Successful streaming requests only.",
			Note: "Chunks that arrived in one segment have a gap of 0.",
		},
		{
			Name: NameTimePerOutputToken, Kind: Histogram, Scope: PerStream, Buckets: tpotBuckets(),
			Help: "Time from the first to the last token divided by the output tokens that came after the first chunk: one sample per request. Only where the server counted the tokens. Successful streaming requests only.",
			Note: "No sample for an answer of one token, or one that arrived all at once. Reasoning tokens that were counted but not streamed are left out.",
		},
		{
			Name: NameOutputRate, Kind: Histogram, Scope: PerStream, Buckets: rateBuckets(),
			Help: "Output tokens but one, divided by the time from the first to the last token: one sample per request. Only where the server counted the tokens. Successful streaming requests only.",
			Note: "The inverse of `" + NameTimePerOutputToken + "`, under the same conditions.",
		},
		{
			Name: NamePhaseDuration, Kind: Histogram, Scope: PerProbe, Labels: []string{"phase"}, Buckets: phaseBuckets(),
			Help: "Where the time of a successful request went, by phase. A phase that did not happen (dns, connect and tls on a reused connection) has no sample.",
			Note: phaseNote(),
		},
		{
			Name: NameTTFTBreakdown, Kind: Histogram, Scope: PerStream, Labels: []string{"part"},
			Help: "Where the time to first token of a successful request went, by part, as far as it is known: network, queue, load (of the model), prefill, first_decode; unknown is the rest.",
			Note: "A part that is not known has no sample, and its time is in `unknown`. Where the server tells nothing, queue, prefill and first_decode are estimates (see `" + NameUnloadedTTFT + "`). " +
				"The share of a part: `rate(" + NameTTFTBreakdown + "_sum[1h]) / ignoring (part) group_left sum without (part) (rate(" + NameTTFTBreakdown + "_sum[1h]))`.",
		},
		{
			Name: NameQueueWait, Kind: Histogram, Scope: PerProbe, Labels: []string{"source"}, Buckets: queueWaitBuckets(),
			Help: "Time that a request waited at the server before it was first scheduled, by how that is known. Sources are never merged.",
			Note: queueWaitNote(),
		},
		{
			Name: NameAbandonment, Kind: Histogram, Scope: PerStream,
			Help: "Share of users who would have given up before the first token came, by the curve in the configuration: one sample per request.",
			Note: "Only for probes with a curve (`abandonment`). The mean over any time, in which slow requests weigh as many as they were: " +
				"`rate(" + NameAbandonment + "_sum[1h]) / rate(" + NameAbandonment + "_count[1h])`. A request that timed out before its first token counts with the share at " +
				"the time that it was waited for; one that failed otherwise before it has no sample, for its user got an error, and did not give up.",
		},
		{
			Name: NameRequests, Kind: Counter, Scope: PerProbe, Labels: []string{"outcome"},
			Help: "Requests that ended, by outcome: ok, or exactly one reason why not. Canceled ones, and those that could not be sent for a reason of the prober's own, are not counted here.",
			Note: "Every outcome exists at 0 from the first scrape. Exemplar on the failures: `request_id`.",
		},
		{
			Name: NameCanceledRequests, Kind: Counter, Scope: PerProbe,
			Help: "Requests that the prober itself ended early (shutdown, reload): neither successes nor failures, and counted nowhere else.",
		},
		{
			Name: NameSkipped, Kind: Counter, Scope: PerProbe, Labels: []string{"reason"},
			Help: "Times at which a probe was due but no request was sent, by reason.",
			Note: "A skipped probe is a gap in what is known about a target: alert on its rate, not on single ones. `" + skippedUnsent + "` is a request for which the prober's own machine had " +
				"no file descriptor, port or memory, which says nothing of the target.",
		},
		{
			Name: NameRetries, Kind: Counter, Scope: PerProbe,
			Help: "Requests that were sent because an attempt before them had failed.",
			Note: "Only for probes with `retry`. Each attempt is in `" + NameRequests + "` with an outcome of its own.",
		},
		{
			Name: NameTurnPromptTokens, Kind: Counter, Scope: PerProbe, Labels: []string{"turn"},
			Help: "Prompt tokens by the turn of a conversation, as the server counted them, cached ones included.",
			Note: "Only for probes with `turns`.",
		},
		{
			Name: NameTurnCachedPromptTokens, Kind: Counter, Scope: PerProbe, Labels: []string{"turn"},
			Help: "Of the prompt tokens of a turn, those that the server says it answered from a prefix cache.",
			Note: "Only for probes with `turns`. The share that was cached: `rate(" + NameTurnCachedPromptTokens + "[1h]) / rate(" + NameTurnPromptTokens + "[1h])`.",
		},
		{
			Name: NamePromptTokens, Kind: Counter, Scope: PerProbe,
			Help: "Prompt tokens as the server counted them, cached ones included. Requests without the server's usage add nothing.",
		},
		{
			Name: NameCachedPromptTokens, Kind: Counter, Scope: PerProbe,
			Help: "Of the prompt tokens, those that the server says it answered from a prefix cache.",
		},
		{
			Name: NameOutputTokens, Kind: Counter, Scope: PerProbe, Labels: []string{"source"},
			Help: "Output tokens received, by where the count comes from: usage (the server's final count), chunk (the server's count on each chunk), events (an estimate: one per content-bearing event). Failed requests count too.",
			Note: "The sum over `source` mixes counts with estimates: leave out `events` for anything that is billed.",
		},
		{
			Name: NameCost, Kind: Counter, Scope: PerProbe, Labels: []string{"currency"},
			Help: "What probing cost by the configured price, from the tokens that the server counted: cached prompt tokens at their own price, failed requests included.",
			Note: "Only for targets with a price by the token. A request without the server's usage adds nothing, and neither do output tokens that are estimated: " +
				"compare with `" + NameOutputTokens + `{source="events"}` + "`.",
		},
		{
			Name: NameUp, Kind: Gauge, Scope: PerProbe,
			Help: "Whether the newest request that ended was ok (1) or failed (0). 0 before the first one ended.",
			Note: "To tell down from not yet known: `" + NameUp + " == 0 and " + NameLastRun + " > 0`.",
		},
		{
			Name: NameInterval, Kind: Gauge, Scope: PerProbe,
			Help: "The configured time between two requests of this probe. 0 where it has no fixed interval.",
		},
		{
			Name: NameInFlight, Kind: Gauge, Scope: PerProbe,
			Help: "Requests that were dispatched and have not ended.",
		},
		{
			Name: NameLastRun, Kind: Gauge, Scope: PerProbe,
			Help: "When the newest request ended, ok or failed, as Unix time. 0 before the first one ended.",
			Note: "0 reads as infinitely long ago, which is right for an alert with a `for`. For an age on a dashboard: `time() - (" + NameLastRun + " > 0)`.",
		},
		{
			Name: NameLastSuccess, Kind: Gauge, Scope: PerProbe,
			Help: "When the newest successful request ended, as Unix time. 0 before the first one ended.",
			Note: "As `" + NameLastRun + "`: 0 is never, hence infinitely long ago.",
		},
		{
			Name: NameMeasurements, Kind: Counter, Scope: PerProbe, Labels: []string{"clock"},
			Help: "Requests that got a response, by whose clock stamped its arrival: kernel, or user where at least one event has no kernel time.",
			Note: "Numbers by the user's clock include this prober's own waiting for a processor. Canceled requests are not counted.",
		},
		{
			Name: NameDegraded, Kind: Counter, Scope: PerProbe,
			Help: "Requests during which the prober itself was late beyond the configured bound (global.degraded_after): judge their numbers accordingly.",
			Note: "The share: `rate(" + NameDegraded + "[1h]) / sum without (outcome) (rate(" + NameRequests + "[1h]))`. Canceled requests are not counted.",
		},
		{
			Name: NameUnloadedTTFT, Kind: Gauge, Scope: PerTarget, Labels: []string{"prompt_tokens"},
			Help: "Time to first token that a prompt of this many uncached tokens would have if the target had no other load, learnt from the fastest of its recent requests. Absent until it is known.",
			Note: "What a request took beyond it is the queue wait with the source `estimated`. A length far from those of the target's probes is not claimed to be known.",
		},
		{
			Name: NameHourlyPrice, Kind: Gauge, Scope: PerTarget, Labels: []string{"currency"},
			Help: "What the target costs per hour, as configured.",
			Note: "Only for targets with a price by the hour. What a million output tokens cost at the target's present load, all of it put on output: " +
				"`1e6 * sum without (currency) (" + NameHourlyPrice + ") / on (target) (3600 * rate(llm_engine_generation_tokens_total[1h]))`.",
		},
		{
			Name: NameBudgetLimit, Kind: Gauge, Scope: PerBudget, Labels: []string{"budget"},
			Help: "What a budget allows, as configured: requests_per_minute, output_tokens_per_hour, or cost_per_day, which has the label currency as well.",
			Note: "The budget of all targets together has no label target.",
		},
		{
			Name: NameBudgetUsed, Kind: Gauge, Scope: PerBudget, Labels: []string{"budget"},
			Help: "What of a budget is used in the minute, hour or day up to now, what requests under way may yet use included.",
			Note: "At the limit probes are skipped, with the reason in `" + NameSkipped + "`: `" + NameBudgetUsed + " / " + NameBudgetLimit + " > 0.9` says so before.",
		},
		{
			Name: NameBaseline, Kind: Gauge, Scope: PerTarget, Labels: []string{"probe", "indicator", "quantile"},
			Help: "A pinned baseline: what a quantile of an indicator was when it was saved, by command or by a nightly run that passed.",
			Note: "It never forgets, unlike a baseline that rules compute from the days before. Absent where none was saved.",
		},
		{
			Name: NameObjectiveEvents, Kind: Counter, Scope: PerObjective, Labels: []string{"objective", "indicator"},
			Help: "Requests that an objective judged, good or bad.",
			Note: "Canceled and skipped requests count nowhere, and neither does a successful one of which the indicator is not known: of one token there is no time per output token.",
		},
		{
			Name: NameObjectiveBad, Kind: Counter, Scope: PerObjective, Labels: []string{"objective", "indicator"},
			Help: "Requests that an objective judged bad: every failed one, and those beyond the threshold.",
			Note: "The share of the error budget that is being burnt, in multiples of what the goal allows: `(rate(" + NameObjectiveBad + "[1h]) / (rate(" + NameObjectiveEvents + "[1h]) > 0)) / (1 - " + NameObjectiveGoal + ")`. Exemplar: `request_id`.",
		},
		{
			Name: NameObjectiveGoal, Kind: Gauge, Scope: PerObjective, Labels: []string{"objective", "indicator"},
			Help: "The share of requests that are to be good, as configured.",
		},
		{
			Name: NameObjectiveThreshold, Kind: Gauge, Scope: PerObjective, Labels: []string{"objective", "indicator"},
			Help: "The bound of a good request, as configured: seconds that it takes at most, or for the indicator output_tokens_per_second tokens per second that it reaches at least.",
			Note: "Absent for the indicator `availability`, which has none. A request on the bound is good.",
		},
		{
			Name: NameDispatchDelay, Kind: Histogram, Scope: PerProber, Buckets: delayBuckets(),
			Help: "How late requests were dispatched, measured from the time that the schedule intended. Over all probes, canceled requests left out.",
		},
		{
			Name: NameReceiveDelay, Kind: Histogram, Scope: PerProber, Buckets: delayBuckets(),
			Help: "How long after its arrival in the kernel this process read the answer: the largest delay of each request, where the kernel stamped all of it. Over all probes, canceled requests left out.",
			Note: "Latencies of kernel-stamped requests do not include it; those by the user's clock do, unseen.",
		},
		{
			Name: NameSchedulerLag, Kind: Histogram, Scope: PerProber, Buckets: delayBuckets(),
			Help: "How late the schedule's own timer woke.",
			Note: "Growing here first means that this machine is short of processor time.",
		},
		{
			Name: NameUnfiled, Kind: Counter, Scope: PerProber,
			Help: "Results, and what was learnt of them, that no series could take, because a reload had removed their target or probe while they were under way.",
			Note: "Anything but a few after a reload is a bug in llm_prober.",
		},
		{
			Name: NameProbeSeries, Kind: Gauge, Scope: PerProber,
			Help: "Pairs of target and probe that are being measured.",
		},
		{
			Name: NameDiscoveryTargets, Kind: Gauge, Scope: PerProber, Labels: []string{"source"},
			Help: "Targets that a file or an HTTP service named, by source, as of its last good list.",
			Note: "Only with `target_files` or `http_sd`.",
		},
		{
			Name: NameDiscoveryRefreshes, Kind: Counter, Scope: PerProber, Labels: []string{"source", "result"},
			Help: "Attempts to read the list of targets of a source, by result: success or failure. On a failure the last good list stays.",
		},
		{
			Name: NameDiscoveryLastSuccess, Kind: Gauge, Scope: PerProber, Labels: []string{"source"},
			Help: "When the list of a source was last read, as Unix time. 0 before the first success.",
		},
		{
			Name: NameBuildInfo, Kind: Gauge, Scope: PerProber,
			Labels: []string{"version", "revision", "branch", "goversion", "goos", "goarch", "tags"},
			Help:   "Always 1; the labels say what was built, from what and for what.",
		},
		{
			Name: NameReloadSuccessful, Kind: Gauge, Scope: PerProber,
			Help: "Whether the last attempt to load the configuration succeeded (1) or the one before it stayed in force (0).",
		},
		{
			Name: NameReloadSuccessTime, Kind: Gauge, Scope: PerProber,
			Help: "When the configuration in force was loaded, as Unix time.",
		},
		{
			Name: NameConfigReloads, Kind: Counter, Scope: PerProber, Labels: []string{"result"},
			Help: "Attempts to load the configuration, the one at the start included, by result: success or failure.",
		},
	}
}

// phaseNote explains the values of the phase label.
func phaseNote() string {
	return `The phases, in order:

| phase | from | to |
|---|---|---|
| ` + "`dns`, `connect`, `tls`" + ` | start of the step | its end |
| ` + "`write`" + ` | before the request was handed to the kernel | after |
| ` + "`wait`" + ` | request written | response header arrived |
| ` + "`first_token`" + ` (streaming) | response header arrived | first token |
| ` + "`decode`" + ` (streaming) | first token | last token |
| ` + "`finish`" + ` (streaming) | last token | end of the answer |
| ` + "`body`" + ` (not streaming) | response header arrived | end of the answer |

They add up to ` + "`" + NameDuration + "`" + ` but for the moments between them. Engines differ in when they send the header, at once or with
the first token: only the sum of ` + "`wait` and `first_token`" + ` compares between targets.
The share of a phase in the mean: ` + "`rate(" + NamePhaseDuration + "_sum[1h]) / ignoring (phase) group_left rate(" + NameDuration + "_sum[1h])`."
}

// queueWaitNote explains the values of the source label.
func queueWaitNote() string {
	return `Only for the sources that the target can have. In the order in which they are to be trusted:

| source | from | of |
|---|---|---|
| ` + "`body`" + ` | a time in the answer (vLLM, Groq, Cerebras, Fireworks, SGLang) | this request |
| ` + "`header`" + ` | a header of the answer (TGI, not streamed) | this request |
| ` + "`derived`" + ` | other times in the answer, less what was seen on the wire (llama.cpp, Ollama) | this request |
| ` + "`engine`" + ` | the engine's own metrics: the mean of all its traffic while this request ran | all traffic |
| ` + "`estimated`" + ` | time to first token beyond what it would be without load (` + "`" + NameUnloadedTTFT + "`" + `): queue and batch together | this request |

Engines differ in where their queue ends: compare a target with itself.`
}
