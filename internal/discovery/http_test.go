package discovery

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/config"
)

const oneTarget = `[{"targets": ["one:1"]}]`

// answer serves a text as http_sd demands it.
func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, text)
}

// A server that fails in any way leaves the targets that it told before.
func TestHTTPFailures(t *testing.T) {
	const limit = 50 * time.Millisecond
	for _, c := range []struct {
		name, want string
		serve      http.HandlerFunc
	}{
		{"an error", "HTTP status 500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		{"another status of success", "HTTP status 204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		{"a redirect", "HTTP status 302", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }},
		{"no content type", `the answer's Content-Type is ""; it must be application/json`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "[]")
		}},
		{"another content type", `the answer's Content-Type is "text/html"; it must be application/json`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "[]")
		}},
		{"another character set", `the answer's Content-Type is "application/json; charset=latin1"; it must be application/json`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=latin1")
			io.WriteString(w, "[]")
		}},
		{"garbage", "line 1: not JSON: invalid character '<' looking for beginning of value", func(w http.ResponseWriter, _ *http.Request) { answer(w, "<html>") }},
		{"nothing", "there is nothing in it; write [] for no targets", func(w http.ResponseWriter, _ *http.Request) { answer(w, "") }},
		{"half a list", "the JSON ends too early", func(w http.ResponseWriter, _ *http.Request) { answer(w, oneTarget[:12]) }},
		{"half an answer", "unexpected EOF", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answer(w, "[]")
		}},
		{"a broken answer", "unexpected EOF", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, "[]")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
		{"an answer without end", fmt.Sprintf("the answer is above %d bytes", maxDocument), func(w http.ResponseWriter, r *http.Request) {
			answer(w, "[")
			spaces := bytes.Repeat([]byte(" "), 64<<10)
			for r.Context().Err() == nil {
				if _, err := w.Write(spaces); err != nil {
					return
				}
			}
		}},
		{"too many targets", "2000 targets; the source's bound is 1000", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, `[{"targets": [`+strings.Repeat(`"a",`, 1999)+`"a"]}]`)
		}},
		{"a bad group", `[1].targets[0]: protocol: unknown protocol "x"`, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, `[{"targets": ["two:1"]}, {"targets": ["three:1"], "labels": {"__protocol": "x"}}]`)
		}},
		{"a name twice", `[1].targets[0]: the name "two-1-llama" is that of {URL}: [0].targets[0], too; give one of them another with the label __name`, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, `[{"targets": ["two:1"]}, {"targets": ["two:1"]}]`)
		}},
		{"no answer", "no whole answer within " + limit.String(), func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"an answer that stops", "no whole answer within " + limit.String(), func(w http.ResponseWriter, r *http.Request) {
			answer(w, "[")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var serve atomic.Value
			serve.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, oneTarget) }))
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve.Load().(http.HandlerFunc)(w, r) }))
			defer server.Close()
			d, err := New(Options{Config: ofURL(t, server.URL+"/?key=secret", ""), Logger: quiet()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			before, err := d.Load(t.Context())
			if got := names(before); err != nil || len(got) != 1 || got[0] != "one-1-llama" {
				t.Fatalf("loads %v, %v; want one target", got, err)
			}
			was := d.Status()[0]

			serve.Store(c.serve)
			s := d.sources[0]
			patient := s.reader.(*endpoint)
			if strings.HasPrefix(c.want, "no whole answer") {
				hurried := *patient // a copy: a dial may go on after the fetch that it was for, and looks at the first one
				hurried.within = limit
				s.reader = &hurried
			}
			docs, err := s.reader.read(t.Context())
			d.take(s, docs, err)
			if diff := cmp.Diff(names(before), names(d.Targets())); diff != "" {
				t.Errorf("the targets changed (-want +got):\n%s", diff)
			}
			is := d.Status()[0]
			want := strings.ReplaceAll(c.want, "{URL}", server.URL+"/")
			if is.LastError == nil || !strings.Contains(is.LastError.Error(), want) || !strings.HasPrefix(is.LastError.Error(), server.URL+"/: ") {
				t.Errorf("the error is %v; want %q", is.LastError, want)
			}
			if is.Targets != 1 || is.Failed != 1 || is.Succeeded != 1 || is.LastSuccess != was.LastSuccess {
				t.Errorf("the status is %+v; want 1 target, 1 success, 1 failure", is)
			}

			serve.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, "[]") }))
			s.reader = patient
			docs, err = s.reader.read(t.Context())
			d.take(s, docs, err)
			if is := d.Status()[0]; len(d.Targets()) != 0 || is.LastError != nil || is.Succeeded != 2 {
				t.Errorf("afterwards, with an empty list: %v, %+v", names(d.Targets()), is)
			}
		})
	}
}

