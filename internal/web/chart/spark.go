package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Spark is a line without axes, as large as a word.
type Spark struct {
	Label  string    // what it says, for those who cannot see it
	Values []float64 // oldest first; not finite: a failure, drawn as a mark at the ground
	Goal   float64   // a line at this value, where it is among the values; 0: none
	Max    float64   // what the top stands for; 0: the largest value
}

// The grid of a spark.
const (
	sparkWide = 120
	sparkHigh = 24
)

// SVG is the spark.
func (s *Spark) SVG() template.HTML {
	top := s.Max
	if top <= 0 {
		for _, v := range s.Values {
			if finite(v) {
				top = max(top, v)
			}
		}
	}
	if top <= 0 {
		top = 1
	}
	var line, bad strings.Builder
	step := float64(sparkWide) / math.Max(1, float64(len(s.Values)-1))
	open := false
	for i, v := range s.Values {
		x := math.Round(float64(i) * step)
		if len(s.Values) == 1 {
			x = sparkWide
		}
		if !finite(v) {
			fmt.Fprintf(&bad, "M%g %dv-6", x, sparkHigh)
			open = false
			continue
		}
		y := math.Round(1 + (sparkHigh-2)*(1-clamp(v/top, 0, 1)))
		if open {
			fmt.Fprintf(&line, " %g %g", x, y)
		} else {
			fmt.Fprintf(&line, "M%g %gh0L%g %g", x, y, x, y)
		}
		open = true
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="spark" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`, sparkWide, sparkHigh, esc(s.Label))
	if s.Goal > 0 && s.Goal <= top {
		fmt.Fprintf(&b, `<path class="rule goal" d="M0 %gH%d"/>`, math.Round(1+(sparkHigh-2)*(1-s.Goal/top)), sparkWide)
	}
	if line.Len() > 0 {
		fmt.Fprintf(&b, `<path class="line c1" d="%s"/>`, line.String())
	}
	if bad.Len() > 0 {
		fmt.Fprintf(&b, `<path class="line bad" d="%s"/>`, bad.String())
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}
