package gpu

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	docsPath  = "../../docs/gpu.md"
	docsBegin = "<!-- The text from here to the end marker is written from collector/gpu/names.go: go test ./collector/gpu -run TestDocs -update -->\n"
	docsEnd   = "<!-- end -->\n"
)

// TestDocs keeps the table of metrics in the documentation as Families has it.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), docsBegin)
	table, after, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has lost the markers of its table", docsPath)
	}
	var want strings.Builder
	want.WriteString("\n| metric | type | labels beside gpu, uuid | |\n| --- | --- | --- | --- |\n")
	for _, f := range Families() {
		kind := "gauge"
		if f.Counter {
			kind = "counter"
		}
		labels := strings.TrimPrefix(strings.Join(f.Labels, ", "), "gpu, uuid")
		labels = strings.TrimPrefix(labels, ", ")
		if len(f.Labels) < 2 || f.Labels[1] != "uuid" || f.Labels[0] != "gpu" {
			labels = "(only) " + labels
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", f.Name, kind, labels, f.Help)
	}
	want.WriteString("\n")
	if *update {
		if err := os.WriteFile(docsPath, []byte(before+docsBegin+want.String()+docsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), table); diff != "" {
		t.Errorf("the table in %s (-want +got; -update writes it):\n%s", docsPath, diff)
	}
}

// TestDocsNameTheCodes keeps the list of codes in the text.
func TestDocsNameTheCodes(t *testing.T) {
	b, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	codes := PrecreatedXIDs()
	last := len(codes) - 1
	if want := strings.Join(codes[:last], ", ") + " and " + codes[last]; !strings.Contains(strings.ReplaceAll(string(b), "\n  ", " "), want) {
		t.Errorf("%s does not list the codes %s", docsPath, want)
	}
}
