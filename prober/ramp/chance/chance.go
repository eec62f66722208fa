// Package chance computes how likely things are by chance alone: the probabilities behind every confidence that a ramp
// states.
//
// It guarantees relative errors below 1e-9 for the arguments that ramps have, which its tests hold against exact sums and
// published tables. All functions are pure.
//
//	AtLeast, AtMost      counts: so many good of so many requests
//	Student              means of a few runs
//	Normal               anything large
//
// All three are made of one function, the regularised incomplete beta function.
package chance

import "math"

// AtLeast is the probability that of n independent trials, each of which succeeds with probability p, at least k do.
func AtLeast(k, n int, p float64) float64 {
	switch {
	case k <= 0:
		return 1
	case k > n:
		return 0
	}
	return Beta(p, float64(k), float64(n-k+1))
}

// AtMost is the probability that of n independent trials, each of which succeeds with probability p, at most k do.
func AtMost(k, n int, p float64) float64 {
	switch {
	case k < 0:
		return 0
	case k >= n:
		return 1
	}
	return Beta(1-p, float64(n-k), float64(k+1))
}

// Student is the probability that Student's t with df degrees of freedom is at most t. df is above 0.
func Student(t, df float64) float64 {
	tail := Beta(df/(df+t*t), df/2, .5) / 2
	if t > 0 {
		return 1 - tail
	}
	return tail
}

// StudentQuantile is the t below which Student's t with df degrees of freedom is with probability p, 0 to 1.
func StudentQuantile(p, df float64) float64 {
	if p == .5 {
		return 0
	}
	return invert(func(t float64) float64 { return Student(t, df) }, p)
}

// Normal is the probability that a standard normal variable is at most z.
func Normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// NormalQuantile is the z below which a standard normal variable is with probability p, 0 to 1.
func NormalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// invert finds where the rising function f is p, by bisection.
func invert(f func(float64) float64, p float64) float64 {
	switch {
	case p <= 0:
		return math.Inf(-1)
	case p >= 1:
		return math.Inf(1)
	}
	low, high := -1.0, 1.0
	for f(low) > p {
		low *= 2
	}
	for f(high) < p {
		high *= 2
	}
	for range 200 {
		middle := (low + high) / 2
		if middle == low || middle == high {
			break
		}
		if f(middle) < p {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// Beta is the regularised incomplete beta function I_x(a, b), for x of 0 to 1 and a and b above 0.
// It is computed by its continued fraction (NIST DLMF 8.17.22), which converges fast on the near side of the mean.
func Beta(x, a, b float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	}
	front := math.Exp(logGamma(a+b) - logGamma(a) - logGamma(b) + a*math.Log(x) + b*math.Log1p(-x))
	if x < (a+1)/(a+b+2) {
		return front * fraction(x, a, b) / a
	}
	return 1 - front*fraction(1-x, b, a)/b
}

func logGamma(x float64) float64 {
	l, _ := math.Lgamma(x)
	return l
}

// fraction evaluates the continued fraction by Lentz's method.
func fraction(x, a, b float64) float64 {
	const tiny, steps = 1e-300, 100000
	apart := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/apart(1-(a+b)*x/(a+1))
	f := d
	for m := 1.0; m < steps; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / apart(1+even*d)
		c = apart(1 + even/c)
		f *= c * d
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / apart(1+odd*d)
		c = apart(1 + odd/c)
		f *= c * d
		if math.Abs(c*d-1) < 1e-15 {
			break
		}
	}
	return f
}
