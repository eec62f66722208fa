package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

var askedLengths = []int{20, 100, 1_000, 8_000, 30_000}

// tally judges a series of requests of one asked length.
type tally struct {
	asked, n int
	sum      float64
}

// add judges one request; before the fourth nothing is promised.
func (a *tally) add(t *testing.T, got int) {
	t.Helper()
	a.n++
	if a.n <= 3 {
		return
	}
	off := float64(got-a.asked) / float64(a.asked)
	a.sum += off
	if math.Abs(off) > 0.05 {
		t.Errorf("request %d: the server counts %d tokens; want %d within 5 %%", a.n, got, a.asked)
	}
}

func (a *tally) checkMean(t *testing.T) {
	t.Helper()
	if mean := a.sum / float64(a.n-3); math.Abs(mean) > 0.01 {
		t.Errorf("asked for %d tokens, the mean of %d requests is off by %.2f %%; want 1 %%", a.asked, a.n-3, 100*mean)
	}
}

func TestLengthsFromCold(t *testing.T) {
	for _, tok := range tokenizers() {
		for _, asked := range askedLengths {
			t.Run(fmt.Sprintf("%s/%d", tok.name, asked), func(t *testing.T) {
				for seed := range uint64(2) {
					c := new(Calibration)
					g := NewGenerator(seed*7919, c)
					result := tally{asked: asked}
					for range 53 {
						p := g.Prompt(Shape{PromptTokens: Range{asked, asked}, MaxOutputTokens: 64})
						got := tok.messages(p.Messages)
						c.Observe(p.Units, got)
						result.add(t, got)
					}
					result.checkMean(t)
				}
			})
		}
	}
}

func TestLengthsMixed(t *testing.T) {
	for _, tok := range tokenizers() {
		t.Run(tok.name, func(t *testing.T) {
			for seed := range uint64(2) {
				c := new(Calibration)
				g := NewGenerator(seed*7919, c)
				r := rand.New(rand.NewPCG(seed, 1))
				results := make([]tally, len(askedLengths))
				for range 260 {
					i := r.IntN(len(askedLengths))
					results[i].asked = askedLengths[i]
					p := g.Prompt(Shape{PromptTokens: Range{results[i].asked, results[i].asked}, MaxOutputTokens: 64})
					got := tok.messages(p.Messages)
					c.Observe(p.Units, got)
					results[i].add(t, got)
				}
				for i := range results {
					results[i].checkMean(t)
				}
			}
		})
	}
}

func TestLengthsFromARange(t *testing.T) {
	for _, tok := range tokenizers() {
		t.Run(tok.name, func(t *testing.T) {
			c := new(Calibration)
			g := NewGenerator(7, c)
			var sum, squares float64
			const warm, n = 20, 200
			for i := range warm + n {
				p := g.Prompt(Shape{PromptTokens: Range{20, 60}, MaxOutputTokens: 64})
				got := tok.messages(p.Messages)
				c.Observe(p.Units, got)
				if i >= warm {
					off := float64(got-p.Tokens) / float64(p.Tokens)
					sum += off
					squares += off * off
				}
			}
			if mean, rms := sum/n, math.Sqrt(squares/n); math.Abs(mean) > 0.01 || rms > 0.04 {
				t.Errorf("off by %.2f %% in the mean and by %.2f %% root mean square; want 1 and 4", 100*mean, 100*rms)
			}
		})
	}
}

func TestFirstPromptIsDecent(t *testing.T) {
	// A vocabulary with our words in it is the rule: nothing needs to be learnt but the template.
	for _, asked := range askedLengths {
		p := NewGenerator(1, new(Calibration)).Prompt(Shape{PromptTokens: Range{asked, asked}, MaxOutputTokens: 64})
		got := 9 + vocabularyTokens(p.Messages[0].Content)
		if off := math.Abs(float64(got - asked)); off > max(3, 0.03*float64(asked)) {
			t.Errorf("first prompt of %d tokens has %d", asked, got)
		}
	}
}

func TestCalibrationFindsAnyLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		overhead := rapid.Float64Range(0, 60).Draw(t, "overhead")
		perUnit := rapid.Float64Range(0.15, 1.1).Draw(t, "perUnit")
		noise := rapid.Float64Range(0, 1).Draw(t, "noise")
		lengths := rapid.SliceOfN(rapid.IntRange(100, 30_000), 1, 5).Draw(t, "lengths")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))

		c := new(Calibration)
		for i := range 8 * len(lengths) {
			asked := lengths[i%len(lengths)]
			units := c.Units(asked)
			got := overhead + perUnit*float64(max(units, 1)) + noise*(r.Float64()-0.5)
			if i >= 4*len(lengths) && math.Abs(got-float64(asked)) > max(3, 0.01*float64(asked)) { // noise, a unit and rounding
				t.Fatalf("request %d: %.1f tokens; want %d", i, got, asked)
			}
			c.Observe(max(units, 1), int(math.Round(got)))
		}
	})
}

