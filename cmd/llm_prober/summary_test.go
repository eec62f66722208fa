package main

import (
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
)

// TestSummaryClock says whose clock the times are of, and nothing where there are none.
func TestSummaryClock(t *testing.T) {
	of := func(clocks ...prober.Clock) *summary {
		s := &summary{}
		for _, c := range clocks {
			r := probertest.Streamed("t", "p", 50*time.Millisecond, time.Millisecond, 3)
			if r.Clock = c; c == "" {
				r.Outcome = prober.Connect
			}
			s.add(r)
		}
		return s
	}
	const kernel, user = prober.ClockKernel, prober.ClockUser
	for _, tt := range []struct {
		name   string
		clocks []prober.Clock
		want   string
		table  bool
	}{
		{"none asked", nil, "\n0 requests:\n", false},
		{"all failed", []prober.Clock{"", ""}, "\n2 requests: 2 connect\n", false},
		{"kernel", []prober.Clock{kernel, ""}, "\n2 requests: 1 ok 1 connect; times by the kernel's clock\n", true},
		{"user", []prober.Clock{user}, "\n1 request: 1 ok; times by the user's clock\n", true},
		{"both", []prober.Clock{kernel, user, kernel}, "\n3 requests: 3 ok; times by the kernel's clock, but for 1 request by the user's\n", true},
	} {
		var b strings.Builder
		if err := (textReport{w: &b}).summary(of(tt.clocks...)); err != nil {
			t.Fatal(err)
		}
		got, table := b.String(), strings.Contains(b.String(), "time to first token")
		if !strings.HasPrefix(got, tt.want) || table != tt.table {
			t.Errorf("%s: summary = %q; want %q, table %v", tt.name, got, tt.want, tt.table)
		}
	}
}
