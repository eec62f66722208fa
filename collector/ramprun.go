package collector

import (
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// maxRampStages bounds the values of the label stage of one lane. What comes beyond them is filed under otherStage.
const (
	maxRampStages = 64
	otherStage    = "other"
)

// RampRun is the series of one run of a ramp. All methods may be called at the same time.
type RampRun struct {
	families familyTable
	unit     *rampUnit // nil: the ramp is not there, and nothing is filed
	labels   prometheus.Labels

	mu     sync.RWMutex // protects what follows
	lanes  map[string]*rampLane
	stages map[stageKey]*rampStage
	order  []stageKey // of stages
}

type stageKey struct{ lane, stage, probe string }

// rampLane is the series of one lane, while its run is under way.
type rampLane struct {
	stage, load, inFlight prometheus.Gauge
	metrics               []made
	names                 map[string]bool // of the stages it has had
}

// rampStage is the series of one probe in one stage of a lane.
type rampStage struct {
	metrics                          []made
	ttft, itl, tpot                  *histogram // nil unless streaming
	duration, dispatchDelay          *histogram
	waits                            map[queuewait.Source]*histogram
	outcomes                         map[prober.Outcome]prometheus.Counter
	shed, promptTokens, outputTokens prometheus.Counter
	mu                               sync.Mutex // protects outcomes, waits and metrics
	maker                            maker
}

// Stage says that a lane enters a stage, the index of which counts from 0. streams says of each of its probes whether it streams.
func (r *RampRun) Stage(lane string, open bool, index int, stage string, streams map[string]bool) {
	if r.unit == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[lane]
	if l == nil {
		m := maker{families: r.families, labels: r.with("lane", lane)}
		l = &rampLane{stage: m.gauge(NameRampStage), inFlight: m.gauge(NameRampInFlight), names: map[string]bool{}}
		if open {
			l.load = m.gauge(NameRampPlannedRate)
		} else {
			l.load = m.gauge(NameRampPlannedConcurrency)
		}
		l.metrics = m.made
		r.lanes[lane] = l
	}
	l.stage.Set(float64(index + 1))
	if !l.names[stage] {
		if len(l.names) >= maxRampStages {
			stage = otherStage
		}
		l.names[stage] = true
	}
	for _, probe := range slices.Sorted(maps.Keys(streams)) {
		key := stageKey{lane, stage, probe}
		if r.stages[key] == nil {
			r.stages[key] = newRampStage(r.families, r.with("lane", lane, "stage", stage, "probe", probe), streams[probe])
			r.order = append(r.order, key)
		}
	}
}

// with is the run's labels and more, as names and values.
func (r *RampRun) with(more ...string) prometheus.Labels {
	labels := maps.Clone(r.labels)
	for i := 0; i < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return labels
}

func newRampStage(families familyTable, labels prometheus.Labels, streams bool) *rampStage {
	m := maker{families: families, labels: labels}
	s := &rampStage{
		duration: m.histogram(NameRampDuration, "", ""), dispatchDelay: m.histogram(NameRampDispatchDelay, "", ""),
		shed: m.counter(NameRampShed, "", ""), promptTokens: m.counter(NameRampPromptTokens, "", ""), outputTokens: m.counter(NameRampOutputTokens, "", ""),
		outcomes: map[prober.Outcome]prometheus.Counter{prober.OK: m.counter(NameRampRequests, "outcome", string(prober.OK))},
		waits:    map[queuewait.Source]*histogram{},
	}
	if streams {
		s.ttft, s.itl, s.tpot = m.histogram(NameRampTTFT, "", ""), m.histogram(NameRampITL, "", ""), m.histogram(NameRampTPOT, "", "")
	}
	s.metrics, s.maker = m.made, maker{families: families, labels: labels}
	return s
}

// find finds the series of one probe in one stage; nil where there are none.
func (r *RampRun) find(lane, stage, probe string) *rampStage {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s := r.stages[stageKey{lane, stage, probe}]; s != nil {
		return s
	}
	return r.stages[stageKey{lane, otherStage, probe}]
}

// Observe files one result of a lane in a stage. One of no known stage is filed nowhere.
func (r *RampRun) Observe(lane, stage string, result *prober.Result) {
	s := r.find(lane, stage, result.Request.Probe)
	if s == nil {
		return
	}
	exemplar := requestExemplar(result.Request.ID)
	countWith(s.outcome(result.Outcome), exemplar)
	if result.Usage.Known {
		s.promptTokens.Add(float64(max(0, result.Usage.PromptTokens)))
	}
	s.outputTokens.Add(float64(max(0, result.OutputTokens)))
	s.dispatchDelay.Observe(seconds(result.DispatchDelay()))
	if result.Outcome != prober.OK {
		return
	}
	late := result.DispatchDelay()
	s.duration.observeWith(seconds(result.Duration()+late), exemplar)
	if s.ttft == nil {
		return
	}
	if d, ok := result.TTFT(); ok {
		s.ttft.observeWith(seconds(d+late), exemplar)
	}
	for d, tokens := range prober.InterTokenLatencies(result) {
		for range tokens {
			s.itl.Observe(seconds(d))
		}
	}
	if d, ok := prober.TPOT(result); ok {
		s.tpot.Observe(seconds(d))
	}
}

// outcome is the counter of an outcome, which is made with the first request that has it: a stage has few of the many.
func (s *rampStage) outcome(o prober.Outcome) prometheus.Counter {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.outcomes[o]
	if c == nil {
		c = s.maker.counter(NameRampRequests, "outcome", string(o))
		s.outcomes[o] = c
		s.metrics, s.maker.made = append(s.metrics, s.maker.made...), nil
	}
	return c
}

// QueueWait files how long a request waited at the server, by one source, with its id as the exemplar; id may be empty.
func (r *RampRun) QueueWait(lane, stage, probe string, source queuewait.Source, wait float64, id string) {
	s := r.find(lane, stage, probe)
	if s == nil || !slices.Contains(queuewait.Sources(), source) {
		return
	}
	s.mu.Lock()
	h := s.waits[source]
	if h == nil {
		h = s.maker.histogram(NameRampQueueWait, "source", string(source))
		s.waits[source] = h
		s.metrics, s.maker.made = append(s.metrics, s.maker.made...), nil
	}
	s.mu.Unlock()
	h.observeWith(max(0, wait), requestExemplar(id))
}

// Shed says that n planned requests were not sent.
func (r *RampRun) Shed(lane, stage, probe string, n int) {
	if s := r.find(lane, stage, probe); s != nil {
		s.shed.Add(float64(n))
	}
}

// Progress says what load the plan of a lane wants now, and how many requests are under way.
func (r *RampRun) Progress(lane string, load float64, inFlight int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if l := r.lanes[lane]; l != nil {
		l.load.Set(load)
		l.inFlight.Set(float64(inFlight))
	}
}

// End says that the run is over, and what it found. The series of its stages stay until the next run.
func (r *RampRun) End(f RampFigures) {
	if r.unit == nil {
		return
	}
	r.mu.Lock()
	clear(r.lanes)
	r.mu.Unlock()
	r.unit.running.Set(0)
	if c := r.unit.runs[f.Verdict]; c != nil {
		c.Inc()
	}
	r.unit.last(f)
}

// Withdraw says that the run did not begin after all: it counts nowhere, and what the last run found stays.
func (r *RampRun) Withdraw() {
	if r.unit != nil {
		r.unit.running.Set(0)
	}
}

func (r *RampRun) collect(ch chan<- prometheus.Metric) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, l := range r.lanes {
		for _, m := range l.metrics {
			ch <- m.Metric
		}
	}
	for _, key := range r.order {
		s := r.stages[key]
		s.mu.Lock()
		metrics := slices.Clone(s.metrics)
		s.mu.Unlock()
		for _, m := range metrics {
			ch <- m.Metric
		}
	}
}
