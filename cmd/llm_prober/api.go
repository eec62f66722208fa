package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/api"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
	"github.com/llmprober/llm_prober/prober/ramp/cron"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/schedule"
)

// programs is what programs read and do over HTTP: the daemon, as package api wants to see it.
type programs struct {
	d      *daemon
	recent *api.Recent // a sink

	mu    sync.Mutex // protects what follows
	hands map[string]*byHand
}

// newPrograms makes what the API needs of d. Its sink is to be among d's, and apply to be called with each configuration.
func newPrograms(d *daemon) *programs {
	return &programs{d: d, recent: api.NewRecent(d.queueWait), hands: map[string]*byHand{}}
}

// handler serves the API; lifecycle is whether it may change anything.
func (p *programs) handler(lifecycle bool) http.Handler {
	return api.Handler(api.Options{
		Lifecycle: lifecycle, Logger: p.d.logger, Recent: p.recent, Targets: p.targets, Baselines: p.baselines,
		Ramps: p.ramps, Runs: p.d.kept, Start: p.start, Stop: p.stop, Run: p.run,
	})
}

// apply keeps the requests of what cfg probes.
func (p *programs) apply(cfg *config.Config) {
	var targets []api.Target
	for _, tc := range cfg.Targets {
		targets = append(targets, probesOf(cfg, tc))
	}
	p.recent.Apply(targets)
}

// probesOf is a target as the configuration has it.
func probesOf(cfg *config.Config, tc *config.Target) api.Target {
	t := api.Target{Name: tc.Name, Model: tc.Model, Protocol: tc.Protocol, Labels: tc.Labels}
	for _, name := range tc.Probes {
		pc := cfg.Probes[name]
		t.Probes = append(t.Probes, api.Probe{Name: name, Stream: *pc.Stream, Interval: seriesOf(tc, name, pc).Interval})
	}
	for _, oc := range cfg.ObjectivesOf(tc) {
		t.Objectives = append(t.Objectives, api.Objective{
			Name: oc.Name, Probe: oc.Probe, Indicator: oc.Indicator, Threshold: oc.Threshold.Value(), Goal: oc.Goal,
		})
	}
	return t
}

// targets are those that are probed, with what is known of them beside their requests.
func (p *programs) targets() []api.Target {
	cfg := p.d.inForce.Load()
	if cfg == nil {
		return nil
	}
	status := p.d.scheduler.Status()
	next, paused := map[string]time.Time{}, map[string]time.Time{}
	for _, j := range status.Jobs {
		next[j.Key] = j.Next
	}
	for _, g := range status.Groups {
		paused[g.Name] = g.PausedUntil
	}
	view := gpu.View{State: gpu.StateDisabled}
	if p.d.ramps.gpus != nil {
		view = p.d.ramps.gpus()
	}
	var targets []api.Target
	for _, tc := range cfg.Targets {
		t := probesOf(cfg, tc)
		for i := range t.Probes {
			t.Probes[i].Next = next[jobKey(tc.Name, t.Probes[i].Name)]
		}
		t.PausedUntil = paused[tc.Name]
		t.Engine, t.GPUs = p.engine(tc), gpusOf(&view, tc.GPUs)
		targets = append(targets, t)
	}
	return targets
}

// engine is what is known of a target's engine; nil where none is configured, and before it was asked for the first time.
func (p *programs) engine(tc *config.Target) *api.Engine {
	e := p.d.engines.Engine(tc.Name)
	if e == nil || !e.Tried() {
		return nil
	}
	s, up := e.Snapshot()
	if !up {
		return &api.Engine{Kind: tc.Engine.Kind}
	}
	return &api.Engine{Kind: string(s.Kind), Up: true, At: s.At, Running: s.Running, Waiting: s.Waiting, KVCache: s.KVCacheUsage}
}

// xidFor is for how long an error that the driver reported counts.
const xidFor = 10 * time.Minute

