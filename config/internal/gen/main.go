// Command gen writes what is known of the configuration from its types alone: config/schema.json, with which editors
// complete and check a file, and docs/configuration.md. Descriptions are the comments in types.go; defaults are those
// of a file that leaves out what it can.
//
//	gen DIR    where DIR is the folder of package config
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	files, err := generate(dir)
	if err != nil {
		return err
	}
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the content of each generated file. It reads types.go in dir.
func generate(dir string) (map[string][]byte, error) {
	docs, err := parseComments(filepath.Join(dir, "types.go"))
	if err != nil {
		return nil, err
	}
	sample, err := newSample()
	if err != nil {
		return nil, err
	}
	schema, err := schemaJSON(docs, sample)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	reference, err := referenceMarkdown(docs, sample)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	return map[string][]byte{
		filepath.Join(dir, "schema.json"):                 schema,
		filepath.Join(dir, "..", "docs/configuration.md"): reference,
	}, nil
}
