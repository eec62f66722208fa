package main

import (
	"slices"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/web"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// queueWaits is the sink that files where one target's results say that the time before the first token went.
type queueWaits struct {
	target  *queuewait.Target
	probes  *collector.Probes
	engines *engine.Engines
	history *web.History

	mu      sync.Mutex // protects pending
	pending []pendingWait
}

// pendingWait is a request for which the engine's metrics are awaited: they are read some time after it ended.
type pendingWait struct {
	request  *prober.Request
	from, to time.Time
}

// maxPending bounds how many requests are waited for, and pendingAge for how long: an engine that cannot be read comes late.
const (
	maxPending = 256
	pendingAge = 5 * time.Minute
)

// Observe implements prober.Sink.
func (q *queueWaits) Observe(r *prober.Result) {
	report := q.target.Observe(r, r.Header)
	q.history.Explain(r, &report) // which has seen the result before
	target, probe := r.Request.Target, r.Request.Probe
	for _, w := range report.Waits() {
		q.probes.QueueWait(target, probe, w.Source, w.Queue, r.Request.ID)
	}
	if report.Broken {
		q.probes.TTFTBreakdown(target, probe, report.Breakdown.Parts())
	}
	known := map[int]time.Duration{}
	for _, tokens := range collector.UnloadedPromptTokens() {
		if floor, _, ok := q.target.Unloaded(tokens); ok {
			known[tokens] = floor
		}
	}
	q.probes.UnloadedTTFT(target, known)
	q.observeEngine(r)
}

// observeEngine files what the engine's requests waited in the time of each request that has been covered by now.
func (q *queueWaits) observeEngine(r *prober.Result) {
	e := q.engines.Engine(r.Request.Target)
	if e == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := time.Now().Add(-pendingAge)
	q.pending = slices.DeleteFunc(q.pending, func(p pendingWait) bool {
		w, ok := e.Window(p.from, p.to)
		if ok {
			q.probes.QueueWait(p.request.Target, p.request.Probe, queuewait.Engine, w.Mean, p.request.ID)
		}
		return ok || p.to.Before(oldest)
	})
	if r.Outcome == prober.OK && len(q.pending) < maxPending {
		q.pending = append(q.pending, pendingWait{r.Request, r.Timeline.Dispatched, r.Timeline.End})
	}
}

// queueWait is what objectives on the queue judge: the wait of the request itself, from the best source that is not a guess.
func (d *daemon) queueWait(r *prober.Result) (time.Duration, bool) {
	current := d.current.Load()
	if current == nil || (*current)[r.Request.Target] == nil {
		return 0, false
	}
	report := (*current)[r.Request.Target].queue.Judge(r, r.Header)
	for _, w := range report.Waits() { // in order of trust
		if w.Source != queuewait.Estimated {
			return w.Queue, true
		}
	}
	return 0, false
}

// queueWaitSources are the sources that a target's answers can have, as far as its configuration tells: their series are
// there from the start.
func queueWaitSources(tc *config.Target, stream bool) []queuewait.Source {
	var sources []queuewait.Source
	kind := ""
	if tc.Engine != nil {
		kind = tc.Engine.Kind
	}
	switch tc.Protocol {
	case "openai_chat", "openai_completions", "openai_responses":
		switch kind {
		case "vllm", "sglang":
			sources = append(sources, queuewait.Body)
		case "tgi":
			sources = append(sources, queuewait.Header)
		case "llamacpp":
			sources = append(sources, queuewait.Derived)
		default: // anyone may be behind it
			sources = append(sources, queuewait.Body, queuewait.Header, queuewait.Derived)
		}
	case "tgi_generate":
		sources = append(sources, queuewait.Header)
	case "ollama_chat":
		sources = append(sources, queuewait.Derived)
	}
	if tc.Engine != nil {
		sources = append(sources, queuewait.Engine)
	}
	if stream {
		sources = append(sources, queuewait.Estimated)
	}
	return sources
}
