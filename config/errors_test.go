package config

import (
	"strings"
	"testing"
)

// A message is put into the log at each reload: a file that is wrong in each of its lines must not fill the disk.
func TestErrorListTellsSoMany(t *testing.T) {
	for _, tt := range []struct {
		lines int
		want  string // how the message ends; empty: with the last fault
	}{
		{1, ""},
		{maxShown - 2, ""}, // and two keys that are missing
		{maxShown - 1, "\nand 1 more"},
		{1000, "\nand 952 more"},
	} {
		var text strings.Builder
		for range tt.lines {
			text.WriteString("nonsense: true\n")
		}
		_, err := Parse("prober.yml", []byte(text.String()), Options{})
		if err == nil {
			t.Fatalf("Parse of %d wrong lines = nil; want an error", tt.lines)
		}
		got := err.Error()
		if ended := strings.Contains(got, "more"); ended != (tt.want != "") || !strings.HasSuffix(got, tt.want) {
			t.Errorf("%d wrong lines: the message ends with %q; want %q", tt.lines, got[max(0, len(got)-80):], tt.want)
		}
		if len(got) > 20_000 {
			t.Errorf("%d wrong lines: the message has %d bytes", tt.lines, len(got))
		}
	}
}
