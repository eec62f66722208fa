package config

import (
	"fmt"
	"slices"
)

// TellsQueueWait reports whether the answers of the target, streamed ones or those in one piece, may say how long their requests
// waited in the server's queue. False is certain, by the protocol or the kind of the engine; true is not, for a server may have to be
// told to. What an engine's metrics say is of all its requests, and of no answer.
func (t *Target) TellsQueueWait(streamed bool) bool {
	switch t.Protocol {
	case "azure_openai", "anthropic_messages", "gemini":
		return false
	case "tgi_generate":
		return !streamed
	case "ollama_chat":
		return true
	}
	if t.Engine != nil && (t.Engine.Kind == "tgi" || t.Engine.Kind == "sglang") {
		return !streamed
	}
	return true
}

// untold tells of objectives on a wait that no answer tells: what is known of no request does not count, so that failures alone do.
func (w *warner) untold(o *Objective, at *node) {
	if o.Indicator != IndicatorQueueWait {
		return
	}
	streamed := *w.config.Probes[o.Probe].Stream
	silent := slices.DeleteFunc(w.config.targetsOf(o), func(t *Target) bool { return t.TellsQueueWait(streamed) })
	if len(silent) == 0 {
		return
	}
	whose := fmt.Sprintf("the target %q", silent[0].Name)
	if others := len(silent) - 1; others > 0 {
		whose += fmt.Sprintf(" and of %d more", others)
	}
	answer, cure := "answer", "judge duration"
	switch {
	case silent[0].TellsQueueWait(false):
		answer, cure = "streamed answer", "judge a probe with stream: false"
	case streamed:
		cure = "judge ttft"
	}
	w.faults.note(at.get("indicator"), "no %s of %s says how long its request waited, so that failures alone count here; %s", answer, whose, cure)
}

// untoldInRamp does the same for a ramp, which has an estimate of the wait for streamed answers.
func (w *warner) untoldInRamp(r *Ramp, o *RampObjective, at *node) {
	if o.Indicator != IndicatorQueueWait {
		return
	}
	for _, l := range r.Lanes {
		t := w.config.Target(l.Target)
		for _, name := range r.asked([]*Lane{l}) {
			meant := (o.Lane == "" || o.Lane == l.Name) && (o.Probe == "" || o.Probe == name)
			if meant && (t == nil || *w.config.Probes[name].Stream || t.TellsQueueWait(false)) {
				return
			}
		}
	}
	w.faults.note(at.get("indicator"), "no answer that this is about says how long its request waited, so that nothing is judged here; judge duration")
}

// targetsOf lists the targets of the file that an objective is about.
func (c *Config) targetsOf(o *Objective) []*Target {
	if o.Target != EveryTarget {
		return []*Target{c.Target(o.Target)}
	}
	return slices.DeleteFunc(slices.Clone(c.Targets), func(t *Target) bool { return !slices.Contains(t.Probes, o.Probe) })
}
