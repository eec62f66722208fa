package chart

import (
	"fmt"
	"html/template"
	"strings"
)

// Interval is a change with its confidence, as large as a few words:
//
//	-scale      0      +scale
//	  |    [least|least]  |
//	  |          |  |--●--|
type Interval struct {
	Label     string  // what it says, for those who cannot see it
	Change    float64 // 0: none
	Known     bool    // Low and High are
	Low, High float64 // with confidence
	Least     float64 // changes up to this count as none: shaded; 0: no such bound
	Scale     float64 // the change at the right edge, above 0
	Class     string  // "", "good" or "bad"
}

// The grid of an interval.
const (
	intervalWide = 160
	intervalHigh = 16
)

// SVG is the drawing.
func (v *Interval) SVG() template.HTML {
	scale := v.Scale
	if !(scale > 0) || !finite(scale) {
		scale = 1
	}
	at := func(x float64) string {
		return num(intervalWide / 2 * (1 + clamp(x/scale, -1, 1)))
	}
	class := class(v.Class)
	if class == "" {
		class = "c7"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="interval" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`, intervalWide, intervalHigh, intervalWide, intervalHigh, esc(v.Label))
	if v.Least > 0 {
		left, right := intervalWide/2*(1-clamp(v.Least/scale, 0, 1)), intervalWide/2*(1+clamp(v.Least/scale, 0, 1))
		fmt.Fprintf(&b, `<rect class="least" x="%s" y="0" width="%s" height="%d"/>`, num(left), num(right-left), intervalHigh)
	}
	fmt.Fprintf(&b, `<path class="zero" d="M%d 0V%d"/>`, intervalWide/2, intervalHigh)
	if v.Known && finite(v.Low) && finite(v.High) {
		fmt.Fprintf(&b, `<path class="line %s" d="M%s %dH%s"/>`, class, at(v.Low), intervalHigh/2, at(v.High))
	}
	if finite(v.Change) {
		fmt.Fprintf(&b, `<path class="dots %s" d="M%s %dh0"/>`, class, at(v.Change), intervalHigh/2)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}
