package simulator

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// page is a dialect's /metrics: it observes the engine, and counts when the server that it imitates does. All times are the
// engine's, not those of the writes.
type page interface {
	observer
	handler() http.Handler
}

// registry is where a page's metrics are.
type registry struct {
	*prometheus.Registry
	labels prometheus.Registerer // adds the labels that all have
	now    func() load
}

func newRegistry(now func() load, labels prometheus.Labels) *registry {
	r := prometheus.NewRegistry()
	return &registry{r, prometheus.WrapRegistererWith(labels, r), now}
}

func (r *registry) gauge(name, help string, labels prometheus.Labels, read func(load) float64) {
	r.labels.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return read(r.now()) }))
}

func (r *registry) counter(name, help string, labels prometheus.Labels) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	r.labels.MustRegister(c)
	return c
}

func (r *registry) histogram(name, help string, labels prometheus.Labels, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, ConstLabels: labels, Buckets: buckets})
	r.labels.MustRegister(h)
	return h
}

func (r *registry) handler() http.Handler { return promhttp.HandlerFor(r, promhttp.HandlerOpts{}) }
