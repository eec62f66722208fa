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
	var failed []error
	err = r.each(func(f *pageFamily) bool {
		whole, err := f.gather()
		if err != nil {
			failed = append(failed, err)
		} else if whole != nil {
			all = append(all, whole)
		}
		return true
	}, func(f *dto.MetricFamily) bool {
		all = append(all, f)
		return true
	})
	return all, errors.Join(append(failed, err)...)
}

// partMetrics is how many metrics of a family are in memory at once while a page is sent: a hundredth of the largest.
const partMetrics = 256

// send gathers what Gather does, in parts of families: each is handed to do, and is gone when that returns. goesOn says that a
// part is of the same family as the one before. It ends when do returns false.
func (r *Registry) send(do func(part *dto.MetricFamily, goesOn bool) bool) error {
	memory := new(scratch) // not kept for the next scrape: until then it would only be in the way of the collector
	var failed []error
	err := r.each(func(f *pageFamily) bool {
		wanted := true
		if err := f.parts(memory, partMetrics, func(part *dto.MetricFamily, goesOn bool) bool {
			wanted = do(part, goesOn)
			return wanted
		}); err != nil {
			failed = append(failed, err)
		}
		return wanted
	}, func(f *dto.MetricFamily) bool { return do(f, false) })
	return errors.Join(append(failed, err)...)
}

// each goes through all families, sorted by name: those of the probes, which are still to be gathered, and the others. It ends when
// one of the functions returns false.
func (r *Registry) each(probe func(*pageFamily) bool, other func(*dto.MetricFamily) bool) error {
	others, err := r.Registry.Gather()
	errs := []error{err}
	probes := r.probes.units.Load().families
	for goOn := true; goOn && len(probes)+len(others) > 0; {
		if len(others) > 0 && (len(probes) == 0 || others[0].GetName() < probes[0].Name) {
			goOn, others = other(others[0]), others[1:]
			continue
		}
		// The probes win over a family of the same name, which a page cannot hold twice.
		if len(others) > 0 && others[0].GetName() == probes[0].Name {
			errs = append(errs, fmt.Errorf("metric %s: claimed by another collector beside the probes", probes[0].Name))
			others = others[1:]
		}
		goOn, probes = probe(&probes[0]), probes[1:]
	}
	return errors.Join(errs...)
}
