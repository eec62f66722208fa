package process

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// served serves a registry as the prober does, with one family of each kind.
func served(t *testing.T) (address string, h prometheus.Histogram) {
	t.Helper()
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "h"}, []string{"outcome", "target"})
	h = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "delay_seconds", Help: "h", Buckets: []float64{1, 2, 4}, NativeHistogramBucketFactor: 1.1})
	reg.MustRegister(c, h)
	c.WithLabelValues("ok", "a").Add(3)
	c.WithLabelValues("ok", "b").Add(4)
	c.WithLabelValues("dns", "b").Add(5)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), h
}

func TestScrape(t *testing.T) {
	address, _ := served(t)
	s := NewScraper(address)
	defer s.Close()
	for _, f := range []Format{OpenMetrics, Protobuf} {
		t.Run(string(f), func(t *testing.T) {
			scrape, err := s.Scrape(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if scrape.Took <= 0 || scrape.Bytes == int64(len(scrape.Unpacked)) || scrape.Bytes == 0 {
				t.Errorf("scrape took %v, %d bytes, %d unpacked; want it packed", scrape.Took, scrape.Bytes, len(scrape.Unpacked))
			}
			_, err = scrape.Page()
			if text := strings.HasSuffix(string(scrape.Unpacked), "# EOF\n"); text != (f == OpenMetrics) || (err == nil) != (f == Protobuf) {
				t.Errorf("it ends as OpenMetrics: %t, and its page: %v; asked for %s", text, err, f)
			}
		})
	}
}

func TestPage(t *testing.T) {
	address, h := served(t)
	s := NewScraper(address)
	defer s.Close()
	page := func() Page {
		scrape, err := s.Scrape(t.Context(), Protobuf)
		if err != nil {
			t.Fatal(err)
		}
		p, err := scrape.Page()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	h.Observe(3)
	before := page()
	for _, test := range []struct {
		labels []string
		want   float64
	}{
		{nil, 12}, {[]string{"outcome", "ok"}, 7}, {[]string{"target", "b", "outcome", "ok"}, 4}, {[]string{"target", "c"}, 0},
	} {
		if got, err := before.Sum("requests_total", test.labels...); err != nil || got != test.want {
			t.Errorf("Sum(%v) = %v, %v; want %v", test.labels, got, err, test.want)
		}
	}
	if _, err := before.Sum("nothing"); err == nil {
		t.Error("Sum of a family that is not there is no error")
	}
	if n := before.Series(); n != 3+3+1+2 {
		t.Errorf("Series() = %d; want 3 counters, 3 buckets and +Inf, a sum and a count", n)
	}
	for range 10 {
		h.Observe(1.5)
	}
	first, err := before.Histogram("delay_seconds")
	if err != nil {
		t.Fatal(err)
	}
	all, err := page().Histogram("delay_seconds")
	if err != nil {
		t.Fatal(err)
	}
	if got := all.Since(first); got.Count != 10 || got.Quantile(0.5) != 1.5 || got.Quantile(1) != 2 {
		t.Errorf("since then: %d, median %v, largest %v; want 10, 1.5 and 2, straight through the bucket from 1 to 2", got.Count, got.Quantile(0.5), got.Quantile(1))
	}
	if got := all.Quantile(0.999); got < 2 || got > 4 {
		t.Errorf("Quantile(0.999) = %v; want it between 2 and 4, where the 3 is", got)
	}
	if _, err := before.Histogram("requests_total"); err == nil {
		t.Error("Histogram of counters is no error")
	}
}

func TestQuantileOfNothing(t *testing.T) {
	if got := (&Histogram{}).Quantile(0.5); !math.IsNaN(got) {
		t.Errorf("Quantile of nothing = %v; want NaN", got)
	}
	high := &Histogram{Count: 2, bounds: []float64{1}, below: []uint64{0}}
	if got := high.Quantile(0.5); got != 1 {
		t.Errorf("Quantile of what is over the highest bound = %v; want that bound, 1", got)
	}
}

func TestAnswers(t *testing.T) {
	address, _ := served(t)
	s := NewScraper(address)
	defer s.Close()
	if err := s.Answers(t.Context(), "/metrics"); err != nil {
		t.Errorf("Answers(/metrics) = %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.DeadlineExceeded)
	if err := s.Answers(ctx, "/down"); err == nil || !strings.Contains(err.Error(), "context") {
		t.Errorf("Answers(/down) = %v; want it to end with its context", err)
	}
}

func TestMachine(t *testing.T) {
	if m := DescribeMachine(); m.CPUs < 1 || m.Go == "" || !slices.ContainsFunc(strings.Split(m.String(), ", "), func(s string) bool { return s == m.OS }) {
		t.Errorf("machine = %q of %+v", m, m)
	}
}
