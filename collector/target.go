package collector

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// targetUnit is the series of one target that are none of a probe's.
type targetUnit struct {
	identity string
	metrics  []made // all of the below

	unloaded map[int]*optionalGauge // by prompt tokens; nil where nothing streams
}

// UnloadedPromptTokens lists the lengths of prompts for which the unloaded time to first token is exported.
func UnloadedPromptTokens() []int { return []int{128, 1024, 8192} }

// newTargets makes the series of the targets that series speak of. What stays the same is taken over from old.
func (p *Probes) newTargets(series []Series, old map[string]*targetUnit) map[string]*targetUnit {
	first := make(map[string]Series) // of each target
	streams := make(map[string]bool)
	for _, s := range series {
		if _, ok := first[s.Target]; !ok {
			first[s.Target] = s
		}
		streams[s.Target] = streams[s.Target] || s.Stream
	}
	targets := make(map[string]*targetUnit, len(first))
	for name, s := range first {
		targets[name] = newTargetUnit(p.families, s, streams[name], old[name])
	}
	return targets
}

func newTargetUnit(families familyTable, s Series, streams bool, old *targetUnit) *targetUnit {
	labels := s.labels()
	delete(labels, "probe")
	t := &targetUnit{identity: identityOf(labels)}
	m := maker{families: families, labels: labels}
	if old != nil && old.identity == t.identity {
		m.before = byKey(old.metrics)
	}
	if streams {
		t.unloaded = make(map[int]*optionalGauge)
		for _, n := range UnloadedPromptTokens() {
			t.unloaded[n] = m.optional(NameUnloadedTTFT, "prompt_tokens", strconv.Itoa(n))
		}
	}
	if s.HourlyPrice != nil {
		m.gaugeOf(NameHourlyPrice, "currency", s.HourlyPrice.Currency).Set(s.HourlyPrice.Amount)
	}
	t.metrics = m.made
	return t
}

// identityOf writes labels so that two sets that differ are never written alike.
func identityOf(labels prometheus.Labels) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(strconv.Quote(name))
		b.WriteString(strconv.Quote(labels[name]))
	}
	return b.String()
}

// UnloadedTTFT says what is known of a target's time to first token without load, by the uncached tokens of the prompt. Of the
// lengths in UnloadedPromptTokens, those that are not in known are absent from the page.
func (p *Probes) UnloadedTTFT(target string, known map[int]time.Duration) {
	t := p.units.Load().targets[target]
	if t == nil {
		return
	}
	for n, g := range t.unloaded {
		if d, ok := known[n]; ok {
			g.set(seconds(d))
		} else {
			g.forget()
		}
	}
}
