package config

import (
	"path/filepath"
	"strings"
)

// setDirectory lets all relative names of files begin at a folder.
func (c *Config) setDirectory(dir string) {
	settings := func(t *TargetSettings) {
		t.HTTP.SetDirectory(dir)
		if t.Engine != nil {
			t.Engine.HTTP.SetDirectory(dir)
		}
	}
	for _, t := range c.Targets {
		settings(&t.TargetSettings)
	}
	for _, f := range c.TargetFiles {
		settings(&f.Template.TargetSettings)
		for i, name := range f.Files {
			f.Files[i] = inDir(dir, name)
		}
	}
	for _, h := range c.HTTPSD {
		settings(&h.Template.TargetSettings)
		h.HTTP.SetDirectory(dir)
	}
	if c.ProbeOnDemand != nil {
		settings(&c.ProbeOnDemand.Template.TargetSettings)
	}
	for _, p := range c.Probes {
		if p.Prompts != nil {
			p.Prompts.File = inDir(dir, p.Prompts.File)
		}
	}
	for _, r := range c.Ramps {
		for _, l := range r.Lanes {
			if l.HTTP != nil {
				l.HTTP.SetDirectory(dir)
			}
			if l.Arrivals != nil && l.Arrivals.File != "" {
				l.Arrivals.File = inDir(dir, l.Arrivals.File)
			}
		}
	}
}

// inDir is a name of a file that begins at a folder, unless it begins at the root.
func inDir(dir, name string) string {
	if dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// checkFiles reports the files of prompts, of arrivals and of credentials that cannot be used. What is in them is read elsewhere.
func (c *Config) checkFiles(root *node, opts Options) (found faults) {
	check := func(n *node, with func(string) error) {
		if n == nil || n.bad || n.text == "" || with == nil {
			return
		}
		if err := with(inDir(opts.Dir, n.text)); err != nil {
			found.note(n, "the file cannot be used: %v", err)
		}
	}
	for _, p := range root.get("probes").sound() {
		check(p.get("prompts").get("file"), opts.CheckFile)
	}
	for _, r := range root.get("ramps").sound() {
		for _, l := range r.get("lanes").sound() {
			check(l.get("arrivals").get("file"), opts.CheckFile)
		}
	}
	for _, place := range placesOfHeaders(root) {
		for _, client := range []*node{place.get("http"), place.get("engine").get("http")} {
			for _, file := range filesOfClient(client) {
				check(file, opts.CheckKey)
			}
		}
	}
	return found
}

// filesOfClient lists where an HTTP client's configuration names files: the keys that end in _file, and the lists of files of headers.
func filesOfClient(n *node) (files []*node) {
	if n == nil || n.bad {
		return nil
	}
	for _, c := range n.children {
		switch {
		case c.kind == scalarNode && c.key != nil && strings.HasSuffix(c.key.text, "_file"):
			files = append(files, c)
		case c.kind == listNode && c.key.text == "files":
			files = append(files, c.children...)
		case c.kind == mappingNode:
			files = append(files, filesOfClient(c)...)
		}
	}
	return files
}
