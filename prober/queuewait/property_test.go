package queuewait

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// delays are what may come on top of a floor, in milliseconds: nothing, noise, load, and worse.
func delays() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Just(0.0),
		rapid.Float64Range(0, 2),
		rapid.Float64Range(0, 100),
		rapid.Float64Range(0, 20000),
	)
}

// Whatever is seen, estimates stay within what was seen, and longer prompts take no less.
func TestEstimateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewModel()
		at := time.Unix(1e9, 0)
		least := time.Duration(math.MaxInt64)
		lengths := rapid.SliceOfN(rapid.IntRange(0, 200_000), 1, 4).Draw(t, "lengths")
		for range rapid.IntRange(0, 300).Draw(t, "probes") {
			at = at.Add(time.Duration(rapid.Int64Range(-1e9, 4e12).Draw(t, "pause")))
			tokens := rapid.SampledFrom(lengths).Draw(t, "tokens")
			took := time.Duration((10 + 0.03*float64(tokens) + delays().Draw(t, "delay")) * 1e6)
			least = min(least, took)
			m.Observe(at, tokens, took)
		}
		before := time.Duration(-1)
		for tokens := 0; tokens < 400_000; tokens = tokens + 1 + tokens/7 {
			floor, confidence, ok := m.Estimate(tokens)
			if !ok {
				continue
			}
			if floor < 0 || !(confidence >= LeastConfidence && confidence <= 1) {
				t.Fatalf("Estimate(%d) = %v, %v; want no less than nothing, and a confidence within LeastConfidence and 1", tokens, floor, confidence)
			}
			if floor < before {
				t.Fatalf("Estimate(%d) = %v, less than the %v of a shorter prompt", tokens, floor, before)
			}
			before = floor
		}
		for _, tokens := range lengths {
			if floor, _, ok := m.Estimate(tokens); ok && len(lengths) == 1 && floor < least-time.Microsecond {
				t.Fatalf("Estimate(%d) = %v, less than the %v that was ever seen", tokens, floor, least)
			}
		}
	})
}

// As long as most of the latest probes came near their lowest, the floor is no higher than a tolerance above it.
func TestFloorNearTheMinimum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewModel()
		at := time.Unix(1e9, 0)
		tokens := rapid.IntRange(0, 20_000).Draw(t, "tokens")
		for range rapid.IntRange(1, 6).Draw(t, "floors") { // the server changes
			lowest := rapid.Float64Range(0, 2).Draw(t, "floor")
			w := width(lowest)
			for range rapid.IntRange(1, 20).Draw(t, "blocks") {
				slow := rapid.SliceOfNDistinct(rapid.IntRange(0, blockSize-1), 0, 3, rapid.ID).Draw(t, "slow")
				for i := range blockSize {
					at = at.Add(15 * time.Second)
					delay := rapid.Float64Range(0, w).Draw(t, "noise")
					if slices.Contains(slow, i) {
						delay = delays().Draw(t, "delay") / 1e3
					}
					m.Observe(at, tokens, time.Duration((lowest+delay)*1e9))
				}
				if floor, _, ok := m.Estimate(tokens); ok && floor.Seconds() > lowest+w {
					t.Fatalf("Estimate(%d) = %v; want at most %.4f s", tokens, floor, lowest+w)
				}
			}
		}
	})
}

// A model that was saved and restored goes on as if it had not been.
func TestSaveAndRestore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, other := NewModel(), NewModel()
		at := time.Unix(1e9, 0)
		for range rapid.IntRange(0, 200).Draw(t, "probes") {
			at = at.Add(time.Duration(rapid.Int64Range(0, 2e12).Draw(t, "pause")))
			tokens := rapid.SampledFrom([]int{20, 40, 400, 8000}).Draw(t, "tokens")
			took := time.Duration((10 + 0.03*float64(tokens) + delays().Draw(t, "delay")) * 1e6)
			one.Observe(at, tokens, took)
			other.Observe(at, tokens, took)
			if rapid.IntRange(0, 20).Draw(t, "restart") == 0 {
				saved, err := json.Marshal(other)
				if err != nil {
					t.Fatal(err)
				}
				other = NewModel()
				if err := json.Unmarshal(saved, other); err != nil {
					t.Fatalf("%v in %s", err, saved)
				}
			}
			for _, tokens := range []int{0, 20, 40, 100, 400, 3000, 8000, 12000} {
				a, ac, aok := one.Estimate(tokens)
				b, bc, bok := other.Estimate(tokens)
				if (a-b).Abs() > time.Microsecond || math.Abs(ac-bc) > 1e-6 || aok != bok {
					t.Fatalf("Estimate(%d) = %v, %v, %t after a restart; want %v, %v, %t", tokens, b, bc, bok, a, ac, aok)
				}
			}
		}
	})
}
