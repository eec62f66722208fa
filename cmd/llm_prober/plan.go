package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/web"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/schedule"
	"github.com/llmprober/llm_prober/prober/transport"
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
	recordings recordings
}

// newPlan makes a plan of cfg for d. Targets that did not change are taken over from d. An error leaves d as it is.
func newPlan(cfg *config.Config, d *daemon) (*plan, error) {
	old := d.targets
	p := &plan{targets: map[string]*target{}, gpus: map[string][]string{}, recordings: recordings{}}
	p.schedule.MaxInFlight = cfg.Global.MaxInFlight
	p.schedule.Budget = schedule.Budget{
		RequestsPerMinute: cfg.Global.Budget.RequestsPerMinute, OutputTokensPerHour: cfg.Global.Budget.OutputTokensPerHour,
		CostPerDay: cfg.Global.Budget.CostPerDay,
	}
	for _, tc := range cfg.Targets {
		t := old[tc.Name]
		if fingerprint := endpointFingerprint(cfg, tc); t == nil || t.fingerprint != fingerprint {
			var err error
			if t, err = newTarget(cfg, tc, fingerprint); err != nil {
				p.abandon(old)
				return nil, fmt.Errorf("target %s: %w", tc.Name, err)
			}
			if state := d.estimates[estimateOf(tc)]; state != nil {
				if err := json.Unmarshal(state, t.queue); err != nil {
					d.logger.Warn("what was learnt of a target without load is lost", "target", tc.Name, "err", err)
				}
				delete(d.estimates, estimateOf(tc)) // a later change of the target begins anew
			}
		}
		p.targets[tc.Name] = t
		if err := p.add(cfg, tc, t, d); err != nil {
			p.abandon(old)
			return nil, fmt.Errorf("target %s: %w", tc.Name, err)
		}
		if len(tc.GPUs) > 0 {
			p.gpus[tc.Name] = tc.GPUs
		}
		if err := p.addEngine(tc); err != nil {
			p.abandon(old)
			return nil, fmt.Errorf("engine of target %s: %w", tc.Name, err)
		}
		p.addObjectives(cfg, tc)
	}
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
func (p *plan) add(cfg *config.Config, tc *config.Target, t *target, d *daemon) error {
	sink := prober.Sinks(append(d.sinks[:len(d.sinks):len(d.sinks)], &queueWaits{target: t.queue, probes: d.probes, engines: d.engines, history: d.history}))
	price := tokenPrice(tc.Price)
	group := schedule.Group{
		Name: tc.Name, MaxInFlight: tc.MaxInFlight, CostPerDay: tc.Budget.CostPerDay,
		OutputTokensPerHour: tc.Budget.OutputTokensPerHour, RequestsPerMinute: tc.Budget.RequestsPerMinute,
	}
	if price != nil {
		group.Currency = price.Currency
	}
	p.schedule.Groups = append(p.schedule.Groups, group)
	for _, name := range tc.Probes {
		pc := cfg.Probes[name]
		s := seriesOf(tc, name, pc)
		p.series = append(p.series, s)
		p.rows = append(p.rows, web.Row{Target: tc.Name, Model: tc.Model, Probe: name, Stream: *pc.Stream, Interval: s.Interval})

		recorded, err := p.recordings.of(pc)
		if err != nil {
			return fmt.Errorf("probe %s: %w", name, err)
		}
		spec, err := spec(tc, name, pc, recorded, sink)
		if err != nil {
			return fmt.Errorf("probe %s: %w", name, err)
		}
		asked, err := t.asked.Probe(spec)
		if err != nil {
			return err
		}
		fingerprint := fmt.Sprintf("%s %x %s", t.fingerprint, pc.Fingerprint(), price)
		if recorded != nil {
			fingerprint += " " + recorded.Fingerprint()
		}
		p.schedule.Jobs = append(p.schedule.Jobs, schedule.Job{
			Key: jobKey(tc.Name, name), Group: tc.Name, Fingerprint: fingerprint,
			Interval: time.Duration(pc.Interval), Jitter: time.Duration(pc.Jitter),
			Burst: schedule.Burst{Size: spec.Burst.Size, AfterIdle: spec.Burst.AfterIdle},
			Cost:  cost(asked.Most(), price),
			Run: func(ctx context.Context, intended time.Time) schedule.Cost {
				spent := asked.Ask(ctx, intended)
				if !spent.PauseUntil.IsZero() {
					d.scheduler.Pause(tc.Name, spent.PauseUntil)
				}
				return cost(spent, price)
			},
		})
	}
	return nil
}

// seriesOf is what is measured of a probe of a target.
func seriesOf(tc *config.Target, name string, pc *config.Probe) collector.Series {
	s := collector.Series{
		Target: tc.Name, Model: tc.Model, Probe: name, Stream: *pc.Stream, Interval: time.Duration(pc.Interval), Labels: tc.Labels,
		QueueWaitSources: queueWaitSources(tc, *pc.Stream), Price: tokenPrice(tc.Price),
		Retries: pc.Retry != nil, Bursts: pc.Burst != nil, Turns: pc.Turns,
	}
	if pc.Burst != nil {
		s.Interval = time.Duration(pc.Burst.AfterIdle)
	}
	if amount, ok := tc.HourlyPrice(); ok {
		s.HourlyPrice = &collector.HourlyPrice{Currency: tc.Price.Currency, Amount: amount}
	}
	for _, point := range pc.Abandonment {
		s.Abandonment = append(s.Abandonment, collector.CurvePoint{After: time.Duration(point.TTFT), Share: point.Share})
	}
	return s
}

// tokenPrice is what the tokens of a target cost; nil where that is not known. What is left out costs nothing, and cached
// input what all input does.
func tokenPrice(price *config.Price) *collector.TokenPrice {
	if price == nil || price.Input == nil && price.Output == nil {
		return nil
	}
	amount := func(v *float64, otherwise float64) float64 {
		if v == nil {
			return otherwise
		}
		return *v
	}
	input := amount(price.Input, 0)
	return &collector.TokenPrice{
		Currency: price.Currency, Input: input, CachedInput: amount(price.CachedInput, input), Output: amount(price.Output, 0),
	}
}

// addObjectives plans the objectives of a target, whose probes exist: config has seen to that.
func (p *plan) addObjectives(cfg *config.Config, tc *config.Target) {
	for _, oc := range cfg.ObjectivesOf(tc) {
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
	client, err := newHTTPClient(e.HTTP, "llm_engine", e.MetricsURL)
	if err != nil {
		return err
	}
	o := engine.Options{
		Target: tc.Name, MetricsURL: e.MetricsURL, Kind: engine.Kind(e.Kind), Client: client, Labels: tc.Labels,
		Interval: time.Duration(e.Interval), Timeout: time.Duration(e.Timeout), Match: e.Match, DestructiveReads: e.DestructiveReads,
		Secrets: func() []string { return transport.Secrets(e.HTTP) },
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

// jobKey names a probe of a target in the schedule. Neither name has a slash in it.
func jobKey(target, probe string) string { return target + "/" + probe }
