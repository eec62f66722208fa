package engine

import (
	"bytes"
	"context"
	"hash/fnv"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/redaction"
)

// Engine follows the metrics of one serving engine. It fetches while Run runs. All methods may be called at the same time.
//
// As a prometheus.Collector it is unchecked (it describes nothing), for engines differ in their labels.
type Engine struct {
	options Options
	log     *slog.Logger
	client  atomic.Pointer[http.Client]
	secrets atomic.Pointer[func() []string] // of the client
	offset  time.Duration                   // where in each interval its fetches lie

	rules      map[Kind][]rule
	wanted     map[string]bool
	normaliser normaliser
	exporter   *exporter

	// used by Run alone
	buf         bytes.Buffer
	accumulator *accumulator
	kind        Kind // as which the newest page was recognised; "" before the first
	said        string

	mu       sync.Mutex // protects all following fields
	view     *view      // of the newest fetch; nil where that failed
	last     time.Time  // when the newest fetch that succeeded was sent
	took     time.Duration
	problem  string // why the newest fetch failed, one of Reasons; empty where it did not
	because  string // its error, as Problem returns it
	failures map[string]float64
	restarts float64
	history  history
}

var _ prometheus.Collector = (*Engine)(nil)

// New returns an Engine that does nothing until Run. Its error names everything that is wrong with the options.
func New(o Options, logger *slog.Logger) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		options:     o,
		log:         logger.With("target", o.Target, "metrics_url", redacted(o.MetricsURL)),
		offset:      offset(o),
		rules:       o.rules(),
		wanted:      make(map[string]bool),
		normaliser:  normaliser{families: newFamilyTable(), match: o.Match},
		exporter:    newExporter(o, time.Now()),
		accumulator: newAccumulator(),
		failures:    make(map[string]float64),
	}
	e.client.Store(o.Client)
	e.secrets.Store(&o.Secrets)
	add := func(name string) { e.wanted[name] = true }
	for _, rules := range e.rules {
		metrics(rules, add)
	}
	for _, k := range engineKinds() { // what looksLike and router look at
		for _, name := range proofs(k) {
			for _, form := range forms(name) {
				add(form)
			}
		}
	}
	for _, name := range append(nimProofs(), routerProofs()...) {
		add(name)
	}
	return e, nil
}

// inherit goes on where old, which runs no more, has stopped, if the series are the same. It is called before Run.
func (e *Engine) inherit(old *Engine) {
	if !e.options.sameSeries(old.options) {
		return
	}
	old.mu.Lock() // for those who still hold it
	defer old.mu.Unlock()
	e.accumulator, e.exporter.since = old.accumulator, old.exporter.since
	e.failures, e.restarts, e.last, e.took = maps.Clone(old.failures), old.restarts, old.last, old.took
	if !e.options.samePage(old.options) {
		e.accumulator.rebase()
		return
	}
	e.kind, e.view, e.history.snapshots = old.kind, old.view, slices.Clone(old.history.snapshots)
}

// offset spreads engines over their interval, each at the same place in every interval, through restarts of the prober.
func offset(o Options) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(o.Target))
	h.Write([]byte{0})
	h.Write([]byte(o.MetricsURL))
	// FNV leaves the high bits of short texts alike; this is the finaliser of SplitMix64.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return time.Duration((x ^ x>>31) % uint64(o.Interval))
}

// Run fetches until ctx ends. It is called once.
func (e *Engine) Run(ctx context.Context) {
	// The first fetch is early, but not all first fetches are at once.
	spread := min(e.options.Interval, time.Second)
	timer := time.NewTimer(time.Duration(float64(e.offset) * float64(spread) / float64(e.options.Interval)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !e.scrape(ctx) {
			<-ctx.Done()
			return
		}
		timer.Reset(e.untilNext(time.Now()))
	}
}

// untilNext is how long it is from now to the engine's place in this interval, or in the next: one that was slow to answer is left
// alone for half an interval at least.
func (e *Engine) untilNext(now time.Time) time.Duration {
	interval := int64(e.options.Interval)
	wait := (int64(e.offset) - now.UnixNano()) % interval
	if wait < 0 {
		wait += interval
	}
	if wait < interval/2 {
		wait += interval
	}
	return time.Duration(wait)
}

// keptBuffer is how much memory waits for the next page. Most pages are smaller by far.
const keptBuffer = 1 << 20

// scrape makes one fetch and takes in what it brings. It is false where there must be no further one.
func (e *Engine) scrape(ctx context.Context) bool {
	at := time.Now()
	limited, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()

	e.buf.Reset()
	if e.buf.Cap() > keptBuffer {
		e.buf = bytes.Buffer{}
	}
	client := e.client.Load()
	err := fetch(limited, client, e.options.MetricsURL, &e.buf)
	if e.client.Load() != client { // there is another one since: see use
		client.CloseIdleConnections()
	}
	took := time.Since(at)
	if err != nil && ctx.Err() != nil {
		return true // the prober ends, or this target does: no fault of the engine
	}
	var r *reading
	if err == nil {
		r, err = e.read(e.buf.Bytes())
	}
	if err != nil {
		e.failed(err, took)
		return reasonOf(err) != reasonDestructive
	}
	e.accept(r, at, took)
	return true
}

// use makes client the one that fetches from now on. The connection of the one before is closed, now or after the fetch under way:
// nobody would use it, and with a reload every few seconds there would be more and more of them.
func (e *Engine) use(client *http.Client) {
	if before := e.client.Swap(client); before != client {
		before.CloseIdleConnections()
	}
}

// read turns an answer into a reading.
func (e *Engine) read(data []byte) (*reading, error) {
	asked := e.options.Kind
	if isJSON(data) {
		r, err := readTRTLLM(e.normaliser.families, data)
		switch {
		case err != nil:
			return nil, err
		case !e.options.DestructiveReads:
			return nil, fail(reasonDestructive, "TensorRT-LLM's JSON is emptied by each read, and others may want it: "+
				"point metrics_url at /prometheus/metrics (return_perf_metrics: true), or allow destructive reads; it is not read again")
		case asked != KindAuto && asked != KindTRTLLM:
			return nil, fail(reasonUnrecognised, "the answer is TensorRT-LLM's JSON, not a page of %s", asked)
		}
		return r, nil
	}
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("<")) {
		return nil, fail(reasonMalformed, "the answer is HTML, not a metrics page")
	}
	p, err := parse(data, e.wanted)
	if err != nil {
		return nil, err
	}
	kind, err := recognise(p, data, asked, e.kind)
	if err != nil {
		return nil, err
	}
	r, err := e.normaliser.normalise(p, kind, e.rules[kind])
	if err != nil {
		return nil, looksLike(err, p, data, kind)
	}
	return r, nil
}

