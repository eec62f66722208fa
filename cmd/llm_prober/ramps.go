package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/alerts"
	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/cron"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// ramps runs the ramps of the configuration in force.
type ramps struct {
	d       *daemon
	store   *storage
	gpus    func() gpu.View
	metrics *collector.Ramps
	cron    *cron.Scheduler

	mu    sync.Mutex // protects what follows
	live  map[string]*liveRun
	known map[string]bool // the ramps whose last run has been looked up
	last  map[string]record.Verdict
	lost  map[string]missedRun // the newest of each ramp
}

// missedRun is an occasion without a run.
type missedRun struct {
	nominal time.Time
	reason  cron.Reason
}

// liveRun is a run that is under way.
type liveRun struct {
	ID      string
	Ramp    string
	Target  string
	Trigger record.Trigger
	Started time.Time
	*rampLive
}

// claimed is what --ramp.claims says: nothing, "kubernetes" with or without the name that the replicas have in common, or a
// directory that several probers share.
func (f *storageFlags) claimed(logger *slog.Logger) (cron.Claims, error) {
	platform, group, named := strings.Cut(f.claims, ":")
	switch {
	case f.claims == "":
		return nil, nil // there is no other prober
	case platform == "kubernetes" && named && group == "":
		return nil, fmt.Errorf("--ramp.claims=%s: there is no name after the colon; take that of the StatefulSet, or leave the colon out", f.claims)
	case platform == "kubernetes":
		c, err := cron.InCluster(cron.ServiceAccount, group, os.Getenv, logger)
		if err != nil {
			return nil, fmt.Errorf("--ramp.claims=%s: %w", f.claims, err)
		}
		return c, nil
	}
	// Two probers of one machine have records of their own, which tell them apart.
	host, _ := os.Hostname()
	path, err := filepath.Abs(f.path)
	if err != nil {
		path = f.path
	}
	c := cron.FileClaims{Dir: f.claims, Holder: host + " " + path}
	if err := c.Check(); err != nil { // not at the first occasion, at night
		return nil, fmt.Errorf("--ramp.claims=%s: nothing can be claimed there: %w", f.claims, err)
	}
	return c, nil
}

// newRamps makes ramps without any; apply makes them.
func newRamps(d *daemon, store *storage, gpus func() gpu.View, claims cron.Claims) *ramps {
	var reasons []string
	for _, r := range cron.Reasons() {
		reasons = append(reasons, string(r))
	}
	r := &ramps{d: d, store: store, gpus: gpus, metrics: collector.NewRamps(reasons), live: map[string]*liveRun{}, known: map[string]bool{}, last: map[string]record.Verdict{}, lost: map[string]missedRun{}}
	r.cron = cron.New(cron.Options{Start: r.start, Claims: claims, LastRun: r.lastRun, Logger: d.logger, Events: rampEvents{r: r}})
	return r
}

// apply makes the ramps of cfg those that are run.
func (r *ramps) apply(cfg *config.Config) error {
	var entries []cron.Entry
	var series []collector.Ramp
	for _, rc := range cfg.Ramps {
		tc := cfg.Target(rc.Target)
		if tc == nil {
			return fmt.Errorf("ramp %s: there is no target %q", rc.Name, rc.Target)
		}
		e, err := entryOf(cfg, rc)
		if err != nil {
			return fmt.Errorf("ramp %s: %w", rc.Name, err)
		}
		entries = append(entries, e)
		series = append(series, collector.Ramp{Name: rc.Name, Target: tc.Name, Model: tc.Model, Labels: tc.Labels, Scheduled: rc.Schedule != ""})
	}
	if err := r.metrics.Apply(series); err != nil {
		return err
	}
	if err := r.cron.Apply(entries); err != nil {
		return err
	}
	for _, rc := range cfg.Ramps {
		r.metrics.Next(rc.Name, r.cron.Next(rc.Name))
		r.remember(rc.Name)
	}
	return nil
}

