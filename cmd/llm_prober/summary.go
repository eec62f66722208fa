package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// summary gathers the requests of one `llm_prober probe`.
type summary struct {
	requests, failed int
	outcomes         map[prober.Outcome]int
	userClock        int // of the successful ones, those timed by the user's clock

	ttft, itl, duration, rate sample
}

func (s *summary) add(r *prober.Result) {
	s.requests++
	if s.outcomes == nil {
		s.outcomes = map[prober.Outcome]int{}
	}
	s.outcomes[r.Outcome]++
	if r.Outcome != prober.OK {
		s.failed++
		return
	}
	if r.Clock == prober.ClockUser {
		s.userClock++
	}
	s.duration = append(s.duration, r.Duration().Seconds())
	if ttft, ok := r.TTFT(); ok {
		s.ttft = append(s.ttft, ttft.Seconds())
	}
	if rate, ok := prober.TokensPerSecond(r); ok {
		s.rate = append(s.rate, rate)
	}
	for latency, tokens := range prober.InterTokenLatencies(r) {
		for range tokens {
			s.itl = append(s.itl, latency.Seconds())
		}
	}
}

// clock is the worse of the clocks that the times are of; empty where there are none.
func (s *summary) clock() prober.Clock {
	switch {
	case len(s.duration) == 0:
		return ""
	case s.userClock > 0:
		return prober.ClockUser
	}
	return prober.ClockKernel
}

// clockWords says whose clock the times are of.
func (s *summary) clockWords() string {
	if clock := s.clock(); clock == "" {
		return ""
	} else if clock == prober.ClockKernel || s.userClock == len(s.duration) {
		return fmt.Sprintf("; times by the %s's clock", clock)
	}
	return fmt.Sprintf("; times by the kernel's clock, but for %s by the user's", quantity(s.userClock, "request"))
}

// quantity writes how many of a thing.
func quantity(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// outcomeNames lists the outcomes that happened, ok first.
func (s *summary) outcomeNames() []prober.Outcome {
	return slices.SortedFunc(maps.Keys(s.outcomes), func(a, b prober.Outcome) int {
		if (a == prober.OK) != (b == prober.OK) {
			if a == prober.OK {
				return -1
			}
			return 1
		}
		return strings.Compare(string(a), string(b))
	})
}

// sample holds all values of one quantity: a command's requests are few enough to need no histogram.
type sample []float64

// description is what is said of a sample. Without values all but N is null.
type description struct {
	N    int      `json:"n"`
	Mean *float64 `json:"mean"`
	P50  *float64 `json:"p50"`
	P95  *float64 `json:"p95"`
	P99  *float64 `json:"p99"`
	Max  *float64 `json:"max"`
}

func (s sample) describe() description {
	d := description{N: len(s)}
	if len(s) == 0 {
		return d
	}
	sorted := slices.Sorted(slices.Values(s))
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	// Nearest rank: the smallest value that at least the share q of all values does not exceed.
	quantile := func(q float64) *float64 {
		return new(sorted[max(int(math.Ceil(q*float64(len(sorted))))-1, 0)])
	}
	d.Mean = new(sum / float64(len(sorted)))
	d.P50, d.P95, d.P99, d.Max = quantile(0.50), quantile(0.95), quantile(0.99), quantile(1)
	return d
}

// shortDuration shows four digits, in the unit that fits.
func shortDuration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return strconv.FormatFloat(float64(d)/1e3, 'f', 1, 64) + " µs"
	case d < time.Second:
		return strconv.FormatFloat(float64(d)/1e6, 'f', 2, 64) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) + " s"
}
