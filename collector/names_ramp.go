package collector

// The names of the metric families of ramps.
const (
	NameRampTTFT          = "llm_ramp_time_to_first_token_seconds"
	NameRampDuration      = "llm_ramp_duration_seconds"
	NameRampITL           = "llm_ramp_inter_token_latency_seconds"
	NameRampTPOT          = "llm_ramp_time_per_output_token_seconds"
	NameRampQueueWait     = "llm_ramp_queue_wait_seconds"
	NameRampDispatchDelay = "llm_ramp_dispatch_delay_seconds"
	NameRampRequests      = "llm_ramp_requests_total"
	NameRampShed          = "llm_ramp_shed_total"
	NameRampPromptTokens  = "llm_ramp_prompt_tokens_total"
	NameRampOutputTokens  = "llm_ramp_output_tokens_total"

	NameRampStage              = "llm_ramp_stage"
	NameRampPlannedRate        = "llm_ramp_planned_rate"
	NameRampPlannedConcurrency = "llm_ramp_planned_concurrency"
	NameRampInFlight           = "llm_ramp_in_flight"

	NameRampRunning                = "llm_ramp_running"
	NameRampRuns                   = "llm_ramp_runs_total"
	NameRampMissed                 = "llm_ramp_missed_total"
	NameRampNextRun                = "llm_ramp_next_run_timestamp_seconds"
	NameRampLastRun                = "llm_ramp_last_run_timestamp_seconds"
	NameRampLastSuccess            = "llm_ramp_last_success_timestamp_seconds"
	NameRampLastVerdict            = "llm_ramp_last_verdict"
	NameRampLastKnee               = "llm_ramp_last_knee_requests_per_second"
	NameRampLastCapacity           = "llm_ramp_last_capacity_requests_per_second"
	NameRampLastHeadroom           = "llm_ramp_last_headroom_ratio"
	NameRampLastRecovery           = "llm_ramp_last_recovery_seconds"
	NameRampLastCostPerThousand    = "llm_ramp_last_cost_per_thousand_requests"
	NameRampLastCostPerMillionToks = "llm_ramp_last_cost_per_million_output_tokens"
)