func TestWildCountsAreHeldOff(t *testing.T) {
	tok := tokenizers()[0]
	for _, asked := range []int{20, 1_000} {
		c := new(Calibration)
		g := NewGenerator(3, c)
		shape := Shape{PromptTokens: Range{asked, asked}}
		for i := range 60 {
			p := g.Prompt(shape)
			got := tok.messages(p.Messages)
			if i > 5 && math.Abs(float64(got-asked)) > max(1, 0.02*float64(asked)) {
				t.Errorf("request %d: %d tokens; want %d", i, got, asked)
			}
			if i > 3 && i%7 == 0 {
				got = []int{1, 20 * asked, 3 * asked}[i/7%3] // a count that is not of our text
			}
			c.Observe(p.Units, got)
		}
	}
}

func TestNewTokenizerIsBelieved(t *testing.T) {
	before, after := tokenizers()[0], tokenizers()[3]
	for _, asked := range askedLengths {
		c := new(Calibration)
		g := NewGenerator(3, c)
		for i := range 40 {
			tok := before
			if i >= 30 {
				tok = after
			}
			p := g.Prompt(Shape{PromptTokens: Range{asked, asked}})
			got := tok.messages(p.Messages)
			if i >= 34 && math.Abs(float64(got-asked)) > 0.05*float64(asked) {
				t.Errorf("request %d after the change: %d tokens; want %d", i-30, got, asked)
			}
			c.Observe(p.Units, got)
		}
	}
}

func TestFrequentProbeDoesNotCrowdOutRareOne(t *testing.T) {
	tok := tokenizers()[2]
	c := new(Calibration)
	g := NewGenerator(3, c)
	ask := func(asked int) int {
		p := g.Prompt(Shape{PromptTokens: Range{asked, asked}})
		got := tok.messages(p.Messages)
		c.Observe(p.Units, got)
		return got
	}
	for range 3 {
		ask(12_000)
	}
	for range 500 {
		ask(30)
	}
	if got := ask(12_000); math.Abs(float64(got-12_000)) > 0.005*12_000 {
		t.Errorf("after 500 short prompts a long one has %d tokens; want 12000", got)
	}
}

func TestCountsThatCannotBe(t *testing.T) {
	c := new(Calibration)
	c.Observe(0, 10)
	c.Observe(10, 0)
	c.Observe(-1, -1)
	if got := c.Fit(100).Observations; got != 0 {
		t.Errorf("Observations = %d; want 0", got)
	}
	// A server that claims next to no tokens, or huge numbers, does not make us send a huge prompt, or fail.
	for _, lie := range []int{1, 1 << 30} {
		c := new(Calibration)
		for range 100 {
			units := max(c.Units(1_000), 1)
			if units > maxUnitsPerToken*1_000 {
				t.Fatalf("a server that counts %d makes 1000 tokens %d bytes", lie, units)
			}
			c.Observe(units, lie)
		}
		NewGenerator(1, c).Prompt(Shape{PromptTokens: Range{1_000, 1_000}, SharedPrefixTokens: 500})
	}
	c.Observe(math.MaxInt, math.MaxInt)
	if f := c.Fit(100); math.IsNaN(f.Overhead) || math.IsNaN(f.PerUnit) {
		t.Errorf("Fit(100) = %+v; want numbers", f)
	}
}

func TestErrorShrinks(t *testing.T) {
	tok := tokenizers()[3]
	c := new(Calibration)
	g := NewGenerator(1, c)
	before := c.Fit(1_000).Error
	for i := range 4 {
		p := g.Prompt(Shape{PromptTokens: Range{1_000, 1_000}})
		c.Observe(p.Units, tok.messages(p.Messages))
		f := c.Fit(1_000)
		if f.Observations != i+1 || f.Error >= before {
			t.Errorf("after %d requests: %+v; want an error below %.2f", i+1, f, before)
		}
		before = f.Error
	}
	if before > 5 {
		t.Errorf("standard error after 4 requests = %.2f tokens; want less than 5", before)
	}
}
