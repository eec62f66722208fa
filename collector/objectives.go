package collector

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/llmprober/llm_prober/prober"
)

// Objective is a promise about the requests of one probe to one target: a share of them, the goal, is good.
// It is identified by all its label values; goal and threshold may change without the counters starting anew.
type Objective struct {
	Name      string // not empty; no two objectives of one target share one
	Indicator Indicator
	Threshold float64 // seconds, or tokens per second; 0 for availability
	Goal      float64 // above 0, below 1

	Target, Model, Probe string            // as in Series
	Labels               map[string]string // as in Series
}

// Objectives counts the good and bad requests of each objective. It is a prober.Sink and a prometheus.Collector.
// All methods may be called at the same time.
//
// The counting is done here and not with buckets in Prometheus, so that a threshold need be no bound of a bucket, failed
// requests count, and one set of rules serves every objective.
//
// As a collector it is unchecked (it describes nothing), for targets differ in their own labels.
type Objectives struct {
	families familyTable
	taken    map[string]bool
	wait     QueueWaitOf

	apply sync.Mutex // one Apply at a time
	table atomic.Pointer[objectiveTable]
}

var (
	_ prometheus.Collector = (*Objectives)(nil)
	_ prober.Sink          = (*Objectives)(nil)
)

// objectiveTable is never changed once it is in force.
type objectiveTable struct {
	byID  map[string]*objectiveUnit
	byKey map[probeKey][]*objectiveUnit
}

// objectiveUnit is one objective with its series.
type objectiveUnit struct {
	Objective
	since       time.Time
	metrics     []made
	events, bad prometheus.Counter
}

// NewObjectives returns Objectives without any; Apply makes them. wait tells the queue wait of a request; nil takes the server's word alone.
func NewObjectives(wait QueueWaitOf) *Objectives {
	if wait == nil {
		wait = saidQueueWait
	}
	o := &Objectives{families: newFamilyTable(), taken: takenLabels(), wait: wait}
	o.table.Store(&objectiveTable{})
	return o
}

// Apply makes objectives what there is: new ones appear at zero, missing ones go, and those that stay the same keep their counts.
// On an error, which names everything that is wrong, nothing changes.
func (o *Objectives) Apply(objectives []Objective) error {
	o.apply.Lock()
	defer o.apply.Unlock()

	if err := o.check(objectives); err != nil {
		return err
	}
	old := o.table.Load()
	table := &objectiveTable{byID: make(map[string]*objectiveUnit), byKey: make(map[probeKey][]*objectiveUnit)}
	for _, objective := range objectives {
		id := identityOf(objective.labels())
		u := newObjectiveUnit(o.families, objective, old.byID[id])
		table.byID[id] = u
		key := probeKey{objective.Target, objective.Probe}
		table.byKey[key] = append(table.byKey[key], u)
	}
	o.table.Store(table)
	return nil
}

func newObjectiveUnit(families familyTable, objective Objective, old *objectiveUnit) *objectiveUnit {
	m := maker{families: families, labels: objective.labels()}
	if old != nil {
		m.before = byKey(old.metrics)
	}
	// What is counted last is collected first, so that no scrape sees more bad requests than requests.
	u := &objectiveUnit{Objective: objective, since: time.Now()}
	if old != nil {
		u.since = old.since
	}
	u.bad = m.counter(NameObjectiveBad, "", "")
	u.events = m.counter(NameObjectiveEvents, "", "")
	m.gauge(NameObjectiveGoal).Set(objective.Goal)
	if objective.Indicator != IndicatorAvailability {
		m.gauge(NameObjectiveThreshold).Set(objective.Threshold)
	}
	u.metrics = m.made
	return u
}

// series is what o is about.
func (o *Objective) series() Series {
	return Series{Target: o.Target, Model: o.Model, Probe: o.Probe, Labels: o.Labels}
}

func (o *Objective) labels() prometheus.Labels {
	s := o.series()
	labels := s.labels()
	maps.Copy(labels, prometheus.Labels{"objective": o.Name, "indicator": string(o.Indicator)})
	return labels
}

// check returns everything that is wrong with objectives.
func (o *Objectives) check(objectives []Objective) error {
	var errs []error
	names := make(map[[2]string]bool, len(objectives))
	for i := range objectives {
		objective := &objectives[i]
		name := [2]string{objective.Name, objective.Target}
		wrong := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("objective %q: %w", objective.Name, fmt.Errorf(format, args...)))
		}
		if objective.Name == "" || names[name] {
			wrong("the name is empty, or given twice")
		}
		names[name] = true
		if !slices.Contains(Indicators(), objective.Indicator) {
			wrong("unknown indicator %q: want one of %q", objective.Indicator, Indicators())
		}
		if !(objective.Goal > 0 && objective.Goal < 1) {
			wrong("goal %v: want a share above 0 and below 1", objective.Goal)
		}
		if t := objective.Threshold; objective.Indicator != IndicatorAvailability && !(t > 0 && !math.IsInf(t, 0)) {
			wrong("threshold %v: want more than 0", t)
		}
		s := objective.series()
		if err := s.check(o.taken); err != nil {
			wrong("%w", err)
		}
	}
	return errors.Join(errs...)
}

// Observe implements prober.Sink.
func (o *Objectives) Observe(r *prober.Result) {
	for _, u := range o.table.Load().byKey[probeKey{r.Request.Target, r.Request.Probe}] {
		switch judge(r, u.Indicator, u.Threshold, o.wait) {
		case good:
			u.events.Inc()
		case bad:
			u.events.Inc()
			countWith(u.bad, requestExemplar(r.Request.ID))
		}
	}
}

// Describe implements prometheus.Collector. It describes nothing.
func (o *Objectives) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (o *Objectives) Collect(ch chan<- prometheus.Metric) {
	for _, u := range o.table.Load().byID {
		for _, m := range u.metrics {
			ch <- m
		}
	}
}

// Count is what an objective has counted since it came.
type Count struct {
	Objective
	Since       time.Time // when it came: at the start, or with a reload
	Events, Bad float64
}

// Counts returns what each objective has counted, in no order.
func (o *Objectives) Counts() []Count {
	var counts []Count
	for _, u := range o.table.Load().byID {
		c := Count{Objective: u.Objective, Since: u.since, Bad: counted(u.bad)}
		c.Events = counted(u.events) // after the bad ones, so that there are never more of those
		counts = append(counts, c)
	}
	return counts
}

// counted is the value of a counter.
func counted(c prometheus.Counter) float64 {
	var d dto.Metric
	if err := c.Write(&d); err != nil {
		return 0 // a counter never fails
	}
	return d.GetCounter().GetValue()
}