// gpusOf are a target's GPUs. One that was never seen here is another machine's, and left out, as all are where none are read.
func gpusOf(view *gpu.View, uuids []string) []api.GPU {
	switch view.State {
	case gpu.StateDisabled, gpu.StateNotInBuild, gpu.StateNoHardware:
		return nil
	}
	var gpus []api.GPU
	for _, uuid := range uuids {
		g := api.GPU{UUID: uuid}
		if view.Snapshot != nil {
			i := slices.IndexFunc(view.Snapshot.Devices, func(d gpu.Device) bool { return d.UUID == uuid })
			if i < 0 {
				continue
			}
			d := &view.Snapshot.Devices[i]
			g.Known, g.Lost = true, d.Lost
			for _, reason := range []string{"hw_slowdown", "hw_thermal", "sw_thermal", "hw_power_brake"} { // a power cap is business as usual
				if d.ClockEvents[reason] {
					g.Throttled = append(g.Throttled, reason)
				}
			}
		}
		for _, x := range view.XIDs {
			if x.GPU.UUID == uuid && x.Count > 0 && time.Since(x.Last) < xidFor {
				g.XID = x.Code
			}
		}
		gpus = append(gpus, g)
	}
	return gpus
}

// baselines are those that were pinned of a target.
func (p *programs) baselines(target string) []api.Baseline {
	store := p.d.kept()
	if store == nil {
		return nil
	}
	saved, err := store.Baselines()
	if err != nil {
		p.d.logger.Error("baselines cannot be read", "err", err)
		return nil
	}
	var baselines []api.Baseline
	for _, v := range saved[target] {
		baselines = append(baselines, api.Baseline{Probe: v.Probe, Indicator: v.Indicator, Quantile: v.Quantile, Seconds: v.Seconds, Run: v.Run, SavedAt: v.SavedAt})
	}
	return baselines
}

// ramps are those of the configuration, and those that are still running.
func (p *programs) ramps() []api.Ramp {
	cfg := p.d.inForce.Load()
	live := map[string]*liveRun{}
	for _, l := range p.d.ramps.running() {
		live[l.Ramp] = l
	}
	var ramps []api.Ramp
	for _, s := range p.d.ramps.cron.Status() {
		r := api.Ramp{Name: s.Name, Targets: s.Targets, Next: s.Next, Paused: s.Paused}
		if rc := cfg.Ramp(s.Name); rc != nil {
			r.Schedule = string(rc.Schedule)
		}
		if s.Running {
			r.Running = &api.Running{Ramp: s.Name, Trigger: s.Trigger, Started: s.Since}
			if l := live[s.Name]; l != nil {
				r.Running = runningOf(l)
			}
		}
		ramps = append(ramps, r)
	}
	return ramps
}

func runningOf(l *liveRun) *api.Running {
	return &api.Running{ID: l.ID, Ramp: l.Ramp, Trigger: l.Trigger, Started: l.Started, Progress: l.latest.Load()}
}

// A run has its id soon after it has begun.
const (
	idWithin = 10 * time.Second
	idEvery  = 5 * time.Millisecond
)

// start begins a ramp, and waits for the id of its run.
func (p *programs) start(ctx context.Context, name string) (*api.Running, error) {
	began := time.Now()
	err := p.d.ramps.cron.Trigger(name, record.ByAPI)
	busy, isBusy := errors.AsType[*cron.BusyError](err)
	switch {
	case errors.Is(err, cron.ErrUnknown):
		return nil, api.ErrNotFound
	case errors.Is(err, cron.ErrShutdown):
		return nil, api.ErrUnavailable
	case isBusy:
		return nil, &api.BusyError{Target: busy.Target, Ramp: busy.Ramp}
	case err != nil:
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, idWithin)
	defer cancel()
	tick := time.NewTicker(idEvery)
	defer tick.Stop()
	for {
		all := p.ramps()
		i := slices.IndexFunc(all, func(r api.Ramp) bool { return r.Name == name })
		if i < 0 || all[i].Running == nil {
			return nil, nil
		}
		if r := all[i].Running; r.ID != "" && !r.Started.Before(began) {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return all[i].Running, nil
		case <-tick.C:
		}
	}
}

func (p *programs) stop(name string) error {
	err := p.d.ramps.cron.Stop(name, errStopped)
	if errors.Is(err, cron.ErrNotRunning) {
		return api.ErrNotRunning
	}
	return err
}

// byHand is a probe of a target as it is asked by hand, with prompts of its own: what the schedule has asked already, a
// prefix cache would answer.
type byHand struct {
	fingerprint string
	target      *target
	asked       *ask.Probe
	busy        bool
}

