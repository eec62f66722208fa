package engine

import "slices"

// The names of the metric families. A dashboard, a rule or a page that names one takes it from here.
const (
	NameUp             = "llm_engine_up"
	NameInfo           = "llm_engine_info"
	NameInstances      = "llm_engine_instances"
	NameRestarts       = "llm_engine_restarts_total"
	NameScrapeDuration = "llm_engine_scrape_duration_seconds"
	NameLastScrape     = "llm_engine_last_scrape_timestamp_seconds"
	NameSnapshotAge    = "llm_engine_snapshot_age_seconds"
	NameScrapeFailures = "llm_engine_scrape_failures_total"

	NameRunning      = "llm_engine_requests_running"
	NameWaiting      = "llm_engine_requests_waiting"
	NameKVCacheUsage = "llm_engine_kv_cache_usage_ratio"
	NameSleepState   = "llm_engine_sleep_state"
	NameStartup      = "llm_engine_startup_seconds"

	NameQueueWait          = "llm_engine_queue_wait_seconds"
	NameTimeToFirstToken   = "llm_engine_time_to_first_token_seconds"
	NameInterTokenLatency  = "llm_engine_inter_token_latency_seconds"
	NameTimePerOutputToken = "llm_engine_time_per_output_token_seconds"
	NamePrefill            = "llm_engine_prefill_seconds"
	NameDecode             = "llm_engine_decode_seconds"
	NameInference          = "llm_engine_inference_seconds"
	NameRequestDuration    = "llm_engine_request_duration_seconds"
	NameStepTokens         = "llm_engine_step_tokens"
	NameBatchSize          = "llm_engine_batch_size"

	NameFinished           = "llm_engine_requests_finished_total"
	NamePreemptions        = "llm_engine_preemptions_total"
	NamePromptTokens       = "llm_engine_prompt_tokens_total"
	NameCachedPromptTokens = "llm_engine_cached_prompt_tokens_total"
	NameGenerationTokens   = "llm_engine_generation_tokens_total"
	NamePrefixQueries      = "llm_engine_prefix_cache_queries_tokens_total"
	NamePrefixHits         = "llm_engine_prefix_cache_hits_tokens_total"
	NameSteps              = "llm_engine_steps_total"
	NamePrefillBusy        = "llm_engine_prefill_busy_seconds_total"
	NameDecodeBusy         = "llm_engine_decode_busy_seconds_total"

	NameProcessCPU    = "llm_engine_process_cpu_seconds_total"
	NameProcessMemory = "llm_engine_process_resident_memory_bytes"
	NameProcessStart  = "llm_engine_process_start_time_seconds"
)

// Type is the type of a metric family.
type Type string

// The types.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram" // classic, with the engine's own buckets
)

// Origin says whose word a family is.
type Origin string

// The origins.
const (
	OfFetching Origin = "fetching" // ours: how the fetching goes. Always there
	OfEngine   Origin = "engine"   // the engine's: there while its newest page is, and says it
)

// Family is one metric family.
type Family struct {
	Name   string
	Type   Type
	Origin Origin
	Label  string   // beside target and the target's own labels; empty for none
	Values []string // what the label can be
	Help   string   // what /metrics says
	Note   string   // what docs/engines.md says beyond that; may be empty

	largest bool // a gauge that is the largest of several instances', not their sum
	ratio   bool // a gauge that is a share, 0 to 1
}

