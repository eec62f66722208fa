package main

import (
	"reflect"

	"github.com/prometheus/common/model"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/config/internal/fields"
)

// A file that leaves out everything that has a default, and the same with another timeout: what it changes follows from it.
const (
	shortest = `
probes: {p: {prompt_tokens: 1, max_output_tokens: 1, interval: 1s, tools: [{function: {name: f}}], retry: {attempts: 2}}, q: {prompt_tokens: 1, max_output_tokens: 1, interval: 1s}}
targets: [{name: t, url: "http://h", model: m, probes: [p], http: {}, engine: {metrics_url: "http://h/metrics", custom: {step_tokens: {metric: m}}}}]
target_files: [{files: [f.json]}]
http_sd: [{url: "http://h"}]
probe_on_demand: {allow: ["http://h"]}
ramps:
  - {name: hand, target: t, lanes: [{mix: {p: 1}, arrivals: {process: trace, file: f}}], objectives: [{indicator: ttft, threshold: 1s}], compare: {with: previous}}
  - {name: baseline, target: t, mix: {p: 1}, shape: {baseline: {}}}
  - {name: step, target: t, mix: {p: 1}, shape: {step: {from: 1/s, to: 2/s, steps: 2}}}
  - {name: linear, target: t, mix: {p: 1}, shape: {linear: {to: 2/s}}}
  - {name: spike, target: t, mix: {p: 1}, shape: {spike: {base: 1/s, peak: 2/s}}}
  - {name: soak, target: t, mix: {p: 1}, shape: {soak: {load: 1/s}}}
  - {name: burst_after_idle, target: t, mix: {p: 1}, shape: {burst_after_idle: {size: 1, idle: 1m}}}
  - {name: search, target: t, mix: {p: 1}, shape: {search: {from: 1/s, to: 2/s}}, objectives: [{indicator: ttft, threshold: 1s}]}
  - {name: mix_sweep, target: t, mix: {p: 1, q: 1}, shape: {mix_sweep: {load: 1/s, probe: q}}}
  - {name: noisy_neighbour, target: t, mix: {p: 1}, shape: {noisy_neighbour: {victim: 1/s, neighbour: 2/s}}}
  - {name: recovery, target: t, mix: {p: 1}, shape: {recovery: {base: 1/s, overload: 2/s}}}
`
	otherTimeout = "global: {timeout: 30s}" + shortest
)

// sample holds a value of each type as those files give it.
type sample struct {
	first, other map[reflect.Type]reflect.Value
}

func newSample() (sample, error) {
	first, err := valuesOf(shortest)
	if err != nil {
		return sample{}, err
	}
	other, err := valuesOf(otherTimeout)
	return sample{first, other}, err
}

func valuesOf(file string) (map[reflect.Type]reflect.Value, error) {
	c, err := config.Parse("sample", []byte(file), config.Options{})
	if err != nil {
		return nil, err
	}
	values := map[reflect.Type]reflect.Value{}
	probe, target := c.Probes["p"], c.Targets[0]
	all := []any{
		*c, c.Global, *probe, *probe.Tools[0], probe.Expect, *probe.Retry, *target, target.TargetSettings, target.Budget, target.HTTP, *target.Engine,
		target.Engine.Custom["step_tokens"], *c.TargetFiles[0], *c.HTTPSD[0], *c.ProbeOnDemand,
	}
	ramp := c.Ramps[0]
	all = append(all, *ramp, *ramp.Lanes[0], *ramp.Lanes[0].Arrivals, *ramp.Objectives[0], ramp.Abort, *ramp.Compare)
	for _, r := range c.Ramps[1:] {
		shape := reflect.ValueOf(*r.Shape)
		for _, p := range shape.Fields() {
			if !p.IsNil() {
				all = append(all, p.Elem().Interface())
			}
		}
	}
	for _, v := range all {
		values[reflect.TypeOf(v)] = reflect.ValueOf(v)
	}
	return values, nil
}

// defaultOf returns the value of a key that is left out: nil where it is empty, or no value of its own.
func (s sample) defaultOf(f fields.Field) any {
	v, ok := s.first[f.Owner]
	if !ok || !isOptional(f) || s.follows(f) != "" {
		return nil
	}
	v = v.FieldByName(f.Name)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if list, ok := v.Interface().([]float64); ok && len(list) > 0 {
		return list
	}
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.Struct, reflect.Pointer:
		return nil // empty
	}
	if unset()[f.Owner.Name()+"."+f.Key] {
		return nil
	}
	switch value := v.Interface().(type) {
	case model.Duration:
		return value.String()
	case config.Percent:
		return value.String()
	}
	if v.Kind() == reflect.String && v.Len() == 0 {
		return nil
	}
	return v.Interface()
}

// unset are the keys whose value in the sample is no default: another key made it, or it is zero for none.
func unset() map[string]bool {
	return map[string]bool{
		"TargetFiles.name": true, "HTTPSD.name": true, "Lane.name": true, "Lane.target": true, "Arrivals.process": true, "Arrivals.file": true,
		"Arrivals.burstiness": true, "Lane.concurrency": true, "Probe.turns": true, "StepShape.steps": true,
		"Abort.ttft_p50": true, "Abort.ttft_p90": true, "Abort.ttft_p95": true, "Abort.ttft_p99": true,
		"Abort.waiting": true, "Abort.in_flight": true, "Abort.cost": true,
	}
}

// follows says what a key follows where it is left out: a probe global, a timeout the whole one.
func (s sample) follows(f fields.Field) string {
	switch f.Owner {
	case reflect.TypeFor[config.Probe]():
		if _, ok := reflect.TypeFor[config.Global]().FieldByName(f.Name); ok {
			return "global's"
		}
	case reflect.TypeFor[config.Global]():
		first, other := s.first[f.Owner].FieldByName(f.Name), s.other[f.Owner].FieldByName(f.Name)
		if f.Key != "timeout" && first.Comparable() && !first.Equal(other) {
			return "`timeout`"
		}
	}
	return ""
}

// isOptional reports whether a key may be left out. Prometheus' types have omitempty only where what is zero is not written.
func isOptional(f fields.Field) bool { return f.Optional || f.Owner.PkgPath() == prometheusConfig }
