package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// The bounds that rules keep.
const (
	minInterval     = model.Duration(time.Second)
	maxTimeout      = model.Duration(time.Hour)
	maxOutputTokens = 1_000_000
	maxNameLength   = 64  // characters of a name of a target or probe, which are label values
	maxLabelLength  = 128 // characters of any other label value
)

// The values of a probe's connection.
const (
	ConnectionFresh = "fresh" // each request opens a connection of its own, so that its set-up is measured, too
	ConnectionReuse = "reuse" // a request may use an open connection
)

// ReservedLabels lists the label names that the product's own metrics use: no target may have them.
func ReservedLabels() []string {
	return []string{
		"target", "model", "probe", // of every series of a probe
		"outcome", "phase", "reason", "source", "part", "prompt_tokens", "currency", "clock", // of some
		"ramp", "lane", "stage", "objective", "indicator", // of ramps and objectives
		"kind", "state", // of engines
		"le", "quantile", // of Prometheus
	}
}

// validate returns which rules a configuration breaks. It looks at values that are written and sound:
// what was reported before is not reported in other words, and defaults keep the rules by themselves.
//
// A rule walks the values and, beside them, the nodes they came from: n.get("interval") is nil unless it is to be checked.
func validate(c *Config, root *node) faults {
	v := &validator{config: c, root: root}
	v.global(root.get("global"))
	v.probes(root.get("probes"))
	v.targets(root.get("targets"))
	v.discovery(root)
	v.onDemand(root.get("probe_on_demand"))
	v.objectives(root.get("objectives"))
	v.ramps(root.get("ramps"))
	return v.faults
}

type validator struct {
	config *Config
	root   *node
	faults faults

	template bool // what is looked at is no target yet, but what targets have in common

	looked bool // byName is made
	byName map[string]*Target
}

// must reports unless ok; a node that is nil has nothing to report about.
func (v *validator) must(ok bool, n *node, format string, args ...any) {
	if n != nil && !ok {
		v.faults.note(n, format, args...)
	}
}

func (v *validator) global(n *node) {
	g := &v.config.Global
	v.timeouts(n, timeouts{g.Timeout, g.ConnectTimeout, g.FirstTokenTimeout, g.IdleTimeout})
	v.labels(n.get("labels"))
	v.maxInFlight(n.get("max_in_flight"))
	v.positive(n, "degraded_after")
	v.globalBudget(&g.Budget, n.get("budget"))
}

// positive reports a duration that is written as nothing. It looks at the file, where 0 has not become the default.
func (v *validator) positive(n *node, key string) {
	if d := n.get(key); d != nil {
		value, err := model.ParseDuration(d.text)
		v.must(err == nil && value > 0, d, "%s must be longer than 0; leave it out for the default", key)
	}
}

// lasts is positive for a duration that has no default.
func (v *validator) lasts(n *node, key string) {
	if d := n.get(key); d != nil {
		value, err := model.ParseDuration(d.text)
		v.must(err == nil && value > 0, d, "%s must be longer than 0", key)
	}
}

// maxInFlight looks at the file, where 0 has not become the default.
func (v *validator) maxInFlight(n *node) {
	if n != nil {
		limit, err := strconv.Atoi(n.text)
		v.must(err == nil && limit >= 1, n, "max_in_flight must be at least 1")
	}
}

// timeouts are the effective ones of a probe, or of global.
type timeouts struct{ total, connect, firstToken, idle model.Duration }

func (v *validator) timeouts(n *node, t timeouts) {
	for _, key := range []string{"timeout", "connect_timeout", "first_token_timeout", "idle_timeout"} {
		v.positive(n, key)
	}
	v.must(t.total <= maxTimeout, n.get("timeout"), "timeout %s is longer than %s, the most that a request may take", t.total, maxTimeout)
	if n.has("timeout") && n.get("timeout") == nil {
		return // what it was meant to be is not known
	}
	for _, part := range []struct {
		key   string
		value model.Duration
	}{{"connect_timeout", t.connect}, {"first_token_timeout", t.firstToken}, {"idle_timeout", t.idle}} {
		v.must(part.value <= t.total, n.get(part.key), "%s %s is longer than timeout, which is %s", part.key, part.value, t.total)
	}
}

