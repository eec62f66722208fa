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
