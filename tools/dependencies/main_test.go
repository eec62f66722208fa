package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"Apache", "   Apache License\n  Version 2.0, January 2004\n", []string{"Apache-2.0"}},
		{"MIT", "Permission is hereby granted, free of charge, to any\nperson obtaining a copy of", []string{"MIT"}},
		{"three clauses", "Redistribution and use in source and binary forms, with or without\nmodification, are permitted ... endorse or promote products\nderived from", []string{"BSD-3-Clause"}},
		{"two clauses", "Redistribution and use in source and binary forms, with or without modification, are permitted", []string{"BSD-2-Clause"}},
		{"GPL", "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007", []string{"GPL"}},
		{"LGPL", "GNU LESSER GENERAL PUBLIC LICENSE\n Version 3", []string{"LGPL"}},
		{"AGPL", "GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3", []string{"AGPL"}},
		{"MPL", "Mozilla Public License Version 2.0 ... the GNU Lesser General Public License, Version 2.1 ...", []string{"MPL-2.0"}},
		{"two in one", "Apache License Version 2.0, January 2004 ... Permission is hereby granted, free of charge, to any person obtaining a copy", []string{"Apache-2.0", "MIT"}},
		{"nothing", "All rights reserved.", nil},
	} {
		if got := identify(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: identify = %q; want %q", c.name, got, c.want)
		}
	}
}

func TestLicenceIn(t *testing.T) {
	dir := t.TempDir()
	if _, err := licenceIn(dir); err == nil {
		t.Error("a module without a licence is taken")
	}
	for name, text := range map[string]string{
		"LICENSE": "Apache License Version 2.0, January 2004", "license.libyaml": "Permission is hereby granted, free of charge, to any person obtaining a copy",
		"README.md": "GNU General Public License, version 3",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := licenceIn(dir); got != "Apache-2.0 AND MIT" || err != nil {
		t.Errorf("licenceIn = %q, %v; want Apache-2.0 AND MIT", got, err)
	}
}

// What appears, disappears, changes its licence, has none that is taken, or no reason, is said; nothing else.
func TestCompare(t *testing.T) {
	const list = "# a comment\n\na/same\tMIT\tbecause\na/gone\tMIT\tbecause\na/changed\tMIT\tbecause\na/reasonless\tMIT\t?\na/worse\tMIT\tbecause\n"
	linked := map[string]string{"a/same": "MIT", "a/new": "ISC", "a/changed": "BSD-3-Clause", "a/reasonless": "MIT", "a/worse": "MIT AND MPL-2.0"}
	listed, err := parse(list)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"  a/changed: its licence is BSD-3-Clause, and was MIT",
		"  a/new (ISC) is linked, and not listed",
		"  a/reasonless: there is no reason for it yet",
		"  a/worse: its licence is MIT AND MPL-2.0, which is not taken here: do without it",
		"  a/gone is listed, and no longer linked",
	}
	if got := compare(listed, linked); !slices.Equal(got, want) {
		t.Errorf("compare = %q; want %q", got, want)
	}
	again, err := parse(format(merge(listed, map[string]string{"a/same": "MIT", "a/changed": "ISC"})))
	if err != nil || len(again) != 2 || again["a/same"].why != "because" || again["a/changed"].licence != "ISC" {
		t.Errorf("written anew: %v, %v; want the two, with their reasons", again, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"a/b MIT because", "a/b\tMIT", "a/b\tMIT\tx\na/b\tMIT\tx"} {
		if got, err := parse(text); err == nil {
			t.Errorf("parse(%q) = %v; want an error", text, got)
		}
	}
}

func TestModules(t *testing.T) {
	dirs := map[string]string{}
	const list = `{}{"Module":{"Path":"ours","Main":true}}{"Module":{"Path":"a/b","Dir":"/x"}}{"Module":{"Path":"c","Replace":{"Path":"d","Dir":"/y"}}}`
	if err := modules(strings.NewReader(list), dirs); err != nil || len(dirs) != 2 || dirs["a/b"] != "/x" || dirs["d"] != "/y" {
		t.Errorf("modules = %v, %v; want a/b and d", dirs, err)
	}
	if err := modules(strings.NewReader(`{"Module":{"Path":"a"}}`), dirs); err == nil || !strings.Contains(err.Error(), "go mod download") {
		t.Errorf("a module that is not there: %v; want the cure", err)
	}
}
