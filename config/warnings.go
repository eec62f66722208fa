package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Warnings returns what is not wrong in the file, but unlikely to be meant, in the order of the file. A target or a probe
// that is unlikely to be meant so is run all the same.
func (c *Config) Warnings() ErrorList { return slices.Clone(c.warnings) }

// warnings looks at a configuration that keeps all the rules.
func warnings(c *Config, root *node) faults {
	w := &warner{config: c, root: root}
	w.unused()
	for _, at := range root.get("probes").sound() {
		w.uninstructed(c.Probes[at.key.text], at)
	}
	for i, t := range c.Targets {
		at := root.get("targets").item(i)
		w.unfollowed(at)
		w.unsent(t, at)
		w.overspent(t, at)
	}
	for i, o := range c.Objectives {
		at := root.get("objectives").item(i)
		w.tooFine(o, at)
		w.behindTimeout(o, at)
		w.untold(o, at)
	}
	for i, r := range c.Ramps {
		w.ramp(r, root.get("ramps").item(i))
	}
	for _, source := range slices.Concat(root.get("target_files").sound(), root.get("http_sd").sound(), []*node{root.get("probe_on_demand")}) {
		w.unfollowed(source.get("template"))
	}
	for _, r := range root.get("ramps").sound() {
		for _, l := range r.get("lanes").sound() {
			w.unfollowed(l)
		}
	}
	w.currencies(root.get("global").get("budget").get("cost_per_day"))
	return w.faults
}

type warner struct {
	config *Config
	root   *node
	faults faults
}

// unused tells of probes that no target and no ramp asks. Targets from outside may name any.
func (w *warner) unused() {
	if w.config.discovers() || w.config.ProbeOnDemand != nil && len(w.config.ProbeOnDemand.Template.Probes) == 0 {
		return
	}
	used := map[string]bool{}
	for _, t := range w.config.Targets {
		for _, name := range t.Probes {
			used[name] = true
		}
	}
	for _, t := range w.config.templates() {
		for _, name := range t.Probes {
			used[name] = true
		}
	}
	for _, r := range w.config.Ramps {
		for _, name := range r.asked(r.Lanes) {
			used[name] = true
		}
	}
	for _, p := range w.root.get("probes").sound() {
		if !used[p.key.text] {
			w.faults.note(p.key, "no target runs the probe %q", p.key.text)
		}
	}
}

// uninstructed tells of answers that are checked for words that nobody has asked for.
func (w *warner) uninstructed(p *Probe, at *node) {
	if p.Instruction != "" || p.Prompts != nil || at.get("extra_body").has("messages") {
		return
	}
	for _, key := range []string{"contains", "regexp"} {
		if n := at.get("expect").get(key); n != nil {
			w.faults.note(n.key, "the prompts do not ask for this: without an instruction they ask the model to go on with a text; write one, such as instruction: Answer with the word yes.")
		}
	}
}

// currencies tells of bounds that nothing counts in.
func (w *warner) currencies(n *node) {
	if w.config.discovers() {
		return
	}
	known := w.config.currencies()
	for _, amount := range n.sound() {
		if !slices.Contains(known, amount.key.text) {
			w.faults.note(amount.key, "no target has a price by the token in %s, so that nothing counts in this bound", amount.key.text)
		}
	}
}

// unfollowed tells of redirects that are not followed: the HTTP client of a target, of a template or of a lane sends requests that
// are timed, and nothing else.
func (w *warner) unfollowed(at *node) {
	if n := at.get("http").get("follow_redirects"); n != nil && n.text == "true" {
		w.faults.note(n.key, "redirects are not followed by probes, of which this is the HTTP client: following them would time two servers as one; give the url that they lead to")
	}
}

// unsent tells of options that a target's protocol has no word for.
func (w *warner) unsent(t *Target, at *node) {
	lacks := UnsentOptions(t.Protocol)
	for _, key := range lacks {
		if n := at.get(key); n != nil {
			w.faults.note(n.key, "%s is not sent: the protocol %s has no word for it", key, t.Protocol)
		}
	}
	for i, name := range t.Probes {
		p := w.root.get("probes").get(name)
		var unsent []string
		for _, key := range lacks {
			if p.has(key) || key == jsonObject && p.get("response_format").get("type") != nil && w.config.Probes[name].ResponseFormat.Type == FormatJSONObject {
				unsent = append(unsent, key)
			}
		}
		if len(unsent) > 0 {
			w.faults.note(at.get("probes").item(i), "of the probe %q this is not sent: %s; the protocol %s has no word for that", name, strings.Join(unsent, ", "), t.Protocol)
		}
	}
}

