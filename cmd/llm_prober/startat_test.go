package main

import (
	"strings"
	"testing"
	"time"
)

func TestStartTime(t *testing.T) {
	for _, test := range []struct{ in, want, err string }{
		{in: "2026-03-01T02:00:00Z", want: "2026-03-01T02:00:00Z"},
		{in: "2026-03-01T02:00:00+02:00", want: "2026-03-01T00:00:00Z"},
		{in: "soak-29538840", want: "2026-03-01T02:00:00Z"},
		{in: "llm-prober-nightly-soak-29538840+2m30s", want: "2026-03-01T02:02:30Z"},
		{in: "soak-29538840+", err: "no delay"},
		{in: "soak-29538840+-2m", err: "no delay"},
		{in: "soak-29538840+2", err: "no delay"},
		{in: "29538840", err: "neither"},
		{in: "-29538840", err: "neither"},
		{in: "soak-3", err: "neither"},
		{in: "soak-99999999999", err: "neither"},
		{in: "soak", err: "neither"},
		{in: "", err: "neither"},
		{in: "2026-03-01 02:00", err: "neither"},
	} {
		got, err := startTime(test.in)
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("startTime(%q) = %v, %v; want an error with %q", test.in, got, err, test.err)
			}
		case err != nil || got.UTC().Format(time.RFC3339) != test.want:
			t.Errorf("startTime(%q) = %v, %v; want %s", test.in, got, err, test.want)
		}
	}
}
