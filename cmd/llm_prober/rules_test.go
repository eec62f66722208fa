package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRulesHaveLabels(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"rules", "--format=operator", "--label=release=kps", "--label=team=ml"}, &stdout, &stderr)
	if want := "  labels:\n    \"release\": \"kps\"\n    \"team\": \"ml\"\n"; code != exitOK || !strings.Contains(stdout.String(), want) {
		t.Errorf("rules with two labels = %d, %q, begins with %.200q; want %q", code, stderr.String(), stdout.String(), want)
	}
}
