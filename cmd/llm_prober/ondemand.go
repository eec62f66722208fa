package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/web"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
)

// onDemand answers /probe?target=URL&module=PROBE: it asks once and tells the metrics of that request alone, in the manner
// of the blackbox exporter. What may be asked is limited by probe_on_demand in the configuration; without it nothing may.
//
// An address is judged as it is written: a name that is allowed is asked wherever its DNS leads, an address in digits has to
// be in a network that is allowed. Redirects are not followed, so no server that is allowed leads to one that is not.
type onDemand struct {
	d *daemon

	mu       sync.Mutex // protects what follows
	inFlight int
	closed   bool
	targets  map[string]*lent // by fingerprint: what was learnt of an endpoint, the length of its tokens first of all, is kept
}

// lent is an endpoint that is asked on demand.
type lent struct {
	*target
	users int
	used  time.Time
}

// What is kept of endpoints that were asked on demand.
const (
	lentTargets = 64
	lentFor     = time.Hour
)

func newOnDemand(d *daemon) *onDemand { return &onDemand{d: d, targets: map[string]*lent{}} }

// scrapeOffset is how much earlier than Prometheus gives up an answer has to be there.
const scrapeOffset = 500 * time.Millisecond

// refusal is why nothing is asked.
type refusal struct {
	status int
	text   string
}

// Error implements error.
func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (o *onDemand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The probe's own limits decide how long this takes, not those of the server for its pages.
	c := http.NewResponseController(w)
	_, _ = c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	err := o.serve(w, r)
	refused, isRefusal := errors.AsType[*refusal](err)
	switch {
	case err == nil:
	case isRefusal:
		if refused.status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, printable.Line(refused.text, maxShown), refused.status)
	default:
		o.d.logger.Error("probe on demand", "err", err)
		http.Error(w, "The probe could not be asked; the log says why.", http.StatusInternalServerError)
	}
}

func (o *onDemand) serve(w http.ResponseWriter, r *http.Request) error {
	cfg := o.d.inForce.Load()
	if cfg == nil || cfg.ProbeOnDemand == nil {
		return refuse(http.StatusForbidden, "Probing on demand is switched off: list what may be probed under probe_on_demand.allow in the configuration.")
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		// Browsers say so. Every probe costs tokens, and the protection against other origins lets all GETs through.
		return refuse(http.StatusForbidden, "A page of another origin may not ask for probes.")
	}
	if err := o.enter(cfg.ProbeOnDemand.MaxInFlight); err != nil {
		return err
	}
	defer o.leave()
	ask, err := parseOnDemand(r)
	if err != nil {
		return err
	}
	cfg, tc, err := ask.target(cfg)
	if err != nil {
		return err
	}
	pc := cfg.Probes[ask.module]
	t, err := o.lend(cfg, tc)
	if err != nil {
		return err
	}
	defer o.giveBack(t)

	probes := collector.NewProbes(nil)
	series := seriesOf(tc, ask.module, pc)
	if err := probes.Apply([]collector.Series{series}); err != nil {
		return err
	}
	got := new(collected)
	began := time.Now()
	waits := &queueWaits{target: t.queue, probes: probes, engines: engine.NewEngines(o.d.logger), history: web.NewHistory()} // both empty
	if err := ask.run(r.Context(), cfg, tc, t.target, prober.Sinks{probes, waits, got}); err != nil {
		return err
	}
	took := time.Since(began)
	success := succeeded(got.results())
	o.d.logger.Debug("probed on demand", "url", tc.URL, "probe", ask.module, "success", success, "duration", took)

	registry := prometheus.NewRegistry()
	gauge := func(name, help string, value float64) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		g.Set(value)
		registry.MustRegister(g) // two names that are ours
	}
	gauge("probe_success", "Whether the probe succeeded (1) or not (0).", map[bool]float64{true: 1}[success])
	gauge("probe_duration_seconds", "How long the probe took, its tries and turns together.", took.Seconds())
	all := prometheus.Gatherers{probes, registry}
	if ask.debug {
		return writeDebug(w, tc, ask.module, got.results(), all)
	}
	promhttp.HandlerFor(all, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, r)
	return nil
}

// enter takes one of the places that there are.
func (o *onDemand) enter(most int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if most > 0 && o.inFlight >= most {
		return refuse(http.StatusTooManyRequests, "%d probes on demand are under way, as many as probe_on_demand.max_in_flight allows.", o.inFlight)
	}
	o.inFlight++
	return nil
}

