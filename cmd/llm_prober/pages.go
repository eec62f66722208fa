package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/internal/web"
)

// What the pages show beside the results.

func (d *daemon) pageObjectives() []web.Objective {
	var objectives []web.Objective
	for _, c := range d.objectives.Counts() {
		objectives = append(objectives, web.Objective{
			Name: c.Name, Target: c.Target, Probe: c.Probe, Indicator: string(c.Indicator), Threshold: c.Threshold, Goal: c.Goal,
			Events: c.Events, Bad: c.Bad, Since: c.Since,
		})
	}
	slices.SortFunc(objectives, func(a, b web.Objective) int {
		return cmp.Or(strings.Compare(a.Target, b.Target), strings.Compare(a.Name, b.Name))
	})
	return objectives
}

func (d *daemon) pageEngines() []web.Engine {
	cfg := d.inForce.Load()
	if cfg == nil {
		return nil
	}
	var engines []web.Engine
	for _, tc := range cfg.Targets {
		e := d.engines.Engine(tc.Name)
		if e == nil {
			continue
		}
		shown := web.Engine{Target: tc.Name}
		shown.Problem, shown.Because = e.Problem()
		if s, ok := e.Snapshot(); ok {
			shown.Up, shown.Kind, shown.Running, shown.Waiting, shown.KVCache = true, string(s.Kind), s.Running, s.Waiting, s.KVCacheUsage
		}
		engines = append(engines, shown)
	}
	return engines
}

// recentXID is how long an XID is shown beside the target that it may explain.
const recentXID = time.Hour

func (d *daemon) pageGPUs() []web.GPU {
	cfg := d.inForce.Load()
	if cfg == nil || d.gpus == nil {
		return nil
	}
	view := d.gpus()
	if view.Snapshot == nil {
		return nil
	}
	devices := map[string]*gpu.Device{}
	for i := range view.Snapshot.Devices {
		devices[view.Snapshot.Devices[i].UUID] = &view.Snapshot.Devices[i]
	}
	var gpus []web.GPU
	for _, tc := range cfg.Targets {
		for _, uuid := range tc.GPUs {
			dev := devices[uuid]
			if dev == nil {
				continue // of another host
			}
			shown := web.GPU{Target: tc.Name, Name: cmp.Or(dev.Info.Name, uuid), Lost: dev.Lost != "", Throttled: strings.Join(throttled(dev), ", ")}
			for _, xid := range view.XIDs {
				if xid.GPU.UUID == uuid && xid.Count > 0 && time.Since(xid.Last) < recentXID {
					shown.XID = fmt.Sprintf("XID %s at %s", xid.Code, xid.Last.UTC().Format("15:04:05 UTC"))
				}
			}
			gpus = append(gpus, shown)
		}
	}
	return gpus
}

// throttled are the reasons that hold a GPU's clocks down, but for those that are no trouble: idleness, and the power cap, which
// is what full load looks like.
func throttled(dev *gpu.Device) []string {
	var reasons []string
	for reason, holds := range dev.ClockEvents {
		if holds && reason != "gpu_idle" && reason != "sw_power_cap" && reason != "applications_clocks_setting" {
			reasons = append(reasons, reason)
		}
	}
	slices.Sort(reasons)
	return reasons
}

