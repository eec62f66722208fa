package queuewait

import "github.com/llmprober/llm_prober/prober"

// FromBody is the wait that the server states in its answer:
//
//	vLLM        metrics.queue_time_ms     received by the engine core -> last scheduled; not the API server's own work
//	SGLang      meta_info.queue_time      in the waiting queue -> forward pass
//	Groq        usage.queue_time          not defined any further
//	Cerebras    time_info.queue_time      not defined any further
//	Fireworks   perf_metrics              before the tokeniser, before prefill and before generation, added up
//
// It has the server's clock and resolution alone, so its error is 0. There is none for a failed request, and none where
// the server claims more than the whole request took.
func FromBody(r *prober.Result) (Wait, bool) {
	if !r.Timing.Known {
		return Wait{}, false
	}
	wait, ok := seconds(r.Timing.QueueSeconds)
	if !ok || !possible(r, wait, 0) {
		return Wait{}, false
	}
	return Wait{Source: Body, Queue: wait}, true
}
