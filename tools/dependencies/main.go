// Command dependencies holds the modules that are linked into llm_prober against a list of them, with a licence and a reason each.
//
//	go -C tools run ./dependencies           fail where the list is not what is linked
//	go -C tools run ./dependencies -update   write the list anew; new modules lack a reason, which is yours to give
//
// It looks at all platforms that are released. Licences are read from the texts in the module cache; only those are taken that
// ask for no more than a notice.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	root    = ".." // of the repository, seen from tools
	program = "./cmd/llm_prober"
	file    = "dependencies/modules.txt"
	cure    = "go -C tools run ./dependencies -update, then give each new module its reason, and look at what changed"
)

func main() {
	update := flag.Bool("update", false, "write the list anew")
	flag.Parse()
	if err := run(*update); err != nil {
		fmt.Fprintf(os.Stderr, "dependencies: %v\n", err)
		os.Exit(1)
	}
}

func run(update bool) error {
	linked, err := linked()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil && (!update || !errors.Is(err, os.ErrNotExist)) {
		return err
	}
	listed, err := parse(string(text))
	if err != nil {
		return err
	}
	if update {
		return os.WriteFile(file, []byte(format(merge(listed, linked))), 0o644)
	}
	if wrong := compare(listed, linked); len(wrong) > 0 {
		return fmt.Errorf("tools/%s is not what is linked:\n%s\ncure: %s", file, strings.Join(wrong, "\n"), cure)
	}
	return nil
}

// entry is one module of the list.
type entry struct{ module, licence, why string }

// platforms are those that are released, as environments of the go command.
func platforms() [][]string {
	return [][]string{
		{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=1"}, {"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=1"},
		{"GOOS=darwin", "GOARCH=amd64", "CGO_ENABLED=0"}, {"GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0"},
	}
}

// linked are the modules of which packages are linked, by name, with their licences.
func linked() (map[string]string, error) {
	dirs := map[string]string{}
	for _, platform := range platforms() {
		cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), "list", "-deps", "-json=Module", program)
		cmd.Dir, cmd.Env, cmd.Stderr = root, append(os.Environ(), platform...), os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", strings.Join(cmd.Args, " "), strings.Join(platform, " "), err)
		}
		if err := modules(strings.NewReader(string(out)), dirs); err != nil {
			return nil, err
		}
	}
	licences := map[string]string{}
	for name, dir := range dirs {
		licence, err := licenceIn(dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		licences[name] = licence
	}
	return licences, nil
}

// modules adds the folders of what go list says.
func modules(list io.Reader, dirs map[string]string) error {
	type module struct {
		Path, Dir string
		Main      bool
		Replace   *module
	}
	for d := json.NewDecoder(list); ; {
		var p struct{ Module *module }
		if err := d.Decode(&p); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("go list: %w", err)
		}
		m := p.Module
		if m == nil || m.Main { // the standard library, and ours
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Dir == "" {
			return fmt.Errorf("%s is not in the module cache: go mod download", m.Path)
		}
		dirs[m.Path] = m.Dir
	}
}

// licenceIn names the licences of the texts in a module's folder, joined by " AND ".
func licenceIn(dir string) (string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	names := map[string]bool{}
	for _, f := range files {
		name := strings.ToUpper(f.Name())
		if f.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "UNLICENSE") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return "", err
		}
		for _, licence := range identify(string(text)) {
			names[licence] = true
		}
	}
	if len(names) == 0 {
		return "", errors.New("it has no text of a licence that is known here")
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " AND "), nil
}

// identify names the licences in a text, by words that each has and no other; nil: none is known.
func identify(text string) []string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	has := func(words ...string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	}
	var found []string
	add := func(name string, is bool) {
		if is {
			found = append(found, name)
		}
	}
	add("AGPL", has("gnu affero general public license"))
	add("LGPL", has("gnu lesser general public license") || has("gnu library general public license"))
	add("GPL", has("gnu general public license", "version 2") || has("gnu general public license", "version 3"))
	add("MPL-2.0", has("mozilla public license version 2.0") || has("mozilla public license, version 2.0"))
	add("EPL", has("eclipse public license"))
	add("CDDL", has("common development and distribution license"))
	add("SSPL", has("server side public license"))
	add("BUSL", has("business source license"))
	add("CC-BY-SA", has("creative commons", "sharealike"))
	if slices.Contains(found, "MPL-2.0") {
		found = []string{"MPL-2.0"} // it names the GNU licences that it may be replaced by
	}
	add("Apache-2.0", has("apache license", "version 2.0, january 2004") || has("licensed under the apache license, version 2.0"))
	add("MIT", has("permission is hereby granted, free of charge, to any person obtaining a copy"))
	add("ISC", has("permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"))
	add("ISC", has("permission to use, copy, modify, and distribute this software for any purpose with or without fee"))
	bsd := has("redistribution and use in source and binary forms, with or without modification, are permitted")
	third := has("endorse or promote products derived")
	add("BSD-3-Clause", bsd && third)
	add("BSD-2-Clause", bsd && !third)
	return found
}

// permissive are the licences that ask for no more than a notice.
func permissive(licence string) bool {
	for name := range strings.SplitSeq(licence, " AND ") {
		if !slices.Contains([]string{"Apache-2.0", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause"}, name) {
			return false
		}
	}
	return true
}

// parse reads a list: a module, its licence and its reason on each line, with tabs between them. Lines with # are for people.
func parse(text string) (map[string]entry, error) {
	listed := map[string]entry{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var fields []string
		for f := range strings.SplitSeq(line, "\t") {
			if f = strings.TrimSpace(f); f != "" {
				fields = append(fields, f)
			}
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s:%d: want a module, a licence and a reason, with tabs between them", file, n)
		}
		if _, again := listed[fields[0]]; again {
			return nil, fmt.Errorf("%s:%d: %s is listed twice", file, n, fields[0])
		}
		listed[fields[0]] = entry{fields[0], fields[1], fields[2]}
	}
	return listed, nil
}

// noReason stands where a reason is to be given.
const noReason = "?"

// compare says what is wrong, a line each.
func compare(listed map[string]entry, linked map[string]string) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, "  "+fmt.Sprintf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(linked)) {
		e, ok := listed[name]
		switch licence := linked[name]; {
		case !permissive(licence):
			say("%s: its licence is %s, which is not taken here: do without it", name, licence)
		case !ok:
			say("%s (%s) is linked, and not listed", name, licence)
		case e.licence != licence:
			say("%s: its licence is %s, and was %s", name, licence, e.licence)
		case e.why == noReason:
			say("%s: there is no reason for it yet", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if _, ok := linked[name]; !ok {
			say("%s is listed, and no longer linked", name)
		}
	}
	return wrong
}

// merge is what is linked, with the reasons that are known.
func merge(listed map[string]entry, linked map[string]string) []entry {
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(linked)) {
		entries = append(entries, entry{name, linked[name], cmp.Or(listed[name].why, noReason)})
	}
	return entries
}

func format(entries []entry) string {
	module, licence := 0, 0
	for _, e := range entries {
		module, licence = max(module, len(e.module)), max(licence, len(e.licence))
	}
	var b strings.Builder
	b.WriteString("# The modules that are linked into llm_prober on the platforms that are released: what each is, and why it is there.\n" +
		"# Their versions are in go.mod. Held against the truth by tools/dependencies; written anew by its -update, which keeps the reasons.\n\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "%-*s\t%-*s\t%s\n", module, e.module, licence, e.licence, e.why)
	}
	return b.String()
}