// entryOf is when a ramp runs.
func entryOf(cfg *config.Config, rc *config.Ramp) (cron.Entry, error) {
	zone, err := time.LoadLocation(cmp.Or(rc.Timezone, "UTC"))
	if err != nil {
		return cron.Entry{}, err
	}
	targets := map[string]bool{rc.Target: true}
	parts := []string{fmt.Sprintf("%x", rc.Fingerprint())} // of the fingerprint
	for _, l := range rc.Lanes {
		targets[cmp.Or(l.Target, rc.Target)] = true
		for _, name := range probesOfLane(rc, l) {
			parts = append(parts, fmt.Sprintf("%x", cfg.Probes[name].Fingerprint()))
		}
	}
	names := slices.Sorted(maps.Keys(targets))
	for _, name := range names {
		if tc := cfg.Target(name); tc != nil {
			parts = append(parts, endpointFingerprint(cfg, tc))
		}
	}
	e := cron.Entry{
		Name: rc.Name, Targets: names, Schedule: string(rc.Schedule), Location: zone, Jitter: time.Duration(rc.Jitter),
		Length: rc.PlannedDuration(), Fingerprint: strings.Join(parts, " "),
	}
	for _, b := range rc.Blackouts {
		zone, err := time.LoadLocation(cmp.Or(b.Timezone, rc.Timezone, "UTC"))
		if err != nil {
			return cron.Entry{}, err
		}
		quiet := cron.Quiet{From: time.Duration(b.From), To: time.Duration(b.To), Location: zone}
		for _, day := range b.Days {
			quiet.Days = append(quiet.Days, time.Weekday(slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, day)))
		}
		e.Quiet = append(e.Quiet, quiet)
	}
	return e, nil
}

// start runs a ramp, as often as it is to be repeated. It is what the cron loop calls.
func (r *ramps) start(ctx context.Context, name string, nominal time.Time, trigger record.Trigger) {
	cfg := r.d.inForce.Load()
	targets := r.d.current.Load()
	rc := cfg.Ramp(name)
	if rc == nil || targets == nil {
		return // a reload has taken it away meanwhile
	}
	var since time.Time
	for set := 1; set <= max(rc.Repeat, 1) && ctx.Err() == nil; set++ {
		job := &rampJob{cfg: cfg, ramp: rc, targets: *targets, scheduler: r.d.scheduler, trigger: trigger, nominal: nominal, set: set, since: since}
		if set == 1 && !nominal.IsZero() {
			job.latest = cron.Latest(nominal, time.Duration(rc.Jitter))
		}
		if run := r.run(ctx, job); run == nil || run.Verdict == record.Aborted || run.Verdict == record.CutShort {
			return
		}
		since = time.Now()
	}
}

// run runs a ramp once and keeps what it left. It returns nil where it could not be run.
func (r *ramps) run(ctx context.Context, job *rampJob, watching ...ramp.Observer) *record.Run {
	rc := job.ramp
	logger := r.d.logger.With("ramp", rc.Name)
	metrics := r.metrics.Begin(rc.Name)
	done := collector.RampFigures{Verdict: record.Invalid}
	late := false
	defer func() {
		if late {
			metrics.Withdraw()
			return
		}
		done.Ended = time.Now()
		metrics.End(done)
		r.metrics.Next(rc.Name, r.cron.Next(rc.Name))
	}()

	id := runs.NewID(latest(time.Now(), job.begin), rc.Name)
	plan, closeAll, err := job.plan(id)
	if err != nil {
		logger.Error("ramp cannot be run", "err", err)
		return nil
	}
	defer closeAll()
	tc := job.cfg.Target(rc.Target)
	s := &sampler{target: tc, engines: r.d.engines, gpus: r.gpus, victims: r.d.victims, beside: beside(job.cfg, tc.Name), since: job.since}
	plan.Sample, plan.Logger = s.sample, r.d.logger
	plan.Victims = r.d.victims.usual(s.beside)

	live := &liveRun{ID: id, Ramp: rc.Name, Target: tc.Name, Trigger: job.trigger, Started: time.Now(), rampLive: new(rampLive)}
	r.setLive(rc.Name, live)
	defer r.setLive(rc.Name, nil)
	observers := append(ramp.Observers{newRampMetrics(metrics, job.cfg, rc, &plan), live}, watching...)
	writer := r.store.begin(id, logger)
	if writer != nil {
		defer writer.Discard() // nothing after a commit
		if *rc.Requests {
			observers = append(observers, rampRequests{writer: writer})
		}
	}
	logger.Info("ramp begins", "run", id, "target", tc.Name, "trigger", job.trigger, "at_most", plan.Longest().Round(time.Second))
	run, err := ramp.Run(ctx, plan, observers)
	if late = errors.Is(err, ramp.ErrLate); late { // suspended since it was claimed
		rampEvents{r: r}.Missed(rc.Name, cron.Late, job.nominal)
		return nil
	}
	if err != nil {
		logger.Error("ramp cannot be run", "err", err)
		return nil
	}
	if s.known {
		run.Environment.Engine = string(s.last.Kind) // what it turned out to be
	}
	r.store.judge(run, rc, tc, logger)
	if writer != nil {
		if err := writer.Commit(run); err != nil {
			logger.Error("the record of a run cannot be kept", "run", id, "err", err)
		}
	}
	if run.Verdict == record.Pass {
		r.store.firstBaseline(run, logger)
	}
	done = figuresOf(run)
	r.setVerdict(rc.Name, run.Verdict)
	logger.Log(ctx, levelOfVerdict(run.Verdict), "ramp ended", "run", id, "verdict", run.Verdict, "reasons", printable.Line(strings.Join(run.Reasons, " "), maxShown))
	return run
}

