package workload

import (
	"math"
	"sync"
)

// What is believed before a server has counted anything: a vocabulary that holds our words whole and a short chat
// template, with room for doubt. The doubts are standard deviations.
const (
	priorOverhead      = 9.0                 // ChatML 8 to 9, OpenAI 7, Llama 3 11; 20 to 30 more where the template adds a system prompt
	priorOverheadDoubt = 16.0                //
	priorPerUnit       = 0.215               // of our text: each word and each punctuation mark one token
	priorPerUnitDoubt  = 0.25 * priorPerUnit // 3.3 bytes a token instead of 5 is two of these
)

// How far an observation may be off the line, as a standard deviation in tokens: countNoise, and beside it a share of
// its tokens, nearNoise for prompts of the very length asked about and awayNoise more for each doubling between the two.
// So prompts of about that length say where the line passes, and the others only which way it goes.
const (
	countNoise = 0.5
	nearNoise  = 0.003
	awayNoise  = 0.01
	awayMax    = 4.0 // doublings
)

const (
	// Nothing that a server says makes a prompt longer than this many units for each token asked, so that a wrong
	// count cannot make us send a giant one. Ordinary English has 4 to 6 bytes a token.
	maxUnitsPerToken = 8

	minPerUnit = 1.0 / maxUnitsPerToken
	maxPerUnit = 1.25 // a byte-level tokenizer has 1

	remembered = 8    // observations of one rung: the latest
	fading     = 0.7  // weight of each observation relative to the next younger one of its rung
	huber      = 2.0  // beyond so many standard deviations an observation pulls no harder
	rungs      = 28   // lengths up to 2^28 units
	settled    = 1e-4 // tokens: the fit is done when a round moves it by less
	maxRounds  = 25
)

// Calibration learns how many tokens a target's model makes of our text, from the target's own counts.
// One serves all prompts to one target and model. It is safe for concurrent use. The zero value is ready.
//
// It remembers the latest 8 observations of each doubling of length, so that a frequent short probe does not make it
// forget what it knows of a rare long one. The line for a wanted length is the least-squares line through all of them
// and through the prior belief, weighted by nearness in length and by age; single wild counts are held off (Huber's
// loss), while a new tokenizer behind the same name is believed after two or three requests.
//
// Because the line is drawn anew after each count, an error at the wanted length moves the next prompt by as much the
// other way. Where the wanted count cannot be met exactly (every word is two tokens, say), counts just below and just
// above it alternate, and their mean is right.
type Calibration struct {
	mu    sync.Mutex
	rungs [rungs]rung
	count int
}

// A rung holds the latest observations of prompts of 2^i to 2^(i+1)-1 units.
type rung struct {
	latest [remembered]observation
	n      int // ever observed; the youngest is at (n-1) % remembered
}

type observation struct{ units, tokens float64 }

// Fit is the line that holds for prompts of about one length: tokens = Overhead + PerUnit*units.
type Fit struct {
	Overhead     float64 // tokens
	PerUnit      float64 // tokens per unit, 0.125 to 1.25
	Units        int     // of the prompt that should have the wanted length; negative where the overhead alone is more
	Error        float64 // one standard error of that prompt's tokens, as far as the line is concerned
	Observations int     // ever made, of any length; 0: the line is the prior belief
}

// Observe records that the server counted a prompt of so many units as so many tokens, all of the template and all
// tokens answered from a cache included. Counts that cannot be one (0 or less) are ignored.
func (c *Calibration) Observe(units, tokens int) {
	if units <= 0 || tokens <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := min(int(math.Log2(float64(units))), rungs-1)
	r := &c.rungs[i]
	r.latest[r.n%remembered] = observation{float64(units), float64(tokens)}
	r.n++
	c.count++
}

// Units returns how long a prompt of so many tokens is. It can be negative: the overhead alone is more than that.
func (c *Calibration) Units(tokens int) int { return c.Fit(tokens).Units }

// Fit returns the line that holds for prompts of about so many tokens.
func (c *Calibration) Fit(tokens int) Fit {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := float64(tokens)
	l := line{overhead: priorOverhead, perUnit: priorPerUnit}
	units := l.units(want)
	for range 3 { // which observations are near depends on the answer
		l = c.fitLocked(max(units, 1), l)
		units = l.units(want)
	}
	units = min(units, maxUnitsPerToken*want)
	return Fit{
		Overhead:     l.overhead,
		PerUnit:      l.perUnit,
		Units:        int(math.Round(units)),
		Error:        l.standardError(units),
		Observations: c.count,
	}
}

// A line is tokens as a function of units, with the covariance of its two parameters.
type line struct {
	overhead, perUnit float64
	varO, varP, cov   float64
}

func (l line) at(units float64) float64 { return l.overhead + l.perUnit*units }

func (l line) units(tokens float64) float64 { return (tokens - l.overhead) / l.perUnit }

func (l line) standardError(units float64) float64 {
	return math.Sqrt(max(0, l.varO+2*units*l.cov+units*units*l.varP))
}

// fitLocked draws the line for prompts of about so many units, beginning from an earlier one:
// weighted least squares, repeated with smaller weights for what lies far off the line until it stays.
func (c *Calibration) fitLocked(units float64, from line) line {
	l := from
	for range maxRounds {
		// Normal equations of the parameters' distance from the prior belief, which is diagonal there.
		oo := 1 / (priorOverheadDoubt * priorOverheadDoubt)
		pp := 1 / (priorPerUnitDoubt * priorPerUnitDoubt)
		var op, o, p float64
		for i := range c.rungs {
			r := &c.rungs[i]
			fade := 1.0
			for age := range min(r.n, remembered) {
				ob := r.latest[(r.n-1-age)%remembered]
				sd := noise(ob.units, units)
				w := fade / (sd * sd)
				if off := math.Abs(ob.tokens-l.at(ob.units)) / sd; off > huber {
					w *= huber / off
				}
				fade *= fading

				d := ob.tokens - priorOverhead - priorPerUnit*ob.units
				oo += w
				op += w * ob.units
				pp += w * ob.units * ob.units
				o += w * d
				p += w * ob.units * d
			}
		}
		det := oo*pp - op*op
		next := line{
			overhead: priorOverhead + (o*pp-p*op)/det,
			perUnit:  priorPerUnit + (p*oo-o*op)/det,
			varO:     pp / det,
			varP:     oo / det,
			cov:      -op / det,
		}
		if next.perUnit < minPerUnit || next.perUnit > maxPerUnit {
			next.perUnit = min(max(next.perUnit, minPerUnit), maxPerUnit)
			next.overhead = priorOverhead + (o-op*(next.perUnit-priorPerUnit))/oo
		}
		moved := math.Abs(next.at(units) - l.at(units))
		l = next
		if moved < settled {
			break
		}
	}
	return l
}

// noise is the standard deviation of the count of a prompt of so many units about the line for another length.
func noise(units, about float64) float64 {
	away := min(math.Abs(math.Log2(units/about)), awayMax)
	return math.Hypot(countNoise, (nearNoise+awayNoise*away)*priorPerUnit*units)
}
