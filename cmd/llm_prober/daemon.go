package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/version"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/internal/web"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/schedule"
)

// daemon holds what runs for as long as the process does, and the targets of the configuration in force.
type daemon struct {
	logger       *slog.Logger
	load         func() (*config.Config, error)
	probes       *collector.Probes
	self         *collector.Self
	objectives   *collector.Objectives
	budgets      *collector.Budgets
	sources      *collector.Sources
	baselines    *collector.Baselines
	victims      *victims
	storage      *storage
	ramps        *ramps
	programs     *programs
	onDemand     *onDemand
	gpus         func() gpu.View                                 // nil: none are collected
	closing      chan struct{}                                   // closed when the daemon has ended
	estimates    map[string]json.RawMessage                      // of the last process, by estimateOf
	keepFailed   bool                                            // keep has said so
	pinned       atomic.Pointer[map[string][]runs.BaselineValue] // baselines by target, as they were read last; nil: they never were
	pinnedFailed bool                                            // readBaselines has said so
	engines      *engine.Engines
	gpuTargets   *gpu.Targets
	history      *web.History
	pages        http.Handler
	scheduler    *schedule.Scheduler
	sinks        prober.Sinks

	mu        sync.Mutex // one reload at a time; protects what follows
	targets   map[string]*target
	discovery *discovering // nil: no targets come from outside

	inForce   atomic.Pointer[config.Config]      // what is probed, targets from outside included; nil before the first load
	current   atomic.Pointer[map[string]*target] // the same targets, for sinks, which must not wait for a reload
	following atomic.Pointer[discovering]        // the same discovery, for scrapes, which must not wait for a reload either
	scheduled atomic.Bool                        // a schedule runs
}

// daemonOptions are what a daemon needs to know for life.
type daemonOptions struct {
	load        func() (*config.Config, error)
	firstWithin time.Duration   // in which new probes ask for the first time
	gpus        func() gpu.View // nil: no GPUs are collected
	storage     storageFlags
	lifecycle   bool // ramps may be started and stopped over HTTP
}

// newDaemon makes a daemon that probes nothing yet.
func newDaemon(logger *slog.Logger, o daemonOptions) (*daemon, error) {
	claims, err := o.storage.claimed(logger)
	if err != nil {
		return nil, err
	}
	var reasons []string
	for _, r := range schedule.Reasons() {
		reasons = append(reasons, string(r))
	}
	d := &daemon{
		logger:     logger,
		load:       o.load,
		probes:     collector.NewProbes(reasons),
		self:       collector.NewSelf(),
		engines:    engine.NewEngines(logger),
		gpuTargets: gpu.NewTargets(),
		history:    web.NewHistory(),
		victims:    new(victims),
		storage:    o.storage.storage(logger),
		gpus:       o.gpus,
		closing:    make(chan struct{}),
	}
	d.objectives = collector.NewObjectives(d.queueWait)
	d.budgets = collector.NewBudgets(d.budgetsNow)
	d.sources = collector.NewSources(d.sourcesNow)
	d.baselines = collector.NewBaselines(d.baselinesNow)
	d.programs, d.onDemand = newPrograms(d), newOnDemand(d)
	d.sinks = prober.Sinks{d.probes, d.objectives, d.history, d.programs.recent, d.victims, failureLog{logger}}
	host, _ := os.Hostname() // empty where it is not known
	d.scheduler = schedule.New(schedule.Options{
		Events: newEvents(d), Logger: logger, FirstWithin: o.firstWithin, Seed: seedOf(host, o.storage.path),
	})
	d.remember()
	d.ramps = newRamps(d, d.storage, o.gpus, claims)
	d.pages, err = web.Handler(web.Options{
		History: d.history, Logger: logger, Version: version.Version,
		NextRun:    func(target, probe string) (time.Time, bool) { return d.scheduler.Next(jobKey(target, probe)) },
		Objectives: d.pageObjectives, Engines: d.pageEngines, GPUs: d.pageGPUs, Schedule: d.pageSchedule,
		Endpoint: d.endpoint, Config: d.pageConfig, Metrics: guide(), Closing: d.closing,
		Runs: d.pageRuns(), Lifecycle: o.lifecycle,
	})
	if err != nil {
		d.shutdown(context.Background(), 0)
		return nil, err
	}
	return d, nil
}

// seedOf makes two probers of the same configuration ask at different times, and one of them at the same times after a restart.
func seedOf(host, storage string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(host + "\x00" + storage))
	return h.Sum64()
}

// ready reports whether a schedule is running.
func (d *daemon) ready() bool { return d.scheduled.Load() }

