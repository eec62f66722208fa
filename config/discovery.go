package config

import (
	"cmp"
	"errors"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	commoncfg "github.com/prometheus/common/config"
)

// discovery checks where targets come from beside the file.
func (v *validator) discovery(root *node) {
	lines := map[string]int{}
	name := func(at *node, name string) {
		n := at.get("name")
		if n != nil {
			v.name(n, name, "a source's name")
		} else if n = at; at.has("name") {
			return // what it was meant to be is not known
		}
		line, again := lines[name]
		v.must(!again, n, "source %q is already defined in line %d; no two sources share a name", name, line)
		lines[name] = n.line
	}
	for i, f := range v.config.TargetFiles {
		at := root.get("target_files").item(i)
		if at == nil {
			continue
		}
		name(at, f.Name)
		if files := at.get("files"); files != nil {
			v.must(len(files.children) > 0, files, "the list of files is empty")
			for _, item := range files.sound() {
				if err := checkTargetFile(item.text); err != nil {
					v.must(false, item, "%v", err)
				}
			}
			v.distinct(files, "%s is listed twice")
		}
		v.atLeast(f.RefreshInterval, minInterval, at.get("refresh_interval"))
		v.positiveInt(at.get("max_targets"))
		v.templateOf(&f.Template, at.get("template"))
	}
	for i, h := range v.config.HTTPSD {
		at := root.get("http_sd").item(i)
		if at == nil {
			continue
		}
		name(at, h.Name)
		if u := at.get("url"); u != nil {
			if err := checkListURL(u.text); err != nil {
				v.must(false, u, "%v", err)
			}
		}
		v.atLeast(h.RefreshInterval, minInterval, at.get("refresh_interval"))
		v.positiveInt(at.get("max_targets"))
		v.http(at.get("http"))
		v.templateOf(&h.Template, at.get("template"))
	}
}

// positiveInt looks at the file, where 0 has not become the default.
func (v *validator) positiveInt(n *node) {
	if n != nil {
		v.must(!strings.HasPrefix(n.text, "-") && n.text != "0", n, "%s must be at least 1", n.key.text)
	}
}

// checkTargetFile returns what is wrong with the name of a file of targets, as Prometheus has it.
func checkTargetFile(name string) error {
	switch {
	case !slices.Contains([]string{".json", ".yml", ".yaml"}, filepath.Ext(name)):
		return errors.New("a file of targets ends in .json, .yml or .yaml")
	case strings.Contains(filepath.Dir(name), "*"):
		return errors.New("* stands in the last part of a name alone, as in targets/*.json")
	case strings.ContainsAny(name, "?[]{}"):
		return errors.New("the name of a file has no ?, [, ], { or }; * stands for any text")
	}
	return nil
}

// checkListURL returns what is wrong with the URL of a list of targets.
func checkListURL(text string) error {
	u, err := parseURL(text)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("targets are fetched over http:// or https://")
	case u.User != nil:
		return errors.New("credentials do not belong into the URL; put them under http, as basic_auth or authorization")
	}
	return nil
}

// templateOf checks what targets have in common, in as far as it is known before there are any.
func (v *validator) templateOf(t *TargetTemplate, at *node) {
	if at == nil {
		return
	}
	v.template = true
	defer func() { v.template = false }()
	protocol := cmp.Or(t.Protocol, Protocols()[0])
	v.must(!at.has("model") || t.Model != "", at.get("model"), "the model's name is empty; leave it out where each target says its own")
	v.labelValue(at.get("model"))
	v.protocol(protocol, t.APIVersion, at)
	v.targetProbes(at.get("probes"), t.Probes, protocol, &t.Budget, at)
	v.settings(&t.TargetSettings, at)
}

// Target returns a target with what the template says, to be changed and completed: its name and URL are missing, and perhaps more.
// Changing it does not change the template.
func (t *TargetTemplate) Target() *Target {
	made := &Target{Protocol: t.Protocol, APIVersion: t.APIVersion, Model: t.Model, Probes: t.Probes, TargetSettings: t.TargetSettings}
	return made.clone()
}