func (o *onDemand) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inFlight--
}

// asking is what a request asks for.
type asking struct {
	url, module, model string
	debug              bool
	within             time.Duration // 0: as long as the probe's own limits allow
}

func parseOnDemand(r *http.Request) (a asking, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return a, refuse(http.StatusBadRequest, "The query is malformed.")
	}
	known := []string{"target", "module", "model", "debug"}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) || len(values[name]) > 1 {
			return a, refuse(http.StatusBadRequest, "The parameter %q is not known, or comes more than once; there are %s.", cut(name, 40), strings.Join(known, ", "))
		}
	}
	a.url, a.module, a.model = values.Get("target"), values.Get("module"), values.Get("model")
	if a.url == "" || a.module == "" {
		return a, refuse(http.StatusBadRequest, "Say what is probed and how: /probe?target=http://host:8000/v1&module=PROBE, with the name of a probe of the configuration.")
	}
	if values.Has("debug") {
		if a.debug, err = strconv.ParseBool(values.Get("debug")); err != nil {
			return a, refuse(http.StatusBadRequest, "debug is true or false.")
		}
	}
	a.within, err = scrapeTimeout(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"))
	return a, err
}

// scrapeTimeout is for how long Prometheus waits, less what the answer takes to get there. 0: it did not say.
func scrapeTimeout(header string) (time.Duration, error) {
	if header == "" {
		return 0, nil
	}
	s, err := strconv.ParseFloat(header, 64)
	if err != nil || !(s > 0) || s > 86400 || math.IsInf(s, 0) {
		return 0, refuse(http.StatusBadRequest, "X-Prometheus-Scrape-Timeout-Seconds is %q; want seconds.", cut(header, 40))
	}
	d := time.Duration(s * float64(time.Second))
	if d > 2*scrapeOffset {
		return d - scrapeOffset, nil
	}
	return d / 2, nil
}

// target is the one that is asked, complete, in a configuration of its own.
func (a *asking) target(cfg *config.Config) (*config.Config, *config.Target, error) {
	tc, err := cfg.ProbeOnDemand.Target(a.url)
	if err != nil {
		return nil, nil, refuse(http.StatusForbidden, "target: %v. What may be probed stands under probe_on_demand.allow in the configuration.", err)
	}
	if cfg.Probes[a.module] == nil || len(tc.Probes) > 0 && !slices.Contains(tc.Probes, a.module) {
		return nil, nil, refuse(http.StatusBadRequest, "module: there is no probe %q that may be asked for on demand.", cut(a.module, 80))
	}
	tc.Probes = []string{a.module}
	tc.Model = cmp.Or(a.model, tc.Model)
	tc.Engine = nil // its metrics are not read for one request
	tc.Name = "on_demand"
	for cfg.Target(tc.Name) != nil {
		tc.Name += "_"
	}
	with, refused := cfg.WithTargets([]*config.Target{tc})
	if len(refused) > 0 {
		return nil, nil, refuse(http.StatusBadRequest, "%s. A model can be given as model=NAME, or in probe_on_demand.template.", strings.Join(refused[0].Problems, "; "))
	}
	tc = with.Target(tc.Name)
	u, err := url.Parse(tc.URL)
	if err != nil {
		return nil, nil, err
	}
	tc.Name = u.Host // beside it Prometheus puts the whole address as instance
	return with, tc, nil
}

// run asks once.
func (a *asking) run(ctx context.Context, cfg *config.Config, tc *config.Target, t *target, sink prober.Sink) error {
	pc := cfg.Probes[a.module]
	recorded, err := recordings{}.of(pc)
	if err != nil {
		return err
	}
	s, err := spec(tc, a.module, pc, recorded, sink)
	if err != nil {
		return err
	}
	if a.within > 0 {
		// The probe's own limits say timeout; the context ends what they do not bound, such as a conversation.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.within)
		defer cancel()
		s.Limits.Total = min(cmp.Or(s.Limits.Total, prober.DefaultTimeout), a.within-a.within/50)
	}
	asked, err := t.asked.Probe(s)
	if err != nil {
		return err
	}
	asked.Ask(ctx, time.Now())
	return nil
}

// succeeded tells whether every question was answered.
func succeeded(results []*prober.Result) bool {
	for _, r := range results {
		if !r.Retried && r.Outcome != prober.OK {
			return false
		}
	}
	return len(results) > 0
}