// accept takes in the reading of a fetch that was sent at a time.
func (e *Engine) accept(r *reading, at time.Time, took time.Duration) {
	e.accumulator.add(r, at)
	v := e.exporter.view(r, e.accumulator, at, took)

	e.mu.Lock()
	e.view, e.last, e.took, e.restarts, e.problem, e.because = v, at, took, e.accumulator.restarts, "", ""
	e.history.add(v.snapshot)
	e.mu.Unlock()

	if e.said != "" || e.kind != r.kind {
		e.log.Info("engine metrics are being read", "kind", r.kind, "instances", r.instances)
	}
	e.kind, e.said = r.kind, ""
}

// maxBecause bounds what is remembered of an error, in characters.
const maxBecause = 400

// failed takes in that a fetch failed.
func (e *Engine) failed(err error, took time.Duration) {
	reason := reasonOf(err)
	if secrets := *e.secrets.Load(); secrets != nil {
		err = redaction.Of(secrets()...).Error(err)
	}
	e.mu.Lock()
	e.view, e.took, e.problem, e.because = nil, took, reason, printable.Line(err.Error(), maxBecause)
	e.failures[reason]++
	e.mu.Unlock()

	if e.said == reason { // one that lasts is said once
		e.log.Debug("engine metrics cannot be read", "reason", reason, "err", err)
		return
	}
	e.said = reason
	e.log.Warn("engine metrics cannot be read", "reason", reason, "err", err)
}

// staleAfter is how old a view may be. Only a machine that was suspended, or short of all processor time, gets there: a fetch that
// fails takes the view away before.
func (e *Engine) staleAfter() time.Duration { return 2*e.options.Interval + e.options.Timeout }

// currentLocked is the view that may be served now; nil for none. e.mu is held.
func (e *Engine) currentLocked() *view {
	if e.view == nil || time.Since(e.view.snapshot.At) > e.staleAfter() {
		return nil
	}
	return e.view
}

// Problem returns why the newest fetch failed: one of Reasons, and its error as one line without secrets, of 400 characters at most.
// Both are empty where it did not, or there was none yet.
func (e *Engine) Problem() (reason, because string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem, e.because
}

// Snapshot returns what the newest fetch brought. It is false where that failed, or there was none yet.
func (e *Engine) Snapshot() (Snapshot, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := e.currentLocked()
	if v == nil {
		return Snapshot{}, false
	}
	return v.snapshot, true
}

// Tried reports whether the metrics were fetched yet, with or without success.
func (e *Engine) Tried() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.view != nil || e.problem != ""
}

// Window returns what requests waited on the average in the smallest time between two fetches that covers from and to. It is false
// where no request's wait was counted in it, where the engine does not tell, where from is before the first fetch that is remembered
// (15 minutes), and as long as no fetch was sent after to.
func (e *Engine) Window(from, to time.Time) (Window, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.history.window(from, to)
}

// Target is the target that the engine stands behind.
func (e *Engine) Target() string { return e.options.Target }

// Describe implements prometheus.Collector. It describes nothing.
func (e *Engine) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. It reads memory only.
func (e *Engine) Collect(ch chan<- prometheus.Metric) {
	e.mu.Lock()
	v, took, last, restarts := e.currentLocked(), e.took, e.last, e.restarts
	failures := make([]float64, 0, len(Reasons()))
	for _, reason := range Reasons() {
		failures = append(failures, e.failures[reason])
	}
	e.mu.Unlock()

	up, lastUnix := 0.0, 0.0
	if v != nil {
		up = 1
	}
	if !last.IsZero() {
		lastUnix = float64(last.UnixMilli()) / 1e3
	}
	ch <- e.exporter.metric(NameUp, up)
	ch <- e.exporter.metric(NameScrapeDuration, took.Seconds())
	ch <- e.exporter.metric(NameLastScrape, lastUnix)
	ch <- e.exporter.metric(NameRestarts, restarts)
	for i, reason := range Reasons() {
		ch <- e.exporter.metric(NameScrapeFailures, failures[i], reason)
	}
	if v == nil {
		return
	}
	ch <- e.exporter.metric(NameSnapshotAge, max(0, time.Since(v.snapshot.At)).Seconds())
	for _, m := range v.metrics {
		ch <- m
	}
}

// redacted is a URL without its password, for logs.
func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Redacted()
}
