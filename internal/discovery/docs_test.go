package discovery

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const discoveryMD = "../../docs/discovery.md"

// The table of labels in the document is that of the code.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(discoveryMD)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "| label | says | without it |\n|---|---|---|\n", "\n\n"
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatal("the document has no table of labels")
	}
	var table strings.Builder
	for i, l := range Labels() {
		if i > 0 {
			table.WriteString("\n")
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |", l.Name, l.Says, l.Else)
	}
	want := string(before) + begin + table.String() + end + string(after)
	if *update {
		if err := os.WriteFile(discoveryMD, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("the table of labels is not that of the code (-want +got; rewrite it with -update):\n%s", diff)
	}
}

// The lists that the document shows make targets, and its configuration is one.
func TestDocumentLists(t *testing.T) {
	text, err := os.ReadFile(discoveryMD)
	if err != nil {
		t.Fatal(err)
	}
	m := newTestMapping(t, aTemplate)
	shown := 0
	for _, block := range regexp.MustCompile("(?s)```(json|yaml)\n(.*?)```").FindAllSubmatch(text, -1) {
		format, list := string(block[1]), block[2]
		if bytes.Contains(list, []byte("target_files:")) {
			configure(t, allProbes+string(list))
			continue
		}
		shown++
		found, err := parse(document{place: "the list", data: list, yaml: format == "yaml"})
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("no targets")
		}
		if err == nil {
			_, err = m.targets(found)
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, list)
		}
	}
	if shown < 2 {
		t.Errorf("the document shows %d lists; want one in JSON and one in YAML", shown)
	}
}