func (v *validator) probes(n *node) {
	for _, at := range n.sound() {
		name := at.key.text
		p := v.config.Probes[name]
		if p == nil {
			continue
		}
		v.name(at.key, name, "a probe's name")

		v.must(p.SharedPrefixTokens >= 0, at.get("shared_prefix_tokens"), "shared_prefix_tokens must not be negative")
		if at.get("prompt_tokens") != nil {
			v.must(p.SharedPrefixTokens <= p.PromptTokens.Min, at.get("shared_prefix_tokens"),
				"shared_prefix_tokens %d is longer than the shortest prompt, which has %d tokens", p.SharedPrefixTokens, p.PromptTokens.Min)
		}
		v.must(p.MaxOutputTokens >= 1, at.get("max_output_tokens"), "max_output_tokens must be at least 1")
		v.must(p.MaxOutputTokens <= maxOutputTokens, at.get("max_output_tokens"), "max_output_tokens must be at most %d", maxOutputTokens)

		v.must(p.Interval >= minInterval, at.get("interval"), "interval %s is shorter than %s; a probe must not be a load", p.Interval, minInterval)
		if at.get("interval") != nil && !at.has("burst") {
			v.must(2*p.Jitter < p.Interval, at.get("jitter"), "jitter %s is not below half the interval, which is %s", p.Jitter, p.Interval/2)
		}
		v.burst(p.Burst, at)
		v.retry(p.Retry, at.get("retry"))
		v.prompts(p, at)
		kinds := []string{ConnectionFresh, ConnectionReuse}
		v.must(slices.Contains(kinds, p.Connection), at.get("connection"), "unknown connection %q%s", p.Connection, didYouMean(p.Connection, kinds))

		v.timeouts(at, timeouts{p.Timeout, p.ConnectTimeout, p.FirstTokenTimeout, p.IdleTimeout})
		v.options(p, at)
		v.abandonment(p, at)
	}
}

func (v *validator) targets(n *node) {
	names := map[string]int{} // the line of each
	for i, t := range v.config.Targets {
		at := n.item(i)
		if name := at.get("name"); name != nil {
			v.name(name, t.Name, "a target's name")
			line, again := names[t.Name]
			v.must(!again, name, "target %q is already defined in line %d; no two targets share a name", t.Name, line)
			names[t.Name] = name.line
		}
		if u := at.get("url"); u != nil {
			if err := checkTargetURL(u.text, t); err != nil {
				v.must(false, u, "%v", err)
			}
		}
		v.must(t.Model != "", at.get("model"), "the model's name is empty")
		v.labelValue(at.get("model"))
		v.protocol(t.Protocol, t.APIVersion, at)
		v.targetProbes(at.get("probes"), t.Probes, t.Protocol, &t.Budget, at)
		v.settings(&t.TargetSettings, at)
		v.priced(&t.TargetSettings, at)
	}
}

func (v *validator) protocol(protocol, apiVersion string, at *node) {
	v.must(slices.Contains(Protocols(), protocol), at.get("protocol"), "unknown protocol %q%s", protocol, didYouMean(protocol, Protocols()))
	if version := at.get("api_version"); version != nil {
		v.must(protocol == "azure_openai", version, "api_version is of the protocol azure_openai alone; this target speaks %s", protocol)
		v.must(versionPattern.MatchString(apiVersion), version, "a version is written as 2024-10-21 or 2025-04-01-preview")
	}
}

// settings checks what targets and templates share.
func (v *validator) settings(t *TargetSettings, at *node) {
	v.labels(at.get("labels"))
	v.maxInFlight(at.get("max_in_flight"))
	v.budget(at.get("budget"))
	v.http(at.get("http"))
	v.dialect(t, at)
	v.engine(t.Engine, at.get("engine"))
	v.gpus(at.get("gpus"))
	v.price(t.Price, at.get("price"))
}