// lend returns the endpoint of a target. giveBack is to be called.
func (o *onDemand) lend(cfg *config.Config, tc *config.Target) (*lent, error) {
	fingerprint := endpointFingerprint(cfg, tc)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, refuse(http.StatusServiceUnavailable, "llm_prober is shutting down.")
	}
	for key, t := range o.targets {
		if t.users == 0 && time.Since(t.used) > lentFor {
			o.drop(key)
		}
	}
	if o.targets[fingerprint] == nil {
		o.makeRoom()
		t, err := newTarget(cfg, tc, fingerprint)
		if err != nil {
			return nil, err
		}
		o.targets[fingerprint] = &lent{target: t}
	}
	t := o.targets[fingerprint]
	t.users++
	return t, nil
}

// makeRoom drops the endpoint that was not used for the longest time, where there are too many.
func (o *onDemand) makeRoom() {
	if len(o.targets) < lentTargets {
		return
	}
	oldest := ""
	for key, t := range o.targets {
		if t.users == 0 && (oldest == "" || t.used.Before(o.targets[oldest].used)) {
			oldest = key
		}
	}
	if oldest != "" {
		o.drop(oldest)
	}
}

func (o *onDemand) drop(key string) {
	o.targets[key].close()
	delete(o.targets, key)
}

func (o *onDemand) giveBack(t *lent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.users--
	t.used = time.Now()
	if o.closed && t.users == 0 {
		t.close()
	}
}

// close lets all endpoints go; those in use when they are given back.
func (o *onDemand) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for key, t := range o.targets {
		if t.users == 0 {
			t.close()
		}
		delete(o.targets, key)
	}
}

// writeDebug tells a person what happened, and then the metrics.
func writeDebug(w http.ResponseWriter, tc *config.Target, module string, results []*prober.Result, metrics prometheus.Gatherer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "target  %s\nmodel   %s\nmodule  %s\n", printable.Line(tc.URL, maxShown), printable.Line(tc.Model, maxShownName), printable.Line(module, maxShownName))
	for i, r := range results {
		writeTimeline(&b, i+1, len(results), r)
	}
	fmt.Fprintf(&b, "\nprobe_success %v\n\nMetrics that would have been returned:\n\n", succeeded(results))
	families, err := metrics.Gather()
	if err != nil {
		return err
	}
	enc := expfmt.NewEncoder(&b, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(b.Bytes()) // a reader who went away is no error of ours
	return nil
}

// writeTimeline draws one request, a line for each step:
//
//	request 1 of 1: ok, HTTP 200 from 10.0.0.1:8000, id 0123...
//	      +0.000 ms  intended
//	      +0.041 ms  dispatched
//	    +183.204 ms  first_token
func writeTimeline(w io.Writer, n, of int, r *prober.Result) {
	fmt.Fprintf(w, "\nrequest %d of %d: %s", n, of, r.Outcome)
	if r.HTTPStatus != 0 {
		fmt.Fprintf(w, ", HTTP %d", r.HTTPStatus)
	}
	if r.RemoteAddr != "" {
		fmt.Fprintf(w, " from %s", printable.Line(r.RemoteAddr, maxShownName))
	}
	fmt.Fprintf(w, ", id %s\n", r.Request.ID)
	if r.Err != nil {
		fmt.Fprintf(w, "    %s\n", printable.Line(r.Err.Error(), maxShown))
	}
	t := &r.Timeline
	for _, step := range []struct {
		name string
		at   time.Time
	}{
		{"intended", t.Intended}, {"dispatched", t.Dispatched}, {"dns_start", t.DNSStart}, {"dns_done", t.DNSDone},
		{"connect_start", t.ConnectStart}, {"connect_done", t.ConnectDone}, {"tls_start", t.TLSStart}, {"tls_done", t.TLSDone},
		{"write_start", t.WriteStart}, {"wrote", t.Wrote}, {"headers", t.Headers}, {"first_event", t.FirstEvent},
		{"first_token", t.FirstToken}, {"first_output", t.FirstOutput}, {"last_token", t.LastToken}, {"end", t.End},
	} {
		if !step.at.IsZero() {
			fmt.Fprintf(w, "%+14.3f ms  %s\n", float64(step.at.Sub(t.Intended))/1e6, step.name)
		}
	}
	fmt.Fprintf(w, "    %d chunks; %d prompt tokens, %d cached; %d output tokens (%s); times by the %s's clock\n",
		len(r.Chunks), r.Usage.PromptTokens, r.Usage.CachedTokens, r.OutputTokens, r.OutputSource, cmp.Or(r.Clock, prober.ClockUser))
}
