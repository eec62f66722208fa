package ramp

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// retests is how many stages a search has for looking again.
const retests = 6

// A hunt decides which load a search tries next, by what it knows of those it has tried. It knows nothing of time.
//
// The ends at which it arrives must not rest on one hiccup of the server, or of the prober, which would lead it astray for
// good. So the load that failed is tried once more, and so is the one that passed, if its stage ended early; if that says
// otherwise, the hunt goes on from there.
type hunt struct {
	search Search
	whole  bool // loads are whole numbers: a closed loop

	passed, failed map[float64]trial // by load, as it was seen last
	again          map[float64]bool  // tried again, and the same was seen
}

// next is the load to try, and whether for its full time. Done: it has been found, or cannot be.
func (h *hunt) next() (load float64, full, done bool) {
	low, high := h.ends()
	switch {
	case high == 0 && low == 0:
		return h.round(h.search.From), false, false
	case high == 0 && low >= h.search.To:
		return h.confirm(low, true, h.passed[low].early)
	case high == 0:
		return min(h.round(2*low), h.search.To), false, false
	case low == 0:
		return h.confirm(high, false, true)
	case high/low > 1+h.search.Resolution && !(h.whole && high-low <= 1):
		return h.round(math.Sqrt(low * high)), false, false
	}
	if load, full, done := h.confirm(high, false, true); !done {
		return load, full, done
	}
	return h.confirm(low, true, h.passed[low].early)
}

// confirm tries an end again if there is doubt and it was not tried again already.
func (h *hunt) confirm(load float64, full, doubt bool) (float64, bool, bool) {
	if !doubt || h.again[load] {
		return 0, false, true
	}
	return load, full, false
}

// ends are the highest load that passed, and the lowest above it that failed. 0: there is none.
func (h *hunt) ends() (low, high float64) {
	for load := range h.passed {
		low = max(low, load)
	}
	for load := range h.failed {
		if high == 0 || load < high {
			high = load
		}
	}
	return low, high
}

// take learns of a trial. What contradicts it is forgotten: what failed below a load that passes, and what passed above one
// that fails.
func (h *hunt) take(t trial) {
	if h.passed == nil {
		h.passed, h.failed, h.again = map[float64]trial{}, map[float64]trial{}, map[float64]bool{}
	}
	_, passed := h.passed[t.load]
	_, failed := h.failed[t.load]
	h.again[t.load] = passed && t.passed || failed && !t.passed // what says otherwise is in doubt itself
	if t.passed {
		h.passed[t.load] = t
		maps.DeleteFunc(h.failed, func(load float64, _ trial) bool { return load <= t.load })
		return
	}
	h.failed[t.load] = t
	maps.DeleteFunc(h.passed, func(load float64, _ trial) bool { return load >= t.load })
}

// round makes a load one that can be.
func (h *hunt) round(load float64) float64 {
	if h.whole {
		return max(math.Round(load), 1)
	}
	return load
}

// result is what was found. Words say why it was given up; empty: it was not.
func (h *hunt) result(words string) *record.Search {
	low, high := h.ends()
	r := &record.Search{
		From: h.search.From, To: h.search.To, Resolution: h.search.Resolution,
		Knee: low, Above: high, Confidence: h.passed[low].confidence,
	}
	_, _, done := h.next()
	switch {
	case words != "":
	case len(h.passed)+len(h.failed) == 0:
		words = "it was ended before it had tried a load"
	case low == 0:
		words = fmt.Sprintf("the objectives are missed at the lowest load, %.4g", slices.Min(slices.Collect(maps.Keys(h.failed))))
	case high == 0 && low >= h.search.To:
		words = fmt.Sprintf("the objectives hold up to the highest load, %.4g", low)
	case !done:
		words = fmt.Sprintf("it was ended early: the objectives hold at %.4g", low)
	default:
		words = fmt.Sprintf("the objectives hold at %.4g and are missed at %.4g", low, high)
	}
	r.Words = words
	return r
}
