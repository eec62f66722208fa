package collector

import dto "github.com/prometheus/client_model/go"

// scratch is memory in which a part of a page is gathered, to be sent and forgotten: a page of 500 probes takes 20 MB, which would
// be garbage a moment later. nil is new memory for everything, for who keeps what was gathered.
type scratch struct {
	metrics    slab[dto.Metric]
	counters   slab[counterDTO]
	gauges     slab[gaugeDTO]
	histograms slab[histogramDTO]
	buckets    slab[bucketDTO]
	exemplars  slab[exemplarDTO]
	spans      slab[spanDTO]
	pointers   slab[*dto.Bucket]
	spanPtrs   slab[*dto.BucketSpan]
	deltas     slab[int64]
}

// The messages of Prometheus have pointers to their numbers, which stand beside them here.
type (
	counterDTO struct {
		dto.Counter
		value float64
	}
	gaugeDTO struct {
		dto.Gauge
		value float64
	}
	histogramDTO struct {
		dto.Histogram
		count, zeros uint64
		sum          float64
		schema       int32
	}
	bucketDTO struct {
		dto.Bucket
		below uint64
	}
	spanDTO struct {
		dto.BucketSpan
		offset int32
		length uint32
	}
)

// reset makes all of it free again.
func (s *scratch) reset() {
	s.metrics.reset()
	s.counters.reset()
	s.gauges.reset()
	s.histograms.reset()
	s.buckets.reset()
	s.exemplars.reset()
	s.spans.reset()
	s.pointers.reset()
	s.spanPtrs.reset()
	s.deltas.reset()
}

// slab gives out memory, in pieces of the same type.
type slab[T any] struct {
	chunks [][]T
	chunk  int // from which the next piece comes
	used   int // of it
}

// slabChunk is how many pieces are made at a time.
const slabChunk = partMetrics

// take is n zero values in a row.
func (s *slab[T]) take(n int) []T {
	for {
		if s.chunk == len(s.chunks) {
			s.chunks = append(s.chunks, make([]T, max(n, slabChunk)))
		}
		if chunk := s.chunks[s.chunk]; len(chunk)-s.used >= n {
			taken := chunk[s.used : s.used+n : s.used+n]
			s.used += n
			clear(taken)
			return taken
		}
		s.chunk, s.used = s.chunk+1, 0
	}
}

func (s *slab[T]) reset() { s.chunk, s.used = 0, 0 }

// taken is n zero values, of the slab that of finds, or of new memory where there is no scratch.
func taken[T any](s *scratch, of func(*scratch) *slab[T], n int) []T {
	if s == nil {
		return make([]T, n)
	}
	return of(s).take(n)
}
