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
probes: {p: {prompt_tokens: 1, max_output_tokens: 1, interval: 1s, tools: [{function: {name: f}}]}}
targets: [{name: t, url: "http://h", model: m, probes: [p], http: {}, engine: {metrics_url: "http://h/metrics", custom: {step_tokens: {metric: m}}}}]
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
	for _, v := range []any{
		*c, c.Global, *probe, *probe.Tools[0], probe.Expect, *target, target.Budget, target.HTTP, *target.Engine, target.Engine.Custom["step_tokens"],
	} {
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
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.Struct, reflect.Pointer:
		return nil // empty
	}
	if v.Type() == reflect.TypeFor[model.Duration]() {
		return v.Interface().(model.Duration).String()
	}
	if v.Kind() == reflect.String && v.Len() == 0 {
		return nil
	}
	return v.Interface()
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
