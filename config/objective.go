package config

import (
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
		v.threshold(o, at)
		v.must(o.Goal > 0 && o.Goal < 1, at.get("goal"), "a goal is a share above 0 and below 1, such as 0.99; with 1 no request could ever fail")
	}
}

// objectiveOf checks which requests an objective is about.
func (v *validator) objectiveOf(o *Objective, at *node) {
	var target *Target
	var names []string
	for _, t := range v.config.Targets {
		names = append(names, t.Name)
		if t.Name == o.Target {
			target = t
		}
	}
	// Where a target or its list of probes is at fault, what is missing here is not known.
	list := v.root.get("targets")
	if list == nil || slices.ContainsFunc(list.children, func(n *node) bool { return n.get("name") == nil }) {
		return
	}
	v.must(target != nil, at.get("target"), "there is no target %q%s", o.Target, didYouMean(o.Target, names))
	name := at.get("probe")
	if target == nil || name == nil {
		return
	}
	p := v.config.Probes[o.Probe]
	if p == nil && v.root.get("probes") != nil && !v.root.get("probes").has(o.Probe) {
		v.must(false, name, "there is no probe %q%s", o.Probe, didYouMean(o.Probe, v.root.get("probes").keys()))
		return
	}
	index := slices.Index(v.config.Targets, target)
	if list.item(index).get("probes") != nil {
		v.must(slices.Contains(target.Probes, o.Probe), name, "the target %q does not run the probe %q; add it to its probes", target.Name, o.Probe)
	}
	if p != nil && p.Stream != nil && slices.Contains([]string{IndicatorTTFT, IndicatorTPOT, IndicatorRate}, o.Indicator) {
		v.must(*p.Stream, at.get("indicator"), "the probe %q is not streamed, so that its answers have no %s; use duration", o.Probe, o.Indicator)
	}
}

// threshold checks that a bound is of the indicator's kind.
func (v *validator) threshold(o *Objective, at *node) {
	if at.get("indicator") == nil || !slices.Contains(Indicators(), o.Indicator) {
		return
	}
	n := at.get("threshold")
	switch {
	case o.Indicator == IndicatorAvailability:
		v.must(!at.has("threshold"), n, "availability has no threshold: a request failed, or it did not")
	case !at.has("threshold"):
		v.must(false, at.get("indicator"), `"threshold" is missing: %s`, bound(o.Indicator))
	case n == nil:
	case o.Indicator == IndicatorRate:
		v.must(o.Threshold.Number > 0 || isZero(n.text), n, "%s", bound(o.Indicator))
		v.must(!isZero(n.text), n, "threshold must be above 0")
	case isZero(n.text):
		v.must(false, n, "threshold must be longer than 0")
	case isDecimal(n.text):
		v.must(false, n, "%v", checkDuration(n)) // which knows the units that it may lack
	case o.Threshold.Duration == 0:
		v.must(false, n, "%s", bound(o.Indicator))
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
