package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Options are what a configuration takes from its surroundings.
type Options struct {
	// LookupEnv finds the environment variables that secrets refer to. Nil: none is set.
	LookupEnv func(name string) (value string, ok bool)

	// Dir is where relative file names in the configuration start. Empty: they stay as they are.
	Dir string

	// CheckFile says what keeps a file of prompts or of arrivals from being used. Nil: they are not looked at.
	CheckFile func(name string) error

	// CheckKey says what keeps a file with a credential or a certificate from ever being read. Nil: they are not looked at.
	CheckKey func(name string) error
}

// Load reads, completes and checks the configuration in a file. It changes nothing and keeps nothing, so it serves
// checking, starting and reloading alike. A file that can be read but is wrong gives an ErrorList. Whatever has that name, it is
// not waited for longer than 10 s, and no more than 2 MiB of it is read.
//
// Environment variables are the process's; relative file names start in the file's directory.
func Load(path string) (*Config, error) {
	data, err := readFile(path, maxSize, patience)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	return Parse(path, data, Options{LookupEnv: os.LookupEnv, Dir: filepath.Dir(path), CheckFile: checkFile, CheckKey: checkKey})
}

// Parse is Load for data that has been read. Errors call it name. The error, if any, is an ErrorList.
func Parse(name string, data []byte, opts Options) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	src := newSource(name, data)
	if f := unreadable(data); f != nil {
		return nil, src.errors(faults{*f}, nil)
	}
	doc, syntax := parseYAML(data)
	if syntax != nil {
		return nil, src.errors(faults{*syntax}, nil)
	}
	if doc.root == nil || doc.root.isNull() {
		return nil, src.errors(faults{{line: 1, col: 1, message: `the file is empty; it needs "probes" and "targets"`}}, nil)
	}

	c, found := build(doc, opts)
	if found = append(doc.faults, found...); len(found) > 0 {
		return nil, src.errors(found, doc)
	}
	c.setDirectory(opts.Dir)
	c.warnings = src.errors(warnings(c, doc.root), doc)
	return c, nil
}

// build makes a Config of a document, in as far as it is sound, and says where it is not.
func build(doc *document, opts Options) (*Config, faults) {
	lookup := opts.LookupEnv
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	s := &shape{lookup: lookup, secrets: map[*node]string{}}
	s.checkConfig(doc.root)
	if len(doc.faults)+len(s.faults) == 0 {
		s.reveal()
	}
	found := s.faults
	for _, place := range placesOfHeaders(doc.root) {
		found = append(found, checkHeaders(place)...)
	}

	c := &Config{}
	found = append(found, decode(doc.root, c)...)
	applyDefaults(c, doc.root)
	found = append(found, validate(c, doc.root)...)
	found = append(found, c.checkFiles(doc.root, opts)...)
	return c, found
}

// placesOfHeaders lists the mappings that may have headers, or an HTTP client, or an engine with one.
func placesOfHeaders(root *node) []*node {
	places := root.get("targets").sound()
	for _, source := range slices.Concat(root.get("target_files").sound(), root.get("http_sd").sound(), []*node{root.get("probe_on_demand")}) {
		places = append(places, source, source.get("template"))
	}
	for _, ramp := range root.get("ramps").sound() {
		places = append(places, ramp.get("lanes").sound()...)
	}
	return places
}
