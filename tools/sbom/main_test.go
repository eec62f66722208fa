package main

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime/debug"
	"slices"
	"testing"
)

func TestBill(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "example.com/prog", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/Up/v2", Version: "v2.0.0+incompatible", Sum: "h1:AAAA"},
			{Path: "example.com/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/new", Version: "v1.1.0"}},
		},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "-ldflags", Value: "-X secret=1"}},
	}
	d := bill(info, "prog", "1.2.3", "abcd")
	var got []string
	for _, c := range append([]component{d.Metadata.Component}, d.Components...) {
		got = append(got, c.PURL)
	}
	want := []string{
		"pkg:golang/example.com/prog@1.2.3", "pkg:golang/std@1.26.8",
		"pkg:golang/example.com/Up/v2@v2.0.0%2Bincompatible", "pkg:golang/example.com/new@v1.1.0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("package URLs = %q; want %q", got, want)
	}
	if depends := d.Dependencies[0].DependsOn; !slices.Equal(depends, want[1:]) {
		t.Errorf("dependsOn = %q; want %q", depends, want[1:])
	}
	if p := d.Metadata.Component.Properties; len(p) != 1 || p[0] != (property{"go:build:GOOS", "linux"}) {
		t.Errorf("properties = %v; want GOOS alone", p)
	}
}

// TestRun reads the test's own binary.
func TestRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	if err := run(&first, self, ""); err != nil {
		t.Fatal(err)
	}
	if err := run(&second, self, ""); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("the same binary makes different bytes (%v)", err)
	}
	var d document
	if err := json.Unmarshal(first.Bytes(), &d); err != nil || d.Format != "CycloneDX" || len(d.Metadata.Component.Hashes) != 1 {
		t.Errorf("%v\n%s", err, first.String())
	}
	if err := run(&first, "main_test.go", ""); err == nil {
		t.Error("a text file has a bill of materials")
	}
}
