package dashboards_test

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/dashboards"
)

// TestFiles looks at what every user of the files relies on; internal/generate looks at the rest.
func TestFiles(t *testing.T) {
	names, err := fs.Glob(dashboards.Files(), "*")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"llm-prober-gpu.json", "llm-prober-health.json", "llm-prober-objectives.json",
		"llm-prober-overview.json", "llm-prober-ramps.json", "llm-prober-target.json",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, name := range names {
		text, err := fs.ReadFile(dashboards.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			UID, Title string
			Tags       []string
			Panels     []json.RawMessage
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.UID+".json" != name {
			t.Errorf("%s: uid = %q; want the file's name", name, d.UID)
		}
		if !strings.HasPrefix(d.Title, "LLM prober / ") {
			t.Errorf("%s: title = %q; want it to begin with LLM prober /", name, d.Title)
		}
		if len(d.Tags) != 1 || d.Tags[0] != "llm_prober" {
			t.Errorf("%s: tags = %q; want llm_prober", name, d.Tags)
		}
		if len(d.Panels) == 0 {
			t.Errorf("%s: no panels", name)
		}
		if strings.Contains(string(text), "__inputs") {
			t.Errorf("%s: has __inputs, which provisioning does not fill", name)
		}
	}
}
