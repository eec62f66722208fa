package engine

import (
	"maps"
	"slices"
	"strings"
)

// rule says how one family of ours is had from an engine's: the first alternative of which the page has anything.
// Alternatives are names of other versions, newest first.
type rule struct {
	family string
	any    []alternative
}

// alternative is several families of the engine's whose sum is one of ours.
type alternative []selector

// selector picks series of one family.
type selector struct {
	metric string            // may end in _sum or _count, for that part of a histogram; a _total that the page lacks is left out
	match  map[string]string // label values that a series must have
	scale  float64           // what values are multiplied by; 0: 1
	count  string            // for a histogram of which the engine counts the sum alone: the counter of observations

	by    []string            // labels that say the value of our label: the first that is not empty
	means func(string) string // what the engine's word means in ours; "" leaves the series out
	tells []string            // the values of our label that the engine may come to speak of: they are there at 0 before it does
	as    string              // the value of our label where by is empty

	ranks bool // one of the ranks that work on the same requests is enough (see onePerShard)
}

// short forms, for the tables below

func from(metrics ...string) []alternative {
	var any []alternative
	for _, m := range metrics {
		any = append(any, alternative{{metric: m}})
	}
	return any
}

func sum(selectors ...selector) []alternative { return []alternative{selectors} }

// ended counts requests by the engine's word for how they ended, which is the value of a label.
func ended(metric string, labels ...string) selector {
	return selector{metric: metric, by: labels, means: finishReason}
}

// telling is s for an engine that knows these ways to end.
func (s selector) telling(reasons ...string) selector {
	s.tells = reasons
	return s
}

// rulesOf is what is read from a page of a kind.
func rulesOf(k Kind) []rule {
	switch k {
	case KindVLLM:
		return append(vllmRules("vllm:"), processRules()...)
	case KindRay:
		return vllmRules("ray_vllm_") // the process behind the page is Ray's agent
	case KindSGLang:
		return append(sglangRules(), processRules()...)
	case KindTGI:
		return append(tgiRules(), processRules()...)
	case KindLlamaCPP:
		return append(llamacppRules(), processRules()...)
	case KindTRTLLM:
		return append(trtllmRules(), processRules()...)
	case KindTriton:
		return append(tritonRules(), processRules()...)
	case KindLMDeploy:
		return append(lmdeployRules(), processRules()...)
	case KindDynamo:
		return append(dynamoRules(), processRules()...)
	case KindNIM:
		return append(orElse(nimRules(), vllmRules("vllm:"), sglangRules()), processRules()...)
	}
	return nil
}

// vllmRules are those of vLLM, under the prefix that its names have on the page.
func vllmRules(prefix string) []rule {
	own := func(names ...string) []alternative {
		for i := range names {
			names[i] = prefix + names[i]
		}
		return from(names...)
	}
	return []rule{
		{NameRunning, own("num_requests_running")},
		{NameWaiting, own("num_requests_waiting")},
		{NameKVCacheUsage, own("kv_cache_usage_perc", "gpu_cache_usage_perc")},
		{NameSleepState, sum(selector{metric: prefix + "engine_sleep_state", by: []string{"sleep_state"}, means: sleepState})},
		{NameQueueWait, own("request_queue_time_seconds")},
		{NameTimeToFirstToken, own("time_to_first_token_seconds")},
		{NameInterTokenLatency, own("inter_token_latency_seconds", "time_per_output_token_seconds")}, // renamed in 0.11
		{NameTimePerOutputToken, own("request_time_per_output_token_seconds")},
		{NamePrefill, own("request_prefill_time_seconds")},
		{NameDecode, own("request_decode_time_seconds")},
		{NameInference, own("request_inference_time_seconds")},
		{NameRequestDuration, own("e2e_request_latency_seconds")},
		{NameStepTokens, own("iteration_tokens_total")}, // a histogram, despite the name
		{NameFinished, sum(
			// finish_reason is llm-d-inference-sim's word.
			ended(prefix+"request_success_total", "finished_reason", "finish_reason").telling(finishedStop, finishedLength, finishedAbort, finishedError),
			selector{metric: prefix + "admission_rejections_total", as: finishedRejected},
		)},
		{NamePreemptions, own("num_preemptions_total")},
		{NamePromptTokens, own("prompt_tokens_total")},
		{NameCachedPromptTokens, own("prompt_tokens_cached_total")},
		{NameGenerationTokens, own("generation_tokens_total")},
		{NamePrefixQueries, own("prefix_cache_queries_total", "gpu_prefix_cache_queries_total")},
		{NamePrefixHits, own("prefix_cache_hits_total", "gpu_prefix_cache_hits_total")},
	}
}