// rampFamilies lists every family of ramps, in the order of the documentation.
func rampFamilies() []Family {
	return []Family{
		{
			Name: NameRampTTFT, Kind: Histogram, Scope: PerStage, Buckets: ttftBuckets(),
			Help: "Time from when a request was intended to its first token, under load. Successful streaming requests only.",
			Note: "From the intended time, not from dispatch: a server that stalls makes all that were to come meanwhile wait, and this shows it.",
		},
		{
			Name: NameRampDuration, Kind: Histogram, Scope: PerStage, Buckets: durationBuckets(),
			Help: "Time from when a request was intended to the end of its answer, under load. Successful requests only.",
		},
		{
			Name: NameRampITL, Kind: Histogram, Scope: PerStage, Buckets: itlBuckets(),
			Help: "Inter-token latency under load, as " + NameInterTokenLatency + " is without.",
		},
		{
			Name: NameRampTPOT, Kind: Histogram, Scope: PerStage, Buckets: tpotBuckets(),
			Help: "Time per output token under load, as " + NameTimePerOutputToken + " is without.",
		},
		{
			Name: NameRampQueueWait, Kind: Histogram, Scope: PerStage, Labels: []string{"source"}, Buckets: queueWaitBuckets(),
			Help: "Time that a request waited at the server before it was first scheduled, under load, by how that is known.",
			Note: "The sources are those of `" + NameQueueWait + "`.",
		},
		{
			Name: NameRampDispatchDelay, Kind: Histogram, Scope: PerStage, Buckets: delayBuckets(),
			Help: "How late requests of a ramp were dispatched, measured from the time that its plan intended.",
			Note: "A stage of which the prober could not keep the plan is marked invalid in the run's record.",
		},
		{
			Name: NameRampRequests, Kind: Counter, Scope: PerStage, Labels: []string{"outcome"},
			Help: "Requests of a ramp that ended, by outcome. Canceled ones are counted, as canceled.",
			Note: "An outcome exists from its first request on; `ok` from the beginning of the stage.",
		},
		{
			Name: NameRampShed, Kind: Counter, Scope: PerStage,
			Help: "Requests that were planned and not sent, because too many were in flight or a budget was spent.",
		},
		{
			Name: NameRampPromptTokens, Kind: Counter, Scope: PerStage,
			Help: "Prompt tokens of a ramp's requests as the server counted them, cached ones included.",
		},
		{
			Name: NameRampOutputTokens, Kind: Counter, Scope: PerStage,
			Help: "Output tokens of a ramp's requests, estimates included where the server did not count.",
		},
		{
			Name: NameRampStage, Kind: Gauge, Scope: PerLane,
			Help: "The stage that a lane is in, from 1.",
		},
		{
			Name: NameRampPlannedRate, Kind: Gauge, Scope: PerLane,
			Help: "Requests per second that the plan wants now. Open loops only.",
		},
		{
			Name: NameRampPlannedConcurrency, Kind: Gauge, Scope: PerLane,
			Help: "Requests that the plan wants under way now. Closed loops only.",
		},
		{
			Name: NameRampInFlight, Kind: Gauge, Scope: PerLane,
			Help: "Requests of a lane that were dispatched and have not ended.",
		},
		{
			Name: NameRampRunning, Kind: Gauge, Scope: PerRamp,
			Help: "Whether a run of the ramp is under way (1) or not (0).",
			Note: "While it is 1 the target's other probes feel the load: rules leave them alone by `unless on (target) " + NameRampRunning + " == 1`.",
		},
		{
			Name: NameRampRuns, Kind: Counter, Scope: PerRamp, Labels: []string{"verdict"},
			Help: "Runs that ended, by verdict: pass, fail, regressed, not_enough_runs, aborted, invalid or cut_short.",
		},
		{
			Name: NameRampMissed, Kind: Counter, Scope: PerRamp, Labels: []string{"reason"},
			Help: "Runs that were due and did not begin, by reason.",
			Note: "A missed run is not made up for.",
		},
		{
			Name: NameRampNextRun, Kind: Gauge, Scope: PerRamp,
			Help: "When the ramp is due next, as Unix time. Absent without a schedule.",
		},
		{
			Name: NameRampLastRun, Kind: Gauge, Scope: PerRamp,
			Help: "When the last run ended, as Unix time. 0 before the first one ended.",
		},
		{
			Name: NameRampLastSuccess, Kind: Gauge, Scope: PerRamp,
			Help: "When the last run with the verdict pass ended, as Unix time. 0 before the first one.",
		},
		{
			Name: NameRampLastVerdict, Kind: Gauge, Scope: PerRamp, Labels: []string{"verdict"},
			Help: "Whether the last run had this verdict (1) or another one (0). All 0 before the first one ended.",
		},
		{
			Name: NameRampLastKnee, Kind: Gauge, Scope: PerRamp,
			Help: "The highest load of the last run at which every objective held. Absent where it was not found.",
		},
		{
			Name: NameRampLastCapacity, Kind: Gauge, Scope: PerRamp,
			Help: "The most that the target can serve, by the fit of the last run. Absent where there is none.",
		},
		{
			Name: NameRampLastHeadroom, Kind: Gauge, Scope: PerRamp,
			Help: "The share of the knee that is left above the load at which the last run found the target. Absent where that load is not known.",
		},
		{
			Name: NameRampLastRecovery, Kind: Gauge, Scope: PerRamp,
			Help: "How long after the overload of the last run its latency was normal again. Absent where there was no overload, or no recovery.",
		},
		{
			Name: NameRampLastCostPerThousand, Kind: Gauge, Scope: PerRamp, Labels: []string{"currency"},
			Help: "What a thousand requests cost at the knee of the last run. Absent without a price or a knee.",
		},
		{
			Name: NameRampLastCostPerMillionToks, Kind: Gauge, Scope: PerRamp, Labels: []string{"currency"},
			Help: "What a million output tokens cost at the knee of the last run. Absent without a price or a knee.",
		},
	}
}
