package judge

import (
	"fmt"
	"math"

	"github.com/llmprober/llm_prober/prober/ramp/chance"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// The fit is believed if it misses what was seen by no more than this, and the level that it foretells if that much of it
// was seen, and known to that error.
const (
	fits    = 0.08
	seen    = 0.85
	precise = 0.1
)

// capacityOf fits what a lane's server does at most; nil where there are too few loads to say anything.
//
// The law is linear in what it takes for one request to be done while N are under way:
//
//	N/throughput = 1/λ + (σ/λ)(N-1) + (κ/λ)N(N-1)
//
// The squares of the relative errors are made least, with no negative factor.
func capacityOf(l *record.Lane, points []point) *record.Capacity {
	var n, x []float64
	for _, p := range points {
		if p.inFlight > 0 && p.done > 0 {
			n, x = append(n, p.inFlight), append(x, p.done)
		}
	}
	if len(n) < 3 {
		return nil
	}
	c := &record.Capacity{Lane: l.Name, Loads: len(n), Method: "usl"}
	for _, v := range x {
		c.AtLeast = max(c.AtLeast, v)
	}
	level, levelErr, flat := plateau(l, points)
	if u, ok := fitUSL(n, x); ok {
		c.Lambda, c.Sigma, c.Kappa, c.Residual = 1/u.b[0], u.b[1]/u.b[0], u.b[2]/u.b[0], u.residual
		top, err := u.top()
		switch {
		case u.residual > fits:
			c.Words = "the law misses what was seen by " + percent(u.residual)
		case math.IsInf(top, 1) || c.AtLeast < seen*top:
			c.Words = "throughput was still rising at the highest load"
		case !(err < precise*top):
			c.Words = "the loads are too few or too alike to fix the law's factors"
		case flat && math.Abs(top-level) > 3*math.Hypot(err, levelErr)+.03*level:
			c.Words = "the law foretells another level than was seen"
		default:
			c.RequestsPerSecond, c.StdErr, c.Identified = top, err, true
			return c
		}
	} else {
		c.Words = "the loads are too few or too alike for a fit"
	}
	if flat {
		c.RequestsPerSecond, c.StdErr, c.Identified, c.Method = level, levelErr, true, "plateau"
		c.Words += "; taken from the loads at which throughput no longer rose"
	}
	return c
}

// plateau is the throughput of the loads at which it no longer rose, with its standard error.
func plateau(l *record.Lane, points []point) (level, err float64, ok bool) {
	var x []float64
	within, most := 0.0, 0.0
	for i := range points {
		most = max(most, points[i].done)
	}
	for i := range points {
		p := &points[i]
		// What was surpassed at another load is no level at which throughput stays.
		full := p.shareHigh < .95 && p.failed*10 < p.planned && p.done > .9*most
		if !l.Open {
			full = i > 0 && p.load >= 1.25*points[i-1].load && p.done < 1.05*points[i-1].done
		}
		if !full {
			continue
		}
		x = append(x, p.done)
		if m := meanOf(p.flowSeries()); m.known() && m.value > 0 {
			within = max(within, p.done*m.err()/m.value)
		}
	}
	if len(x) == 0 {
		return 0, 0, false
	}
	level = average(x)
	spread := 0.0
	for _, v := range x {
		spread += (v - level) * (v - level)
	}
	if len(x) > 1 {
		err = math.Sqrt(spread / float64(len(x)-1) / float64(len(x)))
	}
	return level, max(err, within/math.Sqrt(float64(len(x)))), err < precise*level
}

// flowSeries are the tokens that came in each window, by the second.
func (p *point) flowSeries() []float64 {
	var x []float64
	for _, w := range p.windows {
		x = append(x, float64(w.Arrived)/w.Length.Seconds())
	}
	return x
}

// usl is a fit of the law: the factors of 1, N-1 and N(N-1).
type usl struct {
	b        [3]float64
	cov      [3][3]float64
	residual float64
}

// fitUSL takes the factors that are of use: κ only if it makes the squares less than chance would, and none below 0.
func fitUSL(n, x []float64) (usl, bool) {
	two, ok2 := fitFactors(n, x, 2)
	three, ok3 := fitFactors(n, x, 3)
	if ok3 && three.b[0] > 0 && three.b[1] >= 0 && three.b[2] > 0 && (!ok2 || two.b[1] < 0 || better(two, three, len(n))) {
		return three, true
	}
	if ok2 && two.b[0] > 0 && two.b[1] >= 0 {
		return two, true
	}
	one, ok1 := fitFactors(n, x, 1)
	return one, ok1 && one.b[0] > 0
}

// better is an F-test of one more factor.
func better(two, three usl, n int) bool {
	df := float64(n - 3)
	if df < 1 {
		return false
	}
	less := two.residual*two.residual - three.residual*three.residual
	if three.residual == 0 {
		return less > 0
	}
	f := less / (three.residual * three.residual / df)
	return f > 0 && chance.Beta(df/(df+f), df/2, .5) < .05
}

// fitFactors fits the first k factors by least squares of relative errors: of 1 = Σ bⱼ zⱼ x/N.
func fitFactors(n, x []float64, k int) (u usl, ok bool) {
	if len(n) < k {
		return u, false
	}
	var a [3][3]float64
	var r [3]float64
	row := func(i int) [3]float64 {
		w := x[i] / n[i]
		return [3]float64{w, max(n[i]-1, 0) * w, max(n[i]*(n[i]-1), 0) * w}
	}
	for i := range n {
		z := row(i)
		for p := range k {
			r[p] += z[p]
			for q := range k {
				a[p][q] += z[p] * z[q]
			}
		}
	}
	inverse, ok := invert(a, k)
	if !ok {
		return u, false
	}
	for p := range k {
		for q := range k {
			u.b[p] += inverse[p][q] * r[q]
		}
	}
	ss := 0.0
	for i := range n {
		z, e := row(i), 1.0
		for p := range k {
			e -= u.b[p] * z[p]
		}
		ss += e * e
	}
	u.residual = math.Sqrt(ss / float64(len(n)))
	df := max(float64(len(n)-k), 1)
	for p := range k {
		for q := range k {
			u.cov[p][q] = inverse[p][q] * ss / df
		}
	}
	return u, true
}

// invert inverts the leading k by k part of a symmetric matrix, scaled so that its diagonal is 1.
func invert(a [3][3]float64, k int) (inverse [3][3]float64, ok bool) {
	var scale [3]float64
	for i := range k {
		if a[i][i] <= 0 {
			return inverse, false
		}
		scale[i] = math.Sqrt(a[i][i])
	}
	var m [3][6]float64
	for i := range k {
		for j := range k {
			m[i][j] = a[i][j] / scale[i] / scale[j]
		}
		m[i][k+i] = 1
	}
	for c := range k {
		pivot := c
		for i := c + 1; i < k; i++ {
			if math.Abs(m[i][c]) > math.Abs(m[pivot][c]) {
				pivot = i
			}
		}
		if math.Abs(m[pivot][c]) < 1e-10 {
			return inverse, false
		}
		m[c], m[pivot] = m[pivot], m[c]
		for j := 2*k - 1; j >= c; j-- {
			m[c][j] /= m[c][c]
		}
		for i := range k {
			if i == c {
				continue
			}
			f := m[i][c]
			for j := range 2 * k {
				m[i][j] -= f * m[c][j]
			}
		}
	}
	for i := range k {
		for j := range k {
			inverse[i][j] = m[i][k+j] / scale[i] / scale[j]
		}
	}
	return inverse, true
}

// top is the most that the law foretells, at whatever concurrency, with its standard error by the delta method.
func (u *usl) top() (top, err float64) {
	most := func(b [3]float64) float64 {
		switch {
		case b[2] > 0 && b[0] > b[1]:
			n := math.Sqrt((b[0] - b[1]) / b[2])
			if n > 1 {
				return n / (b[0] + b[1]*(n-1) + b[2]*n*(n-1))
			}
			return 1 / b[0]
		case b[2] > 0:
			return 1 / b[0]
		case b[1] > 0:
			return 1 / b[1]
		}
		return math.Inf(1)
	}
	top = most(u.b)
	if math.IsInf(top, 1) {
		return top, top
	}
	var slope [3]float64
	for i := range slope {
		if u.b[i] == 0 {
			continue
		}
		step := u.b[i] * 1e-5
		up, down := u.b, u.b
		up[i] += step
		down[i] -= step
		slope[i] = (most(up) - most(down)) / (2 * step)
	}
	variance := 0.0
	for i := range slope {
		for j := range slope {
			variance += slope[i] * slope[j] * u.cov[i][j]
		}
	}
	return top, math.Sqrt(max(variance, 0))
}

// capacityWords is the capacity in a sentence.
func capacityWords(c *record.Capacity) string {
	if !c.Identified {
		return fmt.Sprintf("Capacity is not identified: %s. It is at least %s.", c.Words, rateWords(c.AtLeast))
	}
	how := "universal scalability law, " + count(c.Loads, "load")
	if c.Method == "plateau" {
		how = "the level at which throughput stayed"
	}
	return fmt.Sprintf("Capacity is %s ± %s (%s).", rateWords(c.RequestsPerSecond), number(c.StdErr), how)
}
