package queuewait

import (
	"net/http"
	"strconv"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// The headers that tell of the queue.
const (
	tgiQueue     = "X-Queue-Time"     // whole milliseconds, truncated
	tgiInference = "X-Inference-Time" // tells TGI from a proxy with a queue time of its own
)

// fireworksQueues are before the tokeniser, before prefill and before generation, in seconds.
func fireworksQueues() []string {
	return []string{"Fireworks-Tokenizer-Queue-Duration", "Fireworks-Prefill-Queue-Duration", "Fireworks-Generation-Queue-Duration"}
}

// Headers lists the response headers that [FromHeader] reads, in canonical form: what is to be kept of a response.
func Headers() []string { return append([]string{tgiQueue, tgiInference}, fireworksQueues()...) }

// FromHeader is the wait that the server states in the headers h of its response to r:
//
//	TGI         x-queue-time                      entered the queue -> joined a batch; answers in one piece only
//	Fireworks   fireworks-*-queue-duration        added up; streams carry only some of its headers, mostly none of these
//
// TGI cuts off the fraction of a millisecond, so its wait is low by 0.5 ms on average and by 1 ms at most: that is its
// error. There is none for a failed request, and none where the server claims more than the whole request took.
func FromHeader(r *prober.Result, h http.Header) (Wait, bool) {
	wait, ok := fromTGI(h)
	if !ok {
		wait, ok = fromFireworks(h)
	}
	if !ok || !possible(r, wait.Queue, wait.Error) {
		return Wait{}, false
	}
	return wait, true
}

func fromTGI(h http.Header) (Wait, bool) {
	if h.Get(tgiInference) == "" {
		return Wait{}, false
	}
	ms, err := strconv.ParseUint(h.Get(tgiQueue), 10, 32)
	if err != nil {
		return Wait{}, false
	}
	wait, ok := seconds(float64(ms) / 1e3)
	return Wait{Source: Header, Queue: wait, Error: time.Millisecond}, ok
}

func fromFireworks(h http.Header) (Wait, bool) {
	var sum float64
	var any bool
	for _, name := range fireworksQueues() {
		text := h.Get(name)
		if text == "" {
			continue
		}
		s, err := strconv.ParseFloat(text, 64)
		if err != nil || !(s >= 0) {
			return Wait{}, false // one that cannot be read makes the sum wrong
		}
		sum += s
		any = true
	}
	wait, ok := seconds(sum)
	return Wait{Source: Header, Queue: wait}, ok && any
}