// reload loads the configuration and puts it into force. Where that fails, the old one stays in force, untouched.
func (d *daemon) reload() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	cfg, err := d.load()
	if err == nil {
		err = d.change(cfg)
	}
	d.self.Reloaded(time.Now(), err)
	if err != nil {
		message := "configuration not loaded; what is in force stays"
		if d.inForce.Load() == nil {
			message = "configuration not loaded; nothing is probed"
		}
		d.logger.Error(message, "err", err)
		return err
	}
	d.logger.Info("configuration loaded", "targets", len(d.targets), "probes", len(cfg.Probes))
	return nil
}

// change puts a configuration that was loaded into force, with the targets that it has from outside. d.mu is held.
func (d *daemon) change(cfg *config.Config) error {
	found, with, err := d.discover(cfg)
	if err != nil {
		return err
	}
	if err := d.apply(with); err != nil {
		return err
	}
	if err := d.ramps.apply(with); err != nil {
		d.logger.Error("ramps are not run", "err", err) // config refuses what could bring this about
	}
	d.discovery.end()
	d.discovery = found
	d.following.Store(found)
	found.begin()
	return nil
}

// apply makes cfg what is probed. Targets and probes that did not change keep their connections, calibration,
// schedule, series and requests under way. d.mu is held.
func (d *daemon) apply(cfg *config.Config) error {
	plan, err := newPlan(cfg, d)
	if err != nil {
		return err
	}
	if err := d.probes.Apply(plan.series); err != nil {
		plan.abandon(d.targets)
		return err
	}
	if err := d.objectives.Apply(plan.objectives); err != nil {
		plan.abandon(d.targets)
		return err
	}
	if err := d.scheduler.Apply(plan.schedule); err != nil {
		plan.abandon(d.targets)
		return err // only at a shutdown: config refuses what a schedule cannot run
	}
	if err := d.engines.Apply(plan.engines); err != nil {
		d.logger.Error("engine metrics are not read", "err", err) // config refuses what could bring this about
	}
	d.gpuTargets.Set(plan.gpus)
	d.history.Apply(plan.rows)
	d.programs.apply(cfg)
	d.scheduled.Store(true)

	old := d.targets
	d.targets = plan.targets
	d.current.Store(&plan.targets)
	d.inForce.Store(cfg)
	for _, tc := range cfg.Targets {
		if len(tc.Probes) > 0 {
			d.targets[tc.Name].asked.Start()
		}
	}
	for name, t := range old {
		if d.targets[name] != t {
			t.close()
		}
	}
	return nil
}

// shutdown lets probes under way end for up to timeout, cancels the rest, and waits for them.
func (d *daemon) shutdown(ctx context.Context, timeout time.Duration) {
	d.scheduled.Store(false)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d.ramps.shutdown(context.WithoutCancel(ctx)) // they end by themselves soon, and leave their records
	d.scheduler.Shutdown(ctx)
	d.mu.Lock()
	following := d.discovery
	d.discovery = nil
	d.mu.Unlock()
	following.end()
	following.wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.targets {
		t.close()
	}
	d.targets = nil
	d.onDemand.close()
	d.storage.close()
	select {
	case <-d.closing: // by an earlier call
	default:
		close(d.closing)
	}
}

// failureLog is the sink that puts failed probes into the log, with all that is needed to look for the cause.
type failureLog struct{ logger *slog.Logger }

// Observe implements prober.Sink.
func (l failureLog) Observe(r *prober.Result) {
	level, message := slog.LevelDebug, "probe"
	if r.Outcome.Failed() {
		level, message = slog.LevelWarn, "probe failed"
	} else if r.Outcome == prober.Unsent {
		level, message = slog.LevelWarn, "probe not sent"
	}
	if !l.logger.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("target", r.Request.Target), slog.String("probe", r.Request.Probe),
		slog.String("outcome", string(r.Outcome)), slog.String("request_id", r.Request.ID),
		slog.Duration("duration", r.Duration()),
	}
	if ttft, ok := r.TTFT(); ok {
		attrs = append(attrs, slog.Duration("ttft", ttft))
	}
	if r.HTTPStatus != 0 {
		attrs = append(attrs, slog.Int("http_status", r.HTTPStatus))
	}
	if r.RemoteAddr != "" {
		attrs = append(attrs, slog.String("remote", r.RemoteAddr))
	}
	if r.Err != nil {
		attrs = append(attrs, slog.String("err", printable.Line(r.Err.Error(), maxShown)))
	}
	if e, ok := errors.AsType[*prober.MismatchError](r.Err); ok && e.Answer != "" && l.logger.Enabled(context.Background(), slog.LevelDebug) {
		attrs = append(attrs, slog.String("answer", e.Answer)) // in quotes already
	}
	if r.Degraded {
		attrs = append(attrs, slog.String("degraded", fmt.Sprintf("dispatch %v late, receive %v late", r.DispatchDelay(), r.ReceiveDelay)))
	}
	l.logger.LogAttrs(context.Background(), level, message, attrs...)
}
