package config

import (
	"maps"
	"slices"

	"github.com/prometheus/common/model"
)

// The indicators of objectives.
const (
	IndicatorTTFT         = "ttft"                     // time to first token; streaming only
	IndicatorDuration     = "duration"                 // of the whole request
	IndicatorTPOT         = "tpot"                     // time per output token; streaming only
	IndicatorRate         = "output_tokens_per_second" // the one that is good when it is large; streaming only
	IndicatorQueueWait    = "queue_wait"               // where the server says it
	IndicatorAvailability = "availability"             // the outcome alone: no threshold
)

// Indicators lists the indicators of objectives.
func Indicators() []string {
	return []string{IndicatorTTFT, IndicatorDuration, IndicatorTPOT, IndicatorRate, IndicatorQueueWait, IndicatorAvailability}
}

// objectives checks what is promised of targets.
func (v *validator) objectives(n *node) {
	lines := map[string]int{} // of each name
	for i, o := range v.config.Objectives {
		at := n.item(i)
		if at == nil {
			continue
		}
		if name := at.get("name"); name != nil {
			v.name(name, o.Name, "an objective's name")
			line, again := lines[o.Name]
			v.must(!again, name, "objective %q is already defined in line %d; no two objectives share a name", o.Name, line)
			lines[o.Name] = name.line
		}
		v.must(slices.Contains(Indicators(), o.Indicator), at.get("indicator"), "unknown indicator %q%s", o.Indicator, didYouMean(o.Indicator, Indicators()))
		v.objectiveOf(o, at)
		if o.Indicator != IndicatorAvailability {
			v.threshold(o.Indicator, o.Threshold, at)
		} else {
			v.must(!at.has("threshold"), at.get("threshold"), "availability has no threshold: a request failed, or it did not")
		}
		v.must(o.Goal > 0 && o.Goal < 1, at.get("goal"), "a goal is a share above 0 and below 1, such as 0.99; with 1 no request could ever fail")
	}
}

// objectiveOf checks which requests an objective is about.
func (v *validator) objectiveOf(o *Objective, at *node) {
	name := at.get("probe")
	p := v.config.Probes[o.Probe]
	defined := v.root.get("probes")
	known := p != nil || defined == nil || defined.has(o.Probe)
	v.streamed(p, o.Probe, o.Indicator, at.get("indicator"))
	if o.Target == EveryTarget && at.get("target") != nil {
		v.must(known, name, "there is no probe %q%s", o.Probe, suggestion{o.Probe, defined.keys})
		runs := func(t *Target) bool { return slices.Contains(t.Probes, o.Probe) }
		if known && v.targetsAreKnown() && !v.config.discovers() {
			v.must(slices.ContainsFunc(v.config.Targets, runs), name, "no target runs the probe %q", o.Probe)
		}
		return
	}
	target := v.targetNamed(at.get("target"), o.Target)
	if target == nil || name == nil {
		return
	}
	if !known {
		v.must(false, name, "there is no probe %q%s", o.Probe, suggestion{o.Probe, defined.keys})
		return
	}
	index := slices.Index(v.config.Targets, target)
	if v.root.get("targets").item(index).get("probes") != nil {
		v.must(slices.Contains(target.Probes, o.Probe), name, "the target %q does not run the probe %q; add it to its probes", target.Name, o.Probe)
	}
}

// targetsAreKnown reports whether the names of all targets of the file are sound. Where one is not, what is missing is not known.
func (v *validator) targetsAreKnown() bool { return v.targetsByName() != nil }

// targetsByName has the targets of the file, of several with one name the first; nil where they are not known.
func (v *validator) targetsByName() map[string]*Target {
	if v.looked {
		return v.byName
	}
	v.looked = true
	list := v.root.get("targets")
	if list == nil && v.root.has("targets") || list != nil && slices.ContainsFunc(list.children, func(n *node) bool { return n.get("name") == nil }) {
		return nil
	}
	v.byName = map[string]*Target{}
	for _, t := range v.config.Targets {
		if v.byName[t.Name] == nil {
			v.byName[t.Name] = t
		}
	}
	return v.byName
}

// discovers reports whether targets come from outside.
func (c *Config) discovers() bool { return len(c.TargetFiles)+len(c.HTTPSD) > 0 }

// targetNamed returns the target that n names, or reports that there is none.
func (v *validator) targetNamed(n *node, name string) *Target {
	if n == nil || !v.targetsAreKnown() {
		return nil
	}
	target, outside := v.targetsByName()[name], ""
	if v.config.discovers() {
		outside = "; a target from outside cannot be named here"
	}
	names := func() []string { return slices.Collect(maps.Keys(v.targetsByName())) }
	v.must(target != nil, n, "there is no target %q%s%s", name, outside, suggestion{name, names})
	return target
}

// streamed reports an indicator that the probe's answers do not have.
func (v *validator) streamed(p *Probe, name, indicator string, n *node) {
	if p != nil && p.Stream != nil && slices.Contains([]string{IndicatorTTFT, IndicatorTPOT, IndicatorRate}, indicator) {
		v.must(*p.Stream, n, "the probe %q is not streamed, so that its answers have no %s; use duration", name, indicator)
	}
}

// threshold checks that a bound is of the indicator's kind. At is the objective.
func (v *validator) threshold(indicator string, t Threshold, at *node) {
	if at.get("indicator") == nil || !slices.Contains(Indicators(), indicator) {
		return
	}
	n := at.get("threshold")
	switch {
	case !at.has("threshold"):
		v.must(false, at.get("indicator"), `"threshold" is missing: %s`, bound(indicator))
	case n == nil:
	case indicator == IndicatorRate:
		v.must(t.Number > 0 || isZero(n.text), n, "%s", bound(indicator))
		v.must(!isZero(n.text), n, "threshold must be above 0")
	case isZero(n.text):
		v.must(false, n, "threshold must be longer than 0")
	case isDecimal(n.text):
		v.must(false, n, "%v", checkDuration(n)) // which knows the units that it may lack
	case t.Duration == 0:
		v.must(false, n, "%s", bound(indicator))
	}
}

// isZero reports whether a threshold is written as nothing, in either form.
func isZero(text string) bool {
	d, err := model.ParseDuration(text)
	return err == nil && d == 0 || text == "0.0"
}

// bound says what a threshold of an indicator looks like.
func bound(indicator string) string {
	if indicator == IndicatorRate {
		return "write the tokens per second that are good, such as 20"
	}
	return "write the longest time that is good, such as 800ms"
}
