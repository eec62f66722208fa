package collector

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Metrics that share what they have in common. A target and probe have some 65 of them, with the same labels but for one.
// client_golang's own keep a description, with all labels and their names, for each: of 100 targets with five probes each, that
// is 27 MB. So they are our own, and do what those do.

// writer is a metric that can be written into memory that is used again.
type writer interface {
	// writeIn writes what Write does, in memory of s, which may be nil.
	writeIn(s *scratch, d *dto.Metric)
}

var _, _, _, _ writer = (*counter)(nil), (*gauge)(nil), (*histogram)(nil), (*optionalGauge)(nil)

// identity is what a metric is called.
type identity struct {
	family *sharedFamily
	labels []*dto.LabelPair                // sorted by name; shared, and never changed
	desc   atomic.Pointer[prometheus.Desc] // made when it is first asked for: a page does without
}

// Desc implements prometheus.Metric.
func (i *identity) Desc() *prometheus.Desc {
	if d := i.desc.Load(); d != nil {
		return d
	}
	labels := make(prometheus.Labels, len(i.labels))
	for _, l := range i.labels {
		labels[l.GetName()] = l.GetValue()
	}
	d := prometheus.NewDesc(i.family.Name, i.family.Help, nil, labels)
	i.desc.Store(d)
	return d
}

// Describe implements prometheus.Collector, as all metrics do.
func (i *identity) Describe(ch chan<- *prometheus.Desc) { ch <- i.Desc() }

// number is a float64 that many may add to.
type number struct{ bits atomic.Uint64 }

func (n *number) add(v float64) {
	for {
		old := n.bits.Load()
		if n.bits.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

func (n *number) set(v float64) { n.bits.Store(math.Float64bits(v)) }
func (n *number) get() float64  { return math.Float64frombits(n.bits.Load()) }

// counter is a prometheus.Counter, and takes exemplars.
type counter struct {
	identity
	number
	created  *timestamppb.Timestamp
	exemplar atomic.Pointer[dto.Exemplar]
}

var (
	_ prometheus.Counter       = (*counter)(nil)
	_ prometheus.ExemplarAdder = (*counter)(nil)
)

// Inc implements prometheus.Counter.
func (c *counter) Inc() { c.add(1) }

// Add implements prometheus.Counter. Below zero it panics.
func (c *counter) Add(v float64) {
	if v < 0 {
		panic("counter " + c.family.Name + " cannot decrease")
	}
	c.add(v)
}

// AddWithExemplar implements prometheus.ExemplarAdder. Labels without any leave the exemplar that is there.
func (c *counter) AddWithExemplar(v float64, labels prometheus.Labels) {
	c.Add(v)
	if len(labels) > 0 {
		c.exemplar.Store(&dto.Exemplar{Value: new(v), Timestamp: timestamppb.New(time.Now()), Label: pairsOf(labels)})
	}
}

// Write implements prometheus.Metric.
func (c *counter) Write(d *dto.Metric) error {
	c.writeIn(nil, d)
	return nil
}

func (c *counter) writeIn(s *scratch, d *dto.Metric) {
	// The exemplar is read first: one of a request that is not counted yet would be of nothing.
	exemplar := c.exemplar.Load()
	both := &taken(s, func(s *scratch) *slab[counterDTO] { return &s.counters }, 1)[0]
	both.value = c.get()
	both.Value, both.Exemplar, both.CreatedTimestamp = &both.value, exemplar, c.created
	d.Label, d.Counter = c.labels, &both.Counter
}

// Collect implements prometheus.Collector.
func (c *counter) Collect(ch chan<- prometheus.Metric) { ch <- c }

// gauge is a prometheus.Gauge.
type gauge struct {
	identity
	number
}

var _ prometheus.Gauge = (*gauge)(nil)

// Set implements prometheus.Gauge.
func (g *gauge) Set(v float64) { g.set(v) }

// Inc implements prometheus.Gauge.
func (g *gauge) Inc() { g.add(1) }

// Dec implements prometheus.Gauge.
func (g *gauge) Dec() { g.add(-1) }

// Add implements prometheus.Gauge.
func (g *gauge) Add(v float64) { g.add(v) }

// Sub implements prometheus.Gauge.
func (g *gauge) Sub(v float64) { g.add(-v) }

// SetToCurrentTime implements prometheus.Gauge.
func (g *gauge) SetToCurrentTime() { g.set(float64(time.Now().UnixNano()) / 1e9) }

// Write implements prometheus.Metric.
func (g *gauge) Write(d *dto.Metric) error {
	g.writeIn(nil, d)
	return nil
}

func (g *gauge) writeIn(s *scratch, d *dto.Metric) {
	both := &taken(s, func(s *scratch) *slab[gaugeDTO] { return &s.gauges }, 1)[0]
	both.value = g.get()
	both.Value = &both.value
	d.Label, d.Gauge = g.labels, &both.Gauge
}

// Collect implements prometheus.Collector.
func (g *gauge) Collect(ch chan<- prometheus.Metric) { ch <- g }

// pairsOf writes labels as Prometheus sends them, sorted by name.
func pairsOf(labels prometheus.Labels) []*dto.LabelPair {
	pairs := make([]*dto.LabelPair, 0, len(labels))
	for name, value := range labels {
		pairs = append(pairs, &dto.LabelPair{Name: new(name), Value: new(value)})
	}
	slices.SortFunc(pairs, comparePairs)
	return pairs
}

// pairsWith are pairs and one more, in new memory.
func pairsWith(pairs []*dto.LabelPair, more *dto.LabelPair) []*dto.LabelPair {
	i, _ := slices.BinarySearchFunc(pairs, more, comparePairs)
	all := make([]*dto.LabelPair, 0, len(pairs)+1)
	return append(append(append(all, pairs[:i]...), more), pairs[i:]...)
}

func comparePairs(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) }
