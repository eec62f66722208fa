package web

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGuideGroups has metrics of two groups in turn: each group is one section of the page all the same.
func TestGuideGroups(t *testing.T) {
	var got [][]string
	for _, g := range newGuide([]Metric{
		{Name: "a", Group: "Per probe"}, {Name: "b", Group: "Per target"}, {Name: "c", Group: "Per probe"}, {Name: "d", Group: "Per target"},
	}).Groups {
		names := []string{g.ID, g.Name}
		for _, m := range g.Metrics {
			names = append(names, m.Name)
		}
		got = append(got, names)
	}
	want := [][]string{{"g1", "Per probe", "a", "c"}, {"g2", "Per target", "b", "d"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// TestGuidePieces parts texts at their backquotes.
func TestGuidePieces(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []guidePiece
	}{
		{"", nil},
		{"plain", []guidePiece{{Text: "plain"}}},
		{"with `retry` only", []guidePiece{{Text: "with "}, {"retry", true}, {Text: " only"}}},
		{"`a`, `b`", []guidePiece{{"a", true}, {Text: ", "}, {"b", true}}},
		{"a ` alone", []guidePiece{{Text: "a "}, {Text: "` alone"}}},
		{"`a` and `", []guidePiece{{"a", true}, {Text: " and "}, {Text: "`"}}},
	} {
		if diff := cmp.Diff(tt.want, pieces(tt.text)); diff != "" {
			t.Errorf("pieces(%q) (-want +got):\n%s", tt.text, diff)
		}
	}
}