func sglangRules() []rule {
	own := func(name string) selector { return selector{metric: "sglang:" + name, ranks: true} }
	one := func(name string) []alternative { return sum(own(name)) }
	stage := func(stage string) []alternative {
		s := own("per_stage_req_latency_seconds")
		s.match = map[string]string{"stage": stage}
		return sum(s)
	}
	phase := func(name, phase string) selector {
		s := own(name)
		s.as = phase
		return s
	}
	startup := own("startup_time_seconds")
	startup.by, startup.means = []string{"phase"}, startupPhase
	finished, aborted := own("num_requests_total"), own("num_aborted_requests_total")
	finished.as, aborted.as = finishedOther, finishedAbort
	return []rule{
		{NameRunning, one("num_running_reqs")},
		// Those that wait for a grammar, for memory on a decode engine, or for the cache of their prompt, wait as well.
		{NameWaiting, []alternative{
			{
				own("num_queue_reqs"), own("num_grammar_queue_reqs"),
				own("num_prefill_bootstrap_queue_reqs"), own("num_prefill_prealloc_queue_reqs"), // the latter is the older name
				own("num_decode_prealloc_queue_reqs"), own("num_decode_transfer_queue_reqs"),
			},
		}},
		{NameKVCacheUsage, one("token_usage")},
		{NameStartup, []alternative{
			{startup},
			{phase("engine_load_weights_time", "weights"), phase("engine_startup_time", "scheduler")},
		}},
		{NameQueueWait, one("queue_time_seconds")},
		{NameTimeToFirstToken, one("time_to_first_token_seconds")},
		{NameInterTokenLatency, one("inter_token_latency_seconds")},
		{NameTimePerOutputToken, one("time_per_output_token_seconds")},
		{NamePrefill, stage("prefill_forward")},
		{NameRequestDuration, one("e2e_request_latency_seconds")},
		{NameFinished, sum(finished, aborted)},
		{NamePreemptions, one("num_retracted_requests_total")},
		{NamePromptTokens, one("prompt_tokens_total")},
		{NameCachedPromptTokens, one("cached_tokens_total")},
		{NameGenerationTokens, one("generation_tokens_total")},
	}
}

func tgiRules() []rule {
	return []rule{
		{NameRunning, from("tgi_batch_current_size")},
		{NameWaiting, from("tgi_queue_size")},
		{NameQueueWait, from("tgi_request_queue_duration")},
		{NameTimePerOutputToken, from("tgi_request_mean_time_per_token_duration")},
		{NameInference, from("tgi_request_inference_duration")},
		{NameRequestDuration, from("tgi_request_duration")},
		{NameBatchSize, from("tgi_batch_next_size")},
		{NameFinished, sum(
			selector{metric: "tgi_request_success_total", as: finishedSuccess},
			ended("tgi_request_failure_total", "err").telling(finishedAbort, finishedError, finishedRejected),
		)},
		{NamePromptTokens, from("tgi_request_input_length_sum")},
		{NameGenerationTokens, from("tgi_request_generated_tokens_sum")},
	}
}

func llamacppRules() []rule {
	return []rule{
		{NameRunning, from("llamacpp:requests_processing")},
		{NameWaiting, from("llamacpp:requests_deferred")},
		{NameKVCacheUsage, from("llamacpp:kv_cache_usage_ratio")}, // of older versions
		// The former counts the computed ones; older versions lack the latter.
		{NamePromptTokens, sum(selector{metric: "llamacpp:prompt_tokens_total"}, selector{metric: "llamacpp:prompt_tokens_cached_total"})},
		{NameCachedPromptTokens, from("llamacpp:prompt_tokens_cached_total")},
		{NameGenerationTokens, from("llamacpp:tokens_predicted_total")},
		{NameSteps, from("llamacpp:n_decode_total")},
		{NamePrefillBusy, from("llamacpp:prompt_seconds_total")},
		{NameDecodeBusy, from("llamacpp:tokens_predicted_seconds_total")},
	}
}

