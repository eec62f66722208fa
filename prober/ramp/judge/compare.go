package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/llmprober/llm_prober/prober/ramp/chance"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Few is how many runs it takes to know how much runs differ by themselves: fewer give no verdict.
const Few = 5

// The defaults of a Margin.
const (
	DefaultMaxRegression = 0.1
	DefaultConfidence    = 0.95
)

// failedAlpha is how often the share of failures may be called worse by chance, and what is not judged at all: the one is
// hardly ever due to chance, of the other there is much.
const failedAlpha = 0.001

// Margin is what a comparison takes for worse.
type Margin struct {
	// MaxRegression is by how much an indicator may be worse, as a share: see Compare. 0: DefaultMaxRegression.
	MaxRegression float64
	// Confidence is how sure it must be that a change is not chance, over all that is judged together, 0 to 1. 0: DefaultConfidence.
	Confidence float64
	// Median takes the median of the old runs for what is usual, not their geometric mean: one odd night matters less, and
	// a little less is found. It has no effect between two sets.
	Median bool
}

// Compare holds one run, or a set of runs, against others, by one number of each run. All are of one ramp.
//
// Two sets of five and more: an exact permutation test. Which of the runs are the new ones is permuted in all ways; the
// statistic is the largest t of all indicators that are judged, so that their number costs what it must and no more (Westfall
// and Young 1993). One run, or few, against five and more: Student's t, which for one run is a prediction interval, the
// indicators adjusted as Holm does. Both on logarithms, both one-sided. Where what it is held against is a single run, the
// spread says how much runs differ; it is not otherwise looked at.
//
// A change must also be large enough to matter: about MaxRegression where one run is judged, and less where several are, as
// the standard error of their mean is. If only changes seen to be MaxRegression counted, half of those that truly are would
// be missed by two sets, too.
//
//	least effect = MaxRegression × √(1/new + 1/old)     one against seven: 1.07 of it; five against five: 0.63
//
// bench/regression counts how often this is right, with 5 % of noise between runs.
//
// With fewer than five runs to tell the spread from, nothing is called worse or better: not enough runs.
func Compare(news, olds, spread []*record.Run, margin Margin) *record.Comparison {
	if margin.MaxRegression <= 0 {
		margin.MaxRegression = DefaultMaxRegression
	}
	if margin.Confidence <= 0 || margin.Confidence >= 1 {
		margin.Confidence = DefaultConfidence
	}
	alpha := 1 - margin.Confidence
	c := &record.Comparison{News: idsOf(news), Runs: idsOf(olds), Verdict: record.NotEnoughRuns}
	if len(news) == 0 || len(olds) == 0 {
		c.Words = append(c.Words, fmt.Sprintf("Not enough runs: there is nothing to compare with yet; it takes %d.", Few))
		return c
	}
	if len(olds) >= Few {
		spread = nil
	}
	c.Spread = idsOf(spread)
	base := slices.Concat(olds, spread)
	percentiles := percentilesOf(news[0].Objectives)
	loads := commonLoads(news, base)
	t := &table{rows: map[key]*row{}}
	for _, run := range news {
		t.add(figuresOf(run, loads, percentiles), func(r *row) *[]figure { return &r.news })
	}
	for _, run := range olds {
		t.add(figuresOf(run, loads, percentiles), func(r *row) *[]figure { return &r.olds })
	}
	for _, run := range spread {
		t.add(figuresOf(run, loads, percentiles), func(r *row) *[]figure { return &r.spread })
	}
	keys := t.keys()
	judged := judgedKeys(news[0], keys)
	c.Alpha, c.Least = alpha, leastEffect(margin.MaxRegression, len(news), len(olds))
	known := max(len(olds), len(spread)) >= Few
	exact := len(news) >= Few && len(olds) >= Few && ways(len(news)+len(olds), len(news)) <= mostWays
	switch {
	case exact:
		c.Test = "exact permutation of run-level logarithms, largest t of all that is judged"
	case known:
		c.Test = "Student's t on run-level logarithms, Holm"
	}

	var tested []*row
	for _, k := range keys {
		r := t.rows[k]
		if len(r.news) == 0 || len(r.olds) == 0 {
			continue
		}
		r.compute(k, margin.Median && !exact)
		whole := known && len(r.news) == len(news) && len(r.olds) == len(olds) && len(r.spread) == len(spread)
		r.judged = whole && (judged[k] || k.name == "failed")
		if r.judged && k.name != "failed" {
			tested = append(tested, r)
		}
	}
	if exact {
		permute(tested, len(news), len(olds))
	} else {
		holm(tested)
	}
	worse, better := []string{}, []string{}
	for _, k := range keys {
		r := t.rows[k]
		if len(r.news) == 0 || len(r.olds) == 0 {
			continue
		}
		in := r.indicator(k)
		in.Worse, in.Better = r.verdict(k, in, known, alpha, c.Least)
		c.Indicators = append(c.Indicators, in)
		if in.Judged && in.Worse {
			worse = append(worse, indicatorLine(&in))
		}
		if in.Judged && in.Better {
			better = append(better, indicatorLine(&in))
		}
	}
	switch {
	case !known:
		c.Words = append(c.Words, fmt.Sprintf("Not enough runs: %s to tell by how much runs differ; it takes %d.", count(max(len(olds), len(spread)), "run"), Few))
	case len(tested) == 0 && len(worse) == 0:
		c.Words = append(c.Words, "Not enough runs: no indicator that the verdict looks at is in all of them.")
	case len(worse) > 0:
		c.Verdict = record.Regressed
		c.Words = append(c.Words, worse...)
	default:
		c.Verdict = record.Pass
		c.Words = append(c.Words, fmt.Sprintf("No worse than %s: no judged indicator is worse by %s and more, beyond what runs differ by.", count(len(olds), "run"), percent(c.Least)))
	}
	c.Words = append(c.Words, better...)
	c.Words = append(c.Words, differences(news[len(news)-1], base[len(base)-1])...)
	return c
}

