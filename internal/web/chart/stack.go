package chart

import (
	"fmt"
	"html/template"
	"strings"
)

// Layer is one part of a stack.
type Layer struct {
	Name   string
	Class  string    // its colour; empty: by its place, "c1" to "c8"
	Values []float64 // by X; not finite or below 0: nothing
}

// Stack is a chart of parts that add up, from the bottom up.
type Stack struct {
	Frame
	Bars   bool      // a bar for each X; else areas
	Span   float64   // with Bars: how much of X one bar stands for, beginning there; 0: the least distance of two X
	At     []float64 // the X, rising
	Layers []Layer
}

// SVG is the chart alone.
func (s *Stack) SVG() template.HTML { return s.draw().svg() }

// Figure is the chart with title, legend, and a folded table of its numbers.
func (s *Stack) Figure() template.HTML { return s.draw().figure() }

func (l *Layer) value(i int) float64 {
	if i >= len(l.Values) || !finite(l.Values[i]) || l.Values[i] < 0 {
		return 0
	}
	return l.Values[i]
}

func (s *Stack) draw() *drawn {
	tops := make([]float64, len(s.At))
	for _, l := range s.Layers {
		for i := range s.At {
			tops[i] += l.value(i)
		}
	}
	span := s.Span
	if s.Bars && span <= 0 {
		for i := 1; i < len(s.At); i++ {
			if gap := s.At[i] - s.At[i-1]; gap > 0 && (span <= 0 || gap < span) {
				span = gap
			}
		}
		if span <= 0 {
			span = 1
		}
	}
	xs := s.At
	if s.Bars && len(xs) > 0 {
		xs = append(xs[:len(xs):len(xs)], xs[len(xs)-1]+span)
	}
	d := s.Frame.begin(xs, append(tops, 0))
	sums := make([]float64, len(s.At))
	var names, classes []string
	for n, l := range s.Layers {
		colour := l.Class
		if colour == "" {
			colour = fmt.Sprintf("c%d", n%8+1)
		}
		if s.Bars {
			d.bars(s.At, span, sums, &l, colour)
		} else {
			d.layer(s.At, sums, &l, colour)
		}
		for i := range sums {
			sums[i] += l.value(i)
		}
		d.keys = append(d.keys, key{l.Name, colour})
		names, classes = append(names, l.Name), append(classes, colour)
	}
	index := make(map[float64]int, len(s.At))
	for i, x := range s.At {
		index[x] = i
	}
	d.tell(s.At, names, classes, func(n int, x float64) string {
		l := &s.Layers[n]
		if i := index[x]; i < len(l.Values) && finite(l.Values[i]) {
			return d.y.text(l.Values[i])
		}
		return ""
	})
	return d
}

func (d *drawn) bars(at []float64, span float64, sums []float64, l *Layer, colour string) {
	var path strings.Builder
	for i, x := range at {
		v := l.value(i)
		left, ok := d.px(x)
		right, ok2 := d.px(x + span)
		bottom, ok3 := d.py(sums[i])
		top, ok4 := d.py(sums[i] + v)
		if v == 0 || !ok || !ok2 || !ok3 || !ok4 {
			continue
		}
		gap := min(1.5, (right-left)/6)
		fmt.Fprintf(&path, "M%s %sH%sV%sH%sZ", num(left+gap), num(bottom), num(right-gap), num(top), num(left+gap))
	}
	d.path("fill", colour, path.String())
}

func (d *drawn) layer(at, sums []float64, l *Layer, colour string) {
	var up, down []string
	any := false
	for i, x := range at {
		left, ok := d.px(x)
		bottom, ok2 := d.py(sums[i])
		top, ok3 := d.py(sums[i] + l.value(i))
		if !ok || !ok2 || !ok3 {
			continue
		}
		any = any || l.value(i) > 0
		up = append(up, num(left)+" "+num(top))
		down = append([]string{num(left) + " " + num(bottom)}, down...)
	}
	if any && len(up) > 1 {
		d.path("fill", colour, "M"+strings.Join(append(up, down...), "L")+"Z")
	}
}
