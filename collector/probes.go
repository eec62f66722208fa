package collector

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/llmprober/llm_prober/prober"
)

// Probes holds the series of all targets and probes. It is a prober.Sink, a prometheus.Collector and a prometheus.Gatherer.
// All methods may be called at the same time.
//
// As a collector it is unchecked (it describes nothing), for targets differ in their own labels.
type Probes struct {
	families    familyTable
	taken       map[string]bool
	skipReasons []string

	apply sync.Mutex                 // one Apply at a time; protects pairs
	pairs map[madeKey]*dto.LabelPair // that the metrics of many units have in common
	units atomic.Pointer[unitTable]

	dispatchDelay, receiveDelay *histogram
	unfiled                     prometheus.Counter
	count                       prometheus.Gauge
	own                         []made // of the four above
}

var (
	_ prometheus.Collector = (*Probes)(nil)
	_ prometheus.Gatherer  = (*Probes)(nil)
	_ prober.Sink          = (*Probes)(nil)
)

// unitTable is never changed once it is in force.
type unitTable struct {
	byKey    map[probeKey]*unit
	byID     map[string]*unit
	targets  map[string]*targetUnit // by name
	families []pageFamily
}

// pageFamily is one family's metrics, in the order of the page.
type pageFamily struct {
	*sharedFamily
	metrics []prometheus.Metric
}

// NewProbes returns a Probes without series; Apply makes them. skipReasons are the values that Skip takes.
func NewProbes(skipReasons []string) *Probes {
	p := &Probes{
		families:    newFamilyTable(),
		taken:       takenLabels(),
		pairs:       make(map[madeKey]*dto.LabelPair),
		skipReasons: slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(skipReasons), skippedUnsent, otherSkipReason)))),
	}
	m := maker{families: p.families}
	p.dispatchDelay = m.histogram(NameDispatchDelay, "", "")
	p.receiveDelay = m.histogram(NameReceiveDelay, "", "")
	p.unfiled = m.counter(NameUnfiled, "", "")
	p.count = m.gauge(NameProbeSeries)
	p.own = m.made
	p.units.Store(p.newTable(nil, nil, nil))
	return p
}

// Apply makes series what there is: new ones appear at zero, missing ones go, and those that stay the same keep their values.
// On an error, which names everything that is wrong, nothing changes.
func (p *Probes) Apply(series []Series) error {
	p.apply.Lock()
	defer p.apply.Unlock()

	if err := p.check(series); err != nil {
		return err
	}
	old := p.units.Load()
	byKey, byID := make(map[probeKey]*unit, len(series)), make(map[string]*unit, len(series))
	kept := 0
	for _, s := range series {
		id := s.identity()
		u := old.byID[id]
		if u == nil || !reflect.DeepEqual(u.series, s) {
			u = p.newUnit(s, u)
		} else {
			kept++
		}
		byKey[s.key()], byID[id] = u, u
	}
	if kept == len(byID) && kept == len(old.byID) {
		return nil
	}
	p.units.Store(p.newTable(byKey, byID, p.newTargets(series, old.targets)))
	p.count.Set(float64(len(byID)))
	return nil
}

// newTable makes the table of the given units and targets and puts their metrics, and the prober's own, into the order of the
// page. What comes sorted need not be sorted on each scrape.
func (p *Probes) newTable(byKey map[probeKey]*unit, byID map[string]*unit, targets map[string]*targetUnit) *unitTable {
	page := slices.Clone(p.own)
	for _, u := range byID {
		page = append(page, u.metrics...)
	}
	for _, t := range targets {
		page = append(page, t.metrics...)
	}
	slices.SortFunc(page, made.compare)
	t := &unitTable{byKey: byKey, byID: byID, targets: targets}
	for _, m := range page {
		if last := len(t.families) - 1; last < 0 || t.families[last].Name != m.family {
			t.families = append(t.families, pageFamily{sharedFamily: p.families[m.family]})
		}
		f := &t.families[len(t.families)-1]
		f.metrics = append(f.metrics, m.Metric)
	}
	return t
}

