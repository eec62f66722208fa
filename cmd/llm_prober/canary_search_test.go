package main

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// canaries are secrets that can be told apart, by name.
type canaries struct {
	mu    sync.Mutex
	cores map[string]string
}

// plant makes a secret, with signs in it that every encoding writes in another way. No two begin alike.
func (c *canaries) plant(name string) string { return c.core(name) + `/+"&<` }

// A password that the web configuration knows, as it keeps it.
const (
	webPassword = `zq00xkwebpasswordxkz/+"&<`
	webHash     = "$2a$10$UQBObdiLL2Y9oe3s3MxyJeEdcOU3EL/mOTwLai8vbNgytYEO7hNA."
)

// core is the part of a secret that all encodings but base64 and hex leave as it is.
func (c *canaries) core(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cores == nil {
		c.cores = map[string]string{}
	}
	if c.cores[name] == "" {
		c.cores[name] = fmt.Sprintf("zq%02dxk%sxkz", len(c.cores), strings.ReplaceAll(name, " ", ""))
	}
	return c.cores[name]
}

// forms are what a text is searched for to find a canary: its beginning, as it is and in the three ways in which base64
// may write it, and in hex.
func forms(core string) []string {
	const beginning = 8
	found := []string{core[:beginning], hex.EncodeToString([]byte(core[:beginning]))}
	for before := range 3 { // of the bytes that stand before it; what they share signs with is left out
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, before), core...))
		first, last := (before*8+5)/6, (before+len(core))*8/6
		found = append(found, encoded[first:last])
	}
	return found
}

// haul is all that came out of the program, by where it came from.
type haul struct {
	mu    sync.Mutex
	found map[string][]byte
}

func (h *haul) add(where string, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.found == nil {
		h.found = map[string][]byte{}
	}
	h.found[where] = append(h.found[where], data...)
	if plain := unpacked(data); plain != nil {
		h.found[where+", unpacked"] = plain
	}
}

// writer adds what is written to it.
func (h *haul) writer(where string) io.Writer { return haulWriter{h, where} }

type haulWriter struct {
	h     *haul
	where string
}

func (w haulWriter) Write(p []byte) (int, error) {
	w.h.add(w.where, p)
	return len(p), nil
}

// unpacked is what is in gzip, zlib or zstd data, as far as it can be read; nil: it is none of them.
func unpacked(data []byte) []byte {
	const most = 64 << 20
	var r io.Reader
	switch {
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			r = z
		}
	case bytes.HasPrefix(data, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		if z, err := zstd.NewReader(bytes.NewReader(data)); err == nil {
			defer z.Close()
			r = z
		}
	case len(data) > 2 && data[0] == 0x78:
		if z, err := zlib.NewReader(bytes.NewReader(data)); err == nil {
			r = z
		}
	}
	if r == nil {
		return nil
	}
	plain, _ := io.ReadAll(io.LimitReader(r, most)) // what there is of it
	if inner := unpacked(plain); inner != nil {
		return inner
	}
	return plain
}

// where lists the places in which a canary is, with what stands around it.
func (h *haul) where(core string) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	places := map[string]string{}
	for place, data := range h.found {
		for _, form := range forms(core) {
			if i := bytes.Index(data, []byte(form)); i >= 0 {
				places[place] = fmt.Sprintf("%.240q", data[max(0, i-120):])
				break
			}
		}
	}
	return places
}

// sum is how many places there are, and bytes in them.
func (h *haul) sum() (places, size int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, data := range h.found {
		size += len(data)
	}
	return len(h.found), size
}

// places are all, by name.
func (h *haul) places() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.found))
}

// The search finds a canary however it is written.
func TestCanarySearch(t *testing.T) {
	var c canaries
	value, core := c.plant("a name"), c.core("a name")
	var gz, zs bytes.Buffer
	z := gzip.NewWriter(&gz)
	io.WriteString(z, value)
	z.Close()
	w, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	gz.WriteTo(w)
	w.Close()
	for name, text := range map[string]string{
		"as it is": "x " + value, "cut off": core[:8], "Go": fmt.Sprintf("%q", value), "hex": hex.EncodeToString([]byte("x" + value)),
		"base64": base64.StdEncoding.EncodeToString([]byte(value)), "base64 of more": base64.StdEncoding.EncodeToString([]byte("me:" + value)),
		"base64 of still more": base64.URLEncoding.EncodeToString([]byte("user:" + value + "abcdef")), "base64 after one": base64.StdEncoding.EncodeToString([]byte("x" + value)),
		"gzip in zstd": zs.String(),
	} {
		var h haul
		h.add("here", []byte("nothing"))
		if text == zs.String() {
			h.add("there", []byte(text))
		} else {
			h.add("there", []byte("before "+text+" after"))
		}
		if places := h.where(core); len(places) != 1 {
			t.Errorf("%s: %q is found in %v; want it in one place", name, text, places)
		}
		if places := h.where(c.core("another")); len(places) != 0 {
			t.Errorf("%s: another one is found in %v", name, places)
		}
	}
}
