package chart

import (
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"slices"
	"strconv"
	"strings"
)

// Frame is what all charts with axes have.
type Frame struct {
	Title   string // what is shown, in a few words
	Summary string // what it says, for those who cannot see it; may be empty
	Height  int    // of the plot, in pixels; 0: 200
	Group   string // charts of the same group share a crosshair: their X are the same quantity; may be empty
	X, Y    Axis
	Bands   []Band
	Rules   []Rule
	NoTable bool // Figure leaves out the table, for the numbers are elsewhere on the page
}

// Band is a shaded stretch of X: a stage, a pause.
type Band struct {
	From, To float64
	Label    string
	Class    string // "", "warm", "bad", "good": how it is shaded
}

// Rule is a line across the chart: an objective, a knee.
type Rule struct {
	At     float64
	Across bool // true: at a value of Y; false: upright, at a value of X
	Label  string
	Class  string // "", "goal", "bad": how it is drawn
}

// key is one line of a legend.
type key struct{ name, class string }

// drawn is a chart with axes, being drawn.
type drawn struct {
	f      *Frame
	x, y   place
	high   int
	body   strings.Builder // what is in the plot, in a grid of wide x high that is stretched
	keys   []key
	hover  *hover
	header []string // of the table
	rows   [][]string
}

// hover is what the script shows under the pointer.
type hover struct {
	X      []float64     `json:"x"` // values
	At     []float64     `json:"f"` // places, 0 to 1
	Labels []string      `json:"t"`
	Series []hoverSeries `json:"s"`
}

type hoverSeries struct {
	Name   string   `json:"n"`
	Class  string   `json:"c"`
	Values []string `json:"v"` // by X; empty where there is none
}

func (f *Frame) begin(xs, ys []float64) *drawn {
	for _, r := range f.Rules {
		if r.Across {
			ys = append(ys[:len(ys):len(ys)], r.At)
		} else {
			xs = append(xs[:len(xs):len(xs)], r.At)
		}
	}
	d := &drawn{f: f, x: f.X.settle(xs, false), y: f.Y.settle(ys, true), high: f.Height}
	if d.high <= 0 {
		d.high = 200
	}
	return d
}

// px and py are places in the grid of the plot. What is outside of it is cut off by its edges.
func (d *drawn) px(v float64) (float64, bool) {
	at, ok := d.x.at(v)
	return clamp(at, -1, 2) * wide, ok
}

func (d *drawn) py(v float64) (float64, bool) {
	at, ok := d.y.at(v)
	return (1 - clamp(at, -1, 2)) * float64(d.high), ok
}

func clamp(v, low, high float64) float64 { return min(high, max(low, v)) }

// Sizes around the plot, in pixels.
const (
	above = 10 // room for the upper half of the topmost label
	below = 22 // room for the labels of X
)

