package collector

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes is how many scrapes are served at once; a further one gets 503. Two Prometheus servers and a curious human are
// three; each scrape of many targets takes tens of megabytes while it lasts.
const maxScrapes = 5

// Handler serves reg as /metrics, in the format that the scraper asks for: protobuf (native histograms), OpenMetrics
// (exemplars) or text. Its own metrics (promhttp_*) go to reg.
//
// A collector that fails costs its own series: the rest is served, and the error is logged and counted.
func Handler(reg *Registry, logger *slog.Logger) http.Handler {
	return promhttp.InstrumentMetricHandler(reg, promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog:            errorLog{logger},
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            reg,
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
	}))
}

// errorLog takes the errors of promhttp, which span lines where there are several, as one line each.
type errorLog struct{ logger *slog.Logger }

// goneScraper begins what promhttp says of each family, some hundred of them, that it cannot write to a scraper that went away.
// The scraper knows, and its next scrape tells whether that lasts.
const goneScraper = "error encoding and sending metric family"

// Println implements promhttp.Logger.
func (l errorLog) Println(v ...any) {
	level, line := slog.LevelError, strings.Join(strings.Fields(fmt.Sprintln(v...)), " ")
	if strings.HasPrefix(line, goneScraper) {
		level = slog.LevelDebug
	}
	l.logger.Log(context.Background(), level, "metrics", "err", line)
}
