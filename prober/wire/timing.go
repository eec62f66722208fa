package wire

import "bytes"

// unknownTiming has no field known.
func unknownTiming() ServerTiming {
	return ServerTiming{
		QueueSeconds: -1, PrefillSeconds: -1, DecodeSeconds: -1, LoadSeconds: -1, TotalSeconds: -1,
		FirstTokenSeconds: -1, PrefillTokens: -1, GeneratedTokens: -1,
	}
}

func (t *ServerTiming) know() {
	if !t.Known {
		*t = unknownTiming()
		t.Known = true
	}
}

// update takes over what u says. A report on the reading of the prompt is only taken over if it is the first.
func (t *ServerTiming) update(u *ServerTiming) {
	if !u.Known {
		return
	}
	t.know()
	for _, field := range []struct{ old, new *float64 }{
		{&t.QueueSeconds, &u.QueueSeconds}, {&t.PrefillSeconds, &u.PrefillSeconds}, {&t.DecodeSeconds, &u.DecodeSeconds},
		{&t.LoadSeconds, &u.LoadSeconds}, {&t.TotalSeconds, &u.TotalSeconds}, {&t.FirstTokenSeconds, &u.FirstTokenSeconds},
	} {
		if *field.new >= 0 {
			*field.old = *field.new
		}
	}
	if u.PrefillTokens >= 0 {
		t.PrefillTokens = u.PrefillTokens
	}
	if u.GeneratedTokens >= 0 {
		t.GeneratedTokens = u.GeneratedTokens
	}
	if !t.Progress.Known {
		t.Progress = u.Progress
	}
}

// seconds takes a duration given in units of unit seconds; -1 where there is none.
func (c *cursor) seconds(unit float64) float64 {
	if v := c.decimal(); v >= 0 {
		return v * unit
	}
	return -1
}

// vllmMetrics reads vLLM's per-request "metrics" (server flag --enable-per-request-metrics), on the usage chunk.
// Its time to first token starts at the first scheduling: the queue is not in it.
func vllmMetrics(c *cursor, t *ServerTiming) {
	for in := c.enter('{'); in && c.key(); {
		t.know()
		switch string(c.name) {
		case "queue_time_ms":
			t.QueueSeconds = c.seconds(1e-3)
		case "time_to_first_token_ms":
			t.PrefillSeconds = c.seconds(1e-3)
		case "generation_time_ms":
			t.DecodeSeconds = c.seconds(1e-3)
		default:
			c.skip()
		}
	}
}

// llamaTimings reads llama.cpp's "timings", on the last chunk. It returns the prompt tokens that came from the cache,
// which the server's usage leaves out.
func llamaTimings(c *cursor, t *ServerTiming) (cached int) {
	for in := c.enter('{'); in && c.key(); {
		t.know()
		switch string(c.name) {
		case "prompt_ms":
			t.PrefillSeconds = c.seconds(1e-3)
		case "predicted_ms":
			t.DecodeSeconds = c.seconds(1e-3)
		case "prompt_n":
			t.PrefillTokens = c.count()
		case "predicted_n":
			t.GeneratedTokens = c.count()
		case "cache_n":
			cached = max(c.count(), 0)
		default:
			c.skip()
		}
	}
	return cached
}

// promptProgress reads llama.cpp's "prompt_progress" (request field return_progress).
func promptProgress(c *cursor, t *ServerTiming) {
	for in := c.enter('{'); in && c.key(); {
		t.know()
		p := &t.Progress
		if !p.Known {
			*p = PromptProgress{Known: true, Seconds: -1, Processed: -1, Total: -1, Cached: -1}
		}
		switch string(c.name) {
		case "time_ms":
			p.Seconds = c.seconds(1e-3)
		case "processed":
			p.Processed = c.count()
		case "total":
			p.Total = c.count()
		case "cache":
			p.Cached = c.count()
		default:
			c.skip()
		}
	}
}

// groq reads "x_groq" of Groq's last chunk: a usage with times, and why the stream was broken off, if it was.
func groq(c *cursor, ev *Event) {
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "usage":
			openAIUsage(c, ev)
		case "error":
			if e := serverError(c); e != nil {
				ev.Err = e
			}
		default:
			c.skip()
		}
	}
}

// groqTime takes one of the times that Groq has in its usage and Cerebras in its "time_info", in seconds.
// Groq's total leaves the queue out; Cerebras does not say.
func groqTime(c *cursor, t *ServerTiming) bool {
	var field *float64
	switch string(c.name) {
	case "queue_time":
		field = &t.QueueSeconds
	case "prompt_time":
		field = &t.PrefillSeconds
	case "completion_time":
		field = &t.DecodeSeconds
	case "total_time":
		field = &t.TotalSeconds
	default:
		return false
	}
	t.know()
	*field = c.seconds(1)
	return true
}

// sglangMetaInfo reads SGLang's "meta_info" of a choice (request field return_meta_info, answers in one piece only), of which
// the wait from the waiting queue to the forward pass is taken, in seconds. Without --enable-metrics it is not there.
func sglangMetaInfo(c *cursor, t *ServerTiming) {
	for in := c.enter('{'); in && c.key(); {
		if string(c.name) != "queue_time" {
			c.skip()
			continue
		}
		if v := c.seconds(1); v >= 0 {
			t.know()
			t.QueueSeconds = v
		}
	}
}

// fireworksMetrics reads Fireworks' "perf_metrics" (request field perf_metrics_in_response), on the finish chunk or on
// one after it. The keys have been seen with and without "fireworks-" before them; the values are strings, in seconds.
// The queue is all three of them: before the tokeniser, before prefill and before generation.
func fireworksMetrics(c *cursor, t *ServerTiming) {
	prompt, cached := -1, -1
	for in := c.enter('{'); in && c.key(); {
		t.know()
		switch string(bytes.TrimPrefix(c.name, []byte("fireworks-"))) {
		case "tokenizer-queue-duration", "prefill-queue-duration", "generation-queue-duration":
			if v := c.written().seconds(1); v >= 0 {
				t.QueueSeconds = max(t.QueueSeconds, 0) + v
			}
		case "prefill-duration":
			t.PrefillSeconds = c.written().seconds(1)
		case "server-time-to-first-token":
			t.FirstTokenSeconds = c.written().seconds(1)
		case "server-processing-time":
			t.TotalSeconds = c.written().seconds(1)
		case "prompt-tokens":
			prompt = c.written().count()
		case "cached-prompt-tokens":
			cached = c.written().count()
		default:
			c.skip()
		}
	}
	if prompt >= 0 && cached >= 0 && cached <= prompt {
		t.PrefillTokens = prompt - cached
	}
}

// written goes into a number that may be written as a string, and past it.
func (c *cursor) written() *cursor {
	if c.peek() == '"' {
		return &cursor{b: c.text()}
	}
	return &cursor{b: c.raw()}
}
