package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Kind is how a series is drawn.
type Kind int

// The kinds.
const (
	Line    Kind = iota
	Area         // a line with what is below it filled
	Scatter      // points
	Step         // a line that stays until the next point
)

// Point is one value.
type Point struct{ X, Y float64 }

// Series is one line, area or cloud of points.
type Series struct {
	Name   string
	Kind   Kind
	Class  string // its colour: "c1" to "c8", or a class of the page's own; empty: by its place among the series
	Dashed bool
	Points []Point // by X, but for a Scatter; a Y that is not finite is a gap
	Upper  []Point // with an Area: its upper edge, where Points are its lower one; nil: filled down to the axis
}

// Plot is a chart of lines, areas and points.
type Plot struct {
	Frame
	Series []Series
}

// SVG is the chart alone.
func (p *Plot) SVG() template.HTML { return p.draw().svg() }

// Figure is the chart with title, legend, and a folded table of its numbers.
func (p *Plot) Figure() template.HTML { return p.draw().figure() }

func (p *Plot) draw() *drawn {
	var xs, ys []float64
	for _, s := range p.Series {
		for _, points := range [][]Point{s.Points, s.Upper} {
			for _, pt := range points {
				if finite(pt.Y) && finite(pt.X) {
					xs, ys = append(xs, pt.X), append(ys, pt.Y)
				}
			}
		}
	}
	d := p.Frame.begin(xs, ys)
	var names, classes []string
	values := make([]map[float64]float64, 0, len(p.Series))
	for i, s := range p.Series {
		colour := s.colour(i)
		d.series(&s, colour)
		if s.Name != "" {
			d.keys = append(d.keys, key{s.Name, colour})
			names, classes = append(names, s.Name), append(classes, colour)
			byX := make(map[float64]float64, len(s.Points))
			for _, pt := range s.Points {
				byX[pt.X] = pt.Y
			}
			values = append(values, byX)
		}
	}
	d.tell(xs, names, classes, func(i int, x float64) string {
		v, ok := values[i][x]
		if !ok || !finite(v) {
			return ""
		}
		return d.y.text(v)
	})
	return d
}

func (s *Series) colour(i int) string {
	c := s.Class
	if c == "" {
		c = fmt.Sprintf("c%d", i%8+1)
	}
	if s.Dashed {
		c += " dashed"
	}
	return c
}

// series draws one series.
func (d *drawn) series(s *Series, colour string) {
	switch s.Kind {
	case Scatter:
		var path strings.Builder
		for _, pt := range s.Points {
			if x, y, ok := d.point(pt); ok {
				fmt.Fprintf(&path, "M%s %sh0", num(x), num(y))
			}
		}
		d.path("dots", colour, path.String())
	case Area:
		d.path("area", colour, d.area(s))
		if s.Upper == nil {
			d.path("line", colour, d.line(s.Points, false))
		}
	default:
		d.path("line", colour, d.line(s.Points, s.Kind == Step))
	}
}

func (d *drawn) path(kind, colour, data string) {
	if data != "" {
		fmt.Fprintf(&d.body, `<path class="%s %s" d="%s"/>`, kind, class(colour), data)
	}
}

func (d *drawn) point(pt Point) (x, y float64, ok bool) {
	x, okX := d.px(pt.X)
	y, okY := d.py(pt.Y)
	return x, y, okX && okY
}

// line is a path through points, broken where there is a gap. A point between two gaps is a dot.
func (d *drawn) line(points []Point, step bool) string {
	var path strings.Builder
	open, single := false, false
	last := math.NaN()
	for _, pt := range d.thinned(points) {
		x, y, ok := d.point(pt)
		switch {
		case !ok:
			if open && single {
				path.WriteString("h0")
			}
			open = false
			continue
		case !open:
			fmt.Fprintf(&path, "M%s %s", num(x), num(y))
			open, single = true, true
		case step:
			fmt.Fprintf(&path, "H%sV%s", num(x), num(y))
			single = false
		default:
			fmt.Fprintf(&path, "L%s %s", num(x), num(y))
			single = false
		}
		last = x
	}
	if open && single && finite(last) {
		path.WriteString("h0")
	}
	return path.String()
}

// area is a path around what is below the points, or between them and the upper edge.
func (d *drawn) area(s *Series) string {
	var path strings.Builder
	flush := func(lower, upper []Point) {
		if len(lower) < 2 {
			return
		}
		for i, pt := range upper {
			fmt.Fprintf(&path, "%s%s %s", map[bool]string{true: "M", false: "L"}[i == 0], num(pt.X), num(pt.Y))
		}
		for i := len(lower) - 1; i >= 0; i-- {
			fmt.Fprintf(&path, "L%s %s", num(lower[i].X), num(lower[i].Y))
		}
		path.WriteString("Z")
	}
	var lower, upper []Point
	for i, pt := range s.Points {
		x, y, ok := d.point(pt)
		top := Point{x, float64(d.high)}
		if s.Upper != nil && ok {
			ok = i < len(s.Upper)
			if ok {
				_, top.Y, ok = d.point(Point{pt.X, s.Upper[i].Y})
			}
		}
		if !ok {
			flush(lower, upper)
			lower, upper = nil, nil
			continue
		}
		lower, upper = append(lower, Point{x, y}), append(upper, top)
	}
	flush(lower, upper)
	return path.String()
}

// thinned leaves of many points, in each of the columns of the grid, the first, the last, and the two that stand out most.
// Gaps stay.
func (d *drawn) thinned(points []Point) []Point {
	if len(points) <= 4*wide {
		return points
	}
	var kept []Point
	for i := 0; i < len(points); {
		x, _ := d.px(points[i].X)
		first, low, high, last := i, i, i, i
		for ; i < len(points) && finite(points[i].Y); i++ {
			if other, _ := d.px(points[i].X); int(other) != int(x) {
				break
			}
			if points[i].Y < points[low].Y {
				low = i
			}
			if points[i].Y > points[high].Y {
				high = i
			}
			last = i
		}
		if i == first { // a gap
			kept = append(kept, points[i])
			i++
			continue
		}
		for _, at := range []int{first, min(low, high), max(low, high), last} {
			if len(kept) == 0 || kept[len(kept)-1] != points[at] {
				kept = append(kept, points[at])
			}
		}
	}
	return kept
}
