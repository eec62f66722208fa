package main

import (
	"strings"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober/schedule"
)

// events files what becomes of each tick with the collectors.
type events struct {
	d *daemon

	mu    sync.Mutex                 // protects ended
	ended map[*schedule.Job][]func() // of the run under way, of which a job has one at most: takes its requests off the in-flight gauge
}

func newEvents(d *daemon) *events { return &events{d: d, ended: map[*schedule.Job][]func(){}} }

// Ticked implements schedule.Events.
func (e *events) Ticked(_ *schedule.Job, late time.Duration) { e.d.self.SchedulerLag(late) }

// Skipped implements schedule.Events.
func (e *events) Skipped(j *schedule.Job, reason schedule.Reason, n int) {
	target, probe, _ := strings.Cut(j.Key, "/")
	for range n {
		e.d.probes.Skip(target, probe, string(reason))
	}
	e.d.logger.Debug("probe skipped", "target", target, "probe", probe, "reason", reason, "ticks", n)
}

// Started implements schedule.Events.
func (e *events) Started(j *schedule.Job) {
	target, probe, _ := strings.Cut(j.Key, "/")
	var ended []func()
	for range max(1, j.Burst.Size) {
		ended = append(ended, e.d.probes.Started(target, probe))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended[j] = ended
}

// Finished implements schedule.Events.
func (e *events) Finished(j *schedule.Job) {
	e.mu.Lock()
	ended := e.ended[j]
	delete(e.ended, j)
	e.mu.Unlock()
	for _, end := range ended {
		end()
	}
}

// Panicked implements schedule.Events. The scheduler has logged it; the run has no result, so the probe shows as stale.
func (e *events) Panicked(*schedule.Job) {}
