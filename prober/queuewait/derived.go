package queuewait

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// FromDerived is what remains of a request's time when the parts that the server tells are taken off. trip is the network's
// round trip to the target; the methods that need it give nothing while it is unknown.
//
//	llama.cpp, with return_progress   first event - wrote - trip - prompt_progress.time_ms
//	llama.cpp, streaming              first token - wrote - trip - timings.prompt_ms
//	llama.cpp, in one piece           end - wrote - trip - timings.prompt_ms - timings.predicted_ms
//	Ollama                            total_duration - load_duration - prompt_eval_duration - eval_duration
//
// llama.cpp's includes the server's HTTP, template and tokeniser, for its clock starts with the slot; its error is the
// trip's, the time that the write took, and 1 ms for the progress, which is told in whole milliseconds. Ollama's is by its own clock alone: it is the wait for the runner, and includes
// the template, the tokeniser and the way to the runner's process. Ollama's load_duration holds both the loading of a
// model and the wait for its scheduler, and is not in it: see [PartLoad].
func FromDerived(r *prober.Result, trip Trip) (Wait, bool) {
	if !r.Timing.Known || r.Outcome != prober.OK {
		return Wait{}, false
	}
	if wait, ok := fromOllama(r); ok {
		return wait, true
	}
	return fromLlama(r, trip)
}

// fromOllama knows Ollama by the loading time, which no one else tells.
func fromOllama(r *prober.Result) (Wait, bool) {
	t := &r.Timing
	if t.TotalSeconds < 0 || t.LoadSeconds < 0 || t.PrefillSeconds < 0 || t.DecodeSeconds < 0 || t.QueueSeconds >= 0 {
		return Wait{}, false
	}
	total, ok := seconds(t.TotalSeconds)
	if !ok || total > r.Duration()+bracket(r) {
		return Wait{}, false
	}
	spent, ok := seconds(t.LoadSeconds + t.PrefillSeconds + t.DecodeSeconds)
	if !ok {
		return Wait{}, false
	}
	return judge(Derived, total-spent, time.Microsecond) // nanoseconds, added up in floating point
}

// fromLlama knows llama.cpp by its progress, or by both a prefill and a decode time with their tokens, and no queue.
func fromLlama(r *prober.Result, trip Trip) (Wait, bool) {
	t := &r.Timing
	if !trip.Known || t.QueueSeconds >= 0 || t.TotalSeconds >= 0 {
		return Wait{}, false
	}
	var at time.Time
	var spent float64
	err := trip.Error + bracket(r)
	switch timings := t.PrefillSeconds >= 0 && t.DecodeSeconds >= 0 && t.PrefillTokens >= 0 && t.GeneratedTokens >= 0; {
	case t.Progress.Known && t.Progress.Seconds >= 0 && r.Request.Call.Stream:
		at, spent = r.Timeline.FirstEvent, t.Progress.Seconds
		err += time.Millisecond
	case timings && r.Request.Call.Stream:
		at, spent = r.Timeline.FirstToken, t.PrefillSeconds
	case timings:
		at, spent = r.Timeline.End, t.PrefillSeconds+t.DecodeSeconds
	default:
		return Wait{}, false
	}
	whole, ok := since(r, at)
	if !ok {
		return Wait{}, false
	}
	server, ok := seconds(spent)
	if !ok {
		return Wait{}, false
	}
	return judge(Derived, whole-trip.Time-server, err)
}
