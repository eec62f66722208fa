package main

import (
	"fmt"
	"strings"

	"github.com/llmprober/llm_prober/collector"
)

// Windows of rates. Grafana makes window four times a panel's min step at least: slowStep gives 20 minutes, in which a probe
// every 30 s has 40 samples. Over five minutes the p95 would be the largest of ten numbers.
const (
	window   = "$__rate_interval"
	span     = "$__range" // of instant queries: all that the dashboard shows
	slowStep = "5m"       // where a sample is a probe
	fastStep = "15s"      // where samples are scrapes, or requests of a ramp
)

// series is a metric and which of its series.
type series struct{ name, match string }

// of is the series of a metric within a scope, with further matchers.
func of(name string, in scope, more ...string) series {
	match := string(in)
	for _, m := range more {
		if match != "" {
			match += ", "
		}
		match += m
	}
	return series{name, match}
}

// String is the series' selector.
func (s series) String() string {
	if s.match == "" {
		return s.name
	}
	return s.name + "{" + s.match + "}"
}

// part is the selector of a classic histogram's _bucket, _sum or _count.
func (s series) part(suffix string) string { return series{s.name + suffix, s.match}.String() }

// scope is the matchers that tie a query to the variables of its board.
type scope string

// The scopes. instance is no variable: of a prober it says which of several, and what matters is the target.
const (
	anywhere scope = ""
	inJob    scope = `job=~"$job"`
	inFleet  scope = `job=~"$job", target=~"$target"`                                   // all that belongs to a target
	inProbes scope = `job=~"$job", target=~"$target", model=~"$model", probe=~"$probe"` // per probe
	inTarget scope = `job=~"$job", target="$target"`                                    // on the board of one target
	inProbe  scope = `job=~"$job", target="$target", model=~"$model", probe=~"$probe"`  // on the board of one target, per probe
	inRamps  scope = `job=~"$job", target=~"$target", model=~"$model", ramp=~"$ramp"`   // on the board of ramps
	inGPUs   scope = `job=~"$job", uuid=~"$gpu"`                                        // on the board of GPUs
	inGoals  scope = inProbes + `, objective=~"$objective"`                             // on the board of objectives
)

func list(by []string) string { return strings.Join(by, ", ") }

// par puts an expression in parentheses, to be part of another.
func par(e string) string { return "(" + e + ")" }

// The four below work whether Prometheus ingests the native side of a histogram, the classic one, or both:
// where there is no native side its half is empty, and where there is, it wins.

// quantile is a quantile of a histogram over a window, by labels.
func quantile(q string, s series, w string, by ...string) string {
	withLE := list(append([]string{"le"}, by...))
	return fmt.Sprintf("histogram_quantile(%s, sum by (%s) (rate(%s[%s])))\nor\nhistogram_quantile(%s, sum by (%s) (rate(%s[%s])))",
		q, list(by), s, w, q, withLE, s.part("_bucket"), w)
}

// mean is the mean of a histogram's samples over a window, by labels.
func mean(s series, w string, by ...string) string {
	return fmt.Sprintf("%s\n/ (%s > 0)", sumRate(s, w, by...), countRate(s, w, by...))
}

// sumRate is how fast the sum of a histogram's samples grows, by labels.
func sumRate(s series, w string, by ...string) string {
	return fmt.Sprintf("(histogram_sum(sum by (%s) (rate(%s[%s])))\nor\nsum by (%s) (rate(%s[%s])))",
		list(by), s, w, list(by), s.part("_sum"), w)
}

// countRate is how many samples a histogram gets per second, by labels.
func countRate(s series, w string, by ...string) string {
	return fmt.Sprintf("(histogram_count(sum by (%s) (rate(%s[%s])))\nor\nsum by (%s) (rate(%s[%s])))",
		list(by), s, w, list(by), s.part("_count"), w)
}

// heat is a histogram for a heat map. The on () keeps the classic buckets away where there are native ones:
// their labels differ, so that a plain "or" would draw both.
func heat(s series) string {
	return fmt.Sprintf("sum(increase(%s[%s]))\nor on ()\nsum by (le) (increase(%s[%s]))", s, window, s.part("_bucket"), window)
}

// rate is how fast a counter grows, by labels.
func rate(s series, w string, by ...string) string {
	return fmt.Sprintf("sum by (%s) (rate(%s[%s]))", list(by), s, w)
}

// increase is by how much a counter grew, by labels.
func increase(s series, w string, by ...string) string {
	return fmt.Sprintf("sum by (%s) (increase(%s[%s]))", list(by), s, w)
}

// times is how often a rare counter grew: whole numbers, which increase is not, for it extrapolates.
func times(s series, w string, by ...string) string { return "round(" + increase(s, w, by...) + ")" }

// most and least are the largest and the smallest of several probers' gauges, by labels.
func most(s series, by ...string) string  { return fmt.Sprintf("max by (%s) (%s)", list(by), s) }
func least(s series, by ...string) string { return fmt.Sprintf("min by (%s) (%s)", list(by), s) }

// burn is how fast an objective's error budget is being burnt, in multiples of what its goal allows.
// A window without requests has no value.
func burn(in scope, w string, by ...string) string {
	return badShare(in, w, by...) + "\n/ (1 - " + most(of(collector.NameObjectiveGoal, in), by...) + ")"
}

// budgetLeft is what is left of the error budget of 30 days, as a share; below 0 it is overspent.
func budgetLeft(in scope, by ...string) string { return "1 - " + burn(in, "30d", by...) }

// badShare is the share of an objective's requests that were bad.
func badShare(in scope, w string, by ...string) string {
	return increase(of(collector.NameObjectiveBad, in), w, by...) + "\n/ (" + increase(of(collector.NameObjectiveEvents, in), w, by...) + " > 0)"
}

// age is the time since a timestamp, in seconds; nothing where it is 0, which is never.
func age(s series, by ...string) string { return "time() - (" + most(s, by...) + " > 0)" }

// moment is a timestamp as Grafana's units for dates want it, in milliseconds; nothing where it is 0.
func moment(s series, by ...string) string { return "1000 * (" + most(s, by...) + " > 0)" }

// orZero is 0 where an expression without labels has no value.
func orZero(e string) string { return e + " or vector(0)" }
