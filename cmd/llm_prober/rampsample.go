package main

import (
	"context"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// sampler looks at what stands beside the requests of a run.
type sampler struct {
	target  *config.Target
	engines *engine.Engines
	gpus    func() gpu.View // nil: none are collected
	victims *victims        // nil: there are no continuous probes
	beside  []string        // the probes that may become victims
	since   time.Time       // readings of the engine that are older say nothing of the run

	first, last engine.Snapshot // Totals and counters are told as differences
	known       bool
}

// sample implements ramp.Plan's Sample. It is called by one goroutine.
func (s *sampler) sample(context.Context) record.Sample {
	r := record.Sample{At: time.Now(), Engine: s.engine(), GPUs: s.gpuSamples()}
	if s.victims != nil && len(s.beside) > 0 {
		r.Victims = s.victims.newest(s.beside)
	}
	return r
}

func (s *sampler) engine() *record.EngineSample {
	e := s.engines.Engine(s.target.Name)
	if e == nil {
		return nil
	}
	now, ok := e.Snapshot()
	if !ok || now.At.Before(s.since) {
		return nil
	}
	if !s.known {
		s.first, s.last, s.known = now, now, true
	}
	r := &record.EngineSample{Running: now.Running, Waiting: now.Waiting, KVUsage: now.KVCacheUsage}
	if now.Preemptions != nil && s.first.Preemptions != nil {
		r.Preemptions = new(*now.Preemptions - *s.first.Preemptions)
	}
	if now.QueueWait != nil && s.last.QueueWait != nil {
		if n := now.QueueWait.Count - s.last.QueueWait.Count; n > 0 {
			r.QueueWait = new((now.QueueWait.Sum - s.last.QueueWait.Sum) / n)
		}
	}
	s.last = now
	return r
}

func (s *sampler) gpuSamples() []record.GPUSample {
	if s.gpus == nil {
		return nil
	}
	view := s.gpus()
	if view.Snapshot == nil {
		return nil
	}
	var samples []record.GPUSample
	for i := range view.Snapshot.Devices {
		d := &view.Snapshot.Devices[i]
		if !slices.Contains(s.target.GPUs, d.UUID) || d.Lost != "" {
			continue
		}
		g := record.GPUSample{UUID: d.UUID, Utilization: d.Utilization, Temperature: d.Temperature, Power: d.Power}
		if d.Memory != nil {
			g.MemoryUsed = new(float64(d.Memory.Used))
		}
		if hertz, ok := d.Clocks["sm"]; ok {
			g.SMClock = &hertz
		}
		for reason, holds := range d.ClockEvents {
			if holds {
				g.Throttled = append(g.Throttled, reason)
			}
		}
		slices.Sort(g.Throttled)
		samples = append(samples, g)
	}
	return samples
}
