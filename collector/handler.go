package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// Handler serves reg as /metrics, in the format that the scraper asks for: protobuf (native histograms), OpenMetrics
// (exemplars) or text; with name[] in the query, those families alone. Its own metrics (promhttp_*) go to reg, for it does what
// promhttp does, but for two things: a family is sent before the next one is gathered, so that of a page of many probes there is
// never more than a part in memory; and readers who hang keep nobody else from the page, see [waitingRoom].
//
// A collector that fails costs its own series: the rest is served, and the error is logged and counted.
func Handler(reg *Registry, logger *slog.Logger) http.Handler {
	return handlerIn(newWaitingRoom(), reg, logger)
}

func handlerIn(room *waitingRoom, reg *Registry, logger *slog.Logger) http.Handler {
	p := &scraped{
		registry: reg, logger: logger,
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "promhttp_metric_handler_errors_total", Help: "Total number of internal errors encountered by the promhttp metric handler.",
		}, []string{"cause"}),
	}
	if err := reg.Register(p.errors); err != nil {
		already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err)
		if !ok {
			panic(err) // it is a counter as any other
		}
		p.errors = already.ExistingCollector.(*prometheus.CounterVec) // of another handler of the same registry
	}
	p.errors.WithLabelValues(causeGathering)
	p.errors.WithLabelValues(causeEncoding)
	return promhttp.InstrumentMetricHandler(reg, room.handler(compressed(p), func(err error) {
		p.failed(slog.LevelDebug, causeEncoding, err) // the scraper knows, and its next scrape tells whether that lasts
	}))
}

// scraped renders /metrics.
type scraped struct {
	registry *Registry
	logger   *slog.Logger
	errors   *prometheus.CounterVec
}

// The values of the label cause.
const (
	causeGathering = "gathering"
	causeEncoding  = "encoding"
)

// ServeHTTP implements http.Handler.
func (p *scraped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Content-Type", string(format))
	to := &pageWriter{to: w}
	encoder := newPartEncoder(to, format)
	only := r.URL.Query()["name[]"]
	err := p.registry.send(func(part *dto.MetricFamily, goesOn bool) bool {
		if len(only) > 0 && !slices.Contains(only, part.GetName()) {
			return true
		}
		if err := encoder.encode(part, goesOn); err != nil && to.err == nil {
			p.failed(slog.LevelError, causeEncoding, fmt.Errorf("metric %s: %w", part.GetName(), err))
		}
		return to.err == nil
	})
	if err != nil {
		p.failed(slog.LevelError, causeGathering, err)
	}
	if !to.begun && err != nil {
		w.Header().Del("Content-Type")
		http.Error(w, "An error has occurred while serving metrics:\n\n"+err.Error(), http.StatusInternalServerError)
		return
	}
	if to.err == nil {
		if err := encoder.close(); err != nil && to.err == nil {
			p.failed(slog.LevelError, causeEncoding, err)
		}
	}
}

// failed counts and logs an error.
func (p *scraped) failed(level slog.Level, cause string, err error) {
	p.errors.WithLabelValues(cause).Inc()
	p.logger.Log(context.Background(), level, "metrics", "cause", cause, "err", strings.Join(strings.Fields(err.Error()), " "))
}

// pageWriter remembers whether something has been written, and whether the reader is lost.
type pageWriter struct {
	to    io.Writer
	begun bool
	err   error
}

// Write implements io.Writer.
func (w *pageWriter) Write(b []byte) (int, error) {
	w.begun = true
	n, err := w.to.Write(b)
	w.err = cmp.Or(w.err, err)
	return n, err
}
