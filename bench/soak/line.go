package main

import (
	"math"
	"slices"
)

// point is a value, and how far the run was by then: in requests, or seconds.
type point struct{ x, y float64 }

// line is how fast something grows, with the interval in which that lies by 99 %.
type line struct {
	slope, low, high float64 // y per x
}

// z99 is how many standard deviations of a normal distribution 99 % lie within.
const z99 = 2.576

// fit draws the line of Theil and Sen through points: its slope is the median of those of all pairs of points, so that a third
// of the points may be anywhere. The interval is Sen's: the pairs of the slopes' order statistics that Kendall's test of no
// trend would not refuse. Of fewer than four points nothing is known.
func fit(points []point) line {
	var slopes []float64
	for i, a := range points {
		for _, b := range points[i+1:] {
			if b.x != a.x {
				slopes = append(slopes, (b.y-a.y)/(b.x-a.x))
			}
		}
	}
	n := float64(len(points))
	if len(points) < 4 || len(slopes) == 0 {
		return line{slope: math.NaN(), low: math.Inf(-1), high: math.Inf(1)}
	}
	slices.Sort(slopes)
	pairs := float64(len(slopes))
	apart := z99 * math.Sqrt(n*(n-1)*(2*n+5)/18)
	at := func(rank float64) float64 { return slopes[int(min(max(rank, 0), pairs-1))] }
	return line{slope: median(slopes), low: at(math.Floor((pairs - apart) / 2)), high: at(math.Ceil((pairs + apart) / 2))}
}

// median is the middle of what is sorted.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// floors are the lowest points of so many stretches of equal length: resident memory goes up and down with each collection, and
// what it comes back to is what grows where something leaks. Neighbours of a series that swings slowly are alike, which would
// make the interval too small; the lowest of two stretches are not.
func floors(points []point, stretches int) []point {
	if len(points) == 0 {
		return nil
	}
	begin, end := points[0].x, points[len(points)-1].x
	var lowest []point
	for i := range stretches {
		from, to := begin+(end-begin)*float64(i)/float64(stretches), begin+(end-begin)*float64(i+1)/float64(stretches)
		floor := point{y: math.Inf(1)}
		for _, p := range points {
			if p.x >= from && (p.x < to || i == stretches-1) && p.y < floor.y {
				floor = p
			}
		}
		if !math.IsInf(floor.y, 1) {
			lowest = append(lowest, floor)
		}
	}
	return lowest
}
