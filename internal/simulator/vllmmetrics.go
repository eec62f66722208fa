package simulator

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// vllmPage is vLLM's /metrics, as far as the model has something true to say: names, labels and buckets as in
// vllm/v1/metrics/loggers.py, observed when vLLM observes them.
type vllmPage struct {
	nobody
	*registry

	caching bool // there is a prefix cache

	promptTokens, computedTokens prometheus.Counter
	hitTokens, cachedTokens      prometheus.Counter
	recomputedTokens             prometheus.Counter
	preemptions, queries, hits   prometheus.Counter
	generationTokens             prometheus.Counter
	success                      map[finishReason]prometheus.Counter

	ttft, itl, tpot                           prometheus.Histogram
	e2e, queue, inference, prefill, decode    prometheus.Histogram
	iteration                                 prometheus.Histogram
	requestPrompt, requestOutput, requestMost prometheus.Histogram
	requestComputed, requestLongest, requestN prometheus.Histogram
}

// vLLM's bucket lists, in seconds and in tokens.
var (
	ttftBuckets      = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
	tokenBuckets     = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	requestBuckets   = []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	iterationBuckets = []float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
)

// lengthBuckets is the 1-2-5 series up to most.
func lengthBuckets(most int) []float64 {
	var b []float64
	for scale := 1; ; scale *= 10 {
		for _, m := range []int{1, 2, 5} {
			if m*scale > most {
				return b
			}
			b = append(b, float64(m*scale))
		}
	}
}

func newVLLMPage(o *Options, now func() load) *vllmPage {
	r := newRegistry(now, prometheus.Labels{"model_name": o.Model, "engine": "0"})
	m := &vllmPage{registry: r, caching: o.PrefixCache, success: map[finishReason]prometheus.Counter{}}
	gauge, counter := r.gauge, r.counter
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return r.histogram(name, help, nil, buckets)
	}

	waiting := func(l load) float64 { return float64(l.waiting) }
	gauge("vllm:num_requests_running", "Number of requests in model execution batches.", nil, func(l load) float64 { return float64(l.running) })
	gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", nil, waiting)
	const byReason, byReasonHelp = "vllm:num_requests_waiting_by_reason", "Number of requests waiting to be processed, by reason."
	gauge(byReason, byReasonHelp, prometheus.Labels{"reason": "capacity"}, waiting)
	gauge(byReason, byReasonHelp, prometheus.Labels{"reason": "deferred"}, func(load) float64 { return 0 })
	gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", nil, func(l load) float64 { return float64(l.held) / float64(o.KVTokens) })

	const sleep, sleepHelp = "vllm:engine_sleep_state", "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake."
	for state, is := range map[string]float64{"awake": 1, "weights_offloaded": 0, "discard_all": 0} {
		gauge(sleep, sleepHelp, prometheus.Labels{"sleep_state": state}, func(load) float64 { return is })
	}

	m.promptTokens = counter("vllm:prompt_tokens_total", "Number of prefill tokens processed.", nil)
	const bySource, bySourceHelp = "vllm:prompt_tokens_by_source_total", "Number of prompt tokens by source."
	m.computedTokens = counter(bySource, bySourceHelp, prometheus.Labels{"source": "local_compute"})
	m.hitTokens = counter(bySource, bySourceHelp, prometheus.Labels{"source": "local_cache_hit"})
	counter(bySource, bySourceHelp, prometheus.Labels{"source": "external_kv_transfer"})
	m.cachedTokens = counter("vllm:prompt_tokens_cached_total", "Number of cached prompt tokens (local + external).", nil)
	m.recomputedTokens = counter("vllm:prompt_tokens_recomputed_total", "Number of tokens recomputed after a preemption.", nil)
	m.generationTokens = counter("vllm:generation_tokens_total", "Number of generation tokens processed.", nil)
	m.preemptions = counter("vllm:num_preemptions_total", "Cumulative number of preemption from the engine.", nil)
	m.queries = counter("vllm:prefix_cache_queries_total", "Prefix cache queries, in terms of number of queried tokens.", nil)
	m.hits = counter("vllm:prefix_cache_hits_total", "Prefix cache hits, in terms of number of cached tokens.", nil)
	for _, why := range []finishReason{finishStop, finishLength, finishAbort, finishError} {
		m.success[why] = counter("vllm:request_success_total", "Count of successfully processed requests.", prometheus.Labels{"finished_reason": string(why)})
	}

	m.ttft = histogram("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", ttftBuckets)
	m.itl = histogram("vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", tokenBuckets)
	m.tpot = histogram("vllm:request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request.", tokenBuckets)
	m.e2e = histogram("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", requestBuckets)
	m.queue = histogram("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", requestBuckets)
	m.inference = histogram("vllm:request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.", requestBuckets)
	m.prefill = histogram("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", requestBuckets)
	m.decode = histogram("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", requestBuckets)
	m.iteration = histogram("vllm:iteration_tokens_total", "Histogram of number of tokens per engine_step.", iterationBuckets)
	lengths := lengthBuckets(o.MaxModelLen)
	m.requestPrompt = histogram("vllm:request_prompt_tokens", "Number of prefill tokens processed.", lengths)
	m.requestOutput = histogram("vllm:request_generation_tokens", "Number of generation tokens processed.", lengths)
	m.requestMost = histogram("vllm:request_params_max_tokens", "Histogram of the max_tokens request parameter.", lengths)
	m.requestComputed = histogram("vllm:request_prefill_kv_computed_tokens", "Histogram of new KV tokens computed during prefill (excluding cached tokens).", lengths)
	m.requestLongest = histogram("vllm:request_max_num_generation_tokens", "Histogram of maximum number of requested generation tokens.", lengths)
	m.requestN = histogram("vllm:request_params_n", "Histogram of the n request parameter.", []float64{1, 2, 5, 10, 20})

	// Without model_name, as vLLM has it.
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "vllm:cache_config_info", Help: "Information of the LLMEngine CacheConfig",
		ConstLabels: prometheus.Labels{
			"engine": "0", "block_size": strconv.Itoa(o.BlockTokens), "num_gpu_blocks": strconv.Itoa(o.KVTokens / o.BlockTokens),
			"cache_dtype": "auto", "enable_prefix_caching": map[bool]string{true: "True", false: "False"}[o.PrefixCache], "gpu_memory_utilization": "0.9",
		},
	})
	info.Set(1)
	m.MustRegister(info)
	return m
}