// svg puts the frame around what was drawn.
func (d *drawn) svg() template.HTML {
	var b strings.Builder
	label := d.f.Title
	if d.f.Summary != "" {
		label += ". " + d.f.Summary
	}
	total := above + d.high + below
	fmt.Fprintf(&b, `<svg class="plot" width="100%%" height="%d" role="img" aria-label="%s" data-top="%d" data-high="%d"`, total, esc(label), above, d.high)
	if d.f.Group != "" {
		fmt.Fprintf(&b, ` data-group="%s"`, esc(d.f.Group))
	}
	if d.hover != nil {
		data, err := json.Marshal(d.hover)
		if err == nil { // there is nothing in it that JSON has no word for
			fmt.Fprintf(&b, ` data-hover="%s"`, esc(string(data)))
		}
	}
	b.WriteString(">")
	fmt.Fprintf(&b, `<svg x="0" y="%d" width="100%%" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none">`, above, d.high, wide, d.high)
	for _, band := range d.f.Bands {
		from, ok := d.px(band.From)
		to, ok2 := d.px(band.To)
		if ok && ok2 && to > from {
			fmt.Fprintf(&b, `<rect class="band %s" x="%s" y="0" width="%s" height="%d"/>`, class(band.Class), num(from), num(to-from), d.high)
		}
	}
	yticks, xticks := d.y.ticks(max(3, d.high/42)), d.x.ticks(6)
	var grid strings.Builder
	for _, t := range yticks {
		fmt.Fprintf(&grid, "M0 %sH%d", num((1-t.at)*float64(d.high)), wide)
	}
	fmt.Fprintf(&b, `<path class="grid" d="%s"/><path class="base" d="M0 %dH%d"/>`, grid.String(), d.high, wide)
	b.WriteString(d.body.String())
	for _, r := range d.f.Rules {
		if r.Across {
			if y, ok := d.py(r.At); ok {
				fmt.Fprintf(&b, `<path class="rule %s" d="M0 %sH%d"/>`, class(r.Class), num(y), wide)
			}
		} else if x, ok := d.px(r.At); ok {
			fmt.Fprintf(&b, `<path class="rule %s" d="M%s 0V%d"/>`, class(r.Class), num(x), d.high)
		}
	}
	b.WriteString("</svg>")
	for _, t := range yticks {
		fmt.Fprintf(&b, `<text class="ty" x="-6" y="%s">%s</text>`, num(above+(1-t.at)*float64(d.high)+4), esc(t.text))
	}
	for _, t := range xticks {
		anchor := ""
		switch {
		case t.at < 0.03:
			anchor = " first"
		case t.at > 0.95:
			anchor = " last"
		}
		fmt.Fprintf(&b, `<text class="tx%s" x="%s%%" y="%d">%s</text>`, anchor, num(100*t.at), above+d.high+16, esc(t.text))
	}
	d.labels(&b)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// labels writes what bands and rules are.
func (d *drawn) labels(b *strings.Builder) {
	for _, band := range d.f.Bands {
		from, ok := d.x.at(band.From)
		if to, ok2 := d.x.at(band.To); ok && ok2 && band.Label != "" && to > 0 && from < 1 {
			middle := (clamp(from, 0, 1) + clamp(to, 0, 1)) / 2
			fmt.Fprintf(b, `<text class="tb" x="%s%%" y="%d">%s</text>`, num(100*middle), above+12, esc(band.Label))
		}
	}
	for _, r := range d.f.Rules {
		if r.Label == "" {
			continue
		}
		if r.Across {
			if at, ok := d.y.at(r.At); ok && at >= 0 && at <= 1 {
				fmt.Fprintf(b, `<text class="tr across" x="100%%" y="%s">%s</text>`, num(above+(1-at)*float64(d.high)-4), esc(r.Label))
			}
		} else if at, ok := d.x.at(r.At); ok && at >= 0 && at <= 1 {
			side := ""
			if at > 0.7 {
				side = " left"
			}
			fmt.Fprintf(b, `<text class="tr%s" x="%s%%" y="%d" dx="%s">%s</text>`, side, num(100*at), above+26, map[string]string{"": "4", " left": "-4"}[side], esc(r.Label))
		}
	}
}

// figure is the chart with its title, its legend and its numbers.
func (d *drawn) figure() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<figure class="chart"><figcaption><span class="what">%s</span>`, esc(d.f.Title))
	for _, k := range d.keys {
		fmt.Fprintf(&b, ` <span class="k %s">%s</span>`, class(k.class), esc(k.name))
	}
	b.WriteString(`</figcaption><div class="frame">`)
	b.WriteString(string(d.svg()))
	b.WriteString("</div>")
	if !d.f.NoTable {
		d.table(&b)
	}
	b.WriteString("</figure>")
	return template.HTML(b.String())
}

// maxRows bounds the table of a chart.
const maxRows = 60

// table writes the numbers of the chart, folded.
func (d *drawn) table(b *strings.Builder) {
	if len(d.rows) == 0 {
		return
	}
	every := (len(d.rows) + maxRows - 1) / maxRows
	note := ""
	if every > 1 {
		note = fmt.Sprintf(" (one of %d rows)", every)
	}
	fmt.Fprintf(b, `<details class="numbers"><summary>Numbers%s</summary><div class="scroll" tabindex="0" role="region" aria-label="%s, numbers"><table><caption>%s</caption><thead><tr>`, note, esc(d.f.Title), esc(d.f.Title))
	for _, h := range d.header {
		fmt.Fprintf(b, `<th scope="col">%s</th>`, esc(h))
	}
	b.WriteString("</tr></thead><tbody>")
	for i := 0; i < len(d.rows); i += every {
		b.WriteString("<tr>")
		for j, cell := range d.rows[i] {
			if j == 0 {
				fmt.Fprintf(b, `<th scope="row">%s</th>`, esc(cell))
			} else {
				fmt.Fprintf(b, "<td>%s</td>", esc(cell))
			}
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</tbody></table></div></details>")
}

// maxHover bounds what the script is told of a chart.
const maxHover = 300

// tell fills in what script and table show: for each of xs the label and the value of each series.
func (d *drawn) tell(xs []float64, names, classes []string, value func(series int, x float64) string) {
	xs = slices.Compact(slices.Sorted(slices.Values(slices.DeleteFunc(slices.Clone(xs), func(v float64) bool { return !finite(v) }))))
	if len(xs) == 0 {
		return
	}
	name := d.x.Label
	if name == "" {
		name = map[Scale]string{Time: "Time (UTC)", Elapsed: "Time"}[d.x.Scale]
	}
	d.header = append([]string{name}, names...)
	every := (len(xs) + maxHover - 1) / maxHover
	d.hover = &hover{}
	for i := range names {
		d.hover.Series = append(d.hover.Series, hoverSeries{Name: names[i], Class: class(classes[i])})
	}
	for i := 0; i < len(xs); i += every {
		at, ok := d.x.at(xs[i])
		if !ok || at < -1e-6 || at > 1+1e-6 {
			continue
		}
		label := d.x.text(xs[i])
		row := []string{label}
		d.hover.X = append(d.hover.X, xs[i])
		d.hover.At = append(d.hover.At, float64(int(at*1e4+0.5))/1e4)
		d.hover.Labels = append(d.hover.Labels, label)
		for s := range names {
			v := value(s, xs[i])
			row = append(row, v)
			d.hover.Series[s].Values = append(d.hover.Series[s].Values, v)
		}
		d.rows = append(d.rows, row)
	}
}

// esc makes text of s, whatever it holds, for content and for quoted attributes.
func esc(s string) string { return html.EscapeString(strings.ToValidUTF8(s, "\ufffd")) }

// class keeps what may be a class name of s.
func class(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == ' ' {
			return r
		}
		return -1
	}, s)
}

// num writes a coordinate with one decimal at most.
func num(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}
