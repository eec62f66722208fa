package collector

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"
)

// Self holds what the prober says about itself beside its measurements: what it is, its configuration, its schedule.
// All methods may be called at the same time.
type Self struct {
	lag     *histogram
	metrics []made

	mu                sync.Mutex // protects that the metrics of a reload speak of the same one
	reloadSuccessful  prometheus.Gauge
	reloadSuccessTime prometheus.Gauge
	reloads           map[bool]prometheus.Counter // by success
}

var _ prometheus.Collector = (*Self)(nil)

// NewSelf returns a Self that has seen no configuration yet.
func NewSelf() *Self {
	m := maker{families: newFamilyTable()}
	s := &Self{
		lag:               m.histogram(NameSchedulerLag, "", ""),
		reloadSuccessful:  m.gauge(NameReloadSuccessful),
		reloadSuccessTime: m.gauge(NameReloadSuccessTime),
		reloads: map[bool]prometheus.Counter{
			true:  m.counter(NameConfigReloads, "result", resultSuccess),
			false: m.counter(NameConfigReloads, "result", resultFailure),
		},
	}
	info := maker{families: m.families, labels: prometheus.Labels{
		"version":   version.Version,
		"revision":  version.GetRevision(),
		"branch":    version.Branch,
		"goversion": version.GoVersion,
		"goos":      version.GoOS,
		"goarch":    version.GoArch,
		"tags":      version.GetTags(),
	}}
	info.gauge(NameBuildInfo).Set(1)
	s.metrics = append(m.made, info.made...)
	return s
}

// Reloaded files an attempt to load the configuration, the one at the start included, that ended at the given time.
// err is nil exactly when the new configuration came into force.
func (s *Self) Reloaded(at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloads[err == nil].Inc()
	if err != nil {
		s.reloadSuccessful.Set(0)
		return
	}
	s.reloadSuccessful.Set(1)
	s.reloadSuccessTime.Set(unixSeconds(at))
}

// SchedulerLag files how late the schedule's timer woke.
func (s *Self) SchedulerLag(d time.Duration) { s.lag.Observe(seconds(d)) }

// Describe implements prometheus.Collector.
func (s *Self) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range s.metrics {
		ch <- m.Desc()
	}
}

// Collect implements prometheus.Collector.
func (s *Self) Collect(ch chan<- prometheus.Metric) {
	for _, m := range s.metrics {
		ch <- m.Metric
	}
}
