package config

import (
	"time"

	"github.com/prometheus/common/model"
)

// The bounds of what a probe asks beyond one request.
const (
	maxBurst    = 1000
	minAttempts = 2
	maxAttempts = 10
	minTurns    = 2
	maxTurns    = 50
)

// RequestsPerSecond is how often the probe asks at most, without further attempts: a burst is as many requests as it has, and a
// conversation as many as it has turns.
func (p *Probe) RequestsPerSecond() float64 {
	each := float64(max(1, p.Turns))
	switch {
	case p.Burst != nil && p.Burst.AfterIdle > 0:
		return each * float64(p.Burst.Size) / time.Duration(p.Burst.AfterIdle).Seconds()
	case p.Interval > 0:
		return each / time.Duration(p.Interval).Seconds()
	}
	return 0
}

// burst checks the requests that go out together. At is the probe.
func (v *validator) burst(b *Burst, at *node) {
	if !at.has("burst") {
		return
	}
	if interval := at.get("interval"); interval != nil {
		v.must(false, interval.key, "interval does not go with burst, which says by after_idle how often it is; leave one of them out")
	}
	if jitter := at.get("jitter"); jitter != nil {
		v.must(false, jitter.key, "jitter is of an interval; a burst has none")
	}
	n := at.get("burst")
	if n == nil || b == nil {
		return
	}
	v.must(b.Size >= 1 && b.Size <= maxBurst, n.get("size"), "a burst has 1 to %d requests", maxBurst)
	v.must(b.AfterIdle >= minInterval, n.get("after_idle"), "after_idle %s is shorter than %s; a probe must not be a load", b.AfterIdle, minInterval)
	if turns := at.get("turns"); turns != nil {
		v.must(false, turns.key, "a conversation cannot go out as a burst: its questions follow each other")
	}
}

// retry checks how a request is asked again.
func (v *validator) retry(r *Retry, n *node) {
	if r == nil || n == nil {
		return
	}
	v.must(r.Attempts >= minAttempts && r.Attempts <= maxAttempts, n.get("attempts"), "attempts are %d to %d, the first included; without retry there is one", minAttempts, maxAttempts)
	if on := n.get("on"); on != nil {
		v.must(len(on.children) > 0, on, "the list is empty; leave it out for 429, 503 and connect, or leave retry out")
		v.distinct(on, "%s is listed twice")
	}
	v.positive(n, "backoff")
	v.positive(n, "max_backoff")
	if r.Backoff > 0 && (!n.has("backoff") || n.get("backoff") != nil) {
		v.must(r.MaxBackoff >= r.Backoff, n.get("max_backoff"), "max_backoff %s is shorter than backoff, which is %s", r.MaxBackoff, r.Backoff)
	}
	v.must(r.MaxBackoff <= maxTimeout, n.get("max_backoff"), "max_backoff %s is longer than %s", r.MaxBackoff, maxTimeout)
}

// prompts checks what a probe asks: generated prompts, conversations, or recorded requests.
func (v *validator) prompts(p *Probe, at *node) {
	v.must(p.Turns >= minTurns && p.Turns <= maxTurns, at.get("turns"), "a conversation has %d to %d turns; leave turns out for one question", minTurns, maxTurns)
	v.notEmpty(at.get("instruction"), "instruction")
	if !at.has("prompts") {
		return
	}
	for _, key := range []string{"prompt_tokens", "shared_prefix_tokens", "turns", "instruction"} {
		if n := at.get(key); n != nil {
			v.must(false, n.key, "%s is of generated prompts, and this probe has its own from a file; leave one of them out", key)
		}
	}
	if file := at.get("prompts").get("file"); file != nil {
		v.must(file.text != "", file, "the name of the file is empty")
	}
}

// distinct reports the values of a list that stand there twice.
func (v *validator) distinct(n *node, format string) {
	seen := map[string]bool{}
	for _, item := range n.sound() {
		v.must(!seen[item.text], item, format, item.text)
		seen[item.text] = true
	}
}

// atLeast reports a duration that is written and shorter than it may be.
func (v *validator) atLeast(d, least model.Duration, n *node) {
	if n != nil {
		v.must(d >= least, n, "%s %s is shorter than %s", n.key.text, d, least)
	}
}

// between reports a number that is written and out of its bounds.
func (v *validator) between(value, least, most int, n *node) {
	if n != nil {
		v.must(value >= least && value <= most, n, "%s is between %d and %d", n.key.text, least, most)
	}
}