func trtllmRules() []rule {
	// Through Dynamo the prefix was "trtllm:" before it became the engine's own.
	own := func(name string) []alternative { return from("trtllm_"+name, "trtllm:"+name) }
	finished := func(prefix string) alternative {
		return alternative{
			ended(prefix+"request_success_total", "finished_reason").telling(finishedStop, finishedLength),
			{metric: prefix + "request_error_total", as: finishedError},
		}
	}
	return []rule{
		{NameRunning, own("num_requests_running")},
		{NameWaiting, own("num_requests_waiting")},
		{NameKVCacheUsage, own("kv_cache_utilization")},
		{NameQueueWait, own("request_queue_time_seconds")},
		{NameTimeToFirstToken, own("time_to_first_token_seconds")},
		{NameTimePerOutputToken, own("time_per_output_token_seconds")},
		{NamePrefill, own("request_prefill_time_seconds")},
		{NameDecode, own("request_decode_time_seconds")},
		{NameInference, own("request_inference_time_seconds")},
		{NameRequestDuration, own("e2e_request_latency_seconds")},
		{NameFinished, []alternative{finished("trtllm_"), finished("trtllm:")}},
		{NamePromptTokens, own("prompt_tokens_total")},
		{NameCachedPromptTokens, own("prompt_cached_tokens_total")},
		{NameGenerationTokens, own("generation_tokens_total")},
	}
}

// tritonLLM is the family of which Triton has series for the models that TensorRT-LLM runs, and for no others.
const tritonLLM = "nv_trt_llm_request_metrics"

func tritonRules() []rule {
	const µs, ms = 1e-6, 1e-3
	requests := func(typ string) selector {
		return selector{metric: tritonLLM, match: map[string]string{"request_type": typ}}
	}
	// Each of the counters in µs is the sum of a histogram whose buckets were never kept.
	time := func(counter, summary string) []alternative {
		return []alternative{
			{{metric: counter, count: "nv_inference_request_success", scale: µs}},
			{{metric: summary, scale: µs}},
		}
	}
	return []rule{
		{NameRunning, []alternative{{requests("scheduled")}, {requests("active")}}},
		{NameWaiting, []alternative{{requests("waiting")}, {{metric: "nv_inference_pending_request_count"}}}},
		{NameKVCacheUsage, sum(selector{metric: "nv_trt_llm_kv_cache_block_metrics", match: map[string]string{"kv_cache_block_type": "fraction"}})},
		{NameQueueWait, time("nv_inference_queue_duration_us", "nv_inference_queue_summary_us")},
		{NameTimeToFirstToken, sum(selector{metric: "nv_inference_first_response_histogram_ms", scale: ms})},
		{NameInference, time("nv_inference_compute_infer_duration_us", "nv_inference_compute_infer_summary_us")},
		{NameRequestDuration, time("nv_inference_request_duration_us", "nv_inference_request_summary_us")},
		{NameFinished, sum(
			selector{metric: "nv_inference_request_success", as: finishedSuccess},
			selector{metric: "nv_inference_request_failure", by: []string{"reason"}, means: tritonFailure}.telling(finishedError),
		)},
	}
}

// tritonFailure says what Triton's reason for a failure means; versions before 24 give none.
func tritonFailure(reason string) string {
	if reason = finishReason(reason); reason == finishedOther {
		return finishedError
	}
	return reason
}

func lmdeployRules() []rule {
	rules := vllmRules("lmdeploy:")
	set := func(family string, any []alternative) {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.family == family })
		rules[i].any = any
	}
	set(NameWaiting, sum(selector{metric: "lmdeploy:num_requests_waiting"}, selector{metric: "lmdeploy:num_api_requests_waiting"}))
	set(NameInterTokenLatency, from("lmdeploy:iter_token_latency", "lmdeploy:time_per_output_token_seconds"))
	set(NameTimePerOutputToken, nil) // its time per output token is observed at each step, not for each request
	set(NameCachedPromptTokens, from("lmdeploy:cached_tokens_total"))
	set(NameSleepState, nil)
	set(NamePreemptions, nil)
	set(NamePrefixQueries, nil)
	set(NamePrefixHits, nil)
	set(NameFinished, sum(ended("lmdeploy:request_success_total", "finished_reason").telling(finishedSuccess, finishedAbort, finishedError)))
	return slices.DeleteFunc(rules, func(r rule) bool { return r.any == nil })
}

