package config

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

// Threshold is the bound of an objective: a duration or a number, above 0. The zero value is none.
type Threshold struct {
	Duration model.Duration // 0: it is a number
	Number   float64        // 0: it is a duration
}

// Value is the bound in base units: seconds, or the number as it is.
func (t Threshold) Value() float64 {
	if t.Duration > 0 {
		return time.Duration(t.Duration).Seconds()
	}
	return t.Number
}

// String is the form in which the threshold is written in the file.
func (t Threshold) String() string {
	if t.Duration > 0 {
		return t.Duration.String()
	}
	return strconv.FormatFloat(t.Number, 'f', -1, 64)
}

// checkThreshold takes both forms; which of them is right depends on the indicator.
func checkThreshold(n *node) error {
	if decimalFloat.MatchString(n.text) {
		return checkFloat(n)
	}
	return checkDuration(n)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Threshold) UnmarshalText(text []byte) (err error) {
	*t = Threshold{}
	if decimalFloat.Match(text) {
		t.Number, err = strconv.ParseFloat(string(text), 64)
		return err
	}
	t.Duration, err = model.ParseDuration(string(text))
	return err
}

// MarshalYAML writes a number as a number.
func (t Threshold) MarshalYAML() (any, error) { return t.written(), nil }

// MarshalJSON writes a number as a number.
func (t Threshold) MarshalJSON() ([]byte, error) { return json.Marshal(t.written()) }

func (t Threshold) written() any {
	if t.Duration > 0 {
		return t.Duration.String()
	}
	return t.Number
}
