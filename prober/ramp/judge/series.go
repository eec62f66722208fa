package judge

import (
	"math"
	"slices"

	"github.com/llmprober/llm_prober/prober/ramp/chance"
)

// level is the level of all tests for one pattern in one run, together.
const level = 0.001

// mean is the mean of a series of windows, with what is needed to say how far chance may move it.
type mean struct {
	value  float64
	n      float64 // windows
	spread float64 // standard deviation of a window, a clear trend taken off
	rho    float64 // how much a window depends on the one before; 0 to 0.95
}

// least is how many independent values a mean must be worth for anything to be said of it.
const least = 3

// meanOf is the mean of a series in order of time. Where the series has a clear trend, as the latencies of a growing queue
// have, its noise is what is left without the trend.
func meanOf(x []float64) mean {
	if len(x) < least {
		return mean{}
	}
	m := mean{value: average(x), n: float64(len(x))}
	if t := trendOf(x, 60); t.p < clear || t.p > 1-clear {
		x = slices.Clone(x)
		for i := range x {
			x[i] -= t.total * (float64(i)/(m.n-1) - .5)
		}
	}
	centre := average(x)
	m.rho = follows(x, centre)
	for _, v := range x {
		m.spread += (v - centre) * (v - centre)
	}
	// Values that depend on each other spread less than all that could have come.
	worth := m.worth(m.rho)
	m.spread = math.Sqrt(m.spread / m.n * worth / max(worth-1, .5))
	return m
}

// worth is how many independent values the series stands for.
func (m mean) worth(rho float64) float64 { return max(m.n*(1-rho)/(1+rho), 1) }

// err is the standard error of the mean.
func (m mean) err() float64 { return m.spread / math.Sqrt(m.worth(m.rho)) }

func (m mean) known() bool { return m.n > 0 && m.worth(m.rho) >= least }

// follows is how much a value of the series depends on the one before: 0 to 0.95. The estimate is corrected for its bias,
// which is -(1+4ρ)/n (Kendall 1954).
func follows(x []float64, centre float64) float64 {
	n := len(x)
	var with, all float64
	for i, v := range x {
		all += (v - centre) * (v - centre)
		if i > 0 {
			with += (v - centre) * (x[i-1] - centre)
		}
	}
	if all == 0 {
		return 0
	}
	rho := with / all
	rho += (1 + 4*max(rho, 0)) / float64(n)
	return min(max(rho, 0), .95)
}

func average(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func median(x []float64) float64 { return quantile(x, .5) }

// quantile interpolates between the values. NaN of none.
func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(x))
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// shift is the difference of two means.
type shift struct {
	by, err, df float64
	known       bool
}

// from is how far m lies above base. It answers whether chance could have made m of a server that behaves as it did at
// base: so windows are taken to depend on each other as they did there. A queue that grows depends on itself alone, and would
// hide behind its own correlation.
func (m mean) from(base mean) shift {
	rho := max(base.rho, leastRho)
	wm, wb := m.worth(rho), base.worth(rho)
	if m.n < least || base.n < least || wm < least || wb < least {
		return shift{}
	}
	a, b := m.spread*m.spread/wm, base.spread*base.spread/wb
	s := shift{by: m.value - base.value, err: math.Sqrt(a + b), known: true, df: wm + wb - 2}
	if d := a*a/(wm-1) + b*b/(wb-1); d > 0 {
		s.df = (a + b) * (a + b) / d // Welch and Satterthwaite
	}
	return s
}

// leastRho is how much windows are taken to depend on each other at least: few of them do not tell.
const leastRho = 0.3

// above is the probability of a shift this large if the true one is at most bound; 1 where nothing is known.
func (s shift) above(bound float64) float64 {
	switch {
	case !s.known:
		return 1
	case s.err == 0 && s.by > bound:
		return 0
	case s.err == 0:
		return 1
	}
	return 1 - chance.Student((s.by-bound)/s.err, s.df)
}

// below is the probability of a shift this small if the true one is at least bound; 1 where nothing is known.
func (s shift) below(bound float64) float64 {
	return shift{by: -s.by, err: s.err, df: s.df, known: s.known}.above(-bound)
}

// within is where the true shift lies with 95 % confidence.
func (s shift) within() (low, high float64) {
	if !s.known {
		return math.Inf(-1), math.Inf(1)
	}
	t := chance.StudentQuantile(.975, s.df)
	return s.by - t*s.err, s.by + t*s.err
}

// driftOf is the trend of a series, tested at several scales: windows, and means of two, four and more of them. A series
// may be correlated over longer times than neighbours show; the largest p of all scales counts.
func driftOf(x []float64) trend {
	t := trendOf(x, 120)
	for scale := thinned(x, 120); len(scale) >= 2*scales; {
		scale = thinned(scale, (len(scale)+1)/2)
		t.p = max(t.p, trendOf(scale, len(scale)).p)
	}
	return t
}

// scales is how many means there are at the coarsest scale, at least.
const scales = 12

// trend is how a series rises through time.
type trend struct {
	slope float64 // for each step of the series, the median of all pairs (Theil 1950, Sen 1968)
	total float64 // from the first to the last
	p     float64 // of a rise like this by chance; 1 where nothing is known
	tau   float64 // Kendall's: 1 where each value is above those before
}

// clear is how unlikely a trend must be by chance to be taken off a series.
const clear = 1e-4

// trendOf is the trend of a series in order of time, tested by Mann and Kendall's test. Its variance is that of a series
// whose values depend on the one before: (1+ρ)/(1-ρ) times as large, ρ being that of the series without its trend.
//
// Of a series of more than most values neighbours are averaged.
func trendOf(x []float64, most int) trend {
	x = thinned(x, most)
	n := len(x)
	if n < 8 {
		return trend{p: 1}
	}
	slopes := make([]float64, 0, n*(n-1)/2)
	score := 0.0
	for i := range x {
		for j := i + 1; j < n; j++ {
			slopes = append(slopes, (x[j]-x[i])/float64(j-i))
			switch {
			case x[j] > x[i]:
				score++
			case x[j] < x[i]:
				score--
			}
		}
	}
	slices.Sort(slopes)
	t := trend{slope: (slopes[(len(slopes)-1)/2] + slopes[len(slopes)/2]) / 2, tau: score / float64(len(slopes))}
	t.total = t.slope * float64(n-1)
	flat := make([]float64, n)
	for i, v := range x {
		flat[i] = v - t.slope*float64(i)
	}
	rho := follows(ranks(flat), float64(n+1)/2)
	m := float64(n)
	variance := m * (m - 1) * (2*m + 5) / 18 * (1 + rho) / (1 - rho)
	t.p = 1 - chance.Normal((score-math.Copysign(1, score))/math.Sqrt(variance))
	return t
}

// thinned averages neighbours until there are few enough.
func thinned(x []float64, most int) []float64 {
	if len(x) <= most {
		return x
	}
	each := (len(x) + most - 1) / most
	var thin []float64
	for part := range slices.Chunk(x, each) {
		thin = append(thin, average(part))
	}
	return thin
}

// ranks are the places of the values in their order, from 1; of equal ones the mean place.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return 0
	})
	r := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for k := i; k < j; k++ {
			r[order[k]] = float64(i+j+1) / 2
		}
		i = j
	}
	return r
}

// logs are the logarithms of the values above 0.
func logs(x []float64) []float64 {
	l := make([]float64, 0, len(x))
	for _, v := range x {
		if v > 0 {
			l = append(l, math.Log(v))
		}
	}
	return l
}
