package record

import (
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Histogram holds times from 10 µs to 2 hours to within 0.1 %, or other numbers as if they were such times.
// Values outside are counted at the bound. Histograms add up exactly. It is not safe for concurrent use, but once packed it
// may be read by many. A nil Histogram is empty; the zero value is ready.
//
// One that is being filled takes 170 KB. Packed it takes a few bytes for each different value, and is still readable.
type Histogram struct {
	h      *hdrhistogram.Histogram // nil: empty, or packed
	packed *packed
}

// packed is a histogram that is not filled any more.
type packed struct {
	encoded []byte // as MarshalJSON has it
	count   int64
	mean    float64
	max     int64
	bars    []bar // those that hold something, the lowest first
}

// bar is one bucket: values up to this one, and how many they are.
type bar struct{ to, count int64 }

const (
	unit    = 10 * time.Microsecond
	lowest  = 1
	highest = int64(2 * time.Hour / unit)
	digits  = 3
)

// Record counts d.
func (h *Histogram) Record(d time.Duration) { h.RecordN(d, 1) }

// RecordN counts d n times.
func (h *Histogram) RecordN(d time.Duration, n int) {
	if n <= 0 {
		return
	}
	h.unpack()
	v := int64((d + unit/2) / unit)
	_ = h.h.RecordValues(min(max(v, 0), highest), int64(n)) // in range, hence no error
}

// Count is how many values there are.
func (h *Histogram) Count() int {
	switch {
	case h == nil:
		return 0
	case h.packed != nil:
		return int(h.packed.count)
	case h.h == nil:
		return 0
	}
	return int(h.h.TotalCount())
}

// Quantile is the smallest value that at least a share q of all, 0 to 1, is at most. 0 where there is none.
func (h *Histogram) Quantile(q float64) time.Duration { return h.at(Rank(q, h.Count())) }

// Reached is the largest value that at least a share q of all, 0 to 1, is at least: Quantile from above. 0 where there is none.
func (h *Histogram) Reached(q float64) time.Duration { return h.at(h.Count() + 1 - Rank(q, h.Count())) }

// Rank is which of n sorted values is their quantile q, 0 to 1, counted from 1: the first up to which at least a share q of
// them lies. 1 where there is none.
func Rank(q float64, n int) int {
	// A product that is above a whole number by rounding alone is that number: 0.07 × 100 is 7.000000000000001.
	return max(int(math.Ceil(min(q, 1)*float64(n)-1e-9)), 1)
}

// at is the value of that rank, from 1 to the count. 0 where there is none.
func (h *Histogram) at(rank int) time.Duration {
	count := h.Count()
	if count == 0 {
		return 0
	}
	if h.packed == nil {
		// HdrHistogram rounds a share of the count to the nearest rank, which gives this very one back.
		return time.Duration(h.h.ValueAtQuantile(100*float64(rank)/float64(count))) * unit
	}
	var n int64
	for _, b := range h.packed.bars {
		if n += b.count; n >= int64(rank) {
			return time.Duration(b.to) * unit
		}
	}
	return h.Max()
}

// Mean is the mean. 0 where there is none.
func (h *Histogram) Mean() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	if h.packed != nil {
		return time.Duration(h.packed.mean * float64(unit))
	}
	return time.Duration(h.h.Mean() * float64(unit))
}

// Max is the largest. 0 where there is none.
func (h *Histogram) Max() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	if h.packed != nil {
		return time.Duration(h.packed.max) * unit
	}
	return time.Duration(h.h.Max()) * unit
}

// AtMost is how many values are at most d.
func (h *Histogram) AtMost(d time.Duration) int {
	if h.Count() == 0 {
		return 0
	}
	var n int64
	bound := int64(d / unit)
	if h.packed != nil {
		for _, b := range h.packed.bars {
			if b.to > bound {
				break
			}
			n += b.count
		}
		return int(n)
	}
	for i, count := range h.h.Export().Counts {
		if upTo(i) > bound {
			break
		}
		n += count
	}
	return int(n)
}

