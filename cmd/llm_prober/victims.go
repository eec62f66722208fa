package main

import (
	"slices"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober"
)

// victims is the sink that keeps the newest times to first token of continuous probes, so that a ramp can see whom it hurts.
type victims struct {
	mu     sync.Mutex // protects latest
	latest map[string][]time.Duration
}

// usualOf is how many requests tell what is usual.
const usualOf = 20

// Observe implements prober.Sink.
func (v *victims) Observe(r *prober.Result) {
	d, ok := r.TTFT()
	if !ok {
		return
	}
	key := jobKey(r.Request.Target, r.Request.Probe)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.latest == nil {
		v.latest = map[string][]time.Duration{}
	}
	kept := append(v.latest[key], d)
	v.latest[key] = kept[max(0, len(kept)-usualOf):]
}

// beside lists the probes of other targets that share an engine or a GPU with a target.
func beside(cfg *config.Config, name string) []string {
	tc := cfg.Target(name)
	if tc == nil {
		return nil
	}
	var keys []string
	for _, other := range cfg.Targets {
		sameEngine := tc.Engine != nil && other.Engine != nil && tc.Engine.MetricsURL == other.Engine.MetricsURL
		sameGPU := slices.ContainsFunc(other.GPUs, func(uuid string) bool { return slices.Contains(tc.GPUs, uuid) })
		if other.Name == name || !sameEngine && !sameGPU {
			continue
		}
		for _, probe := range other.Probes {
			keys = append(keys, jobKey(other.Name, probe))
		}
	}
	return keys
}

// usual is the median of the newest times to first token, in seconds, by probe; those of which too little is known are left out.
func (v *victims) usual(keys []string) map[string]float64 {
	const least = 5
	return v.look(keys, func(newest []time.Duration) (time.Duration, bool) {
		if len(newest) < least {
			return 0, false
		}
		sorted := slices.Sorted(slices.Values(newest))
		return sorted[len(sorted)/2], true
	})
}

// newest is the time to first token of the newest request, in seconds, by probe.
func (v *victims) newest(keys []string) map[string]float64 {
	return v.look(keys, func(newest []time.Duration) (time.Duration, bool) {
		return newest[len(newest)-1], true
	})
}

func (v *victims) look(keys []string, of func([]time.Duration) (time.Duration, bool)) map[string]float64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen := map[string]float64{}
	for _, key := range keys {
		if kept := v.latest[key]; len(kept) > 0 {
			if d, ok := of(kept); ok {
				seen[key] = d.Seconds()
			}
		}
	}
	return seen
}
