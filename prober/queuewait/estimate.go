package queuewait

import (
	"math"
	"time"
)

// How far from the lengths that were seen the floor is still told.
const (
	reach      = 1.5 // times the longest, or the shortest divided by it
	reachShort = 32  // and so many tokens more or less, for short prompts are alike
)

// LeastConfidence is how sure a floor has to be to be told at all. Below it, load has hidden it from the first probe on, or
// for nearly two days.
const LeastConfidence = 0.05

// Estimate is the time from a prompt written to its first token, without other load, where so many tokens have to be
// computed; and how sure that is, from 0 to 1:
//
//	confidence = n/(n+8) × w/(w+s) where strewn × ½ where not met × (1 - idle/2 days) / (1 + octaves/4)
//
// n is the probes of that length in all. Strewn means that the probes that made the floor did not agree: s is what they
// were strewn by, w what unloaded ones may be (3 % of the floor, 2 ms at least and 20 at most). Not met means that the last three blocks of
// probes did not come down to the floor, and idle is for how long none has. Octaves is the distance to the nearest length
// that was seen. Above 0.7 the floor is well known; below 0.3, load or a lack of probes hides it.
//
// There is none until 8 probes of about that length were seen, none beyond half as much again as the longest, and none of
// less than [LeastConfidence].
func (m *Model) Estimate(uncached int) (floor time.Duration, confidence float64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.estimate(uncached)
	return e.floor, e.confidence, ok
}

// estimate is what the model says of one length.
type estimate struct {
	floor      time.Duration
	spread     time.Duration // what unloaded requests vary by
	confidence float64
}

func (m *Model) estimate(uncached int) (estimate, bool) {
	n := len(m.knots)
	if n == 0 || uncached < 0 {
		return estimate{}, false
	}
	tokens := float64(uncached)
	if tokens < m.knots[0].tokens/reach-reachShort || tokens > m.knots[n-1].tokens*reach+reachShort {
		return estimate{}, false
	}
	right := 0
	for right < n-1 && m.knots[right].tokens < tokens {
		right++
	}
	left := max(0, right-1)
	if tokens > m.knots[right].tokens || right == 0 {
		left = right
	}
	octaves := min(m.knots[left].octaves(tokens), m.knots[right].octaves(tokens))
	confidence := min(m.confidence(m.knots[left]), m.confidence(m.knots[right])) / (1 + octaves/4)
	if confidence < LeastConfidence {
		return estimate{}, false
	}
	return estimate{
		floor:      time.Duration(m.floor(tokens) * float64(time.Second)),
		spread:     time.Duration(max(m.knots[left].spread, m.knots[right].spread) * float64(time.Second)),
		confidence: confidence,
	}, true
}

// octaves is how far a length is from the knot's; short prompts are alike.
func (k knot) octaves(tokens float64) float64 {
	return math.Abs(math.Log2((tokens + reachShort) / (k.tokens + reachShort)))
}

// fixed is the part of the floor that does not grow with the prompt: a, as it is at the shortest prompts seen. It is only
// told where these are short enough for what is told of.
func (m *Model) fixed(uncached int) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.knots) < 2 || m.knots[0].tokens > float64(uncached)/4 {
		return 0, false
	}
	return time.Duration(m.floor(0) * float64(time.Second)), true
}
