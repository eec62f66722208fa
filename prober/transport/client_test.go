package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestResponses(t *testing.T) {
	tests := []struct {
		name   string
		answer string
		status int
		header http.Header
		body   string
		step   Step  // of the error; empty: none
		cause  error // of the error
	}{
		{
			name:   "chunked",
			answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
			status: 200, header: http.Header{"Content-Type": {"text/event-stream"}}, body: "hello",
		},
		{name: "length", answer: "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello", status: 201, header: http.Header{"Content-Length": {"5"}}, body: "hello"},
		{name: "empty", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, header: http.Header{"Content-Length": {"0"}}},
		{name: "until close", answer: "HTTP/1.1 200 OK\r\n\r\nhello", status: 200, header: http.Header{}, body: "hello"},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello", status: 200, header: http.Header{"Server": {"old"}}, body: "hello"},
		{name: "bare line feeds", answer: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", status: 200, header: http.Header{"Content-Length": {"5"}}, body: "hello"},
		{name: "no content", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, header: http.Header{}},
		{name: "redirect", answer: "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", status: 307, header: http.Header{"Location": {"/elsewhere"}, "Content-Length": {"0"}}},
		{name: "too many requests", answer: "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno", status: 429, header: http.Header{"Retry-After": {"3"}, "Content-Length": {"2"}}, body: "no"},
		{
			name:   "interim",
			answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
			status: 200, header: http.Header{"Content-Length": {"2"}}, body: "hi",
		},
		{
			name:   "large header",
			answer: "HTTP/1.1 200 OK\r\nX-Big: " + strings.Repeat("x", 60<<10) + "\r\nContent-Length: 2\r\n\r\nhi",
			status: 200, header: http.Header{"X-Big": {strings.Repeat("x", 60<<10)}, "Content-Length": {"2"}}, body: "hi",
		},

		{name: "nothing", answer: "", step: StepResponse, cause: io.ErrUnexpectedEOF},
		{name: "half a header", answer: "HTTP/1.1 200 OK\r\nContent-Le", step: StepResponse, cause: io.ErrUnexpectedEOF},
		{name: "interim only", answer: "HTTP/1.1 100 Continue\r\n\r\n", step: StepResponse, cause: io.ErrUnexpectedEOF},
		{name: "header too large", answer: "HTTP/1.1 200 OK\r\nX-Big: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", step: StepResponse, cause: ErrHeaderTooLarge},
		{name: "interim for ever", answer: strings.Repeat("HTTP/1.1 100 Continue\r\nX: "+strings.Repeat("x", 1000)+"\r\n\r\n", 80), step: StepResponse, cause: ErrHeaderTooLarge},
		{name: "not HTTP", answer: "SSH-2.0-OpenSSH_9.9\r\n", step: StepResponse, cause: ErrFraming},
		{name: "TLS alert", answer: "\x15\x03\x01\x00\x02\x02\x16", step: StepResponse, cause: ErrFraming},
		{name: "no status", answer: "HTTP/1.1\r\n\r\n", step: StepResponse, cause: ErrFraming},
		{name: "header line", answer: "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", step: StepResponse, cause: ErrFraming},
		{name: "two lengths", answer: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", step: StepResponse, cause: ErrFraming},
		{name: "encoding", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", step: StepResponse, cause: ErrFraming},
		{name: "upgrade", answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", step: StepResponse, cause: ErrFraming},

		{
			name: "short", answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
			status: 200, header: http.Header{"Content-Length": {"9"}}, body: "hello", step: StepBody, cause: io.ErrUnexpectedEOF,
		},
		{
			name: "no last chunk", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
			status: 200, header: http.Header{}, body: "hello", step: StepBody, cause: io.ErrUnexpectedEOF,
		},
		{
			name: "malformed chunk", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\ndata: x\n\n",
			status: 200, header: http.Header{}, body: "hello", step: StepBody, cause: ErrFraming,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, answer(tt.answer))
			c := newClient(t, Options{})
			x, err := c.Do(t.Context(), post(t, s.url(), "{}"), Deadlines{Connect: time.Minute, Response: time.Now().Add(time.Minute)})
			defer func() { x.Close() }() // never nil, whatever the error
			var body string
			if err == nil {
				var reads []read
				body, reads, err = readAll(x, 4096)
				for i, r := range reads[min(1, len(reads)):] {
					if r.stamp.At.Before(reads[i].stamp.At) {
						t.Errorf("read %d at %v, before the one before it at %v", i+1, r.stamp.At, reads[i].stamp.At)
					}
				}
			}
			if x.Status != tt.status || body != tt.body {
				t.Errorf("status %d, body %.60q; want %d, %.60q", x.Status, body, tt.status, tt.body)
			}
			if diff := cmp.Diff(tt.header, x.Header); diff != "" && len(diff) < 1000 {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			e, _ := errors.AsType[*Error](err)
			switch {
			case tt.step == "" && err != nil:
				t.Errorf("error = %v; want none", err)
			case tt.step != "" && (e == nil || e.Step != tt.step || e.Timeout || !errors.Is(err, tt.cause)):
				t.Errorf("error = %v; want %v in step %s", err, tt.cause, tt.step)
			}
			checkPhases(t, x)
		})
	}
}

// checkPhases checks the order of a fresh plain connection's phases, as far as they came.
func checkPhases(t *testing.T, x *Exchange) {
	t.Helper()
	ph := x.Phases
	if ph.ConnectStart.IsZero() || ph.ConnectDone.Before(ph.ConnectStart) || ph.WriteStart.Before(ph.ConnectDone) || ph.Wrote.Before(ph.WriteStart) {
		t.Errorf("phases out of order: %+v", ph)
	}
	if x.Status != 0 && ph.Headers.At.Before(ph.WriteStart) {
		t.Errorf("header arrived %v before the request was written", ph.WriteStart.Sub(ph.Headers.At))
	}
	if !ph.DNSStart.IsZero() || !ph.TLSStart.IsZero() || ph.Reused || ph.HTTP2 || !strings.HasPrefix(ph.RemoteAddr, "127.0.0.1:") {
		t.Errorf("phases of a literal address over plain TCP = %+v", ph)
	}
}

// What the server is sent, exactly, and in how many pieces.
func TestRequest(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		got := make(chan string, 1)
		s := serve(t, func(c net.Conn) {
			p := make([]byte, 1<<20)
			n, _ := c.Read(p)
			got <- string(p[:n])
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		})
		c := newClient(t, Options{Reuse: reuse, UserAgent: "llm_prober/1"})
		req := post(t, s.url()+"/chat?x=y", `{"model":"m"}`)
		req.Header.Set("X-Request-Id", "id1")
		x, err := c.Do(t.Context(), req, Deadlines{})
		if err != nil {
			t.Fatal(err)
		}
		x.Close()
		connection := "Connection: close\r\n"
		if reuse {
			connection = ""
		}
		want := "POST /v1/chat?x=y HTTP/1.1\r\nHost: " + s.listener.Addr().String() + "\r\nUser-Agent: llm_prober/1\r\n" + connection +
			"Content-Length: 13\r\nX-Request-Id: id1\r\n\r\n{\"model\":\"m\"}"
		if diff := cmp.Diff(want, <-got); diff != "" {
			t.Errorf("request with Reuse %t (-want +got):\n%s", reuse, diff)
		}
		if len(req.Header) != 1 || req.Close {
			t.Errorf("the caller's request was changed: %+v", req)
		}
	}
}

func TestBadRequests(t *testing.T) {
	c := newClient(t, Options{})
	for _, u := range []string{"/v1/chat", "ftp://server/", "http:///v1", "//server/v1"} {
		req, err := http.NewRequest(http.MethodPost, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		x, err := c.Do(t.Context(), req, Deadlines{})
		if e, ok := errors.AsType[*Error](err); !ok || e.Step != StepWrite || !errors.Is(err, ErrRequest) || x == nil {
			t.Errorf("Do(%q) = %v, %v; want ErrRequest in step write", u, x, err)
		}
	}
}

func TestConnectFails(t *testing.T) {
	noNames := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	for _, tt := range []struct {
		name, url string
		step      Step
		cause     error
	}{
		{"refused", "http://" + refusing(t), StepConnect, syscall.ECONNREFUSED},
		{"no such name", "http://server.invalid:80/", StepDNS, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, Options{Dial: (&net.Dialer{Resolver: noNames}).DialContext})
			x, err := c.Do(t.Context(), post(t, tt.url, ""), Deadlines{Connect: time.Minute})
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Step != tt.step || e.Timeout || tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("Do(%q) = %v; want %v in step %s", tt.url, err, tt.cause, tt.step)
			}
			ph := x.Phases
			if !ph.ConnectDone.IsZero() || !ph.WriteStart.IsZero() || ph.RemoteAddr != "" || ph.DNSStart.IsZero() != (tt.step != StepDNS) {
				t.Errorf("Do(%q): phases = %+v", tt.url, ph)
			}
			if _, _, rerr := x.ReadStamped(make([]byte, 1)); rerr != err {
				t.Errorf("ReadStamped() = %v; want %v", rerr, err)
			}
		})
	}
}

