package chart

import (
	"math"
	"strconv"
	"time"
)

// Scale is how values are put on an axis.
type Scale int

// The scales.
const (
	Linear  Scale = iota
	Log           // values of 0 and less have no place on it
	Time          // seconds since 1970, labelled in UTC
	Elapsed       // seconds, labelled in minutes and hours
)

// Axis is one axis of a chart.
type Axis struct {
	Label    string // what is on it, with its unit; may be empty
	Scale    Scale
	Min, Max float64              // where they are the same, they are taken from the data; a linear Y then begins at 0
	Format   func(float64) string // of values; nil: Number, or as the scale wants
}

// place is an axis with its ends settled.
type place struct {
	Axis
	min, max float64
}

// settle finds the ends of an axis from the values on it.
func (a Axis) settle(values []float64, fromZero bool) place {
	p := place{Axis: a, min: a.Min, max: a.Max}
	if p.min == p.max {
		p.min, p.max = math.Inf(1), math.Inf(-1)
		for _, v := range values {
			if finite(v) && (a.Scale != Log || v >= tiny) {
				p.min, p.max = min(p.min, v), max(p.max, v)
			}
		}
		if p.min > p.max {
			p.min, p.max = 0, 1
		}
		switch {
		case a.Scale == Log:
			if p.max <= 0 {
				p.min, p.max = 0.1, 1
			}
			p.min, p.max = p.min/1.15, p.max*1.15
		case fromZero && p.min >= 0:
			p.min, p.max = 0, p.max*1.06
		}
	}
	if a.Scale == Log {
		p.max = max(p.max, tiny)
		if p.min < tiny {
			p.min = p.max / 1e3
		}
	}
	if !(p.max-p.min > math.Abs(p.min)*1e-9) {
		p.max = p.min + max(1, math.Abs(p.min)*0.01)
	}
	return p
}

// at is where v is between the ends of the axis, 0 to 1; false where it has no place.
func (p *place) at(v float64) (float64, bool) {
	if !finite(v) {
		return 0, false
	}
	if p.Scale == Log {
		if v < tiny {
			return 0, false
		}
		return math.Log(v/p.min) / math.Log(p.max/p.min), true
	}
	return (v - p.min) / (p.max - p.min), true
}

// text writes a value of the axis.
func (p *place) text(v float64) string {
	switch {
	case p.Format != nil:
		return p.Format(v)
	case p.Scale == Time:
		return clock(v).Format("Jan 2 15:04:05")
	case p.Scale == Elapsed:
		return Span(v)
	default:
		return Number(v)
	}
}

// A tick is a labelled place on an axis.
type tick struct {
	at   float64 // 0 to 1
	text string
}

// ticks are about n round values along the axis.
func (p *place) ticks(n int) []tick {
	var values []float64
	label := p.text
	switch p.Scale {
	case Log:
		values = logTicks(p.min, p.max, n)
	case Time, Elapsed:
		step := timeStep((p.max - p.min) / float64(n))
		values = steps(p.min, p.max, step)
		if p.Scale == Time && p.Format == nil {
			layout := "15:04"
			switch {
			case step < 60:
				layout = "15:04:05"
			case step >= 86400:
				layout = "Jan 2"
			}
			label = func(v float64) string { return clock(v).Format(layout) }
		}
	default:
		values = steps(p.min, p.max, roundStep((p.max-p.min)/float64(n)))
	}
	var ticks []tick
	for _, v := range values {
		if at, ok := p.at(v); ok && at > -1e-9 && at < 1+1e-9 {
			ticks = append(ticks, tick{min(1, max(0, at)), label(v)})
		}
	}
	return ticks
}

// steps are the multiples of step from low to high.
func steps(low, high, step float64) []float64 {
	var values []float64
	for i := math.Ceil(low/step-1e-9) + 0; len(values) < 50 && i*step <= high+step*1e-9; i++ {
		values = append(values, i*step)
	}
	return values
}

