package config

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestParseRange(t *testing.T) {
	for text, want := range map[string]Range{
		"1": {1, 1}, "400": {400, 400}, "20-60": {20, 60}, "7-7": {7, 7}, "10000000": {maxTokens, maxTokens},
	} {
		if got, err := ParseRange(text); got != want || err != nil {
			t.Errorf("ParseRange(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "0", "-", "20-", "-20", "0-20", "60-20", "20-60-80", "20 - 60", " 20", "+20", "020", "2e3", "0x10", "1_000", "20.0", "a", "٣", "10000001", "99999999999999999999",
	} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("ParseRange(%q) = %v; want an error", text, got)
		}
	}
}

func TestRangeIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.IntRange(1, maxTokens).Draw(t, "low")
		r := Range{low, rapid.IntRange(low, maxTokens).Draw(t, "high")}
		got, err := ParseRange(r.String())
		if got != r || err != nil {
			t.Errorf("ParseRange(%q) = %v, %v; want %v", r, got, err, r)
		}
		asJSON, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		if json.Unmarshal(asJSON, &text) != nil {
			text = string(asJSON)
		}
		if got, err := ParseRange(text); got != r || err != nil {
			t.Errorf("as JSON %s, which is %v, %v; want %v", asJSON, got, err, r)
		}
	})
}