// Names are resolved in a phase of their own, and the address that answers is taken.
func TestNames(t *testing.T) {
	if _, err := net.LookupHost("localhost"); err != nil {
		t.Skipf("localhost has no address: %v", err)
	}
	s := serve(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) // on 127.0.0.1 only, whatever else localhost is
	c := newClient(t, Options{})
	x, err := c.Do(t.Context(), post(t, strings.Replace(s.url(), "127.0.0.1", "localhost", 1), ""), Deadlines{Connect: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	ph := x.Phases
	if ph.DNSStart.IsZero() || ph.DNSDone.Before(ph.DNSStart) || ph.ConnectStart.Before(ph.DNSDone) || !ph.ConnectDone.After(ph.ConnectStart) ||
		ph.RemoteAddr != s.listener.Addr().String() {
		t.Errorf("phases = %+v", ph)
	}
}

// reset closes c with a RST.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func TestReset(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string
		step   Step
	}{
		{"before the response", "", StepResponse},
		{"within the header", "HTTP/1.1 200 OK\r\n", StepResponse},
		{"within the body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", StepBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			read := make(chan struct{})
			s := serve(t, func(c net.Conn) {
				readRequest(bufio.NewReader(c))
				io.WriteString(c, tt.before)
				<-read // a RST overtakes what has not been read
				reset(c)
			})
			c := newClient(t, Options{})
			var once sync.Once
			resume := func() { once.Do(func() { close(read) }) }
			if tt.step == StepResponse {
				resume()
			}
			x, err := c.Do(t.Context(), post(t, s.url(), "{}"), Deadlines{})
			if err == nil {
				p := make([]byte, 100)
				if n, _, err := x.ReadStamped(p); string(p[:n]) != "hello" || err != nil {
					t.Errorf("ReadStamped() = %q, %v; want hello", p[:n], err)
				}
				resume()
				_, _, err = x.ReadStamped(p)
				if e, ok := errors.AsType[*Error](err); !ok || e.Step != tt.step || e.Timeout || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("ReadStamped() = %v; want a reset in step %s", err, tt.step)
				}
				x.Close()
				return
			}
			if e, ok := errors.AsType[*Error](err); !ok || e.Step != tt.step || e.Timeout {
				t.Errorf("Do() = %v; want an error in step %s", err, tt.step)
			}
		})
	}
}

