package collector

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// Registry is a Prometheus registry of its own, and the probes beside it. Probes are most of a page by far,
// and are gathered without the registry's checks on each of their metrics (see [Probes.Gather]).
type Registry struct {
	*prometheus.Registry
	probes *Probes
}

var _ prometheus.Gatherer = (*Registry)(nil)

// NewRegistry returns a registry with the given collectors and those of the Go runtime and the process.
// Two collectors that claim the same series are an error.
func NewRegistry(probes *Probes, cs ...prometheus.Collector) (*Registry, error) {
	reg := prometheus.NewRegistry()
	cs = append([]prometheus.Collector{
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		// How long goroutines wait for a processor is how late this process may read an answer.
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/sched/latencies:seconds$`)},
		)),
	}, cs...)
	var errs []error
	for _, c := range cs {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Registry{Registry: reg, probes: probes}, nil
}

// Gather implements prometheus.Gatherer. Families come sorted by name. On an error, what could be gathered is returned with it.
func (r *Registry) Gather() (all []*dto.MetricFamily, err error) {
	err = r.each(nil, func(f *dto.MetricFamily) bool {
		all = append(all, f)
		return true
	})
	return all, err
}

// each gathers one family after the other, sorted by name, and hands each to do until that returns false. With a scratch, a family
// is there as long as do is under way.
func (r *Registry) each(s *scratch, do func(*dto.MetricFamily) bool) error {
	others, err := r.Registry.Gather()
	errs := []error{err}
	probes := r.probes.units.Load().families
	for len(probes)+len(others) > 0 {
		var f *dto.MetricFamily
		if len(others) > 0 && (len(probes) == 0 || others[0].GetName() < probes[0].Name) {
			f, others = others[0], others[1:]
		} else {
			// The probes win over a family of the same name, which a page cannot hold twice.
			if len(others) > 0 && others[0].GetName() == probes[0].Name {
				errs = append(errs, fmt.Errorf("metric %s: claimed by another collector beside the probes", probes[0].Name))
				others = others[1:]
			}
			if s != nil {
				s.reset()
			}
			if f, err = probes[0].gather(s); err != nil {
				errs = append(errs, err)
			}
			probes = probes[1:]
		}
		if f != nil && !do(f) {
			break
		}
	}
	return errors.Join(errs...)
}
