package prober

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter bounds what a server may ask for: a day.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads how long the server wants to be left alone: retry-after-ms (OpenAI, Azure), else Retry-After
// in seconds or as a date (RFC 9110, section 10.2.3). 0 means that it did not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	d := time.Duration(0)
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		d = time.Duration(min(ms, float64(maxRetryAfter.Milliseconds())) * float64(time.Millisecond))
	} else if s := h.Get("Retry-After"); s != "" {
		if seconds, err := strconv.ParseFloat(s, 64); err == nil {
			d = time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
		} else if at, err := http.ParseTime(s); err == nil {
			d = at.Sub(now)
		}
	}
	return max(min(d, maxRetryAfter), 0)
}