// A server that answers a long request without reading it, and closes, is heard.
func TestRefusedBody(t *testing.T) {
	s := serve(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReaderSize(c, 512)) // the header only
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nno!\n")
	})
	for _, reuse := range []bool{false, true} {
		c := newClient(t, Options{Reuse: reuse})
		// Longer than the socket buffers, so that the write cannot end well.
		x, err := c.Do(t.Context(), post(t, s.url(), strings.Repeat("x", 32<<20)), Deadlines{Response: time.Now().Add(time.Minute)})
		if err != nil || x.Status != http.StatusRequestEntityTooLarge {
			t.Fatalf("Do() = %d, %v; want 413", x.Status, err)
		}
		if !x.Phases.Wrote.IsZero() || x.Phases.WriteStart.IsZero() {
			t.Errorf("phases = %+v; want a write that did not end", x.Phases)
		}
		if body, _, err := readAll(x, 100); body != "no!\n" || err != nil {
			t.Errorf("body = %q, %v; want %q", body, err, "no!\n")
		}
		x.Close()
		if n := len(c.pool.conns); n != 0 { // nothing can follow half a request
			t.Errorf("%d idle connections; want none", n)
		}
	}
}

// counted counts the connections of a server, and answers each of their requests.
func counted(t *testing.T, answer func(n int, w io.Writer) (more bool)) (*server, *atomic.Int64) {
	var conns atomic.Int64
	return serve(t, func(c net.Conn) {
		conns.Add(1)
		r := bufio.NewReader(c)
		for n := 1; ; n++ {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			if !answer(n, c) {
				return
			}
		}
	}), &conns
}

