package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Column is one column of a heat map: what happened from At on.
type Column struct {
	At     float64
	Counts []int  // by cell, lowest first; one fewer than there are Bounds
	Note   string // shown under the pointer and in the table, such as "p50 300 ms"; may be empty
	Bad    int    // what has no value (failures): a mark at the top edge
}

// Heat is a map of how often which values came, over time. The more there are of a column's in a cell, the stronger it is.
type Heat struct {
	Frame
	Span    float64   // how much of X a column stands for; above 0
	Bounds  []float64 // of the cells on Y, rising
	Columns []Column  // by At
}

// heatLevels is how many strengths there are.
const heatLevels = 7

// SVG is the chart alone.
func (h *Heat) SVG() template.HTML { return h.draw().svg() }

// Figure is the chart with title, legend, and a folded table of its numbers.
func (h *Heat) Figure() template.HTML { return h.draw().figure() }

func (h *Heat) draw() *drawn {
	var xs []float64
	most := 0
	for _, c := range h.Columns {
		xs = append(xs, c.At, c.At+h.Span)
		for _, n := range c.Counts {
			most = max(most, n)
		}
	}
	f := h.Frame
	if f.Y.Min == f.Y.Max && len(h.Bounds) > 1 {
		f.Y.Min, f.Y.Max = h.Bounds[0], h.Bounds[len(h.Bounds)-1]
	}
	d := f.begin(xs, nil)
	var levels [heatLevels]strings.Builder
	var bad strings.Builder
	notes := make(map[float64][2]string, len(h.Columns))
	var at []float64
	for _, c := range h.Columns {
		left, _ := d.px(c.At)
		right, ok := d.px(c.At + h.Span)
		if !ok {
			continue
		}
		total := 0
		for i, n := range c.Counts {
			total += n
			if n <= 0 || i+1 >= len(h.Bounds) {
				continue
			}
			bottom, ok := d.py(h.Bounds[i])
			top, ok2 := d.py(h.Bounds[i+1])
			if !ok || !ok2 {
				continue
			}
			level := int(math.Ceil(heatLevels*math.Sqrt(float64(n)/float64(most)))) - 1
			fmt.Fprintf(&levels[min(max(level, 0), heatLevels-1)], "M%s %sH%sV%sH%sZ", num(left), num(bottom), num(right), num(top), num(left))
		}
		if c.Bad > 0 {
			fmt.Fprintf(&bad, "M%s 0H%sV5H%sZ", num(left), num(right), num(left))
		}
		middle := c.At + h.Span/2
		at = append(at, middle)
		count := fmt.Sprint(total)
		if c.Bad > 0 {
			count += fmt.Sprintf(", %d failed", c.Bad)
		}
		notes[middle] = [2]string{count, c.Note}
	}
	for i := range levels {
		d.path("heat", fmt.Sprintf("h%d", i+1), levels[i].String())
	}
	d.path("heat", "bad", bad.String())
	d.keys = []key{{"few", "h2"}, {"many", "h7"}}
	if bad.Len() > 0 {
		d.keys = append(d.keys, key{"failures", "bad"})
	}
	d.tell(at, []string{"results", "values"}, []string{"h7", "none"}, func(i int, x float64) string { return notes[x][i] })
	return d
}
