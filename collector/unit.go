package collector

import (
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// unit is the series of one target and probe: made together, at zero, and dropped together.
// All metric objects are made once, so that filing a result looks nothing up by label.
//
// A unit is not changed once made. A reload that changes what a series is measured against makes another one, which shares
// with it the metrics that both have.
type unit struct {
	series  Series
	metrics []made // all of the below

	ttft, itl, gap, tpot, rate *histogram // nil unless streaming
	duration                   *histogram
	phases                     map[prober.Phase]*histogram
	breakdown                  map[queuewait.Part]*histogram   // nil unless streaming
	queueWait                  map[queuewait.Source]*histogram // of the sources that the target can have
	abandonment                *histogram                      // nil without a curve

	outcomes     map[prober.Outcome]prometheus.Counter
	canceled     prometheus.Counter
	skipped      map[string]prometheus.Counter
	promptTokens prometheus.Counter
	cachedTokens prometheus.Counter
	outputTokens map[prober.TokenSource]prometheus.Counter
	cost         prometheus.Counter // nil without a price by the token

	measurements map[prober.Clock]prometheus.Counter
	degraded     prometheus.Counter

	retries prometheus.Counter // nil without retries
	user    *histogram         // nil unless streaming, with retries
	cold    *histogram         // nil unless streaming, in bursts
	spread  *spread            // nil unless streaming, in bursts
	turns   []turn             // by turn - 1; empty but for conversations

	interval, inFlight prometheus.Gauge

	state *state
}

// state is how a target is now, as far as one probe can tell.
type state struct {
	mu                       sync.Mutex // protects newest, and that the three gauges speak of the same request
	newest                   time.Time  // when the newest request that was filed ended
	up, lastRun, lastSuccess prometheus.Gauge
}

// newUnit makes the series of s, at zero but for those that old has, too. old is nil or of the same identity.
func (p *Probes) newUnit(s Series, old *unit) *unit {
	m := maker{families: p.families, labels: s.labels(), known: p.pairs}
	if old != nil {
		m.before = byKey(old.metrics)
	}
	u := &unit{
		series: s,

		duration: m.histogram(NameDuration, "", ""),
		phases:   make(map[prober.Phase]*histogram),

		outcomes:     make(map[prober.Outcome]prometheus.Counter),
		canceled:     m.counter(NameCanceledRequests, "", ""),
		skipped:      make(map[string]prometheus.Counter),
		promptTokens: m.counter(NamePromptTokens, "", ""),
		cachedTokens: m.counter(NameCachedPromptTokens, "", ""),
		outputTokens: make(map[prober.TokenSource]prometheus.Counter),

		measurements: make(map[prober.Clock]prometheus.Counter),
		degraded:     m.counter(NameDegraded, "", ""),

		interval: m.gauge(NameInterval),
		inFlight: m.gauge(NameInFlight),

		state:     &state{up: m.gauge(NameUp), lastRun: m.gauge(NameLastRun), lastSuccess: m.gauge(NameLastSuccess)},
		queueWait: make(map[queuewait.Source]*histogram),
	}
	if old != nil {
		u.state = old.state
	}
	u.turns = newTurns(&m, s)
	if s.Retries {
		u.retries = m.counter(NameRetries, "", "")
	}
	if s.Stream && s.Retries {
		u.user = m.histogram(NameUserTTFT, "", "")
	}
	if s.Stream && s.Bursts {
		u.cold = m.histogram(NameColdTTFT, "", "")
		u.spread = &spread{histogram: m.histogram(NameBurstSpread, "", "")}
	}
	if s.Stream {
		u.ttft = m.histogram(NameTimeToFirstToken, "", "")
		u.itl = m.histogram(NameInterTokenLatency, "", "")
		u.gap = m.histogram(NameChunkGap, "", "")
		u.tpot = m.histogram(NameTimePerOutputToken, "", "")
		u.rate = m.histogram(NameOutputRate, "", "")
		u.breakdown = make(map[queuewait.Part]*histogram)
		for _, part := range queuewait.Parts() {
			u.breakdown[part] = m.histogram(NameTTFTBreakdown, "part", string(part))
		}
		if len(s.Abandonment) > 0 {
			u.abandonment = m.histogram(NameAbandonment, "", "")
		}
	}
	for _, source := range s.QueueWaitSources {
		u.queueWait[source] = m.histogram(NameQueueWait, "source", string(source))
	}
	if s.Price != nil {
		u.cost = m.counter(NameCost, "currency", s.Price.Currency)
	}
	for _, phase := range prober.PhasesOf(s.Stream) {
		u.phases[phase] = m.histogram(NamePhaseDuration, "phase", string(phase))
	}
	for _, o := range prober.Outcomes() {
		u.outcomes[o] = m.counter(NameRequests, "outcome", string(o))
	}
	for _, reason := range p.skipReasons {
		u.skipped[reason] = m.counter(NameSkipped, "reason", reason)
	}
	for _, source := range []prober.TokenSource{prober.TokensUsage, prober.TokensChunks, prober.TokensEvents} {
		u.outputTokens[source] = m.counter(NameOutputTokens, "source", string(source))
	}
	for _, clock := range []prober.Clock{prober.ClockKernel, prober.ClockUser} {
		u.measurements[clock] = m.counter(NameMeasurements, "clock", string(clock))
	}
	u.interval.Set(s.Interval.Seconds())
	u.metrics = slices.Clone(m.made) // without the room that it was made with
	return u
}

// observe files one result. It reports false, having filed nothing, where the outcome is none of the known ones.
func (u *unit) observe(r *prober.Result) bool {
	switch r.Outcome {
	case prober.Canceled:
		u.canceled.Inc()
		return true
	case prober.Unsent:
		u.skipped[skippedUnsent].Inc()
		return true
	}
	outcome, ok := u.outcomes[r.Outcome]
	if !ok {
		return false
	}
	exemplar := requestExemplar(r.Request.ID)
	if r.Outcome == prober.OK {
		outcome.Inc()
		u.observeLatency(r, exemplar)
	} else {
		countWith(outcome, exemplar)
	}
	if u.retries != nil && r.Request.Attempt > 1 {
		u.retries.Inc()
	}
	if u.spread != nil && r.Request.Burst > 0 && !r.Retried {
		u.spread.observe(r)
	}
	u.observeTokens(r)
	u.observeTurn(r)
	u.observeAbandonment(r)
	u.state.observe(r)
	if c, ok := u.measurements[r.Clock]; ok && !r.Timeline.Headers.IsZero() {
		c.Inc()
	}
	if r.Degraded {
		u.degraded.Inc()
	}
	return true
}

// countWith counts one request, with its exemplar, which may be nil.
func countWith(c prometheus.Counter, exemplar prometheus.Labels) {
	if adder, ok := c.(prometheus.ExemplarAdder); ok && exemplar != nil {
		adder.AddWithExemplar(1, exemplar)
	} else {
		c.Inc()
	}
}

// observeLatency files the times of a successful request.
func (u *unit) observeLatency(r *prober.Result, exemplar prometheus.Labels) {
	u.duration.observeWith(seconds(r.Duration()), exemplar)
	for phase, d := range prober.Phases(r) {
		if h := u.phases[phase]; h != nil {
			h.Observe(seconds(d))
		}
	}
	if !u.series.Stream {
		return
	}
	if d, ok := r.TTFT(); ok {
		h := u.ttft
		if u.cold != nil && r.Request.Cold {
			h = u.cold
		}
		h.observeWith(seconds(d), exemplar)
	}
	if d, ok := prober.UserTTFT(r); ok && u.user != nil {
		u.user.observeWith(seconds(d), exemplar)
	}
	for d := range prober.ChunkGaps(r) {
		u.gap.Observe(seconds(d))
	}
	for d, tokens := range prober.InterTokenLatencies(r) {
		for range tokens {
			u.itl.Observe(seconds(d))
		}
	}
	if d, ok := prober.TPOT(r); ok {
		u.tpot.Observe(seconds(d))
	}
	if v, ok := prober.TokensPerSecond(r); ok {
		u.rate.Observe(v)
	}
}

// observeTokens files what the request cost, failed or not. A server that counts below zero is not believed.
func (u *unit) observeTokens(r *prober.Result) {
	if r.Usage.Known {
		u.promptTokens.Add(float64(max(0, r.Usage.PromptTokens)))
		u.cachedTokens.Add(float64(max(0, r.Usage.CachedTokens)))
	}
	if c, ok := u.outputTokens[r.OutputSource]; ok {
		c.Add(float64(max(0, r.OutputTokens)))
	}
	if u.cost != nil {
		u.cost.Add(u.series.Price.Result(r))
	}
}

// observeAbandonment files what share of users would have waited for the first token in vain.
func (u *unit) observeAbandonment(r *prober.Result) {
	if u.abandonment == nil {
		return
	}
	if d, ok := waited(r); ok {
		u.abandonment.Observe(u.series.Abandonment.share(d))
	}
}

// observe files how the target is now. Requests may end in another order than they are filed; the one that ended last decides.
func (s *state) observe(r *prober.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := r.Timeline.End
	if end.Before(s.newest) {
		return
	}
	s.newest = end
	s.lastRun.Set(unixSeconds(end))
	if r.Outcome == prober.OK {
		s.up.Set(1)
		s.lastSuccess.Set(unixSeconds(end))
	} else {
		s.up.Set(0)
	}
}

// seconds is d for Prometheus. Below zero is clock error and would make a histogram's sum shrink.
func seconds(d time.Duration) float64 { return max(0, d).Seconds() }

// unixSeconds is t for Prometheus, with the milliseconds that it keeps.
func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

// requestExemplar is the exemplar that leads to a request; nil where its id cannot be one.
// OpenMetrics allows 128 characters for names and values together, and client_golang panics over more.
func requestExemplar(id string) prometheus.Labels {
	const limit = prometheus.ExemplarMaxRunes - len(requestIDExemplar)
	if id == "" || !utf8.ValidString(id) || utf8.RuneCountInString(id) > limit {
		return nil
	}
	return prometheus.Labels{requestIDExemplar: id}
}