// leastEffect is the smallest change that counts.
func leastEffect(maxRegression float64, news, olds int) float64 {
	return maxRegression * math.Sqrt(1/float64(news)+1/float64(olds))
}

func idsOf(runs []*record.Run) []string {
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	return ids
}

// differences warns of what makes two runs hard to compare.
func differences(a, b *record.Run) []string {
	var words []string
	differ := func(what, now, then string) {
		if now != then && now != "" && then != "" {
			words = append(words, fmt.Sprintf("Beware: %s is %s now and was %s then.", what, now, then))
		}
	}
	differ("the model", a.Model, b.Model)
	differ("the engine", a.Environment.Engine, b.Environment.Engine)
	differ("the prober's version", a.Environment.Version, b.Environment.Version)
	differ("the prober's host", a.Environment.Host, b.Environment.Host)
	if !slices.Equal(a.Environment.GPUs, b.Environment.GPUs) && len(a.Environment.GPUs) > 0 && len(b.Environment.GPUs) > 0 {
		words = append(words, "Beware: they did not run on the same GPUs.")
	}
	if len(a.Config) > 0 && len(b.Config) > 0 && string(a.Config) != string(b.Config) {
		words = append(words, "Beware: the ramp's configuration has changed.")
	}
	return words
}

// table is the runs' numbers.
type table struct{ rows map[key]*row }

// row is one number of each run.
type row struct {
	news, olds, spread []figure
	sign               float64 // 1 where more is worse
	a, b               []float64
	base               float64 // what is usual of the old ones, on that scale
	diff, err, df      float64 // on the scale of the test, above 0 is worse
	p                  float64
	judged             bool
}

func (t *table) add(figures map[key]figure, side func(*row) *[]figure) {
	for k, f := range figures {
		if t.rows[k] == nil {
			t.rows[k] = &row{p: 1}
		}
		s := side(t.rows[k])
		*s = append(*s, f)
	}
}

func (t *table) keys() []key {
	var keys []key
	for k := range t.rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.probe, b.probe), cmp.Compare(a.name, b.name))
	})
	return keys
}

