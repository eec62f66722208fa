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

// takesGzip reports whether an answer may be in gzip.
func takesGzip(h http.Header) bool {
	for _, line := range h.Values("Accept-Encoding") {
		for offer := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(offer, ";")
			if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && name != "*" {
				continue
			}
			weight, found := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q=")
			if q, err := strconv.ParseFloat(weight, 64); !found || err != nil || q > 0 {
				return true
			}
		}
	}
	return false
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
