package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestDocumentedYAML keeps every block of YAML in the README and the documents YAML: those, too, that are parts of
// configurations, or are for Prometheus or Kubernetes.
func TestDocumentedYAML(t *testing.T) {
	block := regexp.MustCompile("(?ms)^([ \t]*)```yaml\n(.*?)^[ \t]*```")
	count := 0
	for _, page := range documents(t) {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range block.FindAllSubmatchIndex(text, -1) {
			count++
			indented := append([]byte("\n"), text[at[2]:at[3]]...)
			content := bytes.ReplaceAll(append([]byte("\n"), text[at[4]:at[5]]...), indented, []byte("\n"))
			documents := yaml.NewDecoder(bytes.NewReader(content))
			for {
				var v any
				if err := documents.Decode(&v); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Errorf("%s:%d: %v", page, bytes.Count(text[:at[0]], []byte("\n"))+1, err)
					break
				}
			}
		}
	}
	if count < 20 {
		t.Errorf("%d blocks of YAML; want 20 or more", count)
	}
}