// What the server is asked is what Prometheus asks.
func TestHTTPRequest(t *testing.T) {
	var got http.Header
	var method, target string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, method, target = r.Header, r.Method, r.URL.String()
		w.Header().Set("Content-Type", `application/json; charset="utf-8"`)
		io.WriteString(w, oneTarget)
	}))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	more := fmt.Sprintf("    refresh_interval: 1m30s\n    http: {tls_config: {ca: %q}, basic_auth: {username: u, password: p}}\n", ca)
	d, err := New(Options{Config: ofURL(t, server.URL+"/targets?role=llm", more), UserAgent: "llm_prober/1", Logger: quiet()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	targets, err := d.Load(t.Context())
	if err != nil || len(targets) != 1 {
		t.Fatalf("loads %v, %v, %v", names(targets), err, d.Status()[0].LastError)
	}
	if method != "GET" || target != "/targets?role=llm" {
		t.Errorf("asks %s %s", method, target)
	}
	for name, want := range map[string]string{
		"Accept": "application/json", "X-Prometheus-Refresh-Interval-Seconds": "90", "User-Agent": "llm_prober/1", "Authorization": "Basic dTpw",
	} {
		if got.Get(name) != want {
			t.Errorf("sends %s %q; want %q", name, got.Get(name), want)
		}
	}
	if got := d.Status()[0].Source; got != "http_1" {
		t.Errorf("the source is called %q; want http_1", got)
	}
}

// A server that is down at the start delays it by no more than the bound, and is asked again soon.
func TestHTTPDownAtStart(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		d, err := New(Options{Config: ofURL(t, "http://127.0.0.1:1/", ""), Logger: quiet()}, nil) // a port that nobody is given
		if err != nil {
			t.Fatal(err)
		}
		targets, err := d.Load(t.Context())
		status := d.Status()[0]
		if err != nil || len(targets) != 0 || status.Failed != 1 || !status.LastSuccess.IsZero() || !strings.Contains(fmt.Sprint(status.LastError), "connection refused") {
			t.Errorf("loads %v, %v, %+v; want no targets and one failure", names(targets), err, status)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Options{Config: ofURL(t, "http://h/", ""), Logger: quiet()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var hangs atomic.Bool
		hangs.Store(true)
		d.sources[0].reader.(*endpoint).client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if hangs.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(oneTarget))}, nil
		})}
		start := time.Now()
		targets, err := d.Load(t.Context())
		if took := time.Since(start); err != nil || len(targets) != 0 || took != firstWithin {
			t.Errorf("loads %v, %v in %s; want none in %s", names(targets), err, took, firstWithin)
		}
		if got, want := fmt.Sprint(d.Status()[0].LastError), "http://h/: no whole answer within 5s"; got != want {
			t.Errorf("the error is %q; want %q", got, want)
		}
		hangs.Store(false)
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan []string, 1)
		d.options.OnChange = func(_ context.Context, targets []*config.Target) error {
			told <- names(targets)
			return nil
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.Run(ctx)
		}()
		start = time.Now()
		if got := <-told; len(got) != 1 || time.Since(start) != retryAfter {
			t.Errorf("is told %v after %s; want one target after %s", got, time.Since(start), retryAfter)
		}
		hangs.Store(true) // a fetch under way does not delay the end
		time.Sleep(61 * time.Second)
		cancel()
		<-ended
		if status := d.Status()[0]; status.Succeeded != 1 || status.Failed != 1 {
			t.Errorf("the status is %+v; a fetch that was given up at the end is no failure", status)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The client of OAuth 2 asks for tokens without a context. A server of tokens that hangs must not hang the source.
func TestHTTPTokensHang(t *testing.T) {
	release := make(chan struct{})
	tokens := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer tokens.Close()
	defer close(release)
	more := fmt.Sprintf("    http: {oauth2: {client_id: c, client_secret: s, token_url: %q}}\n", tokens.URL)
	d, err := New(Options{Config: ofURL(t, tokens.URL, more), Logger: quiet()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := d.sources[0].reader.(*endpoint)
	e.within = 50 * time.Millisecond
	if _, err := e.read(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "no whole answer within 50ms") {
		t.Errorf("the error is %v", err)
	}
}

func TestTold(t *testing.T) {
	a := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 1}, Addr: &net.TCPAddr{Port: 80}, Err: errors.New("reset")}
	b := *a
	b.Source = &net.TCPAddr{Port: 2}
	e := &endpoint{}
	if x, y := e.told(t.Context(), a), e.told(t.Context(), &b); x.Error() != y.Error() {
		t.Errorf("%q and %q differ by our port", x, y)
	}
	// A dial may find that its time is over before the fetch does.
	_, late := (&net.Dialer{Deadline: time.Now().Add(-time.Second)}).Dial("tcp", "127.0.0.1:1")
	if got, want := (&endpoint{within: time.Second}).told(t.Context(), late), "no whole answer within 1s"; got.Error() != want {
		t.Errorf("told(%v) = %v; want %s", late, got, want)
	}
}
