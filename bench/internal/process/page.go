package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// Page is what a scrape said, by the names of families.
type Page map[string]*dto.MetricFamily

// Page reads a scrape in protobuf: of the two formats it is the one that needs no guessing.
func (s *Scrape) Page() (Page, error) {
	if s.format.FormatType() != expfmt.TypeProtoDelim {
		return nil, fmt.Errorf("page: it is in %q, not in protobuf", s.format)
	}
	page := Page{}
	decoder := expfmt.NewDecoder(bytes.NewReader(s.Unpacked), s.format)
	for {
		f := new(dto.MetricFamily)
		if err := decoder.Decode(f); errors.Is(err, io.EOF) {
			return page, nil
		} else if err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
		page[f.GetName()] = f
	}
}

// Series counts the series as Prometheus' text formats have them: a histogram is one for each bucket, its sum and its count.
func (p Page) Series() (n int) {
	for _, f := range p {
		for _, m := range f.GetMetric() {
			switch {
			case m.Histogram != nil:
				bounds := m.Histogram.GetBucket()
				n += len(bounds) + 2
				if len(bounds) == 0 || !math.IsInf(bounds[len(bounds)-1].GetUpperBound(), 1) {
					n++ // of everything
				}
			case m.Summary != nil:
				n += len(m.Summary.GetQuantile()) + 2
			default:
				n++
			}
		}
	}
	return n
}

// Sum adds up the counters and gauges of a family that have all the given labels, as name, value, name, value. The family is
// there, or it is an error.
func (p Page) Sum(family string, labels ...string) (sum float64, err error) {
	f := p[family]
	if f == nil {
		return 0, fmt.Errorf("page: there is no %s", family)
	}
	for _, m := range f.GetMetric() {
		if has(m, labels) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return sum, nil
}

func has(m *dto.Metric, labels []string) bool {
	for pair := range slices.Chunk(labels, 2) {
		if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == pair[0] && l.GetValue() == pair[1] }) {
			return false
		}
	}
	return true
}

// Histogram is what a family without labels has counted since the process began.
func (p Page) Histogram(family string) (*Histogram, error) {
	f := p[family]
	if f == nil || len(f.GetMetric()) != 1 || f.GetMetric()[0].Histogram == nil {
		return nil, fmt.Errorf("page: %s is not one histogram", family)
	}
	h := f.GetMetric()[0].Histogram
	counted := &Histogram{Count: h.GetSampleCount()}
	for _, b := range h.GetBucket() {
		if !math.IsInf(b.GetUpperBound(), 1) {
			counted.bounds, counted.below = append(counted.bounds, b.GetUpperBound()), append(counted.below, b.GetCumulativeCount())
		}
	}
	return counted, nil
}

// Histogram counts values by classic buckets.
type Histogram struct {
	Count  uint64
	bounds []float64
	below  []uint64 // how many are up to the bound
}

// Since is what was counted after an earlier look at the same histogram.
func (h *Histogram) Since(earlier *Histogram) *Histogram {
	d := &Histogram{Count: h.Count - earlier.Count, bounds: h.bounds, below: slices.Clone(h.below)}
	for i := range d.below {
		d.below[i] -= earlier.below[i]
	}
	return d
}

// Quantile is as Prometheus' histogram_quantile has it: straight through the bucket; the highest bound above it; NaN of nothing.
func (h *Histogram) Quantile(q float64) float64 {
	if h.Count == 0 {
		return math.NaN()
	}
	rank := q * float64(h.Count)
	begin, before := 0.0, uint64(0)
	for i, bound := range h.bounds {
		if n := h.below[i]; float64(n) >= rank && n > before {
			return begin + (bound-begin)*(rank-float64(before))/float64(n-before)
		}
		begin, before = bound, h.below[i]
	}
	return begin
}
