package collector

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// histogram is a Prometheus histogram, classic and native at once, that takes exemplars. It counts as client_golang's does, with
// its own limits of native buckets (TestHistogramIsAsClientGolangs holds it against that), in a fifth of the memory: a target
// and probe have some 30 of them, most of which count a few values or none. BenchmarkScrape says what that saves.
//
// A value is in one classic and one native bucket:
//
//	classic   (0.1, 0.2] (0.2, 0.35] ...       bounds of the family
//	native    (2^(k-1)/8, 2^(k/8)]  for any k  each 9 % wide; with more than maxNative in use, each two become one
type histogram struct {
	identity

	mu        sync.Mutex // protects all following fields
	count     uint64
	sum       float64
	zeros     uint64   // values below what a native bucket can hold
	classic   []uint64 // by bound of the family; what is above the last is in count alone
	schema    int8     // native buckets are 2^(2^-schema) wide
	coarse    bool     // they were made wider, and shall be narrow again
	keys      []int32  // of the native buckets in use, in order
	counts    []uint64 // theirs
	begun     time.Time
	created   *timestamppb.Timestamp // begun
	exemplars []exemplar             // the newest by classic bucket, and of what is above the last; nil: none yet
	spread    []exemplar             // at most maxSpread, by value
}

// exemplar is one value with the request that it is of.
type exemplar struct {
	request string // empty: there is none
	value   float64
	at      int64 // Unix nanoseconds
}

// Limits of native histograms: buckets at most 10 % wide, 160 of them (20 powers of two) before it coarsens, and full resolution
// again no more than once an hour.
const (
	narrowest = 3 // schema: 2^(1/8) = 1.09
	widest    = -4
	maxNative = 160
	fineAgain = time.Hour
)

// Limits of the exemplars of native histograms; client_golang's own.
const (
	maxSpread = 10
	spreadAge = 5 * time.Minute
)

func newHistogram(f *sharedFamily, labels []*dto.LabelPair, now time.Time, created *timestamppb.Timestamp) *histogram {
	return &histogram{identity: identity{family: f, labels: labels}, schema: narrowest, begun: now, created: created}
}

// Observe files a value. One that is below zero, or none, is not filed: a histogram's sum never shrinks.
func (h *histogram) Observe(v float64) { h.observe(v, "") }

// observeWith files v with the request's id as its exemplar. exemplar may be nil.
func (h *histogram) observeWith(v float64, exemplar prometheus.Labels) {
	h.observe(v, exemplar[requestIDExemplar])
}

func (h *histogram) observe(v float64, request string) {
	if !(v >= 0) || math.IsInf(v, 1) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refine()
	h.file(v)
	if len(h.keys) > maxNative {
		if now := time.Now(); !h.coarse && now.Sub(h.begun) >= fineAgain {
			h.reset(now)
			h.file(v)
		} else {
			h.coarse = true
			h.coarsen()
		}
	}
	if request != "" {
		h.exemplify(exemplar{request, v, time.Now().UnixNano()})
	}
}

// file counts a value.
func (h *histogram) file(v float64) {
	h.count++
	h.sum += v
	if i := h.bucket(v); i < len(h.family.Buckets) {
		if h.classic == nil {
			h.classic = make([]uint64, len(h.family.Buckets))
		}
		h.classic[i]++
	}
	if v <= prometheus.DefNativeHistogramZeroThreshold {
		h.zeros++
		return
	}
	key := nativeKey(v, h.schema)
	i, found := slices.BinarySearch(h.keys, key)
	if !found {
		h.keys, h.counts = slices.Insert(h.keys, i, key), slices.Insert(h.counts, i, 0)
	}
	h.counts[i]++
}

// bucket is the classic bucket that a value is in.
func (h *histogram) bucket(v float64) int {
	for i, bound := range h.family.Buckets { // there are few
		if v <= bound {
			return i
		}
	}
	return len(h.family.Buckets)
}

