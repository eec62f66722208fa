package main

import (
	"slices"
	"testing"

	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/queuewait"
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

// TestQueueWaitsAgree keeps the targets of which config is certain that no answer tells a queue wait those that have no series of one.
func TestQueueWaitsAgree(t *testing.T) {
	for _, protocol := range config.Protocols() {
		for _, kind := range append(config.EngineKinds(), "") {
			target := &config.Target{Protocol: protocol}
			if kind != "" {
				target.Engine = &config.Engine{Kind: kind}
			}
			own := slices.DeleteFunc(queueWaitSources(target, false), func(s queuewait.Source) bool { return s == queuewait.Engine })
			if tells := target.TellsQueueWait(false); tells != (len(own) > 0) {
				t.Errorf("%s, engine %q: TellsQueueWait(false) = %v; the series of its answers in one piece have the sources %q", protocol, kind, tells, own)
			}
			if target.TellsQueueWait(true) && !target.TellsQueueWait(false) {
				t.Errorf("%s, engine %q: streamed answers tell what those in one piece do not", protocol, kind)
			}
		}
	}
}
