package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is where targets come from, and how that goes.
type Source struct {
	Name        string
	Targets     int       // of its last good list
	LastSuccess time.Time // zero: never
	Successes   int
	Failures    int
}

// Sources exports what a function says of sources of targets at each scrape.
type Sources struct {
	families familyTable
	read     func() []Source
}

var _ prometheus.Collector = (*Sources)(nil)

// NewSources returns a collector of what read says. No two sources share a name.
func NewSources(read func() []Source) *Sources {
	return &Sources{families: newFamilyTable(), read: read}
}

// Describe implements prometheus.Collector. It describes nothing, for sources come and go.
func (s *Sources) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *Sources) Collect(ch chan<- prometheus.Metric) {
	for _, source := range s.read() {
		of := prometheus.Labels{"source": source.Name}
		ch <- s.families.gauge(NameDiscoveryTargets, of, float64(source.Targets))
		last := 0.0
		if !source.LastSuccess.IsZero() {
			last = unixSeconds(source.LastSuccess)
		}
		ch <- s.families.gauge(NameDiscoveryLastSuccess, of, last)
		ch <- s.families.counter(NameDiscoveryRefreshes, prometheus.Labels{"source": source.Name, "result": resultSuccess}, float64(source.Successes))
		ch <- s.families.counter(NameDiscoveryRefreshes, prometheus.Labels{"source": source.Name, "result": resultFailure}, float64(source.Failures))
	}
}
