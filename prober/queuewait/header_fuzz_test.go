package queuewait

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

// Whatever the headers: a wait is one that the request can have had, and what is a plain number is taken as it is.
func FuzzFromHeader(f *testing.F) {
	for _, seed := range [][5]string{
		{"12", "80", "", "", ""}, {"", "80", "0.01", "0.02", "0.003"}, {"4294967295", "1", "", "", ""}, {"-1", "1", "", "", ""}, {"1.5", "1", "", "", ""},
		{"", "", "NaN", "", ""}, {"", "", "Inf", "1", "1"}, {"", "", "1e308", "1e308", ""}, {"", "", "0x1p-9", "", ""}, {" 5", "1", " 0.01", "", ""}, {"5", "", "-0", "0", "0"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, tgi, inference, tokeniser, prefill, generation string) {
		h := http.Header{}
		for name, value := range map[string]string{tgiQueue: tgi, tgiInference: inference, fireworksQueues()[0]: tokeniser, fireworksQueues()[1]: prefill, fireworksQueues()[2]: generation} {
			if value != "" {
				h.Set(name, value)
			}
		}
		r := streamed(200*ms, unknown())
		wait, ok := FromHeader(r, h)
		if !ok {
			if wait != (Wait{}) {
				t.Fatalf("FromHeader(%v) = %v, false", h, wait)
			}
			return
		}
		if wait.Source != Header || wait.Queue < 0 || wait.Error < 0 || wait.Queue > 200*ms+wait.Error {
			t.Fatalf("FromHeader(%v) = %v; want a wait of the 200 ms that there were", h, wait)
		}
		if n, err := strconv.ParseUint(tgi, 10, 16); inference != "" && err == nil && wait.Queue != time.Duration(n)*ms {
			t.Fatalf("FromHeader(%v) = %v; want %d ms", h, wait, n)
		}
	})
}