// run asks a probe once, within the target's budgets.
func (p *programs) run(ctx context.Context, target, probe string) ([]*prober.Result, error) {
	cfg, current := p.d.inForce.Load(), p.d.current.Load()
	if cfg == nil || current == nil || !p.d.ready() {
		return nil, api.ErrUnavailable
	}
	tc, t := cfg.Target(target), (*current)[target]
	if tc == nil || t == nil || !slices.Contains(tc.Probes, probe) {
		return nil, api.ErrNotFound
	}
	if err := p.room(cfg, tc); err != nil {
		return nil, err
	}
	hand, err := p.take(cfg, tc, t, probe)
	if err != nil {
		return nil, err
	}
	defer p.giveBack(hand)

	price := tokenPrice(tc.Price)
	release, reason, ok := p.d.scheduler.Reserve(target, cost(hand.asked.Most(), price))
	if !ok {
		return nil, &api.RefusedError{Reason: cmp.Or(string(reason), "target_removed"), Words: fmt.Sprintf("a budget leaves no room for it (%s)", cmp.Or(reason, "target_removed"))}
	}
	used := schedule.Cost{Requests: -1, OutputTokens: -1, Money: -1}
	defer func() { release(used) }()
	ended := p.d.probes.Started(target, probe)
	defer ended()
	got := new(collected)
	sinks := append(slices.Clip(p.d.sinks), &queueWaits{target: t.queue, probes: p.d.probes, engines: p.d.engines, history: p.d.history}, got)
	spent := hand.asked.With(renamed{probe, sinks}, nil).Ask(ctx, time.Now())
	used = cost(spent, price)
	if !spent.PauseUntil.IsZero() {
		p.d.scheduler.Pause(target, spent.PauseUntil)
	}
	return got.results(), nil
}

// room tells whether the target may be asked now.
func (p *programs) room(cfg *config.Config, tc *config.Target) error {
	status := p.d.scheduler.Status()
	if cfg.Global.MaxInFlight > 0 && status.InFlight >= cfg.Global.MaxInFlight {
		return &api.RefusedError{Reason: "global_in_flight", Words: "as many probes are under way as global.max_in_flight allows", After: time.Second}
	}
	for _, g := range status.Groups {
		if g.Name != tc.Name {
			continue
		}
		if left := time.Until(g.PausedUntil); left > 0 {
			return &api.RefusedError{Reason: "paused", Words: "the server has asked to be left alone", After: left}
		}
		if tc.MaxInFlight > 0 && g.InFlight >= tc.MaxInFlight {
			return &api.RefusedError{Reason: "target_in_flight", Words: "as many probes are under way as the target's max_in_flight allows", After: time.Second}
		}
	}
	return nil
}

// take makes the probe one that this caller alone asks by hand.
func (p *programs) take(cfg *config.Config, tc *config.Target, t *target, probe string) (*byHand, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key, pc := jobKey(tc.Name, probe), cfg.Probes[probe]
	if h := p.hands[key]; h != nil && h.busy {
		return nil, &api.RefusedError{Reason: "in_flight", Words: "somebody else asks this probe by hand at this moment", After: time.Second}
	}
	for key, h := range p.hands { // what is gone
		if current := p.d.current.Load(); !h.busy && (*current)[h.target.asked.Name()] != h.target {
			delete(p.hands, key)
		}
	}
	fingerprint := fmt.Sprintf("%s %x", t.fingerprint, pc.Fingerprint())
	if h := p.hands[key]; h == nil || h.target != t || h.fingerprint != fingerprint {
		recorded, err := recordings{}.of(pc)
		if err != nil {
			return nil, err
		}
		s, err := spec(tc, probe, pc, recorded, nil)
		if err != nil {
			return nil, err
		}
		s.Name, s.Shape.Prefix = probe+" by hand", tc.Name+"/"+probe // prompts are seeded by the name, the prefix is shared
		asked, err := t.asked.Probe(s)
		if err != nil {
			return nil, err
		}
		p.hands[key] = &byHand{fingerprint: fingerprint, target: t, asked: asked}
	}
	p.hands[key].busy = true
	return p.hands[key], nil
}

func (p *programs) giveBack(h *byHand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.busy = false
}

// renamed hands on results as those of another probe.
type renamed struct {
	probe string
	to    prober.Sink
}

// Observe implements prober.Sink.
func (s renamed) Observe(r *prober.Result) {
	request, result := *r.Request, *r
	request.Probe, result.Request = s.probe, &request
	s.to.Observe(&result)
}

// collected keeps the results of one asking.
type collected struct {
	mu  sync.Mutex // protects all
	all []*prober.Result
}

// Observe implements prober.Sink.
func (c *collected) Observe(r *prober.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, r)
}

func (c *collected) results() []*prober.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}
