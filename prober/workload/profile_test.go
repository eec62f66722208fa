package workload

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestProfileCheck(t *testing.T) {
	for _, test := range []struct {
		name    string
		profile Profile
		want    string // in the error; empty: none
	}{
		{"empty", nil, ""},
		{"idle", Profile{{0, 0, time.Hour}}, ""},
		{"step", Profile{{1, 1, time.Hour}, {1, 10, 0}, {10, 10, time.Hour}}, ""},
		{"fastest", Profile{{0, MaxRate, time.Hour}}, ""},
		{"negative", Profile{{1, 1, time.Hour}, {-1, 1, time.Hour}}, "segment 2 of the load profile has the rate -1; give one from 0 to 1000000 per second"},
		{"too fast", Profile{{1, MaxRate + 1, time.Hour}}, "segment 1 of the load profile has the rate 1.000001e+06; "},
		{"no number", Profile{{math.NaN(), 1, time.Hour}}, "has the rate NaN; "},
		{"infinite", Profile{{1, math.Inf(1), time.Hour}}, "has the rate +Inf; "},
		{"backwards", Profile{{1, 1, -time.Second}}, "segment 1 of the load profile lasts -1s; give a time of 0 or longer"},
		{"too long", Profile{{1, 1, math.MaxInt64}, {1, 1, 1}}, "the load profile is longer than 2562047h47m16.854775807s; shorten segment 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.profile.Check()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Check() = %v; want %q", err, test.want)
			}
		})
	}
}

func TestExpected(t *testing.T) {
	p := Profile{{0, 10, 10 * time.Second}, {10, 10, 5 * time.Second}, {0, 0, time.Minute}, {7, 3, 0}, {4, 2, 10 * time.Second}}
	for _, test := range []struct {
		until time.Duration
		want  float64
	}{
		{-time.Second, 0},
		{0, 0},
		{5 * time.Second, 12.5},
		{10 * time.Second, 50},
		{12 * time.Second, 70},
		{15 * time.Second, 100},
		{time.Minute, 100},
		{75 * time.Second, 100},
		{80 * time.Second, 117.5},
		{85 * time.Second, 130},
		{time.Hour, 130},
	} {
		if got := p.Expected(test.until); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("Expected(%v) = %v; want %v", test.until, got, test.want)
		}
	}
	if got := p.Duration(); got != 85*time.Second {
		t.Errorf("Duration() = %v; want 1m25s", got)
	}
}

// drawProfile draws profiles of up to about 4,000 arrivals: slow and fast ones, ramps, steps, idle times.
func drawProfile(t *rapid.T) Profile {
	var p Profile
	for range rapid.IntRange(1, 6).Draw(t, "segments") {
		rate := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.001, 0.1), rapid.Float64Range(0.1, 100), rapid.Float64Range(100, 10_000))
		s := Segment{From: rate.Draw(t, "from"), To: rate.Draw(t, "to")}
		longest := 24 * time.Hour
		if top := max(s.From, s.To); top > 0 {
			longest = min(longest, time.Duration(700/top*1e9))
		}
		s.Over = time.Duration(rapid.Int64Range(0, int64(longest)).Draw(t, "over"))
		p = append(p, s)
	}
	return p
}

func TestWhenIsTheInverseOfExpected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.001, 1), rapid.Float64Range(1, MaxRate))
		s := Segment{
			From: rate.Draw(t, "from"), To: rate.Draw(t, "to"),
			Over: time.Duration(rapid.Int64Range(1, int64(365*24*time.Hour)).Draw(t, "over")),
		}
		total := s.total()
		n := rapid.Float64Range(0, total).Draw(t, "n")
		at := s.when(n)
		if at < 0 || at > s.Over {
			t.Fatalf("when(%v) of %+v = %v; want a time within it", n, s, at)
		}
		// A nanosecond is the grain, and the rate says what that is in arrivals.
		if got, off := s.expected(at), max(s.From, s.To)*1e-9+total*1e-12; total > 0 && math.Abs(got-n) > off {
			t.Fatalf("expected(when(%v)) of %+v = %v", n, s, got)
		}
	})
}
