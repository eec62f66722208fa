package main

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
)

// setting is how an endpoint is probed and scraped.
type setting struct {
	interval time.Duration // of the probe
	native   bool          // which side of the histograms Prometheus ingests
}

const (
	scrapeEvery  = 30 * time.Second
	missedShare  = 0.001 // of the scrapes
	goal         = 0.99
	normallyGood = 0.995 // the share of requests within the objective's threshold, before anything is injected: half the budget is used
	learning     = 7 * 24 * time.Hour
	nativeSchema = 3 // buckets 2^(1/8), at most 10 % wide
)

// probed is what Prometheus has of length of probing an endpoint.
//
// The threshold of its objective and its pinned baseline are from the first week.
func probed(e *endpoint, s setting, length time.Duration) *store {
	// The prober's own bounds: see collector/buckets.go.
	ttft := newHistogram("llm_probe_time_to_first_token_seconds", s.native, 0.01, 0.03, 0.1, 0.2, 0.35, 0.6, 1, 1.75, 3, 6, 15, 40, 120)
	duration := newHistogram("llm_probe_duration_seconds", s.native, 0.1, 0.3, 1, 2, 4, 8, 15, 30, 60, 200, 600)
	rate := newHistogram("llm_probe_output_tokens_per_second", s.native, 1, 5, 15, 30, 60, 120, 300, 1000, 2000)
	events := &series{labels: objectiveLabels("llm_objective_events_total")}
	bad := &series{labels: objectiveLabels("llm_objective_bad_total")}
	goals := &series{labels: objectiveLabels("llm_objective_goal_ratio")}

	var firstWeek []float64
	threshold := math.Inf(1)
	var pinned map[string]float64
	var judged, missed float64
	restart := time.Duration(e.random.Float64() * float64(length))
	next := time.Duration(e.random.Float64() * float64(s.interval))
	for t := time.Duration(0); t < length; t += scrapeEvery {
		for ; next < t; next += s.interval {
			r := e.ask(next)
			judged++
			if r.failed || r.ttft > threshold {
				missed++
			}
			if r.failed {
				continue
			}
			ttft.observe(r.ttft)
			duration.observe(r.duration)
			rate.observe(r.rate)
			if next < learning {
				firstWeek = append(firstWeek, r.ttft)
			}
		}
		if t >= learning && pinned == nil {
			slices.Sort(firstWeek)
			at := func(q float64) float64 { return firstWeek[int(q*float64(len(firstWeek)-1))] }
			threshold = at(normallyGood)
			pinned = map[string]float64{"0.5": at(0.5), "0.9": at(0.9)}
		}
		if restart >= t && restart < t+scrapeEvery { // all counts begin anew
			judged, missed = 0, 0
			for _, h := range []*histogramSeries{ttft, duration, rate} {
				h.reset()
			}
		}
		if e.random.Float64() < missedShare {
			continue
		}
		for _, h := range []*histogramSeries{ttft, duration, rate} {
			h.scrape(t)
		}
		events.add(t.Milliseconds(), judged)
		bad.add(t.Milliseconds(), missed)
		goals.add(t.Milliseconds(), goal)
	}

	out := newStore()
	out.put(events, bad, goals)
	for _, h := range []*histogramSeries{ttft, duration, rate} {
		out.put(h.series...)
	}
	for q, v := range pinned {
		b := &series{labels: probeLabels("llm_baseline_seconds", "indicator", "ttft", "quantile", q)}
		for t := learning; t < length; t += time.Minute {
			b.add(t.Milliseconds(), v)
		}
		out.put(b)
	}
	return out
}

func probeLabels(name string, more ...string) labels.Labels {
	return labels.FromStrings(append([]string{labels.MetricName, name, "job", "llm_prober", "instance", "prober:9817",
		"target", "chat", "model", "m", "probe", "interactive"}, more...)...)
}

func objectiveLabels(name string) labels.Labels {
	return probeLabels(name, "objective", "chat_ttft", "indicator", "ttft")
}

// histogramSeries is a histogram with the series that its scrapes leave: one native one, or the classic ones.
type histogramSeries struct {
	bounds []float64 // classic; nil for a native one
	counts []float64 // cumulative; the last is +Inf
	index  map[int32]float64
	count  float64
	sum    float64
	series []*series
}

func newHistogram(name string, native bool, bounds ...float64) *histogramSeries {
	if native {
		return &histogramSeries{index: make(map[int32]float64), series: []*series{{labels: probeLabels(name)}}}
	}
	h := &histogramSeries{bounds: append(bounds, math.Inf(1))}
	h.counts = make([]float64, len(h.bounds))
	for _, b := range h.bounds {
		le := strconv.FormatFloat(b, 'f', -1, 64)
		switch {
		case math.IsInf(b, 1):
			le = "+Inf"
		case b == math.Trunc(b):
			le += ".0" // as Prometheus 3 writes it
		}
		h.series = append(h.series, &series{labels: probeLabels(name+"_bucket", "le", le)})
	}
	h.series = append(h.series, &series{labels: probeLabels(name + "_count")}, &series{labels: probeLabels(name + "_sum")})
	return h
}

func (h *histogramSeries) observe(v float64) {
	h.count++
	h.sum += v
	for i, b := range h.bounds {
		if v <= b {
			h.counts[i]++
		}
	}
	if h.index != nil {
		h.index[int32(math.Ceil(math.Log2(v)*(1<<nativeSchema)))]++
	}
}

func (h *histogramSeries) reset() {
	h.count, h.sum = 0, 0
	clear(h.counts)
	clear(h.index)
}

func (h *histogramSeries) scrape(at time.Duration) {
	t := at.Milliseconds()
	if h.index != nil {
		h.series[0].samples = append(h.series[0].samples, sample{t: t, h: h.float()})
		return
	}
	for i, c := range h.counts {
		h.series[i].add(t, c)
	}
	h.series[len(h.counts)].add(t, h.count)
	h.series[len(h.counts)+1].add(t, h.sum)
}

// float is the histogram as Prometheus stores it.
func (h *histogramSeries) float() *histogram.FloatHistogram {
	f := &histogram.FloatHistogram{Schema: nativeSchema, ZeroThreshold: 1e-128, Count: h.count, Sum: h.sum}
	var after int32 // the bucket that follows the one before
	for n, i := range slices.Sorted(maps.Keys(h.index)) {
		if n > 0 && i == after {
			f.PositiveSpans[len(f.PositiveSpans)-1].Length++
		} else {
			f.PositiveSpans = append(f.PositiveSpans, histogram.Span{Offset: i - after, Length: 1})
		}
		after = i + 1
		f.PositiveBuckets = append(f.PositiveBuckets, h.index[i])
	}
	return f
}
