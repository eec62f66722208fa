package collector

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// compressed serves h's pages by gzip to those who take it. promhttp does so as well, at a level that takes most of a scrape's
// time: BenchmarkScrape. A page of many probes is so repetitive that the quickest level leaves a twentieth of it, too.
func compressed(h http.Handler) http.Handler {
	pool := sync.Pool{New: func() any {
		z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
		if err != nil {
			panic(err) // there is such a level
		}
		return z
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if !takesGzip(r.Header) {
			h.ServeHTTP(w, r)
			return
		}
		z := pool.Get().(*gzip.Writer)
		defer pool.Put(z)
		c := &compressor{ResponseWriter: w, z: z}
		h.ServeHTTP(c, r)
		if c.begun {
			_ = z.Close() // the reader has gone: its next scrape tells
		}
		z.Reset(io.Discard) // not to hold the response
	})
}

// takesGzip reports whether an answer is to be in gzip, by RFC 9110, section 12.5.3: it is acceptable, by its own name or, where
// that is not there, by *; and identity is not preferred to it. One who names no coding gets none.
func takesGzip(h http.Header) bool {
	weights := map[string]float64{}
	for _, line := range h.Values("Accept-Encoding") {
		for offer := range strings.SplitSeq(line, ",") {
			coding, parameters, _ := strings.Cut(offer, ";")
			coding = strings.ToLower(strings.TrimSpace(coding))
			if coding == "x-gzip" { // the same, section 8.4.1.3
				coding = "gzip"
			}
			weights[coding] = weight(parameters)
		}
	}
	gzip, named := weights["gzip"]
	if !named {
		gzip = weights["*"]
	}
	return gzip > 0 && gzip >= weights["identity"]
}

// weight is the q of parameters; 1 where there is none that can be read.
func weight(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
			return q
		}
	}
	return 1
}

// compressor compresses a page. An answer that says that there is none, which is short, is left as it is.
type compressor struct {
	http.ResponseWriter
	z     *gzip.Writer
	wrote bool // the header
	begun bool // to compress
}

// WriteHeader implements http.ResponseWriter.
func (c *compressor) WriteHeader(status int) {
	if c.wrote = true; status == http.StatusOK {
		c.begun = true
		c.Header().Set("Content-Encoding", "gzip")
		c.Header().Del("Content-Length")
		c.z.Reset(c.ResponseWriter)
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *compressor) Write(b []byte) (int, error) {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
	if c.begun {
		return c.z.Write(b)
	}
	return c.ResponseWriter.Write(b)
}
