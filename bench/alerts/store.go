package main

import (
	"context"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// sample is one sample of a series: a number, or a histogram. Its time is in milliseconds.
type sample struct {
	t int64
	f float64
	h *histogram.FloatHistogram // nil for a number
}

func (s *sample) T() int64                      { return s.t }
func (s *sample) ST() int64                     { return 0 }
func (s *sample) F() float64                    { return s.f }
func (s *sample) H() *histogram.Histogram       { return nil }
func (s *sample) FH() *histogram.FloatHistogram { return s.h }

func (s *sample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

func (s *sample) Copy() chunks.Sample {
	c := *s
	if s.h != nil {
		c.h = s.h.Copy()
	}
	return &c
}

// samples are those of one series, in the order of their times.
type samples []sample

func (s samples) Get(i int) chunks.Sample { return &s[i] }
func (s samples) Len() int                { return len(s) }

// series is one series in memory.
type series struct {
	labels  labels.Labels
	samples samples
}

func (s *series) add(t int64, v float64) { s.samples = append(s.samples, sample{t: t, f: v}) }

// store is a storage.Queryable over series in memory. It is not safe to put and to query at once.
type store struct {
	byName map[string][]*series
}

func newStore() *store { return &store{byName: make(map[string][]*series)} }

func (s *store) put(added ...*series) {
	for _, a := range added {
		name := a.labels.Get(labels.MetricName)
		s.byName[name] = append(s.byName[name], a)
	}
}

// Querier implements storage.Queryable.
func (s *store) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{Querier: storage.NoopQuerier(), store: s, mint: mint, maxt: maxt}, nil
}

// querier finds series by their name, which every selector of ours has.
type querier struct {
	storage.Querier // knows no labels: an engine asks for none

	store      *store
	mint, maxt int64
}

func (q *querier) Select(_ context.Context, sorted bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var name string
	for _, m := range matchers {
		if m.Name == labels.MetricName && m.Type == labels.MatchEqual {
			name = m.Value
		}
	}
	var found []*series
	for _, s := range q.store.byName[name] {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
			found = append(found, s)
		}
	}
	if sorted {
		slices.SortFunc(found, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	}
	return &seriesSet{querier: q, left: found}
}

type seriesSet struct {
	querier *querier
	left    []*series
	now     *series
}

func (s *seriesSet) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.now, s.left = s.left[0], s.left[1:]
	return true
}

func (s *seriesSet) At() storage.Series {
	all := s.now.samples
	at := func(t int64) int {
		i, _ := slices.BinarySearchFunc(all, t, func(s sample, t int64) int { return int(s.t - t) })
		return i
	}
	seen := all[at(s.querier.mint):at(s.querier.maxt+1)]
	return &storage.SeriesEntry{
		Lset: s.now.labels,
		// With copies, for the engine adds to the histograms that it is given.
		SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator { return storage.NewListSeriesIteratorWithCopy(seen) },
	}
}

func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// staleMarker is what Prometheus stores where a rule's series ends.
func staleMarker() float64 { return math.Float64frombits(value.StaleNaN) }