// check returns everything that is wrong with series.
func (p *Probes) check(series []Series) error {
	var errs []error
	seen := make(map[probeKey]bool, len(series))
	for i := range series {
		s := &series[i]
		if seen[s.key()] {
			errs = append(errs, fmt.Errorf("series target %q probe %q: given twice", s.Target, s.Probe))
		}
		seen[s.key()] = true
		if err := s.check(p.taken); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// unit finds the series of a target and probe; nil where there are none.
func (p *Probes) unit(target, probe string) *unit {
	return p.units.Load().byKey[probeKey{target, probe}]
}

// Observe implements prober.Sink. A result whose series are gone is counted as such, and filed nowhere.
func (p *Probes) Observe(r *prober.Result) {
	u := p.unit(r.Request.Target, r.Request.Probe)
	if u == nil || !u.observe(r) {
		p.unfiled.Inc()
		return
	}
	if !r.Outcome.OfTarget() {
		return
	}
	if !r.Timeline.Intended.IsZero() {
		p.dispatchDelay.Observe(seconds(r.DispatchDelay()))
	}
	if r.Clock == prober.ClockKernel && !r.Timeline.Headers.IsZero() {
		p.receiveDelay.Observe(seconds(r.ReceiveDelay))
	}
}

// Started says that a request was dispatched. The returned function says that it ended, and is to be called exactly once,
// whatever reloads happened in between.
func (p *Probes) Started(target, probe string) (ended func()) {
	u := p.unit(target, probe)
	if u == nil {
		return func() {}
	}
	u.inFlight.Inc()
	return u.inFlight.Dec
}

// Skip says that a probe was due but not sent. A reason that NewProbes was not told of is counted as "other".
func (p *Probes) Skip(target, probe, reason string) {
	u := p.unit(target, probe)
	if u == nil {
		return
	}
	c, ok := u.skipped[reason]
	if !ok {
		c = u.skipped[otherSkipReason]
	}
	c.Inc()
}

// Describe implements prometheus.Collector. It describes nothing.
func (p *Probes) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (p *Probes) Collect(ch chan<- prometheus.Metric) {
	for _, f := range p.units.Load().families {
		for _, m := range f.metrics {
			if !absent(m) {
				ch <- m
			}
		}
	}
}

// Gather implements prometheus.Gatherer. It returns what a registry would gather from p, at a fraction of the cost:
// that the metrics are sorted, consistent and unlike each other was seen to when they were made, not on each scrape.
func (p *Probes) Gather() ([]*dto.MetricFamily, error) {
	families := p.units.Load().families
	gathered := make([]*dto.MetricFamily, 0, len(families))
	for i := range families {
		f, err := families[i].gather()
		if err != nil {
			return nil, err
		}
		if f != nil {
			gathered = append(gathered, f)
		}
	}
	return gathered, nil
}

// gather is the family as it is sent; nil where it has no metric now.
func (f *pageFamily) gather() (*dto.MetricFamily, error) {
	var whole *dto.MetricFamily
	err := f.parts(nil, len(f.metrics), func(part *dto.MetricFamily, _ bool) bool {
		whole = part
		return true
	})
	return whole, err
}

// parts hands do the family in parts of so many metrics, each in memory of s that is free again with the next one, until do returns
// false. goesOn says of a part that it is not the first one. A family without a metric now has no parts.
func (f *pageFamily) parts(s *scratch, most int, do func(part *dto.MetricFamily, goesOn bool) bool) error {
	goesOn := false
	for all := range slices.Chunk(f.metrics, max(1, most)) {
		if s != nil {
			s.reset()
		}
		block := taken(s, func(s *scratch) *slab[dto.Metric] { return &s.metrics }, len(all))
		metrics := make([]*dto.Metric, 0, len(all))
		for i, m := range all {
			if absent(m) {
				continue
			}
			if w, ok := m.(writer); ok {
				w.writeIn(s, &block[i])
			} else if err := m.Write(&block[i]); err != nil {
				return fmt.Errorf("metric %s: %w", f.Name, err)
			}
			metrics = append(metrics, &block[i])
		}
		if len(metrics) == 0 {
			continue
		}
		if !do(&dto.MetricFamily{Name: &f.Name, Help: &f.Help, Type: f.Kind.dtoType().Enum(), Metric: metrics}, goesOn) {
			return nil
		}
		goesOn = true
	}
	return nil
}
