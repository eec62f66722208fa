package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/web"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/schedule"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// plan is a configuration turned into what each part of the daemon takes of it.
type plan struct {
	targets    map[string]*target
	series     []collector.Series
	objectives []collector.Objective
	engines    []engine.Options
	gpus       map[string][]string // UUIDs by target
	rows       []web.Row
	schedule   schedule.Plan
}

// newPlan makes a plan of cfg for d. Targets that did not change are taken over from d. An error leaves d as it is.
func newPlan(cfg *config.Config, d *daemon) (*plan, error) {
	old := d.targets
	p := &plan{targets: map[string]*target{}, gpus: map[string][]string{}, schedule: schedule.Plan{MaxInFlight: cfg.Global.MaxInFlight}}
	for _, tc := range cfg.Targets {
		t := old[tc.Name]
		if fingerprint := endpointFingerprint(cfg, tc); t == nil || t.fingerprint != fingerprint {
			var err error
			if t, err = newTarget(cfg, tc, fingerprint); err != nil {
				p.abandon(old)
				return nil, fmt.Errorf("target %s: %w", tc.Name, err)
			}
		}
		p.targets[tc.Name] = t
		p.add(cfg, tc, t, d)
		if len(tc.GPUs) > 0 {
			p.gpus[tc.Name] = tc.GPUs
		}
		if err := p.addEngine(tc); err != nil {
			p.abandon(old)
			return nil, fmt.Errorf("engine of target %s: %w", tc.Name, err)
		}
	}
	p.addObjectives(cfg)
	return p, nil
}

// abandon closes the targets that p would have brought.
func (p *plan) abandon(old map[string]*target) {
	for name, t := range p.targets {
		if old[name] != t {
			t.close()
		}
	}
}

// add plans the probes of one target.
func (p *plan) add(cfg *config.Config, tc *config.Target, t *target, d *daemon) {
	sink := append(slices.Clone(d.sinks), &queueWaits{target: t.queue, probes: d.probes, engines: d.engines})
	p.schedule.Groups = append(p.schedule.Groups, schedule.Group{
		Name: tc.Name, MaxInFlight: tc.MaxInFlight,
		OutputTokensPerHour: tc.Budget.OutputTokensPerHour, RequestsPerMinute: tc.Budget.RequestsPerMinute,
	})
	for _, name := range tc.Probes {
		pc := cfg.Probes[name]
		series := collector.Series{
			Target: tc.Name, Model: tc.Model, Probe: name, Stream: *pc.Stream, Interval: time.Duration(pc.Interval), Labels: tc.Labels,
		}
		series.QueueWaitSources = queueWaitSources(tc, *pc.Stream)
		addPrice(&series, tc.Price)
		for _, point := range pc.Abandonment {
			series.Abandonment = append(series.Abandonment, collector.CurvePoint{After: time.Duration(point.TTFT), Share: point.Share})
		}
		p.series = append(p.series, series)
		p.rows = append(p.rows, web.Row{
			Target: tc.Name, Model: tc.Model, Probe: name, Stream: *pc.Stream, Interval: time.Duration(pc.Interval),
		})
		p.schedule.Jobs = append(p.schedule.Jobs, schedule.Job{
			Key: jobKey(tc.Name, name), Group: tc.Name,
			Interval: time.Duration(pc.Interval), Jitter: time.Duration(pc.Jitter),
			Fingerprint: fmt.Sprintf("%s %x", t.fingerprint, pc.Fingerprint()), Cost: schedule.Cost{OutputTokens: pc.MaxOutputTokens},
			Run: newProbe(t, tc, name, pc, sink, d.scheduler.Pause).run,
		})
	}
}

// addPrice says what the requests of a series cost. What is left out costs nothing, and cached input what all input does.
func addPrice(s *collector.Series, price *config.Price) {
	if price == nil {
		return
	}
	if price.PerHour != nil {
		s.HourlyPrice = &collector.HourlyPrice{Currency: price.Currency, Amount: *price.PerHour}
	}
	if price.Input != nil || price.Output != nil {
		amount := func(v *float64, otherwise float64) float64 {
			if v == nil {
				return otherwise
			}
			return *v
		}
		input := amount(price.Input, 0)
		s.Price = &collector.TokenPrice{
			Currency: price.Currency, Input: input, CachedInput: amount(price.CachedInput, input), Output: amount(price.Output, 0),
		}
	}
}