// compute takes the difference and its standard error.
func (r *row) compute(k key, middle bool) {
	_, higher := unitOf(k)
	r.sign = 1
	if higher {
		r.sign = -1
	}
	scale := func(figures []figure) []float64 {
		var x []float64
		for _, f := range figures {
			x = append(x, r.sign*scaled(k, f.value))
		}
		return x
	}
	r.a, r.b = scale(r.news), scale(r.olds)
	var s2 float64
	if len(r.spread) > 0 {
		s2, r.df = pooled(scale(r.spread))
	} else {
		s2, r.df = pooled(r.a, r.b)
	}
	if k.name == "failed" {
		// Counts have a spread of their own, which a few runs without any failure do not show.
		n := 0
		for _, f := range slices.Concat(r.news, r.olds, r.spread) {
			n += f.n
		}
		s2 = max(s2, float64(len(r.news)+len(r.olds)+len(r.spread))/(4*float64(max(n, 1))))
	}
	r.base = average(r.b)
	wide := 1.0
	if middle && len(r.b) > 2 {
		r.base, wide = median(r.b), math.Pi/2 // a median's variance is so much larger at most
	}
	r.diff = average(r.a) - r.base
	r.err = math.Sqrt(s2 * (1/float64(len(r.a)) + wide/float64(len(r.b))))
	r.p = above(r.diff, r.err, r.df)
}

// pooled is the variance within sets, with its degrees of freedom.
func pooled(sets ...[]float64) (s2, df float64) {
	ss := 0.0
	for _, x := range sets {
		m := average(x)
		for _, v := range x {
			ss += (v - m) * (v - m)
		}
		df += float64(len(x) - 1)
	}
	if df == 0 {
		return 0, 0
	}
	return ss / df, df
}

// above is the probability of so large a difference by chance.
func above(diff, err, df float64) float64 {
	switch {
	case df <= 0:
		return 1
	case err > 0:
		return 1 - chance.Student(diff/err, df)
	case diff > 0:
		return 0
	}
	return 1
}

// holm adjusts for how many are tested (Holm 1979).
func holm(rows []*row) {
	order := slices.SortedFunc(slices.Values(rows), func(a, b *row) int { return cmp.Compare(a.p, b.p) })
	least := 0.0
	for i, r := range order {
		least = max(least, min(r.p*float64(len(order)-i), 1))
		r.p = least
	}
}

// mostWays is how many permutations are tried at most.
const mostWays = 200_000

// ways is n over k.
func ways(n, k int) float64 {
	w := 1.0
	for i := range min(k, n-k) {
		w = w * float64(n-i) / float64(i+1)
	}
	return math.Round(w)
}

// permute gives each row the share of all ways to choose the new runs in which the largest t of any row is at least its own.
func permute(rows []*row, n, m int) {
	if len(rows) == 0 {
		return
	}
	values := make([][]float64, len(rows))
	sums, squares := make([]float64, len(rows)), make([]float64, len(rows))
	for i, r := range rows {
		centre := average(slices.Concat(r.a, r.b)) // so that squares keep their digits
		for _, v := range slices.Concat(r.a, r.b) {
			values[i] = append(values[i], v-centre)
			sums[i] += v - centre
			squares[i] += (v - centre) * (v - centre)
		}
	}
	size := float64(n + m)
	t := func(i int, sum float64) float64 {
		a, b := sum/float64(n), (sums[i]-sum)/float64(m)
		within := squares[i] - float64(n)*a*a - float64(m)*b*b
		if within <= 1e-15*max(squares[i], 1e-300) {
			return math.Copysign(1e9, a-b)
		}
		return (a - b) / math.Sqrt(within/(size-2))
	}
	first := make([]float64, len(rows))
	for i := range rows {
		sum := 0.0
		for j := range n {
			sum += values[i][j]
		}
		first[i] = t(i, sum)
	}
	counts, total := make([]int, len(rows)), 0
	for chosen := range subsets(n+m, n) {
		total++
		largest := math.Inf(-1)
		for i := range rows {
			sum := 0.0
			for _, j := range chosen {
				sum += values[i][j]
			}
			largest = max(largest, t(i, sum))
		}
		for i := range rows {
			if largest >= first[i]-1e-9*math.Abs(first[i]) {
				counts[i]++
			}
		}
	}
	for i, r := range rows {
		r.p = float64(counts[i]) / float64(total)
	}
}

