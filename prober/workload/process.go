package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Process says how arrivals scatter about a profile's rate: [Constant], [Poisson] or [Gamma].
//
// Each is a point process of rate 1 that has been going on for ever when the profile begins, so that there is no excess
// and no lack of arrivals at the beginning: the mean count in any window is the integral of the rate over it.
type Process interface {
	check() error
	first(*rand.Rand) float64 // from any time, chosen blindly, to the next arrival; mean of gap²/2
	gap(*rand.Rand) float64   // from an arrival to the next; mean 1
}

// Constant has the same distance between all arrivals, where the rate is constant. The first one comes after half of it:
// the count by any time is the integral of the rate, rounded.
type Constant struct{}

func (Constant) check() error             { return nil }
func (Constant) first(*rand.Rand) float64 { return 0.5 }
func (Constant) gap(*rand.Rand) float64   { return 1 }

// Poisson has arrivals that know nothing of each other, as those of many independent users.
type Poisson struct{}

func (Poisson) check() error               { return nil }
func (Poisson) first(r *rand.Rand) float64 { return r.ExpFloat64() }
func (Poisson) gap(r *rand.Rand) float64   { return r.ExpFloat64() }

// MinShape is the smallest shape of a Gamma process: arrivals come in heaps of about 1/MinShape.
const MinShape = 0.01

// Gamma has gaps of the gamma distribution with the given shape and the mean 1/rate, as vLLM's benchmark has with
// --burstiness. Below 1 arrivals come in bursts, 1 is Poisson, above 1 they are more even than that.
// Over a long time the variance of the count is its mean divided by the shape.
type Gamma struct {
	Shape float64 // MinShape or more
}

func (g Gamma) check() error {
	if !(g.Shape >= MinShape) || math.IsInf(g.Shape, 1) {
		return fmt.Errorf("the shape of gamma arrivals is %v; give a number from %v on (1 is Poisson, below are bursts)", g.Shape, MinShape)
	}
	return nil
}

// A blindly chosen time lies in a long gap more often than in a short one: in one of length x in proportion to x, which
// makes a gamma distribution one of a shape greater by 1. Where in the gap it lies is even.
func (g Gamma) first(r *rand.Rand) float64 { return r.Float64() * gamma(r, g.Shape+1) / g.Shape }

func (g Gamma) gap(r *rand.Rand) float64 { return gamma(r, g.Shape) / g.Shape }

// gamma draws from the gamma distribution of that shape and the scale 1, by the method of Marsaglia and Tsang (A simple
// method for generating gamma variables, 2000): a cubed normal variable that is accepted nearly always.
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(1-r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if u := 1 - r.Float64(); math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