// addObjectives plans the objectives, whose targets and probes exist: config has seen to that.
func (p *plan) addObjectives(cfg *config.Config) {
	for _, oc := range cfg.Objectives {
		i := slices.IndexFunc(cfg.Targets, func(tc *config.Target) bool { return tc.Name == oc.Target })
		tc := cfg.Targets[i]
		p.objectives = append(p.objectives, collector.Objective{
			Name: oc.Name, Indicator: collector.Indicator(oc.Indicator), Threshold: oc.Threshold.Value(), Goal: oc.Goal,
			Target: tc.Name, Model: tc.Model, Probe: oc.Probe, Labels: tc.Labels,
		})
	}
}

// addEngine plans the reading of the target's engine, if it has one.
func (p *plan) addEngine(tc *config.Target) error {
	e := tc.Engine
	if e == nil {
		return nil
	}
	client, err := commoncfg.NewClientFromConfig(e.HTTP, "llm_engine", commoncfg.WithUserAgent(userAgent()))
	if err != nil {
		return err
	}
	o := engine.Options{
		Target: tc.Name, MetricsURL: e.MetricsURL, Kind: engine.Kind(e.Kind), Client: client, Labels: tc.Labels,
		Interval: time.Duration(e.Interval), Timeout: time.Duration(e.Timeout), Match: e.Match, DestructiveReads: e.DestructiveReads,
	}
	for name, m := range e.Custom {
		if o.Custom == nil {
			o.Custom = map[string]engine.Source{}
		}
		o.Custom[name] = engine.Source{Metric: m.Metric, Match: m.Match, Scale: m.Scale}
	}
	p.engines = append(p.engines, o)
	return nil
}

// target is one endpoint that is probed, with what it has learnt of it.
type target struct {
	fingerprint  string
	name, model  string
	fresh, reuse *transport.Client
	endpoint     prober.Options // without a client
	queue        *queuewait.Target
	calibration  *workload.Calibration
	prompts      *workload.Generator

	counts, started bool // whether its /tokenize is asked; whether it has been
	calibrating     sync.WaitGroup
	context         context.Context // of calibrating
	stop            context.CancelFunc
}

// endpointFingerprint changes with everything that makes it another endpoint, or other requests. What is beside the
// requests (bounds, labels, prices, the choice of probes) does not: what was learnt of the endpoint, and requests under
// way, outlive its change.
func endpointFingerprint(cfg *config.Config, tc *config.Target) string {
	endpoint := *tc
	endpoint.Probes, endpoint.Labels, endpoint.Budget, endpoint.MaxInFlight = nil, nil, config.Budget{}, 0
	endpoint.Engine, endpoint.GPUs, endpoint.Price = nil, nil, nil
	return fmt.Sprintf("%x %v;", endpoint.Fingerprint(), cfg.Global.DegradedAfter)
}

func newTarget(cfg *config.Config, tc *config.Target, fingerprint string) (*target, error) {
	base, err := url.Parse(tc.URL)
	if err != nil {
		return nil, err
	}
	protocol, err := wire.Lookup(tc.Protocol)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for name, value := range tc.Headers {
		header.Set(name, string(value))
	}
	t := &target{fingerprint: fingerprint, name: tc.Name, model: tc.Model, queue: queuewait.NewTarget(), calibration: new(workload.Calibration)}
	t.endpoint = prober.Options{URL: base, Protocol: protocol, Header: header, DegradedAfter: time.Duration(cfg.Global.DegradedAfter)}
	options := transport.Options{HTTP: tc.HTTP, HTTP2: tc.HTTP.EnableHTTP2, UserAgent: userAgent()}
	if t.fresh, err = transport.New(options); err != nil {
		return nil, err
	}
	options.Reuse = true
	if t.reuse, err = transport.New(options); err != nil {
		t.fresh.Close()
		return nil, err
	}
	// The texts differ from start to start: what a prefix cache kept of the last process must not answer.
	t.prompts = workload.NewGenerator(rand.Uint64(), t.calibration)
	t.context, t.stop = context.WithCancel(context.Background())
	t.counts = len(tc.Probes) > 0 && tc.Protocol == "openai_chat"
	return t, nil
}

// start is called once the target is in force.
func (t *target) start() {
	if t.counts && !t.started {
		t.calibrating.Go(func() { t.calibrate(t.context) })
	}
	t.started = true
}

// calibrateWithin bounds what is asked of a server's /tokenize, once, when a target is new.
const calibrateWithin = 10 * time.Second

// calibrate learns the server's tokens from its /tokenize, where there is one. Without it the answers' usage teaches them.
func (t *target) calibrate(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, calibrateWithin)
	defer cancel()
	endpoint := t.endpoint
	endpoint.Client = t.fresh
	counter := prober.New(endpoint)
	// Its error is no news: most hosted services have no such path, and a server that is down shows as failed probes.
	_ = t.prompts.Calibrate(ctx, func(ctx context.Context, messages []wire.Message) (int, error) {
		return counter.CountTokens(ctx, t.model, messages)
	})
}

