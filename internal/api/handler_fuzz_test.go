package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/llmprober/llm_prober/prober"
)

// Whatever is asked, byte by byte: the answer is none of the prober's failure, whole, bounded, of the type that it says, and has
// nothing that a terminal would act upon.
func FuzzHandler(f *testing.F) {
	for _, seed := range []string{
		"GET /api/v1/targets?limit=1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /api/v1/targets/chat/verdict?probe=fast&max_age=5m HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /api/v1/targets/chat/requests?outcome=ok&since=2026-11-22T02:00:00Z HTTP/1.1\r\nHost: a\r\n\r\n", "GET /api/v1/runs?cursor=dDpuYW1l HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /api/v1/runs/..%2f..%2fetc HTTP/1.1\r\nHost: a\r\n\r\n", "GET /api/v1/targets/%1b[2J%e2%80%ae HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE /api/v1/ramps/soak HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /api/v1/ramps/soak/start HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"POST /api/v1/ramps/soak/start HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"\\u001b\\n\": 1}",
		"POST /api/v1/reload HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /api/v1/targets/chat/probes/fast?\x80 HTTP/1.1\r\nHost: a\r\n\r\n", "GET //api//v1/./targets HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		f := newFixture(t)
		f.starts(f.ramps[1].Running, nil)
		f.Recent.Observe(result("chat", "fast", time.Second, prober.HTTP4xx, 0))
		w := httptest.NewRecorder()
		Handler(f.Options).ServeHTTP(w, r.WithContext(t.Context()))
		if w.Code/100 == 3 {
			return // net/http's own words, where a path has dots in it
		}
		body, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		if w.Code < 200 || w.Code >= 500 && w.Code != http.StatusServiceUnavailable && w.Code != http.StatusNotImplemented {
			t.Errorf("%q: HTTP %d %s", raw, w.Code, body)
		}
		if len(body) > 1<<20 || !utf8.Valid(body) || strings.Contains(string(body), canary) {
			t.Errorf("%q: %q", raw, body)
		}
		for _, c := range string(body) {
			if c != '\n' && c != '\t' && !unicode.IsPrint(c) {
				t.Errorf("%q: the answer has %U: %q", raw, c, body)
			}
		}
		kind, _, _ := mime.ParseMediaType(w.Result().Header.Get("Content-Type"))
		if strings.HasSuffix(kind, "json") && len(body) > 0 && !json.Valid(body) {
			t.Errorf("%q: %s is no JSON: %s", raw, kind, body)
		}
	})
}

// Whatever a server said: what is told of it is one line, bounded, printable, and without what looks like a credential.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"plain", "Bearer sk-0123456789abcdef", "http://user:password@host/", "basic dXNlcjpwYXNz\x1b[2J", "hf_0123456789\u202e", "\xff sk-\n0123456789", strings.Repeat("sk-", 300)} {
		f.Add(seed, uint8(50))
	}
	f.Fuzz(func(t *testing.T, s string, limit uint8) {
		got := text(s, int(limit))
		if utf8.RuneCountInString(got) > int(limit)+2 || strings.TrimSpace(got) != got {
			t.Errorf("text(%q, %d) = %q", s, limit, got)
		}
		for _, c := range got {
			if !unicode.IsPrint(c) {
				t.Errorf("text(%q, %d) = %q, with %U", s, limit, got, c)
			}
		}
		if found := credentials.FindString(got); found != "" && !strings.Contains(found, "secret") {
			t.Errorf("text(%q, %d) = %q, which shows %q", s, limit, got, found)
		}
	})
}
