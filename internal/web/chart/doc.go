// Package chart draws charts as SVG, on the server: one drawing serves a page, a report in one file, print, and readers
// without JavaScript.
//
// What it guarantees:
//
//   - A drawing holds no script and no inline style; it is coloured by the classes of [CSS], in light and dark.
//   - It fits any width: shapes stretch, lines and letters do not.
//   - Whatever names and labels hold is text. Values that are not finite are gaps.
//   - What is drawn can be read without seeing it: a label, and the numbers in a table, see [Plot.Figure].
//
// The parts of a chart with axes:
//
//	Title                    key key key
//	1 s |----- rule -----------------------     Y: linear or logarithmic
//	    |   band   |      /\     series
//	0 s |__________|_____/__\______________
//	    14:00    14:05   14:10                  X: linear, logarithmic, time of day, or time elapsed
//
// Times are numbers here: seconds since 1970 for an axis of times (see [At]), seconds for durations.
package chart

import (
	_ "embed"
	"time"
)

//go:embed chart.css
var style string

//go:embed chart.js
var script string

// CSS is the style sheet that gives drawings their colours. A page may set its variables anew.
func CSS() string { return style }

// Script shows the values under the pointer, and one crosshair over all charts of a group. Charts need it for nothing else.
func Script() string { return script }

// At is a moment as a number on an axis of times.
func At(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

// wide is the width of the grid that shapes are drawn in, from the left to the right edge of the plot.
const wide = 1000