// clone returns a copy of which everything that completing changes is its own.
func (t *Target) clone() *Target {
	c := *t
	c.Probes = slices.Clone(t.Probes)
	c.Labels = maps.Clone(t.Labels)
	c.Headers = maps.Clone(t.Headers)
	c.ExtraBody = maps.Clone(t.ExtraBody)
	c.GPUs = slices.Clone(t.GPUs)
	c.HTTP.OAuth2 = ownOAuth2(t.HTTP)
	if t.Engine != nil {
		e := *t.Engine
		e.HTTP.OAuth2 = ownOAuth2(e.HTTP)
		e.Match, e.Custom = maps.Clone(e.Match), maps.Clone(e.Custom)
		c.Engine = &e
	}
	if t.Price != nil {
		p := *t.Price
		c.Price = &p
	}
	return &c
}

// ownOAuth2 returns a copy, for it remembers its proxy when it is first used.
func ownOAuth2(h HTTPClientConfig) *commoncfg.OAuth2 {
	if h.OAuth2 == nil {
		return nil
	}
	return new(*h.OAuth2)
}

// TargetError is what keeps a target from outside from being probed.
type TargetError struct {
	Index    int      // in what was given to WithTargets
	Name     string   // of the target
	Problems []string // all of them, each with the key that it is about; they hold no secret
}

// Error returns the name and the problems.
func (e *TargetError) Error() string {
	return "target " + e.Name + ": " + strings.Join(e.Problems, "; ")
}

// WithTargets returns the configuration with further targets, as they were found outside of the file. Each is completed and checked
// as a target of the file is; one that breaks a rule is left out, and answered by a TargetError, while the others hold. Of two with
// one name, and beside a target of the file, the first counts. The targets of the file come first.
//
// Neither c nor found is changed. What an earlier call has added is not among the targets of the next, on whichever
// of the configurations it is called.
func (c *Config) WithTargets(found []*Target) (*Config, []*TargetError) {
	with := *c
	with.Targets = slices.Clone(c.Targets[:c.own])
	names := map[string]bool{}
	for _, t := range with.Targets {
		names[t.Name] = true
	}
	probes := nodeOf(&Config{Global: c.Global, Probes: c.Probes})
	var refused []*TargetError
	for i, f := range found {
		t := f.clone()
		engineOfHost(t)
		targetDefaults(t, &c.Global, nil)
		problems := c.problemsOf(t, probes)
		if names[t.Name] {
			problems = append([]string{"there is another target of this name"}, problems...)
		}
		if len(problems) > 0 {
			refused = append(refused, &TargetError{i, t.Name, problems})
			continue
		}
		names[t.Name] = true
		with.Targets = append(with.Targets, t)
	}
	return &with, refused
}

// engineOfHost completes the address of an engine's metrics of which the template has the path alone.
func engineOfHost(t *Target) {
	if t.Engine == nil || !strings.HasPrefix(t.Engine.MetricsURL, "/") {
		return
	}
	if u, err := url.Parse(t.URL); err == nil && u.Host != "" {
		t.Engine.MetricsURL = u.Scheme + "://" + u.Host + t.Engine.MetricsURL
	}
}

// problemsOf holds a target that is in no file against the rules. Root has the probes.
func (c *Config) problemsOf(t *Target, root *node) []string {
	at := nodeOf(t)
	places := at.number()
	list := &node{kind: listNode, children: []*node{at}}
	whole := &node{kind: mappingNode, children: slices.Concat(root.children, []*node{list})}
	list.key = &node{text: "targets"}

	found := checkHeaders(at)
	v := &validator{config: &Config{Global: c.Global, Probes: c.Probes, Targets: []*Target{t}}, root: whole}
	v.targets(list)
	found = append(found, v.faults...)
	slices.SortStableFunc(found, func(a, b fault) int { return cmp.Compare(a.line, b.line) })

	var problems []string
	for _, f := range slices.CompactFunc(found, fault.is) {
		problems = append(problems, cmp.Or(places[f.line], "target")+": "+f.text())
	}
	return problems
}

// ObjectivesOf returns the objectives of a target: those that name it, and those of every target, with its name in them, where it
// has their probe.
func (c *Config) ObjectivesOf(t *Target) []*Objective {
	var list []*Objective
	for _, o := range c.Objectives {
		switch {
		case o.Target == t.Name:
			list = append(list, o)
		case o.Target == EveryTarget && slices.Contains(t.Probes, o.Probe):
			own := *o
			own.Target = t.Name
			list = append(list, &own)
		}
	}
	return list
}
