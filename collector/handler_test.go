package collector

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/testing/protocmp"
)

// families reads a page, without what is not ours: that changes from one scrape to the next.
func families(t *testing.T, w *httptest.ResponseRecorder) (ours []*dto.MetricFamily) {
	t.Helper()
	decoder := expfmt.NewDecoder(w.Body, expfmt.ResponseFormat(w.Header()))
	for {
		f := new(dto.MetricFamily)
		if err := decoder.Decode(f); errors.Is(err, io.EOF) {
			return ours
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(f.GetName(), "llm_") {
			ours = append(ours, f)
		}
	}
}

// A scraper gets what it would get of promhttp, in every format, to the byte.
func TestHandlerIsAsPromhttp(t *testing.T) {
	reg := newRegistry(t, filledProbes(t, 20)) // families of many parts
	ours, theirs := Handler(reg, slog.New(slog.DiscardHandler)), promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true, DisableCompression: true})
	for _, accept := range []string{
		"", "text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", "application/json",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;q=0.3",
	} {
		t.Run(accept, func(t *testing.T) {
			got, want := scrape(t, ours, accept), scrape(t, theirs, accept)
			if got.Header().Get("Content-Type") != want.Header().Get("Content-Type") {
				t.Fatalf("Content-Type %q; promhttp has %q", got.Header().Get("Content-Type"), want.Header().Get("Content-Type"))
			}
			if strings.Contains(accept, "protobuf") {
				if diff := cmp.Diff(families(t, want), families(t, got), protocmp.Transform()); diff != "" {
					t.Errorf("(-promhttp +ours):\n%s", diff)
				}
				return
			}
			lines := func(w *httptest.ResponseRecorder) (ours []string) {
				for line := range strings.Lines(w.Body.String()) {
					if strings.Contains(line, "llm_") || strings.HasPrefix(line, "# EOF") {
						ours = append(ours, line)
					}
				}
				return ours
			}
			if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
				t.Errorf("(-promhttp +ours):\n%s", diff)
			}
		})
	}
}

// The lines that a family begins with are left out of its other parts, in whatever pieces they come.
func TestBodyWriter(t *testing.T) {
	const text = "# HELP a b\n# TYPE a counter\na 1\n# not a header any more\na 2\n"
	for size := range len(text) + 1 {
		for _, skipping := range []bool{true, false} {
			var out bytes.Buffer
			w := &bodyWriter{to: &out, skipping: skipping, lineBegins: true}
			for piece := range slices.Chunk([]byte(text), max(1, size)) {
				if n, err := w.Write(piece); n != len(piece) || err != nil {
					t.Fatalf("Write(%q) = %d, %v; want %d", piece, n, err, len(piece))
				}
			}
			want := text
			if skipping {
				want = text[strings.Index(text, "a 1"):]
			}
			if out.String() != want {
				t.Errorf("in pieces of %d, skipping %t: %q; want %q", size, skipping, &out, want)
			}
		}
	}
}

// With name[] the page has those families alone.
func TestHandlerNames(t *testing.T) {
	h := Handler(newRegistry(t, newProbes(t, interactive)), slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics?name[]="+NameUp+"&name[]=go_goroutines&name[]=nothing", nil))
	var names []string
	for line := range strings.Lines(w.Body.String()) {
		if name, found := strings.CutPrefix(line, "# TYPE "); found {
			names = append(names, strings.Fields(name)[0])
		}
	}
	if diff := cmp.Diff([]string{"go_goroutines", NameUp}, names); diff != "" {
		t.Errorf("(-asked for +got):\n%s", diff)
	}
}

// goneAfter is a scraper that goes away after some bytes.
type goneAfter struct {
	http.ResponseWriter
	left, failed int
}

func (w *goneAfter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		w.failed++
		return 0, errors.New("connection reset by peer")
	}
	return len(b), nil
}

// A scraper that went away is counted once, is not worth an error in the log, and nothing more is gathered for it.
func TestScraperGoesAway(t *testing.T) {
	var log bytes.Buffer
	reg := newRegistry(t, filledProbes(t, 2))
	h := Handler(reg, slog.New(slog.NewTextHandler(&log, nil)))
	w := &goneAfter{ResponseWriter: httptest.NewRecorder(), left: 5000}
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.failed != 1 {
		t.Errorf("%d writes failed; want one, and none after it", w.failed)
	}
	if log.Len() > 0 {
		t.Errorf("log:\n%s\nwant nothing", &log)
	}
	if text := scrape(t, h, "").Body.String(); !strings.Contains(text, "promhttp_metric_handler_errors_total{cause=\"encoding\"} 1\n") {
		t.Error("the page does not count one error of encoding")
	}
}