func (m *vllmPage) scheduled(s *sequence, _ instant) {
	if m.caching {
		m.queries.Add(float64(s.prompt))
		m.hits.Add(float64(s.timeline().cached))
	}
}

func (m *vllmPage) preempted(*sequence) { m.preemptions.Inc() }

func (m *vllmPage) step(st step) { m.iteration.Observe(float64(st.prefilled + st.made)) }

func (m *vllmPage) token(s *sequence, n int, before, due instant) {
	m.generationTokens.Inc()
	if n == 1 {
		m.promptTokens.Add(float64(s.prompt))
		cached := float64(s.timeline().cached)
		m.computedTokens.Add(float64(s.prompt) - cached)
		m.hitTokens.Add(cached)
		m.cachedTokens.Add(cached)
		m.ttft.Observe(due.sub(before).Seconds())
		return
	}
	m.itl.Observe(due.sub(before).Seconds())
}

func (m *vllmPage) finished(s *sequence, why finishReason) {
	m.success[why].Inc()
	if why != finishStop && why != finishLength {
		return // vLLM drops an aborted request without a word on its times
	}
	t := s.timeline()
	m.e2e.Observe(t.last.sub(s.arrival).Seconds())
	m.queue.Observe(t.admitted.sub(s.arrival).Seconds()) // until the latest admission before the first token
	m.inference.Observe(t.last.sub(t.admitted).Seconds())
	m.prefill.Observe(t.first.sub(t.admitted).Seconds())
	m.recomputedTokens.Add(float64(t.recomputed))
	m.decode.Observe(t.last.sub(t.first).Seconds())
	if t.made > 1 {
		m.tpot.Observe(t.last.sub(t.first).Seconds() / float64(t.made-1))
	}
	m.requestPrompt.Observe(float64(s.prompt))
	m.requestOutput.Observe(float64(t.made))
	m.requestMost.Observe(float64(s.maximum))
	m.requestComputed.Observe(float64(s.prompt - t.cached))
	m.requestLongest.Observe(float64(t.made))
	m.requestN.Observe(1)
}