func (d *daemon) pageSchedule() web.Schedule {
	cfg := d.inForce.Load()
	if cfg == nil {
		return web.Schedule{}
	}
	status := d.scheduler.Status()
	s := web.Schedule{InFlight: status.InFlight, MaxInFlight: cfg.Global.MaxInFlight}
	for _, j := range status.Jobs {
		target, probe, _ := strings.Cut(j.Key, "/")
		job := web.Job{Target: target, Probe: probe, Next: j.Next, Running: j.Running}
		if pc := cfg.Probes[probe]; pc != nil {
			job.Interval, job.Jitter = time.Duration(pc.Interval), time.Duration(pc.Jitter)
			if pc.Burst != nil {
				job.Interval, job.Burst = time.Duration(pc.Burst.AfterIdle), pc.Burst.Size
			}
		}
		s.Jobs = append(s.Jobs, job)
	}
	add := func(target string, b collector.Budget, room time.Duration) {
		s.Budgets = append(s.Budgets, web.Budget{Target: target, Measure: b.Name, Currency: b.Currency, Used: b.Used, Limit: b.Limit, RoomIn: room})
	}
	for _, b := range status.Budgets {
		if b.Limit > 0 {
			add("", collector.Budget{Name: string(b.Measure), Currency: b.Currency, Used: b.Used, Limit: b.Limit}, b.RoomIn)
		}
	}
	for _, g := range status.Groups {
		if g.PausedUntil.After(time.Now()) {
			s.Pauses = append(s.Pauses, web.Pause{Target: g.Name, Until: g.PausedUntil})
		}
		for _, b := range g.Budgets {
			if b.Limit > 0 {
				add(g.Name, collector.Budget{Name: string(b.Measure), Currency: b.Currency, Used: b.Used, Limit: b.Limit}, b.RoomIn)
			}
		}
	}
	s.Ramps = d.ramps.page()
	return s
}

// page is what the schedule page shows of the ramps.
func (r *ramps) page() []web.Ramp {
	cfg := r.d.inForce.Load()
	var shown []web.Ramp
	for _, status := range r.cron.Status() {
		rc := cfg.Ramp(status.Name)
		if rc == nil {
			continue
		}
		ramp := web.Ramp{
			Name: rc.Name, Target: rc.Target, Schedule: string(rc.Schedule), Takes: rc.PlannedDuration(), Running: status.Running,
		}
		if !status.Next.IsZero() {
			ramp.Times = append(ramp.Times, status.Next)
			const most = 50
			for at := rc.Next(status.Nominal); !at.IsZero() && time.Until(at) < 24*time.Hour && len(ramp.Times) < most; at = rc.Next(at) {
				ramp.Times = append(ramp.Times, at)
			}
		}
		if verdict, ok := r.verdict(rc.Name); ok {
			ramp.Verdict = string(verdict)
		}
		ramp.Missed, ramp.Reason = r.missed(rc.Name)
		shown = append(shown, ramp)
	}
	return shown
}

// guide is every metric there is.
func guide() []web.Metric {
	var metrics []web.Metric
	for _, f := range collector.Families() {
		metrics = append(metrics, web.Metric{
			Name: f.Name, Type: string(f.Kind), Group: strings.ToUpper(string(f.Scope[:1])) + string(f.Scope[1:]), Help: f.Help, Note: f.Note, Labels: f.Labels,
		})
	}
	for _, f := range engine.Families() {
		m := web.Metric{Name: f.Name, Type: string(f.Type), Group: "Serving engines", Help: f.Help, Note: f.Note}
		if f.Label != "" {
			m.Labels = []string{f.Label}
		}
		metrics = append(metrics, m)
	}
	for _, f := range gpu.Families() {
		kind := "gauge"
		if f.Counter {
			kind = "counter"
		}
		metrics = append(metrics, web.Metric{Name: f.Name, Type: kind, Group: "GPUs", Help: f.Help, Labels: f.Labels})
	}
	return metrics
}

// endpoint is how a target is asked.
func (d *daemon) endpoint(target string) (web.Endpoint, bool) {
	cfg := d.inForce.Load()
	if cfg == nil {
		return web.Endpoint{}, false
	}
	tc := cfg.Target(target)
	if tc == nil {
		return web.Endpoint{}, false
	}
	e := web.Endpoint{URL: tc.URL, Protocol: tc.Protocol}
	for name := range tc.Headers {
		e.Headers = append(e.Headers, name)
	}
	if tc.HTTP.Authorization != nil || tc.HTTP.BasicAuth != nil || tc.HTTP.OAuth2 != nil {
		e.Headers = append(e.Headers, "Authorization")
	}
	slices.Sort(e.Headers)
	return e, true
}

// pageConfig is the configuration in force, secrets hidden.
func (d *daemon) pageConfig() string {
	if cfg := d.inForce.Load(); cfg != nil {
		return cfg.String()
	}
	return ""
}
