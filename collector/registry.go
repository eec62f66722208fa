package collector

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

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
func (r *Registry) Gather() ([]*dto.MetricFamily, error) {
	probes, probesErr := r.probes.Gather()
	others, othersErr := r.Registry.Gather()
	errs := []error{probesErr, othersErr}

	// The probes go first, so that they win over a family of the same name, which a page cannot hold twice.
	all := append(probes, others...)
	slices.SortStableFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	all = slices.CompactFunc(all, func(a, b *dto.MetricFamily) bool {
		if a.GetName() != b.GetName() {
			return false
		}
		errs = append(errs, fmt.Errorf("metric %s: claimed by another collector beside the probes", b.GetName()))
		return true
	})
	return all, errors.Join(errs...)
}
