package collector

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What is compressed is the page: unpacked, it is what those get who take no gzip.
func TestCompressed(t *testing.T) {
	p := NewProbes(nil)
	mustApply(t, p, Series{Target: "chat", Model: "m", Probe: "interactive", Stream: true, Interval: 15 * time.Second})
	reg, err := NewRegistry(p)
	if err != nil {
		t.Fatal(err)
	}
	h := Handler(reg, slog.New(slog.DiscardHandler))
	for _, test := range []struct {
		accept string
		packed bool
	}{
		{"", false}, {"gzip", true}, {"br, GZIP;q=0.5", true}, {"*;q=1, gzip;q=0", false},
	} {
		t.Run(test.accept, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/metrics?name[]="+NameUp+"&name[]="+NameInterval, nil)
			if test.accept != "" {
				r.Header.Set("Accept-Encoding", test.accept)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			body := w.Body.Bytes()
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != test.packed || !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Accept-Encoding") {
				t.Fatalf("packed: %t, Vary: %q; want %t, Accept-Encoding in it", got, w.Header().Values("Vary"), test.packed)
			}
			if test.packed {
				z, err := gzip.NewReader(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if text := string(body); !strings.Contains(text, NameInterval+`{model="m",probe="interactive",target="chat"} 15`) || !strings.Contains(text, NameUp+"{") {
				t.Errorf("the page is %q; want the two families", text)
			}
		})
	}
}

// As RFC 9110, section 12.5.3, has it.
func TestTakesGzip(t *testing.T) {
	for _, test := range []struct {
		accept []string // a line each
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"gzip"}, true},
		{[]string{"GZip"}, true},
		{[]string{"x-gzip"}, true},
		{[]string{"gzipped"}, false},
		{[]string{"deflate, br"}, false},
		{[]string{"deflate", "gzip"}, true},
		{[]string{"br;q=1.0,\tgzip ; q=0.8 , *;q=0.1"}, true}, // the codings that others have are nothing to us
		{[]string{"gzip;q=0"}, false},
		{[]string{"gzip; Q=0.000"}, false},
		{[]string{"gzip;q=0.001"}, true},
		{[]string{"gzip;q=much"}, true},
		{[]string{"*"}, true},
		{[]string{"br, *;q=0.1"}, true},
		{[]string{"*;q=0"}, false},
		{[]string{"gzip, *;q=0"}, true}, // what has a name is not under *
		{[]string{"gzip;q=0, *"}, false},
		{[]string{"*, gzip;q=0"}, false},
		{[]string{"*", "gzip;q=0"}, false},
		{[]string{"identity"}, false},
		{[]string{"identity, gzip"}, true}, // both alike: that which is smaller
		{[]string{"gzip;q=0.5, identity"}, false},
		{[]string{"gzip;q=0.5, identity;q=0.4"}, true},
		{[]string{"*;q=0.5, identity;q=0.8"}, false},
		{[]string{"identity;q=0, *;q=0.1"}, true},
		{[]string{"gzip;q=0, identity;q=0"}, false}, // nothing is acceptable: the page as it is, then
	} {
		if got := takesGzip(http.Header{"Accept-Encoding": test.accept}); got != test.want {
			t.Errorf("takesGzip(%q) = %t; want %t", test.accept, got, test.want)
		}
	}
}

// An answer without a page is sent as it is, also to those who take gzip, and a writer that was used is good for another page.
func TestErrorsAreNotCompressed(t *testing.T) {
	h := compressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Length", "1000")
		for range 1000 {
			io.WriteString(w, "x")
		}
	}))
	for _, path := range []string{"/", "/busy", "/", "/nothing"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if path == "/busy" {
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Encoding") != "" || w.Body.String() != "try again\n" {
				t.Errorf("GET %s = %d, %v, %q; want 503 in plain text", path, w.Code, w.Header(), w.Body)
			}
			continue
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(z); err != nil || len(body) != 1000 || w.Header().Get("Content-Length") != "" {
			t.Errorf("GET %s has %d bytes, %v, header %v; want 1000, and no length of what is not packed", path, len(body), err, w.Header())
		}
	}
}