// overspent tells of budgets that the probes together are over: then some are skipped, which ones is a matter of chance.
func (w *warner) overspent(t *Target, at *node) {
	var tokens, requests float64 // at most per hour and per minute
	for _, name := range t.Probes {
		p := w.config.Probes[name]
		tokens += float64(p.MaxOutputTokens) * p.RequestsPerSecond() * time.Hour.Seconds()
		requests += p.RequestsPerSecond() * time.Minute.Seconds()
	}
	budget := at.get("budget")
	if most := t.Budget.OutputTokensPerHour; most > 0 && tokens > float64(most) {
		w.faults.note(budget.get("output_tokens_per_hour"), "the target's probes may ask for %.0f output tokens per hour: where their answers reach their caps, %.0f %% of the requests are skipped", tokens, 100*(1-float64(most)/tokens))
	}
	if most := t.Budget.RequestsPerMinute; most > 0 && requests > float64(most) {
		w.faults.note(budget.get("requests_per_minute"), "the target's probes ask %.4g times per minute: %.0f %% of the requests are skipped", requests, 100*(1-float64(most)/requests))
	}
}

// The fast burn alert that rules are made for: the budget of 30 days is spent in 2 when bad requests are this many times as
// frequent as the goal allows. Over an hour it must rest on some of them, or it fires on chance.
const (
	fastBurn    = 14.4
	fewestBad   = 5
	alertWindow = time.Hour
)

// tooFine tells of goals that the probe asks too rarely for.
func (w *warner) tooFine(o *Objective, at *node) {
	p := w.config.Probes[o.Probe]
	requests := alertWindow.Seconds() * p.RequestsPerSecond()
	bad := fastBurn * (1 - o.Goal) * requests
	if bad >= fewestBad-1e-9 {
		return
	}
	var cures []string
	// A burst's length, and that of a conversation, are what is measured: asking as they do more often is no cure of the same kind.
	each := float64(max(1, p.Turns))
	if interval := time.Duration(alertWindow.Seconds()*fastBurn*(1-o.Goal)/fewestBad*each) * time.Second; interval > 0 && p.Burst == nil {
		cures = append(cures, "ask every "+model.Duration(interval).String())
	}
	if goal := math.Floor(1e4*(1-fewestBad/(fastBurn*requests))) / 1e4; goal > 0 {
		cures = append(cures, fmt.Sprintf("lower the goal to %v", goal))
	}
	how := "a request every " + model.Duration(p.Interval).String()
	switch {
	case p.Burst != nil:
		how = fmt.Sprintf("a burst of %d every %s", p.Burst.Size, p.Burst.AfterIdle)
	case p.Turns > 0:
		how = fmt.Sprintf("a conversation of %d turns every %s", p.Turns, p.Interval)
	}
	w.faults.note(at.get("goal"), "the goal is finer than %s can judge: an alert on its fast burn would rest on %.2g bad requests of %.3g in an hour, fewer than %d; %s",
		how, bad, requests, fewestBad, strings.Join(cures, ", or "))
}

// behindTimeout tells of bounds that no request reaches, because it fails before.
func (w *warner) behindTimeout(o *Objective, at *node) {
	p := w.config.Probes[o.Probe]
	key, timeout := "timeout", p.Timeout
	switch {
	case o.Indicator == IndicatorTTFT, o.Indicator == IndicatorQueueWait && *p.Stream:
		key, timeout = "first_token_timeout", p.FirstTokenTimeout
	case o.Indicator == IndicatorDuration, o.Indicator == IndicatorQueueWait:
	default:
		return
	}
	if o.Threshold.Duration >= timeout {
		w.faults.note(at.get("threshold"), "threshold %s is not below the probe's %s, which is %s: what takes longer fails before, so that the objective is one of availability alone",
			o.Threshold, key, timeout)
	}
}
