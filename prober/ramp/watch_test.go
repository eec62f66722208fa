package ramp

import (
	"fmt"
	"testing"
	"time"
)

// The percentile of a limit is that of the reports: of 100, the p90 is the 90th, and 10 may be slower.
func TestLimitOfAPercentile(t *testing.T) {
	for _, test := range []struct {
		percentile  float64
		timed, slow int
		want        bool
	}{
		{90, 100, 10, false},
		{90, 100, 11, true},
		{95, 100, 5, false},
		{95, 100, 6, true},
		{95, 36, 1, false},
		{95, 36, 2, true},
		{50, 11, 5, false},
		{50, 11, 6, true},
		{99.9, 1000, 1, false},
		{99.9, 1000, 2, true},
		{99, 10, 0, false},
		{99, 10, 1, true},
	} {
		t.Run(fmt.Sprintf("p%v of %d of %d", test.percentile, test.slow, test.timed), func(t *testing.T) {
			begun := time.Unix(1_700_000_000, 0)
			w := newWatchdog(&Plan{Abort: Abort{Over: time.Minute, TTFT: []TTFTLimit{{Percentile: test.percentile, Bound: time.Second}}}}, begun)
			l := laneState{"main", tally{timed: test.timed, ended: test.timed, slow: [maxTTFTLimits]int{test.slow}}}
			if a := w.lanes(begun.Add(time.Hour), state{lanes: []laneState{l}}); (a != nil) != test.want {
				t.Errorf("lanes() = %+v; want an abort: %t", a, test.want)
			}
		})
	}
}
