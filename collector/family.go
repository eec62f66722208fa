package collector

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// familyTable finds a family by its name.
type familyTable map[string]*sharedFamily

// sharedFamily is a Family with what its histograms have in common.
type sharedFamily struct {
	Family
	unfilled                []*dto.Bucket // of one that has counted nothing
	infinity, zeroThreshold float64
}

func newFamilyTable() familyTable {
	table := make(familyTable)
	for _, f := range Families() {
		table[f.Name] = &sharedFamily{
			Family: f, unfilled: unfilledBuckets(f.Buckets), infinity: math.Inf(1), zeroThreshold: prometheus.DefNativeHistogramZeroThreshold,
		}
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
	labels   prometheus.Labels          // of all its metrics; not changed once there is one
	before   map[madeKey]made           // of the earlier owner; nil for none
	known    map[madeKey]*dto.LabelPair // by name and value of labels beside the owner's, which its equals have too; nil: made anew
	made     []made

	pairs   []*dto.LabelPair       // of labels, once there is a metric
	begun   time.Time              // when the first of them was made
	created *timestamppb.Timestamp // the same
}

// madeKey tells the metrics of one owner apart; or the values of a label.
type madeKey struct{ family, value string }

// byKey makes metrics ready to be taken over.
func byKey(metrics []made) map[madeKey]made {
	keyed := make(map[madeKey]made, len(metrics))
	for _, m := range metrics {
		keyed[madeKey{m.family, m.value}] = m
	}
	return keyed
}

// pair is the label of that name and value.
func (m *maker) pair(name, value string) *dto.LabelPair {
	key := madeKey{name, value}
	if known := m.known[key]; known != nil {
		return known
	}
	pair := &dto.LabelPair{Name: new(name), Value: new(value)}
	if m.known != nil {
		m.known[key] = pair
	}
	return pair
}

// metric returns the metric of a family with the given label, which fresh makes unless the earlier owner had it. label may be
// empty for no more than the owner's.
func (m *maker) metric(family, label, value string, fresh func(*sharedFamily, []*dto.LabelPair) prometheus.Metric) prometheus.Metric {
	old, ok := m.before[madeKey{family, value}]
	if ok {
		m.made = append(m.made, old)
		return old.Metric
	}
	if m.created == nil {
		m.begun = time.Now()
		m.pairs, m.created = pairsOf(m.labels), timestamppb.New(m.begun)
	}
	labels := m.pairs
	if label != "" {
		labels = pairsWith(labels, m.pair(label, value))
	}
	metric := fresh(m.families[family], labels)
	m.made = append(m.made, made{metric, family, value, labels})
	return metric
}

func (m *maker) histogram(family, label, value string) *histogram {
	return m.metric(family, label, value, func(f *sharedFamily, labels []*dto.LabelPair) prometheus.Metric {
		return newHistogram(f, labels, m.begun, m.created)
	}).(*histogram)
}

func (m *maker) counter(family, label, value string) prometheus.Counter {
	return m.metric(family, label, value, func(f *sharedFamily, labels []*dto.LabelPair) prometheus.Metric {
		return &counter{identity: identity{family: f, labels: labels}, created: m.created}
	}).(prometheus.Counter)
}

func (m *maker) gauge(family string) prometheus.Gauge { return m.gaugeOf(family, "", "") }

func (m *maker) gaugeOf(family, label, value string) prometheus.Gauge {
	return m.metric(family, label, value, func(f *sharedFamily, labels []*dto.LabelPair) prometheus.Metric {
		return &gauge{identity: identity{family: f, labels: labels}}
	}).(prometheus.Gauge)
}

func (m *maker) optional(family, label, value string) *optionalGauge {
	return m.metric(family, label, value, func(f *sharedFamily, labels []*dto.LabelPair) prometheus.Metric {
		return &optionalGauge{gauge: gauge{identity: identity{family: f, labels: labels}}}
	}).(*optionalGauge)
}

// optionalGauge is a gauge that is not on the page while its value is not known.
type optionalGauge struct {
	gauge
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
