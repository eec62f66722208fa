package main

import (
	"context"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/collector"
)

// baselinesEvery is how often the pinned baselines are read: a command may have saved one.
const baselinesEvery = 10 * time.Second

// followBaselines reads the pinned baselines until ctx ends. A scrape only reads memory, so that a disk that hangs, or a want of
// files, costs none of its series.
func (d *daemon) followBaselines(ctx context.Context) {
	ticker := time.NewTicker(baselinesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			d.readBaselines()
		case <-ctx.Done():
			return
		}
	}
}

// readBaselines reads the pinned baselines. It is called by one goroutine at a time. Where they cannot be read, those that were read last stay.
func (d *daemon) readBaselines() {
	cfg := d.inForce.Load()
	if cfg == nil || len(cfg.Ramps) == 0 && !d.storage.exists() {
		return
	}
	store := d.storage.open()
	if store == nil {
		return
	}
	saved, err := store.Baselines()
	switch {
	case err == nil:
		d.pinned.Store(&saved)
		d.pinnedFailed = false
	case !d.pinnedFailed: // once, until it works again
		d.pinnedFailed = true
		d.logger.Error("pinned baselines cannot be read: those that were read last stay; without any, their series are absent, and alerts against them do not fire", "err", err)
	}
}

// baselinesNow are the pinned baselines of the targets that are probed, for the metrics.
func (d *daemon) baselinesNow() []collector.Baseline {
	cfg, saved := d.inForce.Load(), d.pinned.Load()
	if cfg == nil || saved == nil {
		return nil
	}
	var baselines []collector.Baseline
	for _, tc := range cfg.Targets {
		for _, v := range (*saved)[tc.Name] {
			if slices.Contains(tc.Probes, v.Probe) {
				baselines = append(baselines, collector.Baseline{
					Target: tc.Name, Model: tc.Model, Probe: v.Probe, Labels: tc.Labels,
					Indicator: collector.Indicator(v.Indicator), Quantile: v.Quantile, Seconds: v.Seconds,
				})
			}
		}
	}
	return baselines
}