// upTo is the largest value that HdrHistogram counts in its bucket i: each doubling of the value has half a sub-bucket count
// of buckets, but for the first, which has twice as many. Its own Distribution says the same, much more slowly.
func upTo(i int) int64 {
	const half = 1024 // of the power of two at or above 2 × 10^digits
	doubling := i/half - 1
	if doubling < 0 {
		return int64(i)
	}
	return int64(i%half+half+1)<<doubling - 1
}

// Add counts all that o has.
func (h *Histogram) Add(o *Histogram) {
	if o.Count() == 0 {
		return
	}
	h.unpack()
	other := o.h
	if o.packed != nil {
		other = o.packed.decode()
	}
	h.h.Merge(other)
}

// Pack makes it small. It may be filled again, which unpacks it.
func (h *Histogram) Pack() {
	if h == nil || h.h == nil {
		return
	}
	if h.h.TotalCount() == 0 {
		h.h = nil
		return
	}
	encoded, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return // it stays large
	}
	p := &packed{encoded: encoded, count: h.h.TotalCount(), mean: h.h.Mean(), max: h.h.Max()}
	for _, b := range h.h.Distribution() {
		if b.Count > 0 {
			p.bars = append(p.bars, bar{b.To, b.Count})
		}
	}
	h.h, h.packed = nil, p
}

// unpack makes it one that can be filled.
func (h *Histogram) unpack() {
	switch {
	case h.packed != nil:
		h.h, h.packed = h.packed.decode(), nil
	case h.h == nil:
		h.h = hdrhistogram.New(lowest, highest, digits)
	}
}

func (p *packed) decode() *hdrhistogram.Histogram {
	h, err := hdrhistogram.Decode(p.encoded)
	if err != nil {
		panic("record: histogram that was encoded here cannot be read: " + err.Error())
	}
	return h
}

// MarshalJSON writes it in HdrHistogram's own compressed form (V2, base64), which other tools read: in units of 10 µs.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	if h.Count() == 0 {
		return []byte("null"), nil
	}
	if h.packed != nil {
		return json.Marshal(string(h.packed.encoded))
	}
	encoded, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(encoded))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var encoded *string
	if err := json.Unmarshal(data, &encoded); err != nil {
		return err
	}
	*h = Histogram{}
	if encoded == nil {
		return nil
	}
	if err := checkGeometry(*encoded); err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	decoded, err := hdrhistogram.Decode([]byte(*encoded))
	if err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	if decoded.TotalCount() > maxCount {
		return fmt.Errorf("histogram: it has %d values, more than any run", decoded.TotalCount())
	}
	h.h = decoded
	h.Pack()
	return nil
}

// maxCount is far more than a run has values. The counts of all shards of one add up.
const maxCount = 1e12

// checkGeometry refuses what is no histogram of ours before it is decoded: a few bytes can ask for one of 100 MB, and what has
// other buckets does not add up exactly. Behind a cookie and a length, four bytes each, HdrHistogram's form has this, compressed:
//
//	cookie 4 | length 4 | offset 4 | digits 4 | lowest 8 | highest 8 | ratio 8 | counts
func checkGeometry(encoded string) error {
	compressed, err := zlib.NewReader(skip(8, base64.NewDecoder(base64.StdEncoding, strings.NewReader(encoded))))
	if err != nil {
		return err
	}
	defer compressed.Close()
	header := make([]byte, 40)
	if _, err := io.ReadFull(compressed, header); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(header[12:]) != digits || binary.BigEndian.Uint64(header[16:]) != lowest || binary.BigEndian.Uint64(header[24:]) != uint64(highest) {
		return errors.New("its buckets are not those of a record")
	}
	return nil
}

// skip leaves out the first n bytes.
func skip(n int64, r io.Reader) io.Reader {
	_, _ = io.CopyN(io.Discard, r, n) // an error comes back with the next read
	return r
}
