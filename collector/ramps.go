package collector

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Ramp is a ramp as the configuration has it. It is identified by all its label values.
type Ramp struct {
	Name          string            // not empty; no two ramps share one
	Target, Model string            // the target's
	Labels        map[string]string // of the target
	Scheduled     bool              // whether it has a schedule
}

// Ramps holds the series of all ramps and of their latest runs. It is a prometheus.Collector. All methods may be called at
// the same time.
//
// As a collector it is unchecked (it describes nothing), for targets differ in their own labels.
type Ramps struct {
	families familyTable
	taken    map[string]bool
	reasons  []string // for which a run can be missed

	mu    sync.Mutex // protects what follows
	ramps map[string]*rampUnit
}

var _ prometheus.Collector = (*Ramps)(nil)

// rampUnit is the series of one ramp, made together and dropped together.
type rampUnit struct {
	ramp    Ramp
	metrics []made

	running, lastRun, lastSuccess      prometheus.Gauge
	runs                               map[record.Verdict]prometheus.Counter
	verdict                            map[record.Verdict]prometheus.Gauge
	missed                             map[string]prometheus.Counter
	next                               *optionalGauge
	knee, capacity, headroom, recovery *optionalGauge

	latest *RampRun // nil before the first
	costs  atomic.Pointer[rampCosts]
}

type rampCosts struct{ metrics []prometheus.Metric }

// NewRamps returns Ramps without any; Apply makes them. missedReasons are the values that Missed takes.
func NewRamps(missedReasons []string) *Ramps {
	return &Ramps{
		families: newFamilyTable(), taken: takenLabels(), ramps: map[string]*rampUnit{},
		reasons: slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(missedReasons), otherSkipReason)))),
	}
}

// Apply makes ramps what there is: new ones appear at zero, missing ones go with the series of their latest run, and those that
// stay the same keep everything. On an error, which names everything that is wrong, nothing changes.
func (r *Ramps) Apply(ramps []Ramp) error {
	if err := r.check(ramps); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string]*rampUnit, len(ramps))
	for _, ramp := range ramps {
		old := r.ramps[ramp.Name]
		if old != nil && identityOf(old.ramp.labels()) == identityOf(ramp.labels()) {
			old.ramp = ramp
			if !ramp.Scheduled {
				old.next.forget()
			}
			next[ramp.Name] = old
			continue
		}
		next[ramp.Name] = newRampUnit(r.families, ramp, r.reasons)
	}
	r.ramps = next
	return nil
}