// roundStep is the least of 1, 2 and 5 times a power of ten that is not below raw.
func roundStep(raw float64) float64 {
	if !(raw > 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// timeStep is roundStep in units of time, in seconds.
func timeStep(raw float64) float64 {
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 4 * 3600, 6 * 3600, 12 * 3600, 86400} {
		if raw <= s {
			if raw < 1 {
				return roundStep(raw)
			}
			return s
		}
	}
	return 86400 * roundStep(raw/86400)
}

// logTicks are powers of ten, with their doubles and fives as far as there is room.
func logTicks(low, high float64, n int) []float64 {
	for _, multiples := range [][]float64{{1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 5}, {1, 3}, {1}} {
		var values []float64
		for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)) && len(values) < 100; e++ {
			for _, m := range multiples {
				if v := m * math.Pow(10, e); v >= low && v <= high {
					values = append(values, v)
				}
			}
		}
		if len(values) <= n || len(multiples) == 1 {
			if every := (len(values) + n - 1) / max(n, 1); every > 1 {
				var some []float64
				for i := 0; i < len(values); i += every {
					some = append(some, values[i])
				}
				values = some
			}
			return values
		}
	}
	return nil
}

// What is beyond these is no measurement, and would not survive the arithmetic.
const (
	huge = 1e100
	tiny = 1e-100 // on a logarithmic axis
)

func finite(v float64) bool { return math.Abs(v) <= huge }

func clock(v float64) time.Time { return time.UnixMilli(int64(math.Round(v * 1e3))).UTC() }

// nbsp keeps a number and its unit on one line.
const nbsp = "\u00a0"

// Number writes a number with three digits.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case !finite(v):
		return "–"
	case a >= 1e9:
		return short(v/1e9) + nbsp + "G"
	case a >= 1e6:
		return short(v/1e6) + nbsp + "M"
	case a >= 1e4:
		return short(v/1e3) + nbsp + "k"
	default:
		return short(v)
	}
}

// Seconds writes a measured duration: 850 µs, 312 ms, 1.24 s, 72 s.
func Seconds(v float64) string {
	switch a := math.Abs(v); {
	case !finite(v):
		return "–"
	case v == 0:
		return "0"
	case a < 0.9995e-3:
		return short(v*1e6) + nbsp + "µs"
	case a < 0.9995:
		return short(v*1e3) + nbsp + "ms"
	default:
		return short(v) + nbsp + "s"
	}
}

// Percent writes a share of 1.
func Percent(v float64) string {
	if !finite(v) {
		return "–"
	}
	return short(100*v) + nbsp + "%"
}

// Span writes seconds as a planned time: 40 s, 5 min, 1 h 30 min.
func Span(v float64) string {
	if !finite(v) {
		return "–"
	}
	d := time.Duration(math.Round(v)) * time.Second
	unit := func(n time.Duration, name string) string { return strconv.Itoa(int(n)) + nbsp + name }
	two := func(big time.Duration, bigName string, small time.Duration, smallName string) string {
		if rest := d % big / small; rest != 0 {
			return unit(d/big, bigName) + nbsp + unit(rest, smallName)
		}
		return unit(d/big, bigName)
	}
	switch {
	case d.Abs() < time.Minute:
		return short(v) + nbsp + "s"
	case d.Abs() < time.Hour:
		return two(time.Minute, "min", time.Second, "s")
	case d.Abs() < 48*time.Hour:
		return two(time.Hour, "h", time.Minute, "min")
	default:
		return two(24*time.Hour, "d", time.Hour, "h")
	}
}

// short writes v with three digits, and no zeros that say nothing.
func short(v float64) string {
	digits := 0
	if a := math.Abs(v); a > 0 && a < 99.95 {
		digits = min(6, max(0, 2-int(math.Floor(math.Log10(a)))))
	}
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'f', digits, 64), 64)
	return strconv.FormatFloat(v, 'f', -1, 64)
}
