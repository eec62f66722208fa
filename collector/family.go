package collector

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// familyTable finds a family by its name.
type familyTable map[string]Family

func newFamilyTable() familyTable {
	table := make(familyTable)
	for _, f := range Families() {
		table[f.Name] = f
	}
	return table
}

// dtoType is the kind as client_golang writes it.
func (k Kind) dtoType() dto.MetricType {
	switch k {
	case Counter:
		return dto.MetricType_COUNTER
	case Histogram:
		return dto.MetricType_HISTOGRAM
	default:
		return dto.MetricType_GAUGE
	}
}

// histogramOpts are those of every histogram here: classic and native at once. The native side has buckets at most 10 % wide,
// 160 of them (20 powers of two) before it coarsens, and returns to full resolution no more than once an hour.
func (f Family) histogramOpts(labels prometheus.Labels) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: f.Name, Help: f.Help, ConstLabels: labels,
		Buckets:                         f.Buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

// made is one metric, with what it takes to put it into its place on the page.
type made struct {
	prometheus.Metric
	family string
	value  string           // of the one label that tells it from the family's others of the same owner; may be empty
	labels []*dto.LabelPair // sorted by name
}

// compare orders metrics as client_golang does: by family, then by the values of their labels.
func (a made) compare(b made) int {
	if c := cmp.Or(strings.Compare(a.family, b.family), len(a.labels)-len(b.labels)); c != 0 {
		return c
	}
	return slices.CompareFunc(a.labels, b.labels, func(x, y *dto.LabelPair) int {
		return strings.Compare(x.GetValue(), y.GetValue())
	})
}

// maker makes the metrics of one owner (a unit, a target, an objective) and remembers them. Those that an earlier owner with
// the same labels had are taken over, values and all.
type maker struct {
	families familyTable
	labels   prometheus.Labels
	before   map[madeKey]made // of the earlier owner; nil for none
	made     []made
}

// madeKey tells the metrics of one owner apart.
type madeKey struct{ family, value string }

// byKey makes metrics ready to be taken over.
func byKey(metrics []made) map[madeKey]made {
	keyed := make(map[madeKey]made, len(metrics))
	for _, m := range metrics {
		keyed[madeKey{m.family, m.value}] = m
	}
	return keyed
}

// with is the owner's labels and one more; name may be empty for no more.
func (m *maker) with(name, value string) prometheus.Labels {
	if name == "" {
		return m.labels
	}
	labels := prometheus.Labels{name: value}
	maps.Copy(labels, m.labels)
	return labels
}

// metric returns the metric of a family with the given label, which fresh makes unless the earlier owner had it.
func (m *maker) metric(family, label, value string, fresh func(prometheus.Labels) prometheus.Metric) prometheus.Metric {
	old, ok := m.before[madeKey{family, value}]
	if ok {
		m.made = append(m.made, old)
		return old.Metric
	}
	metric := fresh(m.with(label, value))
	var d dto.Metric
	if err := metric.Write(&d); err != nil {
		panic(err) // these three kinds never fail; labels were checked before
	}
	m.made = append(m.made, made{metric, family, value, d.Label})
	return metric
}

func (m *maker) histogram(family, label, value string) *histogram {
	h := m.metric(family, label, value, func(labels prometheus.Labels) prometheus.Metric {
		return prometheus.NewHistogram(m.families[family].histogramOpts(labels))
	}).(prometheus.Histogram)
	return &histogram{Histogram: h, exemplars: h.(prometheus.ExemplarObserver)}
}

func (m *maker) counter(family, label, value string) prometheus.Counter {
	return m.metric(family, label, value, func(labels prometheus.Labels) prometheus.Metric {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: family, Help: m.families[family].Help, ConstLabels: labels})
	}).(prometheus.Counter)
}

func (m *maker) gauge(family string) prometheus.Gauge { return m.gaugeOf(family, "", "") }

func (m *maker) gaugeOf(family, label, value string) prometheus.Gauge {
	return m.metric(family, label, value, func(labels prometheus.Labels) prometheus.Metric {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: family, Help: m.families[family].Help, ConstLabels: labels})
	}).(prometheus.Gauge)
}

func (m *maker) optional(family, label, value string) *optionalGauge {
	return m.metric(family, label, value, func(labels prometheus.Labels) prometheus.Metric {
		return &optionalGauge{Gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: family, Help: m.families[family].Help, ConstLabels: labels})}
	}).(*optionalGauge)
}

// optionalGauge is a gauge that is not on the page while its value is not known.
type optionalGauge struct {
	prometheus.Gauge
	known atomic.Bool
}

func (g *optionalGauge) set(v float64) {
	g.Set(v)
	g.known.Store(true)
}

func (g *optionalGauge) forget() { g.known.Store(false) }

// absent reports whether a metric is not on the page now.
func absent(m prometheus.Metric) bool {
	g, ok := m.(*optionalGauge)
	return ok && !g.known.Load()
}
