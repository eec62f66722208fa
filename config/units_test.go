package config

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseLevel(t *testing.T) {
	for text, want := range map[string]Level{
		"10/s": {10, time.Second}, "0.5/s": {0.5, time.Second}, "30/m": {30, time.Minute}, "100/h": {100, time.Hour}, "0/s": {0, time.Second}, "8": {8, 0}, "0": {0, 0},
	} {
		if got, err := ParseLevel(text); got != want || err != nil {
			t.Errorf("ParseLevel(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/s", "s", "10/", "10/d", "10 /s", "10/s/s", "-1/s", "-1", "-0/s", "1.5", "1e3/s", "010/s", "0x1", ".5/s", "10 rps", "2000000/s", "99999999999999999999"} {
		if got, err := ParseLevel(text); err == nil {
			t.Errorf("ParseLevel(%q) = %v; want an error", text, got)
		}
	}
	if got := (Level{30, time.Minute}).PerSecond(); got != 0.5 {
		t.Errorf("30/m is %v/s; want 0.5", got)
	}
}

func TestLevelsAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Level{Number: float64(rapid.IntRange(0, maxLevel).Draw(t, "number")), Unit: rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, time.Hour}).Draw(t, "unit")}
		if l.IsRate() {
			l.Number /= float64(rapid.SampledFrom([]int{1, 4, 10, 3}).Draw(t, "part"))
		}
		if got, err := ParseLevel(l.String()); got != l || err != nil {
			t.Errorf("ParseLevel(%q) = %v, %v; want %v", l, got, err, l)
		}
		asJSON, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		if json.Unmarshal(asJSON, &text) != nil {
			text = string(asJSON)
		}
		if got, err := ParseLevel(text); got != l || err != nil {
			t.Errorf("as JSON %s, which is %v, %v; want %v", asJSON, got, err, l)
		}
	})
}

func TestParsePercent(t *testing.T) {
	for text, want := range map[string]Percent{"10%": 0.1, "0%": 0, "2.5%": 0.025, "100%": 1, "12.5%": 0.125, "250%": 2.5} {
		got, err := ParsePercent(text)
		if got != want || err != nil || got.String() != text {
			t.Errorf("ParsePercent(%q) = %v, %v; want %v", text, got, err, float64(want))
		}
	}
	for _, text := range []string{"", "%", "10", "0.1", "10 %", "ten%", "1e1%", "10%%", "+10%"} {
		if got, err := ParsePercent(text); err == nil {
			t.Errorf("ParsePercent(%q) = %v; want an error", text, got)
		}
	}
}

func TestPercentagesAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`(0|[1-9][0-9]{0,3})(\.[0-9]{0,3}[1-9])?%`).Draw(t, "text")
		got, err := ParsePercent(text)
		if err != nil || got.String() != text {
			t.Errorf("ParsePercent(%q) = %v, %v", text, got, err)
		}
	})
}

func TestParseTimeOfDay(t *testing.T) {
	for minute := range 24*60 + 1 {
		want := TimeOfDay(time.Duration(minute) * time.Minute)
		if got, err := ParseTimeOfDay(want.String()); got != want || err != nil {
			t.Errorf("ParseTimeOfDay(%q) = %v, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "8", "08", "08:0", "8:000", "24:01", "25:00", "12:60", "-1:00", "08:00:00", "8am"} {
		if got, err := ParseTimeOfDay(text); err == nil {
			t.Errorf("ParseTimeOfDay(%q) = %v; want an error", text, got)
		}
	}
}