// dynamoRules are the frontend's, and those of an engine whose metrics it passes on. What requests wait for and what memory is
// left the engine knows better; times to the client the frontend.
func dynamoRules() []rule {
	own := func(names ...string) []alternative {
		for i := range names {
			names[i] = "dynamo_frontend_" + names[i]
		}
		return from(names...)
	}
	stage := func(stage string) selector {
		return selector{metric: "dynamo_frontend_stage_requests", match: map[string]string{"stage": stage}}
	}
	frontend := []rule{
		{NameTimeToFirstToken, own("time_to_first_token_seconds")},
		{NameInterTokenLatency, own("inter_token_latency_seconds")},
		{NameRequestDuration, own("request_duration_seconds")},
		{NameFinished, sum(ended("dynamo_frontend_requests_total", "error_type", "status").telling(finishedSuccess, finishedError))},
		{NamePromptTokens, own("input_sequence_tokens_sum")},
		{NameCachedPromptTokens, own("cached_tokens_sum")},
		{NameGenerationTokens, own("output_tokens_total", "output_sequence_tokens_sum")},
	}
	last := []rule{
		{NameRunning, own("active_requests", "inflight_requests")},
		// Before dispatch a request waits for the frontend; from then on it may be in the worker's queue or in its batch, and
		// the deprecated queued_requests counts both.
		{NameWaiting, append(own("router_queue_pending_requests"), sum(stage("preprocess"), stage("route"))...)},
	}
	return orElse(frontend, vllmRules("vllm:"), sglangRules(), trtllmRules(), last)
}

func nimRules() []rule {
	rules := orElse([]rule{{NameFinished, []alternative{
		{ended("request_finish_total", "finished_reason").telling(finishedStop, finishedLength)},
		{{metric: "request_success_total", as: finishedSuccess}, {metric: "request_failure_total", as: finishedError}},
	}}}, vllmRules(""))
	// Of vLLM's names without a prefix only those that NIM documents: the others are too common to be trusted.
	documented := []string{
		NameRunning, NameWaiting, NameKVCacheUsage, NameTimeToFirstToken, NameInterTokenLatency, NameRequestDuration,
		NameFinished, NamePromptTokens, NameGenerationTokens,
	}
	return slices.DeleteFunc(rules, func(r rule) bool { return !slices.Contains(documented, r.family) })
}

func processRules() []rule {
	return []rule{
		{NameProcessCPU, from("process_cpu_seconds_total")},
		{NameProcessMemory, from("process_resident_memory_bytes")},
		{NameProcessStart, from("process_start_time_seconds")},
	}
}

// orElse joins tables: each family's alternatives are the first table's, then the second's, and so on.
func orElse(tables ...[]rule) []rule {
	var joined []rule
	for _, table := range tables {
		for _, r := range table {
			if i := slices.IndexFunc(joined, func(j rule) bool { return j.family == r.family }); i >= 0 {
				joined[i].any = append(slices.Clone(joined[i].any), r.any...)
			} else {
				joined = append(joined, r)
			}
		}
	}
	return joined
}

// customRules are those of Options.Custom.
func customRules(families familyTable, custom map[string]Source) []rule {
	var rules []rule
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		s := custom[name]
		sel := selector{metric: s.Metric, match: s.Match, scale: s.Scale}
		switch prefix + name {
		case NameFinished:
			sel.by, sel.means = []string{"finished_reason", "finish_reason", "reason", "status"}, finishReason
		case NameSleepState:
			sel.by, sel.means = []string{"sleep_state", "state"}, sleepState
		case NameStartup:
			sel.by, sel.means = []string{"phase"}, startupPhase
		}
		rules = append(rules, rule{families[prefix+name].Name, sum(sel)})
	}
	return rules
}

// overlay puts the rules of custom into the place of those for the same families.
func overlay(rules, custom []rule) []rule {
	kept := slices.DeleteFunc(slices.Clone(rules), func(r rule) bool {
		return slices.ContainsFunc(custom, func(c rule) bool { return c.family == r.family })
	})
	return append(kept, custom...)
}

// metrics are all names that rules look for, in every form in which they may be on a page.
func metrics(rules []rule, add func(string)) {
	for _, r := range rules {
		for _, a := range r.any {
			for _, s := range a {
				for _, name := range append(forms(s.metric), forms(s.count)...) {
					add(name)
				}
			}
		}
	}
}

// forms are the names under which a metric may be on a page: its own, and the one without the _total that some exporters leave
// out. The family of a part of a histogram is without its suffix.
func forms(metric string) []string {
	if metric == "" {
		return nil
	}
	names := []string{metric}
	if base, ok := strings.CutSuffix(metric, "_total"); ok {
		names = append(names, base)
	}
	for _, suffix := range []string{"_sum", "_count"} {
		if base, ok := strings.CutSuffix(metric, suffix); ok {
			names = append(names, base)
		}
	}
	return names
}
