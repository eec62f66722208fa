package discovery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The labels that say what a target is.
const (
	labelName       = "__name"
	labelModel      = "__model"
	labelProtocol   = "__protocol"
	labelProbes     = "__probes"
	labelScheme     = "__scheme"
	labelPath       = "__path"
	labelMetricsURL = "__metrics_url"
	labelEngine     = "__engine"
	labelGPUs       = "__gpus"
)

// Label is a label that says what a target is.
type Label struct {
	Name string
	Says string // what it says, as Markdown
	Else string // what holds without it, as Markdown
}

// Labels lists all labels that say what a target is. Any other label that begins with __ says nothing.
func Labels() []Label {
	const template = "the template's"
	return []Label{
		{labelName, "the target's name", "host, port and model, joined by hyphens"},
		{labelModel, "the model to ask for", template},
		{labelProtocol, "how the endpoint is spoken to", template},
		{labelProbes, "the probes, separated by commas", template},
		{labelScheme, "`http` or `https`, for an address that is `host:port`", "`http`"},
		{labelPath, "the path of the base URL, for an address that is `host:port`", "`/v1` with the protocols of OpenAI, `/v1beta` with `gemini`, none with others"},
		{labelMetricsURL, "where the serving engine's metrics are: a URL, or a path at the target's host, such as `/metrics`", template + "; with an `__engine`, `/metrics` (`trtllm`: `/prometheus/metrics`)"},
		{labelEngine, "the kind of the serving engine", template + ", or `auto`"},
		{labelGPUs, "the UUIDs of the GPUs, separated by commas", template},
	}
}

// split parts labels into those that say what the target is and those that it shall have. Empty ones are none, as in Prometheus.
// One that is nearly one of ours is an error: without it, a slip of the pen would quietly measure something else.
func split(labels map[string]string) (says, own map[string]string, err error) {
	says, own = map[string]string{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := labels[name]
		switch {
		case value == "":
		case !strings.HasPrefix(name, "__"):
			own[name] = value
		case slices.ContainsFunc(Labels(), func(l Label) bool { return l.Name == name }):
			says[name] = value
		default:
			for _, l := range Labels() {
				if near(name, l.Name) {
					return nil, nil, fmt.Errorf("label %s: did you mean %s?", name, l.Name)
				}
			}
		}
	}
	return says, own, nil
}

// near reports whether one character more or less, another one, or two that are swapped make b of a.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	swapped := i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	return i < len(a) && a[i+1:] == b[i+1:] || swapped
}

// items are the parts of a list in a label. As Prometheus writes such lists, it may begin and end with a comma.
func items(value string) []string {
	var list []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}
