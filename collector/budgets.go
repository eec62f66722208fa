package collector

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

// Budget is a bound on what probing may use, and how much of it is used.
type Budget struct {
	Target   string            // empty: all targets together
	Model    string            // of the target
	Labels   map[string]string // of the target
	Name     string            // requests_per_minute, output_tokens_per_hour, cost_per_day
	Currency string            // of cost_per_day; else empty
	Limit    float64
	Used     float64
}

// Budgets exports what a function says of budgets at each scrape. Its labels are those that were checked with the targets' series.
type Budgets struct {
	families familyTable
	read     func() []Budget
}

var _ prometheus.Collector = (*Budgets)(nil)

// NewBudgets returns a collector of what read says.
func NewBudgets(read func() []Budget) *Budgets {
	return &Budgets{families: newFamilyTable(), read: read}
}

// Describe implements prometheus.Collector. It describes nothing, for targets differ in their own labels.
func (b *Budgets) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (b *Budgets) Collect(ch chan<- prometheus.Metric) {
	for _, budget := range b.read() {
		labels := prometheus.Labels{"budget": budget.Name}
		if budget.Currency != "" {
			labels["currency"] = budget.Currency
		}
		if budget.Target != "" {
			s := Series{Target: budget.Target, Model: budget.Model, Labels: budget.Labels}
			maps.Copy(labels, s.labels())
			delete(labels, "probe")
		}
		ch <- b.families.gauge(NameBudgetLimit, labels, budget.Limit)
		ch <- b.families.gauge(NameBudgetUsed, labels, budget.Used)
	}
}

// gauge is one gauge of a family, as it is now.
func (t familyTable) gauge(family string, labels prometheus.Labels, v float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(prometheus.NewDesc(family, t[family].Help, nil, labels), prometheus.GaugeValue, v)
}

// counter is one counter of a family, as it is now.
func (t familyTable) counter(family string, labels prometheus.Labels, v float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(prometheus.NewDesc(family, t[family].Help, nil, labels), prometheus.CounterValue, v)
}
