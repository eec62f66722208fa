package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Percent is a share that is written with a per cent sign: 10% is 0.1.
type Percent float64

// ParsePercent reads "10%".
func ParsePercent(s string) (Percent, error) {
	number, found := strings.CutSuffix(s, "%")
	if !decimalFloat.MatchString(number) {
		return 0, fmt.Errorf("%q is not a percentage; write one such as 10%%", s)
	}
	value, err := strconv.ParseFloat(number, 64)
	if !found && err == nil {
		return 0, fmt.Errorf("%q lacks its sign; write %s%%", s, strconv.FormatFloat(value*percentOf(value), 'f', -1, 64))
	}
	return Percent(value / 100), err
}

// percentOf is what a number without a sign is likely to be in per cent: 0.1 and 10 are 10%.
func percentOf(value float64) float64 {
	if value > 0 && value < 1 {
		return 100
	}
	return 1
}

// String is the form in which the percentage is written in the file.
func (p Percent) String() string {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(float64(p)*100, 'g', 12, 64), 64) // 0.07 is 7.000000000000001 hundredths
	return strconv.FormatFloat(rounded, 'f', -1, 64) + "%"
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Percent) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePercent(string(text))
	return err
}

// MarshalYAML writes the percentage with its sign.
func (p Percent) MarshalYAML() (any, error) { return p.String(), nil }

// MarshalJSON writes the percentage with its sign.
func (p Percent) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }
