package gpu

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Targets exports which GPUs serve which target, so that probe series and GPU series can be joined by uuid. It knows
// the configuration only: the GPUs may be in another machine, or lost.
type Targets struct {
	desc desc

	mu   sync.Mutex // protects gpus
	gpus map[string][]string
}

// NewTargets returns Targets without any.
func NewTargets() *Targets {
	families := Families()
	i := slices.IndexFunc(families, func(f Family) bool { return f.Name == MetricTargetInfo })
	return &Targets{desc: families[i].desc()}
}

// Set replaces what is exported: for each target's name, the UUIDs of its GPUs (or MIG devices).
func (t *Targets) Set(gpus map[string][]string) {
	own := make(map[string][]string, len(gpus))
	for target, uuids := range gpus {
		uuids = slices.Clone(uuids)
		slices.Sort(uuids)
		own[strings.ToValidUTF8(target, "�")] = slices.Compact(uuids)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gpus = own
}

// Describe implements prometheus.Collector.
func (t *Targets) Describe(ch chan<- *prometheus.Desc) { ch <- t.desc.Desc }

// Collect implements prometheus.Collector.
func (t *Targets) Collect(ch chan<- prometheus.Metric) {
	t.mu.Lock()
	gpus := t.gpus // never changed, only replaced
	t.mu.Unlock()
	for _, target := range slices.Sorted(maps.Keys(gpus)) {
		for _, uuid := range gpus[target] {
			ch <- prometheus.MustNewConstMetric(t.desc.Desc, t.desc.kind, 1, target, strings.ToValidUTF8(uuid, "�"))
		}
	}
}