// nativeKey is k of the bucket (2^((k-1)*w), 2^(k*w)], w = 2^-schema, that a value above zero is in.
func nativeKey(v float64, schema int8) int32 {
	frac, exp := math.Frexp(v)
	if schema <= 0 {
		if frac == 0.5 {
			exp--
		}
		offset := 1<<-schema - 1
		return int32((exp + offset) >> -schema)
	}
	bounds := eighths()
	step := 1 << (narrowest - schema)
	within := 0
	for i := 0; i < len(bounds) && bounds[i] < frac; i += step {
		within++
	}
	return int32(within + (exp-1)*(len(bounds)/step))
}

// eighths are 2^(i/8) / 2, to the last digit as Prometheus has them.
func eighths() [8]float64 {
	return [8]float64{
		0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
		0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
	}
}

// coarsen joins each two native buckets.
func (h *histogram) coarsen() {
	if h.schema == widest {
		return
	}
	h.schema--
	n := 0
	for i, key := range h.keys {
		if key > 0 {
			key++
		}
		key /= 2
		if n > 0 && h.keys[n-1] == key {
			h.counts[n-1] += h.counts[i]
			continue
		}
		h.keys[n], h.counts[n] = key, h.counts[i]
		n++
	}
	h.keys, h.counts = h.keys[:n], h.counts[:n]
}

// refine makes the buckets narrow again, when it is time.
func (h *histogram) refine() {
	if at := h.begun.Add(fineAgain); h.coarse && !time.Now().Before(at) {
		h.reset(at)
	}
}

// reset begins anew at that time, as a scraper sees by the time of its creation. Exemplars stay.
func (h *histogram) reset(at time.Time) {
	h.count, h.sum, h.zeros, h.schema, h.coarse = 0, 0, 0, narrowest, false
	clear(h.classic)
	h.keys, h.counts = nil, nil
	h.begun, h.created = at, timestamppb.New(at)
}

// exemplify keeps an exemplar.
func (h *histogram) exemplify(e exemplar) {
	if h.exemplars == nil {
		h.exemplars = make([]exemplar, len(h.family.Buckets)+1)
	}
	h.exemplars[h.bucket(e.value)] = e
	i := 0
	for i < len(h.spread) && (h.spread[i].value < e.value || len(h.spread) < maxSpread && h.spread[i].value == e.value) {
		i++
	}
	if len(h.spread) >= maxSpread {
		out := h.dispensable(e, i)
		h.spread = slices.Delete(h.spread, out, out+1)
		if out < i {
			i--
		}
	}
	h.spread = slices.Insert(h.spread, i, e)
}

// dispensable is which of the exemplars goes for e, whose place among them is i: the oldest, if that is old; else one of the
// two that are closest together, so that they stay spread.
func (h *histogram) dispensable(e exemplar, i int) int {
	oldest, out := 0, 0
	closest := math.Inf(1)
	for j, kept := range h.spread {
		if kept.at < h.spread[oldest].at {
			oldest = j
		}
		if j == 0 {
			continue
		}
		if apart := math.Abs(math.Log(kept.value) - math.Log(h.spread[j-1].value)); apart < closest {
			closest = apart
			if out = j - 1; kept.at < h.spread[j-1].at {
				out = j
			}
		}
	}
	if time.Duration(e.at-h.spread[oldest].at) > spreadAge {
		return oldest
	}
	for _, j := range []int{i - 1, i} { // its neighbours
		if j < 0 || j >= len(h.spread) {
			continue
		}
		if apart := math.Abs(math.Log(e.value) - math.Log(h.spread[j].value)); apart < closest {
			closest, out = apart, j
		}
	}
	return out
}

// Collect implements prometheus.Collector.
func (h *histogram) Collect(ch chan<- prometheus.Metric) { ch <- h }

// Write implements prometheus.Metric.
func (h *histogram) Write(d *dto.Metric) error {
	h.writeIn(nil, d)
	return nil
}

func (h *histogram) writeIn(s *scratch, d *dto.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refine()
	d.Label, d.Histogram = h.labels, h.dto(s)
}