// subsets yields all ways to choose k of n, the first being 0 to k-1. The slice is valid until the next.
func subsets(n, k int) func(func([]int) bool) {
	return func(yield func([]int) bool) {
		c := make([]int, k)
		for i := range c {
			c[i] = i
		}
		for {
			if !yield(c) {
				return
			}
			i := k - 1
			for i >= 0 && c[i] == n-k+i {
				i--
			}
			if i < 0 {
				return
			}
			c[i]++
			for j := i + 1; j < k; j++ {
				c[j] = c[j-1] + 1
			}
		}
	}
}

// indicator is the row as the record has it.
func (r *row) indicator(k key) record.Indicator {
	in := record.Indicator{Lane: k.lane, Probe: k.probe, Name: k.name, P: r.p, Judged: r.judged, News: len(r.news), Olds: len(r.olds)}
	in.Unit, in.Higher = unitOf(k)
	half := math.Inf(1)
	if r.df > 0 {
		half = chance.StudentQuantile(.975, r.df) * r.err
	}
	if in.Unit == "ratio" {
		value := func(f figure) float64 { return f.value }
		in.Old, in.New = meanBy(r.olds, value), meanBy(r.news, value)
		in.Change = in.New - in.Old
		if math.IsInf(half, 1) {
			return in
		}
		at := func(arc float64) float64 { s := math.Sin(min(max(arc, 0), math.Pi/2)); return s * s }
		in.Low, in.High = finite(at(r.base+r.diff-half)-in.Old), finite(at(r.base+r.diff+half)-in.Old)
		return in
	}
	logarithm := func(f figure) float64 { return math.Log(f.value) }
	in.Old, in.New = math.Exp(r.sign*r.base), math.Exp(meanBy(r.news, logarithm))
	in.Change = in.New/in.Old - 1
	if !math.IsInf(half, 1) {
		d := r.sign * r.diff
		in.Low, in.High = new(math.Expm1(d-half)), new(math.Expm1(min(d+half, 50)))
	}
	return in
}

func meanBy(figures []figure, of func(figure) float64) float64 {
	sum := 0.0
	for _, f := range figures {
		sum += of(f)
	}
	return sum / float64(len(figures))
}

// leastFailed is the rise in the share of failed requests that counts, in points by the hundred.
const leastFailed = 0.01

// verdict says whether the indicator is worse, or better. Where it is not judged, it takes a p-value of a thousandth: there
// are many of those, and what is said of one must be worth reading.
func (r *row) verdict(k key, in record.Indicator, known bool, alpha, least float64) (worse, better bool) {
	if !known {
		return false, false
	}
	size, bound, effect := r.sign*in.Change, alpha, least
	switch {
	case k.name == "failed":
		bound, effect = failedAlpha, leastFailed
	case !r.judged:
		bound = failedAlpha
	case in.Higher:
		effect = least / (1 + least) // 10 % slower is 9.1 % less throughput
	}
	worse = in.P <= bound && size >= effect
	better = above(-r.diff, r.err, r.df) <= failedAlpha && size <= -effect
	return worse, better
}

// indicatorLine is one indicator in a sentence.
func indicatorLine(in *record.Indicator) string {
	way := "is the same"
	switch {
	case in.Worse:
		way = "is worse"
	case in.Better:
		way = "is better"
	}
	between := ""
	if in.Low != nil && in.High != nil {
		between = fmt.Sprintf(", 95 %% between %s and %s; %s", changeWords(in, *in.Low), changeWords(in, *in.High), chanceOf(in.P))
	}
	return fmt.Sprintf("%s %s: %s, was %s (%s%s).", capital(figureWords(in)), way,
		figureValue(in, in.New), figureValue(in, in.Old), changeWords(in, in.Change), between)
}
