package ramp

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
)

// picker draws probes by their weights.
type picker struct {
	names []string
	upTo  []float64 // sums of the shares, the last is 1
}

func newPicker(m Mix) *picker {
	p := &picker{names: slices.Sorted(maps.Keys(m))}
	shares := m.shares()
	var sum float64
	for _, name := range p.names {
		sum += shares[name]
		p.upTo = append(p.upTo, sum)
	}
	return p
}

// pick takes one number from r, whatever the mix.
func (p *picker) pick(r *rand.Rand) string {
	i := sort.SearchFloat64s(p.upTo, r.Float64())
	return p.names[min(i, len(p.names)-1)]
}

// shares are the weights, made to add up to 1.
func (m Mix) shares() map[string]float64 {
	var sum float64
	for _, name := range slices.Sorted(maps.Keys(m)) {
		sum += m[name]
	}
	shares := make(map[string]float64, len(m))
	for name, w := range m {
		shares[name] = w / sum
	}
	return shares
}
