package collector

import (
	"maps"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Baseline is what a quantile of an indicator was when it was pinned.
type Baseline struct {
	Target, Model, Probe string
	Labels               map[string]string // of the target
	Indicator            Indicator
	Quantile             float64 // 0 to 1
	Seconds              float64
}

// Baselines exports what a function says of pinned baselines at each scrape.
type Baselines struct {
	families familyTable
	read     func() []Baseline
}

var _ prometheus.Collector = (*Baselines)(nil)

// NewBaselines returns a collector of what read says.
func NewBaselines(read func() []Baseline) *Baselines {
	return &Baselines{families: newFamilyTable(), read: read}
}

// Describe implements prometheus.Collector. It describes nothing, for targets differ in their own labels.
func (b *Baselines) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (b *Baselines) Collect(ch chan<- prometheus.Metric) {
	for _, baseline := range b.read() {
		s := Series{Target: baseline.Target, Model: baseline.Model, Probe: baseline.Probe, Labels: baseline.Labels}
		labels := s.labels()
		maps.Copy(labels, prometheus.Labels{
			"indicator": string(baseline.Indicator), "quantile": strconv.FormatFloat(baseline.Quantile, 'g', -1, 64),
		})
		ch <- b.families.gauge(NameBaseline, labels, baseline.Seconds)
	}
}
