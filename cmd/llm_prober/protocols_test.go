package main

import (
	"slices"
	"testing"

	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/wire"
)

// TestProtocolsAgree keeps the protocols that a configuration may name those that can be spoken: config may not import wire.
func TestProtocolsAgree(t *testing.T) {
	configured, spoken := slices.Sorted(slices.Values(config.Protocols())), slices.Sorted(slices.Values(wire.Names()))
	if !slices.Equal(configured, spoken) {
		t.Errorf("config.Protocols() = %q; wire speaks %q", configured, spoken)
	}
}

// TestEnginesAgree does the same for what is read of engines.
func TestEnginesAgree(t *testing.T) {
	var kinds []string
	for _, k := range engine.Kinds() {
		kinds = append(kinds, string(k))
	}
	slices.Sort(kinds)
	if configured := slices.Sorted(slices.Values(config.EngineKinds())); !slices.Equal(configured, kinds) {
		t.Errorf("config.EngineKinds() = %q; engine knows %q", configured, kinds)
	}
	configured, mappable := slices.Sorted(slices.Values(config.EngineMetrics())), slices.Sorted(slices.Values(engine.Mappable()))
	if !slices.Equal(configured, mappable) {
		t.Errorf("config.EngineMetrics() = %q; engine maps %q", configured, mappable)
	}
}
