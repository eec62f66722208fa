package engine

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
)

// isJSON reports whether an answer is JSON rather than a metrics page.
func isJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '[' || data[0] == '{' && bytes.HasPrefix(bytes.TrimLeft(data[1:], " \t\r\n"), []byte(`"`)))
}

// iterationStats is an element of TensorRT-LLM's /metrics: what one step of the engine was like. Each read takes away those that
// came since the read before.
type iterationStats struct {
	Iteration *int     `json:"iter"`
	Active    *float64 `json:"numActiveRequests"`
	Queued    *float64 `json:"numQueuedRequests"`
	Completed float64  `json:"numCompletedRequests"`
	KVCache   *struct {
		Used float64 `json:"usedNumBlocks"`
		Max  float64 `json:"maxNumBlocks"`
	} `json:"kvCacheStats"`

	// an element of /perf_metrics: what one request was like
	Request *struct {
		Timing *requestTiming `json:"timing_metrics"`
	} `json:"perf_metrics"`
	Timing *requestTiming `json:"timing_metrics"`
}

// requestTiming is in seconds of the engine's steady clock.
type requestTiming struct {
	Arrival   float64 `json:"arrival_time"`
	Scheduled float64 `json:"first_scheduled_time"`
	First     float64 `json:"first_token_time"`
	Last      float64 `json:"last_token_time"`
}

// drainedBounds are ours, for the engine gives each request's times without buckets: TensorRT-LLM's own for the first token.
func drainedBounds() []float64 {
	return []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
}

// readTRTLLM reads the JSON of TensorRT-LLM.
func readTRTLLM(families familyTable, data []byte) (*reading, error) {
	var items []iterationStats
	if err := json.Unmarshal(data, &items); err != nil {
		return nil, fail(reasonMalformed, "the answer is JSON, not a metrics page")
	}
	r := &reading{kind: KindTRTLLM, instances: 1, gauges: make(map[seriesID]float64), drained: true}
	known := len(items) == 0 // nothing has happened since the last read
	var steps, completed float64
	drained := make(map[string]*histogram)
	for _, item := range items {
		timing := item.Timing
		if item.Request != nil && timing == nil {
			timing = item.Request.Timing
		}
		switch {
		case timing != nil:
			known = true
			completed++
			timing.observe(drained)
		case item.Iteration != nil || item.Active != nil:
			known = true
			steps++
			completed += max(0, item.Completed)
			r.gaugesOf(families, item) // the newest comes last
		}
	}
	if !known {
		return nil, fail(reasonMalformed, "the answer is JSON, not a metrics page")
	}
	if steps > 0 {
		r.counters = append(r.counters, counterReading{id: seriesID{family: NameSteps}, value: steps})
	}
	if completed > 0 {
		r.counters = append(r.counters, counterReading{id: seriesID{NameFinished, finishedOther}, value: completed})
	}
	for family, h := range drained {
		r.histograms = append(r.histograms, histogramReading{id: seriesID{family: family}, histogram: h})
	}
	return r, nil
}

func (r *reading) gaugesOf(families familyTable, item iterationStats) {
	set := func(name string, v *float64) {
		if v == nil {
			return
		}
		if value, ok := plausible(families[name], *v); ok {
			r.gauges[seriesID{family: name}] = value
		}
	}
	set(NameRunning, item.Active)
	set(NameWaiting, item.Queued)
	if kv := item.KVCache; kv != nil && kv.Max > 0 {
		set(NameKVCacheUsage, new(kv.Used/kv.Max))
	}
}

// observe adds the times of one request. What did not happen is 0 in the JSON, and has no sample.
func (t *requestTiming) observe(to map[string]*histogram) {
	for _, span := range []struct {
		family   string
		from, to float64
	}{
		{NameQueueWait, t.Arrival, t.Scheduled},
		{NameTimeToFirstToken, t.Arrival, t.First},
		{NamePrefill, t.Scheduled, t.First},
		{NameDecode, t.First, t.Last},
		{NameRequestDuration, t.Arrival, t.Last},
	} {
		d := span.to - span.from
		if span.from <= 0 || span.to <= 0 || d < 0 || math.IsInf(d, 0) || math.IsNaN(d) {
			continue
		}
		h := to[span.family]
		if h == nil {
			h = &histogram{bounds: drainedBounds()}
			h.counts = make([]float64, len(h.bounds))
			to[span.family] = h
		}
		h.count++
		h.sum += d
		i, _ := slices.BinarySearch(h.bounds, d)
		for ; i < len(h.counts); i++ {
			h.counts[i]++
		}
	}
}
