package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/llmprober/llm_prober/config"
)

// mapping makes targets of what is found.
type mapping struct {
	config   *config.Config
	template *config.TargetTemplate
}

// maxTold is how many faults of one list are told.
const maxTold = 5

// targets makes a target of each that is found, complete and in keeping with the rules of the configuration. What can change of
// one is shared with no other. The error names all that break a rule, up to a few.
func (m mapping) targets(found []entry) ([]*config.Target, error) {
	made := make([]*config.Target, 0, len(found))
	from := make([]int, 0, len(found)) // of each that is made, what was found
	wrong := make([]error, len(found))
	owners := m.owners()
	for i, f := range found {
		t, err := m.target(f)
		if err == nil {
			err = own(owners, t.Name, f.place)
		}
		if wrong[i] = err; err == nil {
			made, from = append(made, t), append(from, i)
		}
	}
	with, refused := m.config.WithTargets(made)
	for _, e := range refused {
		wrong[from[e.Index]] = errors.New(strings.Join(e.Problems, "; "))
	}
	var told []error
	more := 0
	for i, err := range wrong {
		switch {
		case err == nil:
		case len(told) < maxTold:
			told = append(told, fmt.Errorf("%s: %w", found[i].place, err))
		default:
			more++
		}
	}
	if more > 0 {
		told = append(told, fmt.Errorf("and %d more", more))
	}
	if len(told) > 0 {
		return nil, errors.Join(told...)
	}
	return with.Targets[len(with.Targets)-len(made):], nil
}

// owners are who has a name before any list is read, by name.
func (m mapping) owners() map[string]string {
	owners := map[string]string{}
	for _, t := range m.config.Targets {
		owners[t.Name] = "a target of the configuration file"
	}
	return owners
}

// own makes place the owner of a name, if nobody is.
func own(owners map[string]string, name, place string) error {
	if owner := owners[name]; owner != "" {
		return fmt.Errorf("the name %q is that of %s, too; give one of them another with the label %s", name, owner, labelName)
	}
	owners[name] = place
	return nil
}

// target makes the target of f, not completed, and before any rule is looked at.
func (m mapping) target(f entry) (*config.Target, error) {
	says, labels, err := split(f.labels)
	if err != nil {
		return nil, err
	}
	t := deepCopy(m.template.Target())
	t.Protocol = cmp.Or(says[labelProtocol], t.Protocol, config.Protocols()[0])
	if t.Protocol != "azure_openai" {
		t.APIVersion = "" // which the template has for targets of that protocol
	}
	if t.Model = cmp.Or(says[labelModel], t.Model); t.Model == "" {
		return nil, fmt.Errorf("no model; set the label %s, or the template's model", labelModel)
	}
	t.URL = strings.TrimRight(address(f.address, t.Protocol, says), "/")
	base, err := url.Parse(t.URL)
	if err != nil || base.Hostname() == "" {
		return nil, fmt.Errorf("address %.100q: write a base URL such as http://host:8000/v1, or host:port", f.address)
	}
	if t.Name = says[labelName]; t.Name == "" {
		t.Name = nameOf(base, t.Model)
	}
	if list := says[labelProbes]; list != "" {
		if t.Probes = items(list); len(t.Probes) == 0 {
			return nil, fmt.Errorf("label %s names no probe; leave it out for the template's", labelProbes)
		}
	}
	if list := says[labelGPUs]; list != "" {
		t.GPUs = items(list)
	}
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	maps.Copy(t.Labels, labels)
	addEngine(t, says)
	return t, nil
}

// address completes what stands under targets to a base URL.
func address(text, protocol string, says map[string]string) string {
	if strings.Contains(text, "://") {
		return text
	}
	if !strings.Contains(text, "/") {
		text += "/" + strings.TrimLeft(cmp.Or(says[labelPath], pathOf(protocol)), "/")
	}
	return cmp.Or(says[labelScheme], "http") + "://" + text
}

// pathOf is where servers mostly have the API of a protocol.
func pathOf(protocol string) string {
	switch protocol {
	case "openai_chat", "openai_completions", "openai_responses":
		return "/v1"
	case "gemini":
		return "/v1beta"
	}
	return ""
}

// addEngine gives t the engine that its labels or the template speak of. config completes a path with the target's host.
func addEngine(t *config.Target, says map[string]string) {
	page, kind := says[labelMetricsURL], says[labelEngine]
	if t.Engine == nil {
		if page == "" && kind == "" {
			return
		}
		t.Engine = &config.Engine{}
	}
	t.Engine.Kind = cmp.Or(kind, t.Engine.Kind)
	usual := "/metrics"
	if t.Engine.Kind == "trtllm" {
		usual = "/prometheus/metrics"
	}
	t.Engine.MetricsURL = cmp.Or(page, t.Engine.MetricsURL, usual)
}
