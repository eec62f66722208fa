package runs

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), -update takes it:\n%s", path, diff)
	}
}

func sampleRequests(yield func(*Request, error) bool) {
	for i := range 3 {
		p := newPending("interactive", 0, sampleResult(i))
		if !yield(p.request(), nil) {
			return
		}
	}
}

func TestExport(t *testing.T) {
	run := sampleRun("soak", begin, record.Fail)
	run.ID = "20261122T020000Z-soak-1f3a9c02"
	closed := run.Lanes[0]
	closed.Name, closed.Open, closed.Stages = "closed", false, []record.Stage{closed.Stages[0], {Index: 1, Kind: record.Idle}}
	closed.Stages[0].Begin, closed.Stages[0].End = 8, 8
	run.Lanes = append(run.Lanes, closed)
	for _, tt := range []struct {
		file  string
		write func(io.Writer) error
	}{
		{"requests.csv", func(w io.Writer) error { return WriteRequestsCSV(w, sampleRequests) }},
		{"requests.jsonl", func(w io.Writer) error { return WriteRequestsJSON(w, sampleRequests) }},
		{"stages.csv", func(w io.Writer) error { return WriteStagesCSV(w, run) }},
		{"stages.json", func(w io.Writer) error { return WriteStagesJSON(w, run) }},
	} {
		t.Run(tt.file, func(t *testing.T) {
			var out bytes.Buffer
			if err := tt.write(&out); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.file, out.Bytes())
		})
	}
}

// The JSON of stages has the names and values of the CSV.
func TestStagesAgree(t *testing.T) {
	run := sampleRun("soak", begin, record.Fail)
	var asJSON, asCSV bytes.Buffer
	if err := WriteStagesJSON(&asJSON, run); err != nil {
		t.Fatal(err)
	}
	if err := WriteStagesCSV(&asCSV, run); err != nil {
		t.Fatal(err)
	}
	var objects []map[string]any
	if err := json.Unmarshal(asJSON.Bytes(), &objects); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&asCSV).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 2 || len(rows) != 3 || len(objects[0]) != len(rows[0]) {
		t.Fatalf("%d objects of %d fields, %d rows of %d columns", len(objects), len(objects[0]), len(rows), len(rows[0]))
	}
	for _, name := range rows[0] {
		if _, ok := objects[0][name]; !ok {
			t.Errorf("the JSON has no %s", name)
		}
	}
}

func TestExportStopsAtErrors(t *testing.T) {
	var broken iter.Seq2[*Request, error] = func(yield func(*Request, error) bool) { yield(nil, ErrNotFound) }
	if err := WriteRequestsCSV(io.Discard, broken); err != ErrNotFound {
		t.Errorf("WriteRequestsCSV = %v", err)
	}
	if err := WriteRequestsJSON(io.Discard, broken); err != ErrNotFound {
		t.Errorf("WriteRequestsJSON = %v", err)
	}
}