// targetProbes checks the probes that a target or a template at a place has, and whether they can be run there.
func (v *validator) targetProbes(n *node, names []string, protocol string, budget *Budget, at *node) {
	if n == nil {
		return
	}
	v.affordable(n, names, "the target's", budget.OutputTokensPerHour, budget.RequestsPerMinute, at.get("budget"))
	global := &v.config.Global.Budget
	v.affordable(n, names, "the global", global.OutputTokensPerHour, global.RequestsPerMinute, v.root.get("global").get("budget"))
	for i, name := range names {
		v.speaks(n.item(i), name, protocol)
	}
	defined := v.root.get("probes")
	seen := map[string]bool{}
	for i := range n.children {
		item := n.item(i)
		if item == nil {
			continue
		}
		v.must(!seen[item.text], item, "probe %q is listed twice", item.text)
		seen[item.text] = true
		if defined != nil {
			v.must(defined.has(item.text), item, "there is no probe %q%s", item.text, suggestion{item.text, defined.keys})
		}
	}
}

// affordable checks that each probe can be run within a budget. Whose says which one.
func (v *validator) affordable(n *node, names []string, whose string, tokens, requests int, at *node) {
	for i, name := range names {
		item, p := n.item(i), v.config.Probes[name]
		probe := v.root.get("probes").get(name)
		if p == nil || probe == nil {
			continue
		}
		together := 1
		if p.Burst != nil && probe.get("burst").get("size") != nil {
			together = max(1, p.Burst.Size)
		}
		if at.get("output_tokens_per_hour") != nil && tokens > 0 && probe.get("max_output_tokens") != nil {
			if together == 1 {
				v.must(p.MaxOutputTokens <= tokens, item, "probe %q would never run: its max_output_tokens are %d, and %s budget is %d per hour", name, p.MaxOutputTokens, whose, tokens)
			} else {
				v.must(p.MaxOutputTokens <= tokens/together, item, "probe %q would never run: its burst may have %d times %d output tokens, and %s budget is %d per hour", name, together, p.MaxOutputTokens, whose, tokens)
			}
		}
		if at.get("requests_per_minute") != nil && requests > 0 {
			v.must(together <= requests, item, "probe %q would never run: its burst has %d requests, and %s budget is %d per minute", name, together, whose, requests)
		}
	}
}

// speaks checks that a probe can be asked with a protocol.
func (v *validator) speaks(n *node, probe, protocol string) {
	p := v.config.Probes[probe]
	v.must(p == nil || p.Turns == 0 || chats(protocol), n,
		"the probe %q is a conversation, which the protocol %s cannot have; use a protocol for chats", probe, protocol)
}

var (
	namePattern  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.-]*$`)
	labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// name checks the name of something that is a label value and is written on command lines and in addresses.
func (v *validator) name(n *node, name, what string) {
	v.must(namePattern.MatchString(name), n, "%s begins with a letter or underscore and has only letters, digits, _, . and -", what)
	v.must(utf8.RuneCountInString(name) <= maxNameLength, n, "%s has at most %d characters", what, maxNameLength)
}

// labels checks the labels of a target or of global.
func (v *validator) labels(n *node) {
	if n == nil {
		return
	}
	for _, value := range n.children {
		if value.bad {
			continue
		}
		key, name := value.key, value.key.text
		before := len(v.faults)
		switch {
		case !labelPattern.MatchString(name):
			v.must(false, key, "a label's name begins with a letter or underscore and has only letters, digits and _")
		case len(name) > 1 && name[:2] == "__":
			v.must(false, key, "labels that begin with __ belong to Prometheus")
		case slices.Contains(ReservedLabels(), name):
			v.must(false, key, "the label %q is used by the metrics themselves; choose another name", name)
		}
		v.labelValue(value)
		if len(v.faults) > before { // what is no label may be a header, and secret
			value.mask = hidden
		}
	}
}

func (v *validator) labelValue(n *node) {
	if n == nil {
		return
	}
	v.must(utf8.RuneCountInString(n.text) <= maxLabelLength, n, "a label's value has at most %d characters", maxLabelLength)
	if control := strings.IndexFunc(n.text, unicode.IsControl); control >= 0 {
		v.must(false, n, "a label's value has no control characters, such as %U", n.text[control])
	}
}
