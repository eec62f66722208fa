package chart

import (
	"fmt"
	"html/template"
	"strings"
)

// Stretch is a part of a waterfall.
type Stretch struct {
	Name     string
	Class    string // its colour
	From, To float64
	Note     string // shown under the pointer beside the name; may be empty
}

// Waterfall is the course of one request on an axis of seconds: its parts one below the other, then its tokens.
//
//	connection |==|
//	header        |====|
//	first token        |==========|
//	tokens                        || ||  [stall]  || ||
//	           0 s      100 ms      200 ms
type Waterfall struct {
	Title  string
	X      Axis // zero: seconds from 0 to End
	Rows   []WaterfallRow
	Ticks  []float64 // when chunks came; drawn in the last row
	Stalls []Stretch // too long without one; shaded in the last row
	End    float64   // of the axis; 0: of the last stretch
	Failed bool      // it ended by a failure
}

// WaterfallRow is one line of a waterfall.
type WaterfallRow struct {
	Name      string
	Stretches []Stretch
}

// Sizes of a waterfall, in pixels.
const (
	rowHigh = 22
	barHigh = 12
)

// Figure is the waterfall with its title above. Its numbers stand under the pointer; the page should have them as text, too.
func (w *Waterfall) Figure() template.HTML {
	return template.HTML(`<figure class="chart"><figcaption><span class="what">` + esc(w.Title) + `</span></figcaption><div class="frame rows">` +
		string(w.SVG()) + `</div></figure>`)
}

// SVG is the waterfall alone. The names of its rows stand left of it, where an element of the classes "frame rows" around
// it has room for them.
func (w *Waterfall) SVG() template.HTML {
	end := w.End
	for _, row := range w.Rows {
		for _, s := range row.Stretches {
			if w.End == 0 && w.X.Min == w.X.Max {
				end = max(end, s.To)
			}
		}
	}
	x := w.X.settle(nil, false)
	if w.X.Min == w.X.Max {
		x = Axis{Min: 0, Max: max(end, 1e-6), Format: Seconds}.settle(nil, false)
	}
	at := func(v float64) string {
		p, _ := x.at(v)
		return num(wide * clamp(p, 0, 1))
	}
	high := len(w.Rows) * rowHigh
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot waterfall" width="100%%" height="%d" role="img" aria-label="%s">`, high+below, esc(w.Title))
	fmt.Fprintf(&b, `<svg x="0" y="0" width="100%%" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none">`, high, wide, high)
	ticks := x.ticks(5)
	var grid strings.Builder
	for _, t := range ticks {
		fmt.Fprintf(&grid, "M%s 0V%d", num(wide*t.at), high)
	}
	fmt.Fprintf(&b, `<path class="grid" d="%s"/>`, grid.String())
	stretch := func(s *Stretch, y, h int, kind string) {
		from, _ := x.at(s.From)
		to, ok := x.at(s.To)
		if !ok {
			return
		}
		from, to = clamp(from, 0, 1), clamp(to, 0, 1)
		title := s.Name
		if s.Note != "" {
			title += " " + s.Note
		}
		fmt.Fprintf(&b, `<rect class="%s %s" x="%s" y="%d" width="%s" height="%d"><title>%s</title></rect>`,
			kind, class(s.Class), num(wide*from), y, num(max(wide*(to-from), 1)), h, esc(title))
	}
	for i, row := range w.Rows {
		for _, s := range row.Stretches {
			stretch(&s, i*rowHigh+(rowHigh-barHigh)/2, barHigh, "fill")
		}
	}
	if last := len(w.Rows) - 1; last >= 0 {
		for _, s := range w.Stalls {
			stretch(&s, last*rowHigh+2, rowHigh-4, "stall")
		}
		var path strings.Builder
		for _, t := range w.Ticks {
			if finite(t) {
				fmt.Fprintf(&path, "M%s %dv%d", at(t), last*rowHigh+3, rowHigh-6)
			}
		}
		if path.Len() > 0 {
			fmt.Fprintf(&b, `<path class="tokens" d="%s"/>`, path.String())
		}
	}
	mark := "ok"
	if w.Failed {
		mark = "failed"
	}
	if end > 0 {
		fmt.Fprintf(&b, `<path class="mark %s" d="M%s 0V%d"/>`, mark, at(end), high)
	}
	b.WriteString("</svg>")
	for i, row := range w.Rows {
		fmt.Fprintf(&b, `<text class="ty" x="-8" y="%d">%s</text>`, i*rowHigh+rowHigh/2+4, esc(row.Name))
	}
	for _, t := range ticks {
		anchor := ""
		switch {
		case t.at < 0.03:
			anchor = " first"
		case t.at > 0.95:
			anchor = " last"
		}
		fmt.Fprintf(&b, `<text class="tx%s" x="%s%%" y="%d">%s</text>`, anchor, num(100*t.at), high+16, esc(t.text))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}
