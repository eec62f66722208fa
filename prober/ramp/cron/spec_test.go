package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Skipf("no time zone data: %v", err)
	}
	return loc
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// times are the next n times of a schedule.
func times(t *testing.T, spec, location, after string, n int) []string {
	t.Helper()
	s, err := Parse(spec, zone(t, location))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	now := at(t, after)
	for range n {
		now = s.Next(now)
		got = append(got, now.Format(time.RFC3339))
	}
	return got
}

func TestNext(t *testing.T) {
	for _, tt := range []struct {
		name, spec, zone, after string
		want                    []string
	}{
		{"a plain night", "0 2 * * *", "UTC", "2026-11-22T01:59:59.5Z",
			[]string{"2026-11-22T02:00:00Z", "2026-11-23T02:00:00Z"}},
		{"its own time is not after itself", "0 2 * * *", "UTC", "2026-11-22T02:00:00Z",
			[]string{"2026-11-23T02:00:00Z"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"every 6 hours, on a grid", "@every 6h", "Europe/Berlin", "2026-11-22T05:00:00Z",
			[]string{"2026-11-22T07:00:00+01:00", "2026-11-22T13:00:00+01:00"}},
		{"every 36 hours", "@every 36h", "UTC", "1969-12-30T00:00:00Z", []string{"1969-12-30T12:00:00Z", "1970-01-01T00:00:00Z", "1970-01-02T12:00:00Z"}},

		// New York: forward on 2026-03-08 from 02:00 to 03:00, back on 2026-11-01 from 02:00 to 01:00.
		{"a time that is not is run at the first one that is", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"the beginning of the gap", "0 2 * * *", "America/New_York", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"}},
		{"several times that are not are one", "*/20 2,3 * * *", "America/New_York", "2026-03-08T06:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-08T03:20:00-04:00", "2026-03-08T03:40:00-04:00", "2026-03-09T02:00:00-04:00"}},
		{"every 20 minutes goes over the gap", "*/20 * * * *", "America/New_York", "2026-03-08T06:30:00Z",
			[]string{"2026-03-08T01:40:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T03:20:00-04:00"}},
		{"a time that comes twice is run once", "30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"also when asked between the two", "30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z",
			[]string{"2026-11-02T01:30:00-05:00"}},
		{"the end of the repeated hour comes once", "0 2 * * *", "America/New_York", "2026-11-01T00:00:00Z",
			[]string{"2026-11-01T02:00:00-05:00"}},
		{"every 20 minutes goes on in the repeated hour", "*/20 * * * *", "America/New_York", "2026-11-01T05:30:00Z",
			[]string{"2026-11-01T01:40:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T01:20:00-05:00", "2026-11-01T01:40:00-05:00", "2026-11-01T02:00:00-05:00"}},
		{"hourly at a quarter past, asked between", "15 * * * *", "America/New_York", "2026-11-01T05:30:00Z",
			[]string{"2026-11-01T01:15:00-05:00", "2026-11-01T02:15:00-05:00"}},
		{"some hours are not every hour", "15 0-4 * * *", "America/New_York", "2026-11-01T05:00:00Z",
			[]string{"2026-11-01T01:15:00-04:00", "2026-11-01T02:15:00-05:00"}},

		// Berlin: forward on 2026-03-29 from 02:00 to 03:00, back on 2026-10-25 from 03:00 to 02:00.
		{"Berlin forward", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"Berlin back", "0 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-26T02:00:00+01:00"}},

		// Lord Howe: forward on 2026-10-04 from 02:00 to 02:30, back on 2026-04-05 from 02:00 to 01:30.
		{"Lord Howe forward", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"Lord Howe back", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"Lord Howe back, hourly", "45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-05T02:45:00+10:30"}},

		{"midnight that is not", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z",
			[]string{"2026-09-06T01:00:00-03:00", "2026-09-07T00:00:00-03:00"}},
		{"a day that is not", "0 2 * * *", "Pacific/Apia", "2011-12-29T13:00:00Z",
			[]string{"2011-12-31T00:00:00+14:00", "2011-12-31T02:00:00+14:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := times(t, tt.spec, tt.zone, tt.after, len(tt.want))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Next of %q in %s after %s (-want +got):\n%s", tt.spec, tt.zone, tt.after, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ spec, want string }{
		{"", "empty"},
		{"TZ=UTC", "timezone"},
		{"CRON_TZ=UTC 0 2 * * *", "timezone"},
		{"0 2 * *", "5 fields"},
		{"0 0 2 * * *", "5 fields"},
		{"0 25 * * *", "25"},
		{"0 0 * * 7", "7"},
		{"0 0 30 2 *", "no such day"},
		{"@every 59s", "shortest"},
		{"@every 0s", "shortest"},
		{"@every -5s", "shortest"},
		{"@every 1ns", "shortest"},
		{"@every soon", "soon"},
		{"@reboot", "reboot"},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			_, err := Parse(tt.spec, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%q) = %v; want an error with %q", tt.spec, err, tt.want)
			}
		})
	}
}

// Whatever the line and the zone: times rise, are shown by the clock as the line wants, or are a change of the clocks;
// and none between is left out.
func TestNextProperties(t *testing.T) {
	zones := []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Asia/Kathmandu"}
	for _, z := range zones {
		zone(t, z)
	}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		line := rapid.SampledFrom([]string{"*", "0", "30", "*/20", "15,45"}).Draw(t, "minute") + " " +
			rapid.SampledFrom([]string{"*", "0", "1", "2", "*/6", "1-3"}).Draw(t, "hour") + " " +
			rapid.SampledFrom([]string{"* * *", "* * 0", "1 * *", "* 3,4,9,10,11 0"}).Draw(t, "day")
		s, err := Parse(line, loc)
		if err != nil {
			t.Fatal(err)
		}
		after := time.Unix(rapid.Int64Range(1767225600, 1830297600).Draw(t, "after"), 0) // 2026 and 2027
		next := s.Next(after)
		if !next.After(after) {
			t.Fatalf("Next(%v) of %q = %v", after, line, next)
		}
		shows := func(at time.Time) bool { return s.wall.Next(face(at).Add(-time.Second)).Equal(face(at)) }
		if start, _ := next.ZoneBounds(); !shows(next) && !next.Equal(start) {
			t.Fatalf("Next(%v) of %q = %v, which is neither such a time nor a change of the clocks", after, line, next)
		}
		// Step through the time between, at most two days of it, as a clock would.
		again := map[time.Time]bool{}
		begin := after.In(loc).Truncate(time.Minute)
		for m := begin.Add(-25 * time.Hour); m.Before(next) && m.Before(begin.Add(48*time.Hour)); m = m.Add(time.Minute) {
			if m.After(after) && shows(m) && (s.all || !again[face(m)]) {
				t.Fatalf("Next(%v) of %q = %v, but %v is before it", after, line, next, m)
			}
			again[face(m)] = true
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0 2 * * *", "TZ=UTC", "@every 1h", "CRON_TZ= ", "*/0 * * * *", "@", "1-0 * * * *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := Parse(line, nil)
		if err != nil {
			return
		}
		now := time.Unix(1795305600, 0)
		if next := s.Next(now); !next.IsZero() && !next.After(now) {
			t.Errorf("Next of %q is not after: %v", line, next)
		}
	})
}
