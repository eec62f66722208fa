package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// queuewaits runs the command with server processes of its own and returns what it prints.
func queuewaits(t *testing.T, args ...string) *bytes.Buffer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); err != nil {
		t.Fatalf("queuewait %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return &stdout
}

// TestRun holds a small run against what must be so on any machine, however busy: what the server tells by its own clock is
// right to the last digit, and each source that a dialect has is there.
func TestRun(t *testing.T) {
	out := queuewaits(t, "--loads=60", "--duration=2s", "--quiet=1s", "--output=json")
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Loads) != 2 || r.Loads[0].Load != 0 || r.Loads[1].Load != 0.6 {
		t.Fatalf("loads %+v; want 0 and 0.6", r.Loads)
	}
	loaded := r.Loads[1].Sources
	for _, name := range rows() {
		if loaded[name] == nil {
			t.Fatalf("there is no source %q", name)
		}
	}
	for name, within := range map[string]float64{bodyRow: 1e-5, headerRow: 1e-3, ollamaRow: 1e-5} {
		if row := loaded[name]; row.N == 0 || row.P95Error > within {
			t.Errorf("%s: %d samples, p95 of the error %v s; want some, and at most %v", name, row.N, row.P95Error, within)
		}
	}
	for _, name := range []string{derivedRow, progressRow, estimatedRow} {
		if row := loaded[name]; row.N+row.LeftOut == 0 {
			t.Errorf("%s: no samples, and none left out", name)
		}
	}
	if row := r.Loads[0].Sources[bodyRow]; row.N == 0 || row.TruthMean > 1e-5 {
		t.Errorf("without load, %d requests waited %v s in the queue; want some, and no wait", row.N, row.TruthMean)
	}
	if loaded[bodyRow].TruthMean == 0 {
		t.Error("under load, no request waited")
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"--loads=0", "--loads=30,x", "--loads=1000", "--duration=0s", "--quiet=0s", "--dialects=latin", "--output=xml", "--serve=nowhere", "--nonsense"} {
		t.Run(args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if err := run(t.Context(), []string{args}, strings.NewReader(""), &stdout, &stderr); err == nil {
				t.Errorf("queuewait %s ran:\n%s", args, &stdout)
			}
		})
	}
}
