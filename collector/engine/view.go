package engine

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// view is what the newest page said, ready to be served. It is never changed.
type view struct {
	snapshot Snapshot
	metrics  []prometheus.Metric
}

// exporter makes metrics of one engine.
type exporter struct {
	descs map[string]*prometheus.Desc
	types map[string]Type
	since time.Time // when the counting began
}

func newExporter(o Options, since time.Time) *exporter {
	constant := prometheus.Labels{"target": o.Target}
	for name, value := range o.Labels {
		if value != "" { // to Prometheus, no label
			constant[name] = value
		}
	}
	e := &exporter{descs: make(map[string]*prometheus.Desc), types: make(map[string]Type), since: since}
	for _, f := range Families() {
		var variable []string
		if f.Label != "" {
			variable = []string{f.Label}
		}
		e.descs[f.Name] = prometheus.NewDesc(f.Name, f.Help, variable, constant)
		e.types[f.Name] = f.Type
	}
	return e
}

// metric is one value of ours; value is that of the family's label, where it has one.
func (e *exporter) metric(family string, v float64, value ...string) prometheus.Metric {
	var m prometheus.Metric
	var err error
	if e.types[family] == Counter {
		m, err = prometheus.NewConstMetricWithCreatedTimestamp(e.descs[family], prometheus.CounterValue, v, e.since, value...)
	} else {
		m, err = prometheus.NewConstMetric(e.descs[family], prometheus.GaugeValue, v, value...)
	}
	return e.must(family, m, err)
}

func (e *exporter) histogram(family string, h *histogram) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.bounds))
	var below uint64
	for i, b := range h.bounds {
		below = max(below, whole(h.counts[i])) // what was carried over from other bounds and what came since meet here
		buckets[b] = below
	}
	m, err := prometheus.NewConstHistogramWithCreatedTimestamp(e.descs[family], max(below, whole(h.count)), h.sum, buckets, e.since)
	return e.must(family, m, err)
}

// must turns a mistake in this package into an error of the scrape rather than a panic.
func (e *exporter) must(family string, m prometheus.Metric, err error) prometheus.Metric {
	if err != nil {
		return prometheus.NewInvalidMetric(e.descs[family], fmt.Errorf("export %s: %w", family, err))
	}
	return m
}

func whole(n float64) uint64 { return uint64(math.Round(max(0, n))) }

// view makes what is served of a reading that the accumulator has taken in.
func (e *exporter) view(r *reading, a *accumulator, at time.Time, took time.Duration) *view {
	v := &view{snapshot: Snapshot{At: at, Took: took, Kind: r.kind, Instances: r.instances, Restarts: a.restarts}}
	put := func(id seriesID, value float64) {
		var label []string
		if id.value != "" {
			label = []string{id.value}
		}
		v.metrics = append(v.metrics, e.metric(id.family, value, label...))
	}
	put(seriesID{NameInfo, string(r.kind)}, 1)
	put(seriesID{family: NameInstances}, float64(r.instances))
	for _, id := range slices.SortedFunc(maps.Keys(r.gauges), seriesID.compare) {
		put(id, r.gauges[id])
	}

	// A family that the page has is served with all that was ever counted for it: after a restart, engines name a reason
	// only once it occurs again.
	there := r.families()
	for _, id := range slices.SortedFunc(maps.Keys(a.counters), seriesID.compare) {
		if there[id.family] || r.drained {
			put(id, a.counters[id])
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(a.histograms), seriesID.compare) {
		if there[id.family] || r.drained {
			v.metrics = append(v.metrics, e.histogram(id.family, a.histograms[id]))
		}
	}
	v.snapshot.fill(r, a, there)
	return v
}

func (id seriesID) compare(other seriesID) int {
	return cmp.Or(cmp.Compare(id.family, other.family), cmp.Compare(id.value, other.value))
}

// families are those of counters and histograms that a page has.
func (r *reading) families() map[string]bool {
	there := make(map[string]bool)
	for _, c := range r.counters {
		there[c.id.family] = true
	}
	for _, h := range r.histograms {
		there[h.id.family] = true
	}
	for _, id := range r.announced {
		there[id.family] = true
	}
	return there
}

// fill copies what a Snapshot has of the reading and of what was counted.
func (s *Snapshot) fill(r *reading, a *accumulator, there map[string]bool) {
	for name, to := range map[string]**float64{NameRunning: &s.Running, NameWaiting: &s.Waiting, NameKVCacheUsage: &s.KVCacheUsage} {
		if v, ok := r.gauges[seriesID{family: name}]; ok {
			*to = new(v)
		}
	}
	for name, to := range map[string]**float64{
		NamePromptTokens: &s.PromptTokens, NameCachedPromptTokens: &s.CachedPromptTokens,
		NameGenerationTokens: &s.GenerationTokens, NamePreemptions: &s.Preemptions,
	} {
		if v, ok := a.counters[seriesID{family: name}]; ok && there[name] {
			*to = new(v)
		}
	}
	for name, to := range map[string]**Totals{
		NameQueueWait: &s.QueueWait, NameTimeToFirstToken: &s.TimeToFirstToken, NamePrefill: &s.Prefill,
		NameDecode: &s.Decode, NameRequestDuration: &s.RequestDuration,
	} {
		if h := a.histograms[seriesID{family: name}]; h != nil && (there[name] || r.drained) {
			*to = &Totals{Count: h.count, Sum: h.sum}
		}
	}
}
