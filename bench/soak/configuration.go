package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// mostFaster is how much more often the demo's probes can ask: the quickest does so every 3 s, and no probe may more often than
// every second. The rest of the rate is copies of the demo's targets.
const mostFaster = 3

// anyServer stands for the server until there is one.
const anyServer = "http://server.invalid"

// mix is the demo's mix at some times its rate.
type mix struct {
	demo   map[string]any // the demo's configuration
	copies int
	faster float64 // each copy; copies * faster is the rate
}

// newMix takes the demo's configuration from the repository around the working directory.
func newMix(root string, rate float64) (*mix, error) {
	text, err := os.ReadFile(filepath.Join(root, "cmd/llm_prober/demo.yml"))
	if err != nil {
		return nil, fmt.Errorf("the demo's configuration: %w", err)
	}
	m := &mix{copies: int(math.Ceil(rate / mostFaster))}
	m.faster = rate / float64(m.copies)
	whole := strings.ReplaceAll(string(text), "${server}", anyServer)
	if err := yaml.Unmarshal([]byte(whole), &m.demo); err != nil {
		return nil, fmt.Errorf("the demo's configuration: %w", err)
	}
	return m, nil
}

// probesOf is the demo's probes, as copies that may be changed.
func (m *mix) probesOf() map[string]map[string]any {
	probes := map[string]map[string]any{}
	for name, probe := range m.demo["probes"].(map[string]any) {
		fields := map[string]any{}
		maps.Copy(fields, probe.(map[string]any))
		probes[name] = fields
	}
	return probes
}

// file is the configuration that asks server. With filling each probe asks every second for next to nothing; with a guest there
// is one target more.
func (m *mix) file(server string, filling, guest bool) ([]byte, error) {
	probes := m.probesOf()
	for name, probe := range probes {
		if err := m.hasten(probe, filling); err != nil {
			return nil, fmt.Errorf("probe %s of the demo: %w", name, err)
		}
	}
	var targets, objectives []any
	add := func(suffix string) {
		for _, target := range m.demo["targets"].([]any) {
			fields := map[string]any{}
			maps.Copy(fields, target.(map[string]any))
			fields["name"] = fmt.Sprint(fields["name"], suffix)
			delete(fields, "budget") // of the demo's own rate
			targets = append(targets, fields)
		}
		for _, objective := range m.demo["objectives"].([]any) {
			fields := map[string]any{}
			maps.Copy(fields, objective.(map[string]any))
			fields["name"] = fmt.Sprint(fields["name"], strings.ReplaceAll(suffix, "-", "_"))
			fields["target"] = fmt.Sprint(fields["target"], suffix)
			objectives = append(objectives, fields)
		}
	}
	for i := range m.copies {
		add(fmt.Sprintf("-%02d", i))
	}
	if guest {
		add("-guest")
	}
	file := map[string]any{
		"global":  map[string]any{"timeout": "30s", "max_in_flight": 2000, "degraded_after": "50ms", "labels": map[string]any{"vantage": "soak"}},
		"probes":  probes,
		"targets": targets, "objectives": objectives,
	}
	text, err := yaml.Marshal(file)
	return []byte(strings.ReplaceAll(string(text), anyServer, server)), err
}

// hasten makes a probe ask more often, by m.faster; filling, as often as it may.
func (m *mix) hasten(probe map[string]any, filling bool) error {
	faster := func(fields map[string]any, key string) error {
		every, err := time.ParseDuration(fmt.Sprint(fields[key]))
		if err != nil {
			return err
		}
		every = max(time.Duration(float64(every)/m.faster).Round(time.Millisecond), time.Second)
		if filling {
			every = time.Second
		}
		fields[key] = fmt.Sprintf("%dms", every.Milliseconds())
		return nil
	}
	if burst, ok := probe["burst"].(map[string]any); ok {
		fields := map[string]any{}
		maps.Copy(fields, burst)
		probe["burst"] = fields
		return faster(fields, "after_idle")
	}
	return faster(probe, "interval")
}

// normalRate is how many requests the demo sends in an hour: as many as were sent in an hour of the mix, by how much faster it is.
func (m *mix) normalRate(requests, seconds float64) float64 {
	return requests / seconds * 3600 / (float64(m.copies) * m.faster)
}