// Families lists every family of this package, in the order of the documentation.
func Families() []Family {
	ours := func(f Family) Family { f.Origin = OfFetching; return f }
	engines := func(f Family) Family { f.Origin = OfEngine; return f }
	return []Family{
		ours(Family{
			Name: NameUp, Type: Gauge,
			Help: "Whether the newest fetch of the engine's metrics succeeded (1) or not (0). 0 before the first one ended.",
			Note: "While it is 0 there are none of the engine's own series.",
		}),
		ours(Family{
			Name: NameScrapeFailures, Type: Counter, Label: "reason", Values: Reasons(),
			Help: "Fetches of the engine's metrics that failed, by reason.",
			Note: reasonsNote(),
		}),
		ours(Family{
			Name: NameScrapeDuration, Type: Gauge,
			Help: "What the newest fetch of the engine's metrics took, reading the answer included, failed or not.",
		}),
		ours(Family{
			Name: NameLastScrape, Type: Gauge,
			Help: "When the newest fetch that succeeded was sent, as Unix time. 0 before the first one.",
		}),
		ours(Family{
			Name: NameSnapshotAge, Type: Gauge,
			Help: "How long ago the fetch was sent that the engine's series are from. Absent while there are none.",
		}),
		ours(Family{
			Name: NameRestarts, Type: Counter,
			Help: "Times at which the engine's counters began anew: it restarted, or another process answered.",
			Note: "One that grows with every fetch means that `metrics_url` leads to several engines in turn, through a load balancer: no number is right then.",
		}),
		engines(Family{
			Name: NameInfo, Type: Gauge, Label: "kind", Values: kindNames(),
			Help: "Always 1; kind is the engine that the page was recognised as, or was said to be.",
		}),
		engines(Family{
			Name: NameInstances, Type: Gauge,
			Help: "Over how many ranks, replicas and models of one page the engine's numbers are summed.",
			Note: "Counted where the page counts running requests; 1 where it does not.",
		}),
		engines(Family{
			Name: NameRunning, Type: Gauge,
			Help: "Requests in the engine's batch.",
			Note: "Sum over instances. Dynamo without the metrics of its engine: all that the frontend has in hand, waiting ones included.",
		}),
		engines(Family{
			Name: NameWaiting, Type: Gauge,
			Help: "Requests that the engine has taken in and not yet scheduled.",
			Note: "Sum over instances.",
		}),
		engines(Family{
			Name: NameKVCacheUsage, Type: Gauge, largest: true, ratio: true,
			Help: "Share of the KV cache that is in use, 0 to 1. Of several instances the fullest: that is where requests begin to wait.",
		}),
		engines(Family{
			Name: NameSleepState, Type: Gauge, Label: "state", Values: sleepStates(),
			Help: "How many of the instances are awake, sleep with their weights offloaded, or have discarded them.",
		}),
		engines(Family{
			Name: NameStartup, Type: Gauge, Label: "phase", Values: startupPhases(), largest: true,
			Help: "What a phase of the engine's newest start took. Of several instances the slowest.",
		}),
		engines(Family{
			Name: NameQueueWait, Type: Histogram,
			Help: "Time that requests waited in the engine before they were first scheduled, as the engine counts it.",
			Note: "The mean is `rate(sum)/rate(count)`. Quantiles are as coarse as the engine's buckets: the lowest bound of vLLM, TensorRT-LLM and LMDeploy is 0.3 s. " +
				"Most engines observe it when the request finishes, so it lags by a request's duration.",
		}),
		engines(Family{
			Name: NameTimeToFirstToken, Type: Histogram,
			Help: "Time from a request's arrival at the engine to its first token, as the engine counts it, its queue included.",
		}),
		engines(Family{
			Name: NameInterTokenLatency, Type: Histogram,
			Help: "Time between two tokens, or two steps' tokens, of a request, one sample each.",
		}),
		engines(Family{
			Name: NameTimePerOutputToken, Type: Histogram,
			Help: "Mean time between the tokens of a request, one sample for each request.",
		}),
		engines(Family{
			Name: NamePrefill, Type: Histogram,
			Help: "Time from a request's first scheduling to its first token.",
		}),
		engines(Family{
			Name: NameDecode, Type: Histogram,
			Help: "Time from a request's first token to its last.",
		}),
		engines(Family{
			Name: NameInference, Type: Histogram,
			Help: "Time from a request's first scheduling to its last token: prefill and decode together.",
		}),
		engines(Family{
			Name: NameRequestDuration, Type: Histogram,
			Help: "Time from a request's arrival at the engine to its end.",
		}),
		engines(Family{
			Name: NameStepTokens, Type: Histogram,
			Help: "Tokens that one step of the engine processed, prompt and generation together.",
		}),
		engines(Family{
			Name: NameBatchSize, Type: Histogram,
			Help: "Requests that the engine put into one batch.",
		}),
		engines(Family{
			Name: NameFinished, Type: Counter, Label: "reason", Values: finishReasons(),
			Help: "Requests that ended, by reason. success: well, but the engine does not say whether at a stop or at a limit; other: a reason not named here, or none told.",
			Note: finishNote(),
		}),
		engines(Family{
			Name: NamePreemptions, Type: Counter,
			Help: "Times that a running request was put back because the KV cache was full.",
		}),
		engines(Family{
			Name: NamePromptTokens, Type: Counter,
			Help: "Prompt tokens of the requests, cached ones included.",
			Note: "llama.cpp counts the computed ones only where its page has no `llamacpp:prompt_tokens_cached_total`.",
		}),
		engines(Family{
			Name: NameCachedPromptTokens, Type: Counter,
			Help: "Of the prompt tokens, those that came from a prefix cache.",
		}),
		engines(Family{
			Name: NameGenerationTokens, Type: Counter,
			Help: "Tokens generated.",
		}),
		engines(Family{
			Name: NamePrefixQueries, Type: Counter,
			Help: "Tokens looked up in the prefix cache.",
			Note: "Some versions of vLLM count a request that waits once for every step: prefer `" + NameCachedPromptTokens + "` over `" + NamePromptTokens + "` for the share of hits.",
		}),
		engines(Family{
			Name: NamePrefixHits, Type: Counter,
			Help: "Tokens found in the prefix cache.",
		}),
		engines(Family{
			Name: NameSteps, Type: Counter,
			Help: "Steps that the engine has run.",
		}),
		engines(Family{
			Name: NamePrefillBusy, Type: Counter,
			Help: "Time spent on prompts, added up over requests.",
			Note: "Versions of llama.cpp that have `llamacpp:prompt_tokens_cached_total` on their page count the time of a batch once, however many prompts are in it.",
		}),
		engines(Family{
			Name: NameDecodeBusy, Type: Counter,
			Help: "Time spent on generation, added up over requests.",
		}),
		engines(Family{
			Name: NameProcessCPU, Type: Counter,
			Help: "Processor time of the process that serves the metrics, where it tells.",
			Note: "Of vLLM that is the API server, not the processes of its engines.",
		}),
		engines(Family{
			Name: NameProcessMemory, Type: Gauge,
			Help: "Resident memory of the process that serves the metrics, where it tells.",
		}),
		engines(Family{
			Name: NameProcessStart, Type: Gauge, largest: true,
			Help: "When the process that serves the metrics started, as Unix time, where it tells.",
		}),
	}
}

// familyTable finds a family by its name.
type familyTable map[string]Family

func newFamilyTable() familyTable {
	table := make(familyTable)
	for _, f := range Families() {
		table[f.Name] = f
	}
	return table
}

// prefix is what all names begin with; in the configuration they stand without it.
const prefix = "llm_engine_"

// Mappable lists the names that Options.Custom can give a meaning to, as they stand there: without "llm_engine_".
func Mappable() []string {
	var names []string
	for _, f := range Families() {
		if f.Origin == OfEngine && f.Name != NameInfo && f.Name != NameInstances {
			names = append(names, f.Name[len(prefix):])
		}
	}
	slices.Sort(names)
	return names
}
