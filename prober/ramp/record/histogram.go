package record

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Histogram holds times from 10 µs to 2 hours to within 0.1 %, or other numbers as if they were such times.
// Values outside are counted at the bound. Histograms add up exactly. It is not safe for concurrent use.
// A nil Histogram is empty; the zero value is ready.
type Histogram struct{ h *hdrhistogram.Histogram }

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
	if h.h == nil {
		h.h = hdrhistogram.New(lowest, highest, digits)
	}
	v := int64((d + unit/2) / unit)
	_ = h.h.RecordValues(min(max(v, 0), highest), int64(n)) // in range, hence no error
}

// Count is how many values there are.
func (h *Histogram) Count() int {
	if h == nil || h.h == nil {
		return 0
	}
	return int(h.h.TotalCount())
}

// Quantile is the value that a share q of all, 0 to 1, is at most. 0 where there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.ValueAtQuantile(q*100)) * unit
}

// Mean is the mean. 0 where there is none.
func (h *Histogram) Mean() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.Mean() * float64(unit))
}

// Max is the largest. 0 where there is none.
func (h *Histogram) Max() time.Duration {
	if h.Count() == 0 {
		return 0
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
	for _, bar := range h.h.Distribution() {
		if bar.To > bound {
			break
		}
		n += bar.Count
	}
	return int(n)
}

// Add counts all that o has.
func (h *Histogram) Add(o *Histogram) {
	if o.Count() == 0 {
		return
	}
	if h.h == nil {
		h.h = hdrhistogram.New(lowest, highest, digits)
	}
	h.h.Merge(o.h)
}

// MarshalJSON writes it in HdrHistogram's own compressed form (V2, base64), which other tools read: in units of 10 µs.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	if h.Count() == 0 {
		return []byte("null"), nil
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
	h.h = nil
	if encoded == nil {
		return nil
	}
	decoded, err := hdrhistogram.Decode([]byte(*encoded))
	if err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	h.h = decoded
	return nil
}