func (r *Ramps) check(ramps []Ramp) error {
	var errs []error
	names := make(map[string]bool, len(ramps))
	for i := range ramps {
		ramp := &ramps[i]
		if ramp.Name == "" || names[ramp.Name] {
			errs = append(errs, fmt.Errorf("ramp %q: the name is empty, or given twice", ramp.Name))
		}
		names[ramp.Name] = true
		s := Series{Target: ramp.Target, Model: ramp.Model, Probe: ramp.Name, Labels: ramp.Labels}
		if err := s.check(r.taken); err != nil {
			errs = append(errs, fmt.Errorf("ramp %q: %w", ramp.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Ramp) labels() prometheus.Labels {
	s := Series{Target: r.Target, Model: r.Model, Labels: r.Labels}
	labels := s.labels()
	delete(labels, "probe")
	labels["ramp"] = r.Name
	return labels
}

func newRampUnit(families familyTable, ramp Ramp, reasons []string) *rampUnit {
	m := maker{families: families, labels: ramp.labels()}
	u := &rampUnit{
		ramp: ramp, running: m.gauge(NameRampRunning), lastRun: m.gauge(NameRampLastRun), lastSuccess: m.gauge(NameRampLastSuccess),
		runs: map[record.Verdict]prometheus.Counter{}, verdict: map[record.Verdict]prometheus.Gauge{}, missed: map[string]prometheus.Counter{},
		next: m.optional(NameRampNextRun, "", ""), knee: m.optional(NameRampLastKnee, "", ""), capacity: m.optional(NameRampLastCapacity, "", ""),
		headroom: m.optional(NameRampLastHeadroom, "", ""), recovery: m.optional(NameRampLastRecovery, "", ""),
	}
	for _, v := range record.Verdicts() {
		u.runs[v] = m.counter(NameRampRuns, "verdict", string(v))
		u.verdict[v] = m.gaugeOf(NameRampLastVerdict, "verdict", string(v))
	}
	for _, reason := range reasons {
		u.missed[reason] = m.counter(NameRampMissed, "reason", reason)
	}
	u.metrics = m.made
	return u
}

// unit finds the series of a ramp; nil where there are none.
func (r *Ramps) unit(name string) *rampUnit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ramps[name]
}

// Missed says that a run was due and did not begin. A reason that NewRamps was not told of is counted as "other".
func (r *Ramps) Missed(ramp, reason string) {
	u := r.unit(ramp)
	if u == nil {
		return
	}
	c, ok := u.missed[reason]
	if !ok {
		c = u.missed[otherSkipReason]
	}
	c.Inc()
}

// Next says when a ramp is due next; zero: it is not.
func (r *Ramps) Next(ramp string, at time.Time) {
	u := r.unit(ramp)
	switch {
	case u == nil:
	case at.IsZero():
		u.next.forget()
	default:
		u.next.set(unixSeconds(at))
	}
}

// Begin says that a run of a ramp begins. The series of the run before it go. What is filed on a run of a ramp that is
// no longer there goes nowhere.
func (r *Ramps) Begin(ramp string) *RampRun {
	run := &RampRun{families: r.families, lanes: map[string]*rampLane{}, stages: map[stageKey]*rampStage{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.ramps[ramp]; u != nil {
		run.unit, run.labels = u, u.ramp.labels()
		u.latest = run
		u.running.Set(1)
	}
	return run
}

// RampFigures are what the last run of a ramp found. nil is not known.
type RampFigures struct {
	Ended                             time.Time
	Verdict                           record.Verdict
	Knee, Capacity                    *float64 // requests per second
	Headroom                          *float64 // share
	Recovery                          *float64 // seconds
	Currency                          string
	CostPerThousand, CostPerMillionTo *float64 // requests, output tokens
}

// Last says what the last run found, also one of before this process began, which counts nowhere.
func (r *Ramps) Last(ramp string, f RampFigures) {
	if u := r.unit(ramp); u != nil {
		u.last(f)
	}
}

func (u *rampUnit) last(f RampFigures) {
	u.lastRun.Set(unixSeconds(f.Ended))
	if f.Verdict == record.Pass {
		u.lastSuccess.Set(unixSeconds(f.Ended))
	}
	for v, g := range u.verdict {
		if v == f.Verdict {
			g.Set(1)
		} else {
			g.Set(0)
		}
	}
	for _, known := range []struct {
		gauge *optionalGauge
		v     *float64
	}{{u.knee, f.Knee}, {u.capacity, f.Capacity}, {u.headroom, f.Headroom}, {u.recovery, f.Recovery}} {
		if known.v == nil {
			known.gauge.forget()
		} else {
			known.gauge.set(*known.v)
		}
	}
	costs := new(rampCosts)
	families := newFamilyTable()
	for name, v := range map[string]*float64{NameRampLastCostPerThousand: f.CostPerThousand, NameRampLastCostPerMillionToks: f.CostPerMillionTo} {
		if v == nil || f.Currency == "" {
			continue
		}
		labels := u.ramp.labels()
		labels["currency"] = f.Currency
		costs.metrics = append(costs.metrics, families.gauge(name, labels, *v))
	}
	u.costs.Store(costs)
}

// Describe implements prometheus.Collector. It describes nothing.
func (r *Ramps) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (r *Ramps) Collect(ch chan<- prometheus.Metric) {
	r.mu.Lock()
	units := slices.SortedFunc(maps.Values(r.ramps), func(a, b *rampUnit) int { return strings.Compare(a.ramp.Name, b.ramp.Name) })
	runs := make([]*RampRun, 0, len(units))
	for _, u := range units {
		if u.latest != nil {
			runs = append(runs, u.latest)
		}
	}
	r.mu.Unlock()
	for _, u := range units {
		for _, m := range u.metrics {
			if !absent(m.Metric) {
				ch <- m.Metric
			}
		}
		if costs := u.costs.Load(); costs != nil {
			for _, m := range costs.metrics {
				ch <- m
			}
		}
	}
	for _, run := range runs {
		run.collect(ch)
	}
}
