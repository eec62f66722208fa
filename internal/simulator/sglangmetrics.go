package simulator

import (
	"math"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// sglangPage is SGLang's /metrics (--enable-metrics): the wait in the queue is observed when a request is first scheduled,
// and the counters of tokens and requests when it has finished.
type sglangPage struct {
	nobody
	*registry

	queue, itl, prefill                        prometheus.Histogram
	ttft, e2e                                  map[bool]prometheus.Histogram // by whether it streams
	requests                                   map[bool]prometheus.Counter
	prompt, generation, cached, cachedAll      prometheus.Counter
	aborted                                    prometheus.Counter
	computing, reusing, decoding, retracted    prometheus.Counter
	promptLength, uncachedLength, outputLength prometheus.Histogram
}

func newSGLangPage(o *Options, now func() load) *sglangPage {
	r := newRegistry(now, prometheus.Labels{"model_name": o.Model, "engine_type": "unified", "tp_rank": "0", "pp_rank": "0", "moe_ep_rank": "0"})
	p := &sglangPage{registry: r, ttft: map[bool]prometheus.Histogram{}, e2e: map[bool]prometheus.Histogram{}, requests: map[bool]prometheus.Counter{}}
	tokens := float64(o.KVTokens)

	r.gauge("sglang:num_running_reqs", "The number of running requests.", nil, func(l load) float64 { return float64(l.running) })
	r.gauge("sglang:num_queue_reqs", "The number of requests in the waiting queue.", nil, func(l load) float64 { return float64(l.waiting) })
	r.gauge("sglang:num_grammar_queue_reqs", "The number of requests in the grammar waiting queue.", nil, func(load) float64 { return 0 })
	r.gauge("sglang:token_usage", "The token usage.", nil, func(l load) float64 { return float64(l.held) / tokens })
	r.gauge("sglang:num_used_tokens", "The number of used tokens.", nil, func(l load) float64 { return float64(l.held) })
	r.gauge("sglang:kv_available_tokens", "The number of available tokens in the KV cache.", nil, func(l load) float64 { return tokens - float64(l.held) })
	r.gauge("sglang:max_total_num_tokens", "Maximum total number of tokens in the KV cache pool.", nil, func(load) float64 { return tokens })
	r.gauge("sglang:cache_config_info", "Information of the cache's configuration.", prometheus.Labels{
		"page_size": strconv.Itoa(o.BlockTokens), "num_pages": strconv.Itoa(o.KVTokens / o.BlockTokens),
	}, func(load) float64 { return 1 })

	p.queue = r.histogram("sglang:queue_time_seconds", "Histogram of queueing time in seconds.", nil, sglangQueueBuckets())
	p.itl = r.histogram("sglang:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", nil,
		[]float64{.002, .004, .006, .008, .01, .015, .02, .025, .03, .035, .04, .06, .08, .1, .2, .4, .6, .8, 1, 2, 4, 6, 8})
	stages := make([]float64, 30)
	for i := range stages {
		stages[i] = .001 * math.Pow(1.62, float64(i))
	}
	p.prefill = r.histogram("sglang:per_stage_req_latency_seconds", "The latency of each stage of requests.", prometheus.Labels{"stage": "prefill_forward"}, stages)
	first := []float64{.1, .2, .4, .6, .8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400}
	for stream, label := range map[bool]string{true: "true", false: "false"} {
		labels := prometheus.Labels{"is_streaming": label}
		p.ttft[stream] = r.histogram("sglang:time_to_first_token_seconds", "Histogram of time to first token in seconds.", labels, first)
		p.e2e[stream] = r.histogram("sglang:e2e_request_latency_seconds", "Histogram of End-to-end request latency in seconds.", labels, append(first[:len(first):len(first)], 600, 1200, 1800, 2400))
		p.requests[stream] = r.counter("sglang:num_requests_total", "Number of requests processed.", labels)
	}
	p.prompt = r.counter("sglang:prompt_tokens_total", "Number of prefill tokens processed.", nil)
	p.generation = r.counter("sglang:generation_tokens_total", "Number of generation tokens processed.", nil)
	const cached, cachedHelp = "sglang:cached_tokens_total", "Number of cached prompt tokens."
	p.cached = r.counter(cached, cachedHelp, prometheus.Labels{"cache_source": "device"})
	p.cachedAll = r.counter(cached, cachedHelp, prometheus.Labels{"cache_source": "total"})
	p.retracted = r.counter("sglang:num_retracted_requests_total", "Number of requests retracted.", nil)
	p.aborted = r.counter("sglang:num_aborted_requests_total", "Number of requests aborted.", nil)
	const realtime, realtimeHelp = "sglang:realtime_tokens_total", "Number of tokens processed, as they are."
	p.computing = r.counter(realtime, realtimeHelp, prometheus.Labels{"mode": "prefill_compute"})
	p.reusing = r.counter(realtime, realtimeHelp, prometheus.Labels{"mode": "prefill_cache"})
	p.decoding = r.counter(realtime, realtimeHelp, prometheus.Labels{"mode": "decode"})
	lengths := lengthBuckets(o.MaxModelLen)
	p.promptLength = r.histogram("sglang:prompt_tokens_histogram", "Histogram of prompt token length.", nil, lengths)
	p.uncachedLength = r.histogram("sglang:uncached_prompt_tokens_histogram", "Histogram of uncached prompt token length.", nil, lengths)
	p.outputLength = r.histogram("sglang:generation_tokens_histogram", "Histogram of generation token length.", nil, lengths)
	return p
}

// sglangQueueBuckets are 0 to 100 s by and by, and hundreds up to 3000.
func sglangQueueBuckets() []float64 {
	b := []float64{0, .001, .005, .01, .05, .1, .2, .5, 1, 2, 3, 4, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90}
	for s := 100.0; s <= 3000; s += 100 {
		b = append(b, s)
	}
	return b
}

func (p *sglangPage) scheduled(s *sequence, at instant) {
	p.queue.Observe(at.sub(s.arrival).Seconds())
	p.reusing.Add(float64(s.timeline().cached))
}

func (p *sglangPage) preempted(*sequence) { p.retracted.Inc() }

func (p *sglangPage) step(st step) {
	p.computing.Add(float64(st.prefilled))
	p.decoding.Add(float64(st.made))
}

func (p *sglangPage) token(s *sequence, n int, before, due instant) {
	if n > 1 {
		p.itl.Observe(due.sub(before).Seconds())
		return
	}
	p.ttft[s.stream].Observe(due.sub(before).Seconds())
	p.prefill.Observe(due.sub(s.timeline().scheduled).Seconds())
}

func (p *sglangPage) finished(s *sequence, why finishReason) {
	if why != finishStop && why != finishLength {
		p.aborted.Inc()
		return
	}
	t := s.timeline()
	p.requests[s.stream].Inc()
	p.prompt.Add(float64(s.prompt))
	p.cached.Add(float64(t.cached))
	p.cachedAll.Add(float64(t.cached))
	p.generation.Add(float64(t.made))
	p.e2e[s.stream].Observe(t.last.sub(s.arrival).Seconds())
	p.promptLength.Observe(float64(s.prompt))
	p.uncachedLength.Observe(float64(s.prompt - t.cached))
	p.outputLength.Observe(float64(t.made))
}