// latest is the later of two times.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func levelOfVerdict(v record.Verdict) slog.Level {
	switch v {
	case record.Pass, record.NotEnoughRuns, record.CutShort:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

func (r *ramps) setLive(name string, l *liveRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l == nil {
		delete(r.live, name)
	} else {
		r.live[name] = l
	}
}

// running lists the runs that are under way, by their ramps' names.
func (r *ramps) running() []*liveRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.live), func(a, b *liveRun) int { return strings.Compare(a.Ramp, b.Ramp) })
}

// remember says what the last run of a ramp was, from before this process began.
func (r *ramps) remember(name string) {
	r.mu.Lock()
	known := r.known[name]
	r.known[name] = true
	r.mu.Unlock()
	if known || !r.store.exists() {
		return
	}
	if run := r.store.newest(name); run != nil {
		r.metrics.Last(name, figuresOf(run))
		r.setVerdict(name, run.Verdict)
	}
}

func (r *ramps) setVerdict(name string, v record.Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[name] = v
}

// verdict is that of a ramp's last run; false where there was none.
func (r *ramps) verdict(name string) (record.Verdict, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.last[name]
	return v, ok
}

// setLost keeps what a ramp has missed, unless it is older than what is kept: of several probers that is known later.
func (r *ramps) setLost(name string, m missedRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.nominal.After(r.lost[name].nominal) {
		r.lost[name] = m
	}
}

// missed is the newest occasion that a ramp has missed, as far as this process knows; zero: none.
func (r *ramps) missed(name string) (time.Time, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost[name].nominal, string(r.lost[name].reason)
}

// lastRun is the occasion of the newest run of a ramp that had one.
func (r *ramps) lastRun(name string) time.Time {
	if !r.store.exists() {
		return time.Time{}
	}
	for _, info := range r.store.list(name) {
		if !info.Nominal.IsZero() && info.Shards == 0 { // shards have their own times
			return info.Nominal
		}
	}
	return time.Time{}
}

// shutdown ends all runs and waits for them.
func (r *ramps) shutdown(ctx context.Context) { r.cron.Shutdown(ctx) }

// rampEvents files what becomes of ramps' times with the collector and the log.
type rampEvents struct {
	cron.NoEvents
	r *ramps
}

// Planned implements cron.Events.
func (e rampEvents) Planned(name string, next time.Time) { e.r.metrics.Next(name, next) }

// Missed implements cron.Events. The line in the log is all that the log says of it; of several occasions it names the last.
func (e rampEvents) Missed(name string, reason cron.Reason, nominal ...time.Time) {
	for range nominal {
		e.r.metrics.Missed(name, string(reason))
	}
	e.r.setLost(name, missedRun{nominal[len(nominal)-1], reason})
	e.r.d.logger.Warn("ramp missed", "ramp", name, "nominal", nominal[len(nominal)-1], "occasions", len(nominal), "reason", reason,
		"runbook", alerts.DefaultRunbookURL+"/LLMRampMissed.md")
}

// ClaimedElsewhere implements cron.Events.
func (e rampEvents) ClaimedElsewhere(name string, nominal time.Time) {
	e.r.d.logger.Info("ramp is run by another prober", "ramp", name, "nominal", nominal)
}

// Panicked implements cron.Events. The scheduler has it in the log, with the stack.
func (e rampEvents) Panicked(name string, _ time.Time, _ record.Trigger, _ any) {
	e.r.setLive(name, nil)
}
