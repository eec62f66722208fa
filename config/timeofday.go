package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// TimeOfDay is a time on the clock, since midnight: 08:00. 24:00 is the midnight at the end of the day.
type TimeOfDay time.Duration

var clockPattern = regexp.MustCompile(`^([0-9]{1,2}):([0-9]{2})$`)

// ParseTimeOfDay reads "08:00".
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	m := clockPattern.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not a time of the day; write one such as 08:00", s)
	}
	hour, _ := strconv.Atoi(m[1])
	minute, _ := strconv.Atoi(m[2])
	if minute > 59 || hour > 24 || hour == 24 && minute > 0 {
		return 0, errors.New("a day has times from 00:00 to 24:00")
	}
	return TimeOfDay(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute), nil
}

// String is the form in which the time is written in the file.
func (t TimeOfDay) String() string {
	minutes := int(time.Duration(t) / time.Minute)
	return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *TimeOfDay) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTimeOfDay(string(text))
	return err
}

// MarshalYAML writes the time as text.
func (t TimeOfDay) MarshalYAML() (any, error) { return t.String(), nil }

// MarshalJSON writes the time as text.
func (t TimeOfDay) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
