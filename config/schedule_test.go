package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func at(t *testing.T, zone, text string) time.Time {
	t.Helper()
	l, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := time.ParseInLocation("2006-01-02 15:04", text, l)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// The clocks: in New York they go forward on 2026-03-08 at 2:00, and back on 2026-11-01 at 2:00.
func TestNext(t *testing.T) {
	const ny = "America/New_York"
	for _, tt := range []struct {
		name, schedule, zone, after string
		want                        []string // RFC 3339
	}{
		{"daily", "0 2 * * *", "UTC", "2026-03-01 02:00", []string{"2026-03-02T02:00:00Z", "2026-03-03T02:00:00Z"}},
		{"the zone counts", "0 2 * * *", ny, "2026-03-01 02:00", []string{"2026-03-02T02:00:00-05:00"}},
		{"a time that does not exist is passed over", "30 2 * * *", ny, "2026-03-07 12:00", []string{"2026-03-09T02:30:00-04:00"}},
		{"a time that comes twice is kept once", "30 1 * * *", ny, "2026-10-31 12:00", []string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"between the two, the second is not kept either", "30 1 * * *", ny, "2026-11-01 01:45", []string{"2026-11-02T01:30:00-05:00"}},
		{"several in the hour that comes twice", "*/30 * * * *", ny, "2026-11-01 00:30",
			[]string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T02:00:00-05:00", "2026-11-01T02:30:00-05:00"}},
		{"half an hour back", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", []string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"leap days", "0 0 29 2 *", "UTC", "2026-03-01 02:00", []string{"2028-02-29T00:00:00Z"}},
		{"a word", "@weekly", "UTC", "2026-03-01 00:00", []string{"2026-03-08T00:00:00Z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Ramp{Schedule: Schedule(tt.schedule), Timezone: tt.zone}
			var got []string
			next := at(t, tt.zone, tt.after)
			for range tt.want {
				next = r.Next(next)
				got = append(got, next.Format(time.RFC3339))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Next of %q in %s (-want +got):\n%s", tt.schedule, tt.zone, diff)
			}
		})
	}
	if got := (&Ramp{}).Next(time.Now()); !got.IsZero() {
		t.Errorf("Next without a schedule = %v; want none", got)
	}
}

// No text makes the parser panic, and what it takes has times.
func TestSchedulesDoNotPanic(t *testing.T) {
	field := rapid.StringMatching(`[0-9*/,?a-z-]{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		for range rapid.IntRange(1, 7).Draw(t, "fields") {
			text.WriteString(rapid.SampledFrom([]string{"", " ", "TZ=", "CRON_TZ=UTC ", "@every ", "@"}).Draw(t, "before") + field.Draw(t, "field") + " ")
		}
		schedule, err := parseSchedule(text.String())
		if err == nil && schedule == nil {
			t.Fatalf("parseSchedule(%q) gave neither", text.String())
		}
	})
}

func TestInBlackout(t *testing.T) {
	clock := func(text string) TimeOfDay {
		parsed, err := ParseTimeOfDay(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	day := &Blackout{From: clock("08:00"), To: clock("18:00")}
	night := &Blackout{From: clock("22:00"), To: clock("06:00"), Days: []string{"fri"}}
	whole := &Blackout{From: clock("00:00"), To: clock("24:00"), Days: []string{"sat", "sun"}, Timezone: "UTC"}
	for _, tt := range []struct {
		blackout *Blackout
		zone     string
		when     string // in UTC; 2026-11-20 is a Friday
		want     bool
	}{
		{day, "UTC", "2026-11-20 07:59", false},
		{day, "UTC", "2026-11-20 08:00", true},
		{day, "UTC", "2026-11-20 17:59", true},
		{day, "UTC", "2026-11-20 18:00", false},
		{day, "Europe/Berlin", "2026-11-20 07:00", true},
		{day, "Europe/Berlin", "2026-11-20 17:00", false},
		{night, "UTC", "2026-11-20 21:59", false},
		{night, "UTC", "2026-11-20 22:00", true},
		{night, "UTC", "2026-11-21 05:59", true},  // Saturday: it began on Friday
		{night, "UTC", "2026-11-20 05:59", false}, // Friday: it would have begun on Thursday
		{night, "UTC", "2026-11-21 06:00", false},
		{night, "UTC", "2026-11-21 23:00", false},
		{whole, "UTC", "2026-11-20 23:59", false},
		{whole, "UTC", "2026-11-21 00:00", true},
		{whole, "UTC", "2026-11-22 23:59", true},
		{whole, "UTC", "2026-11-23 00:00", false},
		{whole, "Asia/Tokyo", "2026-11-20 16:00", false}, // its own zone counts
	} {
		r := &Ramp{Timezone: tt.zone, Blackouts: []*Blackout{tt.blackout}}
		if got := r.InBlackout(at(t, "UTC", tt.when)); got != tt.want {
			t.Errorf("InBlackout(%s) of %v to %v %v in %s = %v; want %v", tt.when, tt.blackout.From, tt.blackout.To, tt.blackout.Days, tt.zone, got, tt.want)
		}
	}
}