func (t *target) close() {
	t.stop()
	t.calibrating.Wait()
	t.fresh.Close()
	t.reuse.Close()
}

// probe is one request shape at one target.
type probe struct {
	target      *target
	name        string
	shape       workload.Shape
	prompts     *workload.Generator
	calibration *workload.Calibration // of prompts
	client      *transport.Client
	call        wire.Call // without messages
	limits      prober.Limits
	checks      prober.Checks
	sink        prober.Sink
	pause       func(group string, until time.Time) // leaves a target alone that asked for it
}

func newProbe(t *target, tc *config.Target, name string, pc *config.Probe, sink prober.Sink, pause func(string, time.Time)) *probe {
	p := &probe{
		target: t, name: name, client: t.fresh, prompts: t.prompts, calibration: t.calibration, sink: sink, pause: pause,
		shape: workload.Shape{
			PromptTokens:       workload.Range(pc.PromptTokens),
			SharedPrefixTokens: pc.SharedPrefixTokens, Prefix: jobKey(tc.Name, name),
			MaxOutputTokens: pc.MaxOutputTokens,
		},
		call: wire.Call{
			Model: tc.Model, MaxOutputTokens: pc.MaxOutputTokens, Stream: *pc.Stream, Options: wire.Options(pc.RequestOptions(tc)),
		},
		limits: prober.Limits{
			Connect: time.Duration(pc.ConnectTimeout), FirstToken: time.Duration(pc.FirstTokenTimeout),
			Idle: time.Duration(pc.IdleTimeout), Total: time.Duration(pc.Timeout),
		},
		checks: prober.Checks{
			Contains: pc.Expect.Contains, Regexp: pc.Expect.Regexp.Compile(), JSON: pc.Expect.JSON, ToolCalled: pc.Expect.ToolCalled,
		},
	}
	p.shape.Purpose, p.shape.Tool = purpose(pc)
	if len(pc.Tools) > 0 { // servers count the tools as prompt: what is learnt here holds for no other probe
		p.calibration = new(workload.Calibration)
		p.prompts = workload.NewGenerator(rand.Uint64(), p.calibration)
	}
	if pc.Connection == config.ConnectionReuse {
		p.client = t.reuse
	}
	return p
}

// purpose is what a probe's prompts ask for, so that the model does what the request's options are there for.
func purpose(pc *config.Probe) (purpose workload.Purpose, tool string) {
	switch {
	case len(pc.Tools) > 0 && pc.ToolChoice != config.ToolChoiceNone:
		if slices.ContainsFunc(pc.Tools, func(t *config.Tool) bool { return t.Function.Name == pc.ToolChoice }) {
			return workload.ToolCall, pc.ToolChoice
		}
		return workload.ToolCall, pc.Tools[0].Function.Name
	case pc.ResponseFormat != nil && pc.ResponseFormat.Type != config.FormatText:
		return workload.JSON, ""
	case pc.ReasoningEffort != "" && pc.ReasoningEffort != "none":
		return workload.Reasoning, ""
	}
	return workload.Plain, ""
}

// maxPause bounds for how long a server can have itself left alone: a prober that says nothing for a day because it was
// told to would miss the outage.
const maxPause = 5 * time.Minute

// run asks once. It is what the schedule runs.
func (p *probe) run(ctx context.Context, intended time.Time) schedule.Cost {
	prompt := p.prompts.Prompt(p.shape)
	call := p.call
	call.Messages = prompt.Messages
	endpoint := p.target.endpoint
	endpoint.Client = p.client
	r := prober.New(endpoint).Do(ctx, &prober.Request{
		ID: prober.NewID(), Target: p.target.name, Probe: p.name, Intended: intended,
		Call: call, Limits: p.limits, Checks: p.checks, PromptUnits: prompt.Units,
	})
	if r.Usage.Known && r.Usage.PromptTokens > 0 {
		p.calibration.Observe(prompt.Units, r.Usage.PromptTokens)
	}
	p.sink.Observe(r)
	if overloaded := r.Outcome == prober.RateLimited || r.Outcome == prober.Overloaded; overloaded && r.RetryAfter > 0 {
		p.pause(p.target.name, time.Now().Add(min(r.RetryAfter, maxPause)))
	}
	spent := schedule.Cost{Requests: 1, OutputTokens: r.OutputTokens}
	if r.OutputSource != prober.TokensUsage && r.HTTPStatus == http.StatusOK {
		spent.OutputTokens = -1 // the server may have generated more than it said: the budget keeps the whole cap
	}
	return spent
}

// jobKey names a probe of a target in the schedule. Neither name has a slash in it.
func jobKey(target, probe string) string { return target + "/" + probe }
