package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestRun makes a few trials: that they are right in most cases is for the program itself to show.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), []string{"--trials=2", "--length=20s", "--output=json"}, &out)
	if err != nil && !errors.Is(err, errMissed) {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 5 || r.Trials != 2 || !(r.Spread > .03 && r.Spread < .1) {
		t.Errorf("report = %+v; want five kinds of trial, and a spread near 5 %%", r)
	}
	for _, k := range r.Results {
		if k.NotEnoughRuns != 0 || k.Slower == .2 && k.News == 5 && k.Regressed != 2 {
			t.Errorf("%+v; want no trial without a verdict, and a fifth found by sets", k)
		}
	}
	out.Reset()
	if err := run(t.Context(), []string{"--trials=0"}, &out); err == nil {
		t.Error("run(--trials=0) = nil; want an error")
	}
	if err := run(t.Context(), []string{"--help"}, &out); err != nil || !strings.Contains(out.String(), "--trials") {
		t.Errorf("run(--help) = %v, %q", err, out.String())
	}
}
