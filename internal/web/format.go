package web

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/llmprober/llm_prober/prober/printable"
)

// nbsp keeps a number and its unit on one line.
const nbsp = "\u00a0"

// duration writes a measured time with three digits.
func duration(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case d < 0:
		return "0" + nbsp + "ms"
	case ms < 9.95:
		return strconv.FormatFloat(ms, 'f', 1, 64) + nbsp + "ms"
	case ms < 999.5:
		return strconv.FormatFloat(ms, 'f', 0, 64) + nbsp + "ms"
	case ms < 9995:
		return strconv.FormatFloat(ms/1e3, 'f', 2, 64) + nbsp + "s"
	default:
		return strconv.FormatFloat(ms/1e3, 'f', 1, 64) + nbsp + "s"
	}
}

// span writes a planned or past time, where seconds are fine enough.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	unit := func(n time.Duration, name string) string { return fmt.Sprintf("%d%s%s", n, nbsp, name) }
	two := func(big time.Duration, bigName string, small time.Duration, smallName string) string {
		text := unit(d/big, bigName)
		if rest := d % big / small; rest > 0 {
			text += nbsp + unit(rest, smallName)
		}
		return text
	}
	switch {
	case d < time.Minute:
		return unit(d/time.Second, "s")
	case d < time.Hour:
		return two(time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour:
		return two(time.Hour, "h", time.Minute, "min")
	default:
		return two(24*time.Hour, "d", time.Hour, "h")
	}
}

// age writes how long ago something was.
func age(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	return span(d) + " ago"
}

// rate writes tokens per second; an estimate is marked as one.
func rate(v float64, exact bool) string {
	digits := 0
	if v < 9.95 {
		digits = 1
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if !exact {
		return "≈" + nbsp + text
	}
	return text
}

// percent writes a share. What is there is never shown as nothing.
func percent(share float64) string {
	if share > 0 && share < 0.01 {
		return "<" + nbsp + "1" + nbsp + "%"
	}
	return strconv.FormatFloat(100*share, 'f', 0, 64) + nbsp + "%"
}

// signed writes a change.
func signed(change float64) string {
	switch p := strconv.FormatFloat(100*math.Abs(change), 'f', 0, 64); {
	case p == "0":
		return "±" + nbsp + "0" + nbsp + "%"
	case change < 0:
		return "−" + nbsp + p + nbsp + "%"
	default:
		return "+" + nbsp + p + nbsp + "%"
	}
}

// amount writes money.
func amount(v float64, currency string) string {
	digits := 2
	if v > 0 && v < 0.1 {
		digits = 4
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + nbsp + printable.Line(currency, 12)
}