func TestReuse(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	tests := []struct {
		name   string
		reuse  bool
		answer string
		more   bool  // the server takes another request
		read   int   // bytes of body that the caller reads; -1: to its end
		want   int64 // connections for three requests
	}{
		{"kept", true, whole, true, -1, 1},
		{"end not read", true, whole, true, 5, 1},
		{"nothing read", true, whole, true, 0, 1},
		{"not wanted", false, whole, true, -1, 3},
		{"no content", true, "HTTP/1.1 204 No Content\r\n\r\n", true, -1, 1},
		{"length", true, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, -1, 1},
		{"server closes", true, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", true, -1, 3},
		{"HTTP/1.0", true, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, -1, 3},
		{"HTTP/1.0 keep-alive", true, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", true, -1, 1},
		{"surplus", true, whole + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, -1, 3},
		{"unfinished", true, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", true, 5, 3},
		{"malformed", true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx", true, -1, 3},
		{"closed without a word", true, whole, false, -1, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, conns := counted(t, func(_ int, w io.Writer) bool { io.WriteString(w, tt.answer); return tt.more })
			c := newClient(t, Options{Reuse: tt.reuse})
			for i := range 3 {
				x, err := c.Do(t.Context(), post(t, s.url(), "{}"), Deadlines{})
				if err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
				if want := i > 0 && tt.want == 1; x.Phases.Reused != want || x.Phases.RemoteAddr != s.listener.Addr().String() ||
					x.Phases.ConnectStart.IsZero() != want {
					t.Errorf("request %d: phases = %+v; want reused %t", i, x.Phases, want)
				}
				if tt.read < 0 {
					readAll(x, 100)
				} else if tt.read > 0 {
					for n := 0; n < tt.read; {
						got, _, err := x.ReadStamped(make([]byte, tt.read-n))
						if err != nil {
							t.Fatalf("ReadStamped() after %d bytes = %v", n, err)
						}
						n += got
					}
				}
				x.Close()
				x.Close()
				if !tt.more { // the close must have arrived, as it has when a probe comes a minute later
					for _, cn := range c.pool.conns {
						for alive(cn.socket) {
							time.Sleep(time.Millisecond)
						}
					}
				}
			}
			if got := conns.Load(); got != tt.want {
				t.Errorf("3 requests on %d connections; want %d", got, tt.want)
			}
		})
	}
}

// A connection that the server closes while a request is on its way is an error: nothing is sent twice.
func TestNoRetry(t *testing.T) {
	var requests atomic.Int64
	s, conns := counted(t, func(n int, w io.Writer) bool {
		requests.Add(1)
		if n == 2 {
			return false
		}
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	c := newClient(t, Options{Reuse: true})
	for i := range 2 {
		req, err := http.NewRequest(http.MethodGet, s.url(), nil)
		if err != nil {
			t.Fatal(err)
		}
		x, err := c.Do(t.Context(), req, Deadlines{})
		if e, ok := errors.AsType[*Error](err); i == 1 && (!ok || e.Step != StepResponse || !x.Phases.Reused || !errors.Is(err, io.ErrUnexpectedEOF)) {
			t.Errorf("Do() = %v, reused %t; want the connection lost in step response", err, x.Phases.Reused)
		}
		x.Close()
	}
	if requests.Load() != 2 || conns.Load() != 1 {
		t.Errorf("the server saw %d requests on %d connections; want 2 on 1", requests.Load(), conns.Load())
	}
}

func TestPoolBounds(t *testing.T) {
	s, _ := counted(t, func(_ int, w io.Writer) bool {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	c := newClient(t, Options{Reuse: true, MaxIdle: 2, IdleTimeout: time.Hour})
	var open []*Exchange
	for range 4 {
		x, err := c.Do(t.Context(), post(t, s.url(), ""), Deadlines{})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, x)
	}
	for _, x := range open {
		x.Close()
	}
	if got := len(c.pool.conns); got != 2 {
		t.Errorf("%d idle connections; want 2", got)
	}
	c.pool.conns[0].idle = time.Now().Add(-2 * time.Hour)
	c.pool.conns[1].idle = time.Now().Add(-2 * time.Hour)
	if cn := c.pool.get(c.pool.conns[0].key); cn != nil || len(c.pool.conns) != 0 {
		t.Errorf("get() = %v with %d idle connections; want both expired", cn, len(c.pool.conns))
	}

	x, err := c.Do(t.Context(), post(t, s.url(), ""), Deadlines{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	x.Close()
	if got := len(c.pool.conns); got != 0 {
		t.Errorf("%d idle connections after Close; want none", got)
	}
}

// Many at once, with and without reuse, under the race detector.
func TestConcurrent(t *testing.T) {
	s, _ := counted(t, func(n int, w io.Writer) bool {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := range 5 {
			fmt.Fprintf(w, "2\r\n%d,\r\n", i)
		}
		io.WriteString(w, "0\r\n\r\n")
		return true
	})
	for _, reuse := range []bool{false, true} {
		c := newClient(t, Options{Reuse: reuse})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				for range 10 {
					x, err := c.Do(t.Context(), post(t, s.url(), "{}"), Deadlines{Connect: time.Minute, Response: time.Now().Add(time.Minute)})
					if err != nil {
						t.Error(err)
						return
					}
					if body, _, err := readAll(x, 3); body != "0,1,2,3,4," || err != nil {
						t.Errorf("body = %q, %v", body, err)
					}
					x.Close()
				}
			})
		}
		wg.Wait()
	}
}

// Neither ended, nor failed, nor abandoned exchanges leave a file open.
func TestNoLeak(t *testing.T) {
	const dir = "/proc/self/fd"
	if _, err := os.ReadDir(dir); err != nil {
		t.Skipf("cannot count open files: %v", err)
	}
	count := func() int {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	// The poller's own files are opened with the first connection.
	if c, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		c.Close()
	}
	before := count()
	t.Run("exchanges", func(t *testing.T) {
		s, _ := counted(t, func(n int, w io.Writer) bool {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			if n%3 == 0 {
				return false
			}
			io.WriteString(w, "0\r\n\r\n")
			return true
		})
		for _, reuse := range []bool{false, true} {
			c := newClient(t, Options{Reuse: reuse})
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				x, err := c.Do(ctx, post(t, s.url(), "{}"), Deadlines{Connect: time.Minute, Response: time.Now().Add(time.Minute)})
				switch {
				case err != nil:
				case i%4 == 0:
					x.ReadStamped(make([]byte, 2))
				case i%4 == 1:
					cancel()
				default:
					readAll(x, 100)
				}
				x.Close()
				cancel()
			}
		}
	})
	if after := count(); after > before {
		t.Errorf("%d open files; %d before", after, before)
	}
}
