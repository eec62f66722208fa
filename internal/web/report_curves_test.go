package web

import (
	"testing"

	"github.com/llmprober/llm_prober/internal/web/chart"
)

// TestWanders tells a server that is overloaded from chance.
func TestWanders(t *testing.T) {
	for _, tt := range []struct {
		name string
		x    []float64
		want bool
	}{
		{"one load", []float64{5}, false},
		{"rising", []float64{1, 2, 3, 4}, false},
		{"level", []float64{1, 2, 2, 2}, false},
		{"turns back in overload", []float64{1, 3, 5, 4, 3}, false},
		{"chance", []float64{1, 3, 2, 4, 3}, true},
		{"turns back and on", []float64{1, 3, 2, 4}, true},
	} {
		var points []chart.Point
		for _, x := range tt.x {
			points = append(points, chart.Point{X: x, Y: 1})
		}
		if got := wanders(points); got != tt.want {
			t.Errorf("%s: wanders(%v) = %v; want %v", tt.name, tt.x, got, tt.want)
		}
	}
}