// dto is the histogram as Prometheus sends it.
func (h *histogram) dto(s *scratch) *dto.Histogram {
	all := &taken(s, func(s *scratch) *slab[histogramDTO] { return &s.histograms }, 1)[0]
	all.count, all.zeros, all.sum, all.schema = h.count, h.zeros, h.sum, int32(h.schema)
	out := &all.Histogram
	out.SampleCount, out.SampleSum, out.CreatedTimestamp = &all.count, &all.sum, h.created
	out.ZeroCount, out.ZeroThreshold, out.Schema = &all.zeros, &h.family.zeroThreshold, &all.schema
	if h.count == 0 && h.exemplars == nil {
		out.Bucket = h.family.unfilled
		return out
	}
	out.Bucket = h.buckets(s)
	out.PositiveSpan, out.PositiveDelta = h.native(s)
	for _, e := range h.spread {
		out.Exemplars = append(out.Exemplars, e.dto(s))
	}
	return out
}

// buckets are the classic ones.
func (h *histogram) buckets(s *scratch) []*dto.Bucket {
	bounds := h.family.Buckets
	block := taken(s, func(s *scratch) *slab[bucketDTO] { return &s.buckets }, len(bounds)+1)
	buckets := taken(s, func(s *scratch) *slab[*dto.Bucket] { return &s.pointers }, len(bounds)+1)[:0]
	below := uint64(0)
	for i := range block {
		b := &block[i]
		if i < len(bounds) {
			if h.classic != nil {
				below += h.classic[i]
			}
			b.below, b.UpperBound = below, &bounds[i]
		} else {
			b.below, b.UpperBound = h.count, &h.family.infinity
		}
		b.CumulativeCount = &b.below
		if h.exemplars != nil && h.exemplars[i].request != "" {
			b.Exemplar = h.exemplars[i].dto(s)
		} else if i == len(bounds) {
			break // it says nothing that the count does not
		}
		buckets = append(buckets, &b.Bucket)
	}
	return buckets
}

// native are the native buckets: gaps of one or two are filled by empty buckets, after a larger one another span begins.
func (h *histogram) native(s *scratch) ([]*dto.BucketSpan, []int64) {
	spans, buckets, next := 0, 0, int32(0)
	for i, key := range h.keys {
		if gap := key - next; i == 0 || gap > 2 {
			spans++
		} else {
			buckets += int(gap)
		}
		buckets++
		next = key + 1
	}
	if spans == 0 {
		return nil, nil
	}
	deltas := taken(s, func(s *scratch) *slab[int64] { return &s.deltas }, buckets)[:0]
	block := taken(s, func(s *scratch) *slab[spanDTO] { return &s.spans }, spans)
	all := taken(s, func(s *scratch) *slab[*dto.BucketSpan] { return &s.spanPtrs }, spans)[:0]
	var before int64
	var span *spanDTO
	add := func(n int64) {
		span.length++
		deltas = append(deltas, n-before)
		before = n
	}
	next = 0
	for i, key := range h.keys {
		gap := key - next
		if i == 0 || gap > 2 {
			span, block = &block[0], block[1:]
			span.offset = gap
			span.Offset, span.Length = &span.offset, &span.length
			all = append(all, &span.BucketSpan)
		} else {
			for range gap {
				add(0)
			}
		}
		add(int64(h.counts[i]))
		next = key + 1
	}
	return all, deltas
}

// exemplarDTO is an exemplar as Prometheus sends it, with all that it points to.
type exemplarDTO struct {
	dto.Exemplar
	pair  dto.LabelPair
	pairs [1]*dto.LabelPair
	at    timestamppb.Timestamp
	name  string
	e     exemplar
}

func (e *exemplar) dto(s *scratch) *dto.Exemplar {
	all := &taken(s, func(s *scratch) *slab[exemplarDTO] { return &s.exemplars }, 1)[0]
	all.name, all.e = requestIDExemplar, *e
	all.pair.Name, all.pair.Value = &all.name, &all.e.request
	all.pairs[0] = &all.pair
	all.at.Seconds, all.at.Nanos = e.at/1e9, int32(e.at%1e9)
	all.Label, all.Value, all.Timestamp = all.pairs[:], &all.e.value, &all.at
	return &all.Exemplar
}

// unfilledBuckets are the classic buckets of a histogram that has counted nothing; its family's histograms share them.
func unfilledBuckets(bounds []float64) []*dto.Bucket {
	buckets := make([]*dto.Bucket, len(bounds))
	for i := range bounds {
		buckets[i] = &dto.Bucket{CumulativeCount: new(uint64(0)), UpperBound: &bounds[i]}
	}
	return buckets
}
