package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxLevel bounds a load, so that a slip of the keyboard does not become one: a million requests per second, or under way.
const maxLevel = 1_000_000

// Level is how much a ramp asks at a time: a rate of requests (10/s, 30/m, 100/h) in open loops, or a number of requests under
// way (8) in closed ones. It is 0 or more.
type Level struct {
	Number float64       // per Unit; of requests under way a whole number
	Unit   time.Duration // time.Second, time.Minute or time.Hour; 0: it is a number of requests under way
}

// IsRate reports whether the load is a rate.
func (l Level) IsRate() bool { return l.Unit > 0 }

// PerSecond is the rate in requests per second; of a number of requests under way 0.
func (l Level) PerSecond() float64 {
	if l.Unit <= 0 {
		return 0
	}
	return l.Number / l.Unit.Seconds()
}

// InFlight is the number of requests under way; of a rate 0.
func (l Level) InFlight() int {
	if l.IsRate() {
		return 0
	}
	return int(l.Number)
}

// Value is the load as records have it: requests per second, or requests under way.
func (l Level) Value() float64 {
	if l.IsRate() {
		return l.PerSecond()
	}
	return l.Number
}

// ParseLevel reads "10/s", "0.5/s", "30/m", "100/h" or "8".
func ParseLevel(s string) (Level, error) {
	number, unit, isRate := strings.Cut(s, "/")
	wrong := fmt.Errorf("%q is not a load: write a rate such as 10/s, 30/m or 100/h, or a whole number of requests under way", s)
	if !decimalFloat.MatchString(number) {
		return Level{}, wrong
	}
	value, err := strconv.ParseFloat(number, 64)
	l := Level{Number: value}
	switch unit {
	case "s":
		l.Unit = time.Second
	case "m":
		l.Unit = time.Minute
	case "h":
		l.Unit = time.Hour
	default:
		if isRate {
			return Level{}, wrong
		}
	}
	switch {
	case err != nil:
		return Level{}, wrong
	case l.Number < 0 || strings.HasPrefix(number, "-"):
		return Level{}, errors.New("a load is not negative")
	case !isRate && !isDecimal(number):
		return Level{}, fmt.Errorf("a number of requests under way is whole; a rate has a unit: %s/s", s)
	case l.Value() > maxLevel:
		return Level{}, fmt.Errorf("the load %s is more than %d, the most that can be asked for", s, maxLevel)
	}
	return l, nil
}

// String is the form in which the load is written in the file.
func (l Level) String() string {
	number := strconv.FormatFloat(l.Number, 'f', -1, 64)
	switch l.Unit {
	case time.Second:
		return number + "/s"
	case time.Minute:
		return number + "/m"
	case time.Hour:
		return number + "/h"
	}
	return number
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLevel(string(text))
	return err
}

// MarshalYAML writes a plain number as a number.
func (l Level) MarshalYAML() (any, error) { return l.written(), nil }

// MarshalJSON writes a plain number as a number.
func (l Level) MarshalJSON() ([]byte, error) { return json.Marshal(l.written()) }

func (l Level) written() any {
	if l.IsRate() {
		return l.String()
	}
	return int(l.Number)
}
