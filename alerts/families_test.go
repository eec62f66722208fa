package alerts

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
	"github.com/llmprober/llm_prober/collector/gpu"
)

var update = flag.Bool("update", false, "write testdata/families.json anew")

// family is a metric family as the check of the rules reads it, in tools/prometheus/rulecheck: a module of its own, for
// Prometheus's parser brings more modules than the product has.
type family struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Labels    []string `json:"labels"`              // all but those that a target has of its own, and global ones
	NoBuckets bool     `json:"nobuckets,omitempty"` // a histogram without classic buckets
}

// TestFamilies keeps testdata/families.json what the collectors say.
func TestFamilies(t *testing.T) {
	var all []family
	for _, f := range collector.Families() {
		var scope []string
		switch f.Scope {
		case collector.PerProber:
		case collector.PerTarget:
			scope = []string{"target", "model"}
		case collector.PerBudget:
			scope = []string{"target", "model", "currency"}
		case collector.PerRamp:
			scope = []string{"target", "model", "ramp"}
		case collector.PerLane:
			scope = []string{"target", "model", "ramp", "lane"}
		case collector.PerStage:
			scope = []string{"target", "model", "ramp", "lane", "stage", "probe"}
		default:
			scope = []string{"target", "model", "probe"}
		}
		all = append(all, family{f.Name, string(f.Kind), append(scope, f.Labels...), f.Kind == collector.Histogram && len(f.Buckets) == 0})
	}
	for _, f := range engine.Families() {
		labels := []string{"target"}
		if f.Label != "" {
			labels = append(labels, f.Label)
		}
		all = append(all, family{Name: f.Name, Type: string(f.Type), Labels: labels})
	}
	for _, f := range gpu.Families() {
		kind := "gauge"
		if f.Counter {
			kind = "counter"
		}
		all = append(all, family{Name: f.Name, Type: kind, Labels: f.Labels})
	}

	var got bytes.Buffer
	for _, f := range all {
		line, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(append(line, '\n'))
	}
	const file = "testdata/families.json"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%s is not what the collectors say; cure: go test ./alerts -run TestFamilies -update", file)
	}
}
