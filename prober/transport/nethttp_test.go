package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	commoncfg "github.com/prometheus/common/config"
)

// events is a handler that sends two events and then waits for the client to go, or ends.
func events(end bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Authorization", r.Header.Get("Authorization"))
		for _, e := range []string{"data: 1\n\n", "data: 2\n\n"} {
			io.WriteString(w, e)
			w.(http.Flusher).Flush()
		}
		if !end {
			<-r.Context().Done()
		}
	}
}

// startTLS is an httptest server with one of certs, over HTTP/2 where the client offers it.
func startTLS(t *testing.T, certs *certificates, h http.Handler) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{certs.server}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// connectProxy is a proxy for both CONNECT and plain requests, and counts them.
func connectProxy(t *testing.T) (*url.URL, *atomic.Int64) {
	var n atomic.Int64
	forward := &http.Transport{DisableKeepAlives: true}
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			n.Add(1)
			if req.Method == http.MethodConnect {
				up, err := net.Dial("tcp", req.Host)
				if err != nil {
					io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				done := make(chan struct{})
				go func() { // ends with up
					defer close(done)
					io.Copy(c, up)
					c.Close()
				}()
				io.Copy(up, r)
				up.Close()
				<-done
				return
			}
			req.RequestURI = ""
			resp, err := forward.RoundTrip(req)
			if err != nil {
				io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
				return
			}
			resp.Close = false // that is between the proxy and the server
			resp.Write(c)
			resp.Body.Close()
		}
	})
	u, err := url.Parse("http://" + s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return u, &n
}

func proxied(u *url.URL) commoncfg.ProxyConfig {
	return commoncfg.ProxyConfig{ProxyURL: commoncfg.URL{URL: u}}
}

func TestViaNetHTTP(t *testing.T) {
	certs := newCertificates(t)
	plain := httptest.NewServer(events(true))
	defer plain.Close()
	secure := startTLS(t, certs, events(true))
	proxy, requests := connectProxy(t)
	noProxy := proxied(proxy)
	noProxy.NoProxy = "127.0.0.1"

	tests := []struct {
		name    string
		url     string
		http2   bool
		proxy   commoncfg.ProxyConfig
		kernel  bool // not this way at all: stamps may be the kernel's
		want2   bool // over HTTP/2
		proxied bool
	}{
		{name: "HTTP/2", url: secure.URL, http2: true, want2: true},
		{name: "plain although HTTP/2 is wanted", url: plain.URL, http2: true, kernel: true},
		{name: "proxy", url: plain.URL, proxy: proxied(proxy), proxied: true},
		{name: "proxy and TLS", url: secure.URL, proxy: proxied(proxy), proxied: true},
		{name: "proxy and HTTP/2", url: secure.URL, http2: true, want2: true, proxy: proxied(proxy), proxied: true},
		{name: "no proxy for this host", url: plain.URL, proxy: noProxy, kernel: true},
	}
	for _, tt := range tests {
		for _, reuse := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{false: ", fresh", true: ", reused"}[reuse], func(t *testing.T) {
				requests.Store(0)
				c := newClient(t, Options{Reuse: reuse, HTTP2: tt.http2, HTTP: commoncfg.HTTPClientConfig{
					TLSConfig: commoncfg.TLSConfig{CAFile: certs.caFile}, ProxyConfig: tt.proxy,
					Authorization: &commoncfg.Authorization{Credentials: "key"},
				}})
				// Of HTTP/1.1 net/http gives a connection up that is answered on before it has noted that all was written.
				sent, fresh := 0, 0
				for ; sent < 2 || reuse && fresh == sent && sent < 100; sent++ {
					x, err := c.Do(t.Context(), post(t, tt.url, "{}"), Deadlines{Connect: time.Minute, Response: time.Now().Add(time.Minute)})
					if err != nil {
						t.Fatal(err)
					}
					body, reads, err := readAll(x, 100)
					if body != "data: 1\n\ndata: 2\n\n" || err != nil || x.Status != 200 || x.Header.Get("X-Authorization") != "Bearer key" {
						t.Errorf("status %d, header %v, body %q, %v", x.Status, x.Header, body, err)
					}
					for _, r := range append(reads, read{stamp: x.Phases.Headers}) {
						if r.stamp.At.IsZero() || !tt.kernel && (r.stamp.Kernel || r.stamp.Delay != 0) {
							t.Errorf("stamp = %+v", r.stamp)
						}
					}
					x.Close()
					ph := x.Phases
					if !ph.Reused {
						fresh++
					}
					if ph.HTTP2 != tt.want2 || ph.ConnectStart.IsZero() != ph.Reused || ph.RemoteAddr == "" {
						t.Errorf("request %d: phases = %+v; want HTTP/2 %t, and a connect or reuse", sent, ph, tt.want2)
					}
					if ph.WriteStart.IsZero() || ph.Wrote.Before(ph.WriteStart) || ph.Headers.At.Before(ph.WriteStart) ||
						ph.TLSDone.IsZero() != (!strings.HasPrefix(tt.url, "https") || ph.Reused) {
						t.Errorf("request %d: phases = %+v", sent, ph)
					}
				}
				if (fresh < sent) != reuse || reuse && (tt.kernel || tt.want2) && fresh > 1 {
					t.Errorf("%d requests on %d fresh connections; want reuse: %t", sent, fresh, reuse)
				}
				want := 0
				if tt.proxied {
					want = sent
					if strings.HasPrefix(tt.url, "https") {
						want = fresh
					}
				}
				if got := int(requests.Load()); got != want {
					t.Errorf("the proxy saw %d requests; want %d", got, want)
				}
			})
		}
	}
}

func TestViaNetHTTPFails(t *testing.T) {
	certs := newCertificates(t)
	secure := startTLS(t, certs, events(false))
	silent := startTLS(t, certs, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	proxy, _ := connectProxy(t)
	gone := refusing(t)
	goneURL := &url.URL{Scheme: "http", Host: gone}
	hang := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	malformed := serve(t, answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n"))
	short := serve(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"))
	lost := serve(t, answer(""))
	notHTTP := serve(t, answer("SSH-2.0-OpenSSH\r\n\r\n"))
	direct := func(s *server) *url.URL { return &url.URL{Scheme: "http", Host: s.listener.Addr().String()} }

	tests := []struct {
		name      string
		url       string
		config    commoncfg.HTTPClientConfig
		http2     bool
		deadlines Deadlines
		response  time.Duration // from the request on; 0: any
		idle      time.Duration // from the end of body on
		step      Step
		timeout   bool
		cause     error
		body      string
	}{
		{name: "proxy refused", url: "http://server.test/", config: commoncfg.HTTPClientConfig{ProxyConfig: proxied(goneURL)}, step: StepConnect},
		{name: "proxy cannot connect", url: "https://" + gone, config: commoncfg.HTTPClientConfig{ProxyConfig: proxied(proxy)}, step: StepConnect},
		{name: "unknown CA", url: secure.URL, http2: true, step: StepTLS},
		{
			name: "handshake hangs", url: "https://" + hang.listener.Addr().String(), http2: true, deadlines: Deadlines{Connect: 3 * time.Second},
			step: StepTLS, timeout: true, cause: os.ErrDeadlineExceeded,
		},
		{
			name: "no response", url: silent.URL, http2: true, deadlines: Deadlines{Connect: time.Minute}, response: 3 * time.Second,
			config: commoncfg.HTTPClientConfig{TLSConfig: commoncfg.TLSConfig{CAFile: certs.caFile}},
			step:   StepResponse, timeout: true, cause: os.ErrDeadlineExceeded,
		},
		{
			name: "idle", url: secure.URL, http2: true, idle: time.Second / 10,
			config: commoncfg.HTTPClientConfig{TLSConfig: commoncfg.TLSConfig{CAFile: certs.caFile}},
			step:   StepBody, timeout: true, cause: os.ErrDeadlineExceeded, body: "data: 1\n\ndata: 2\n\n",
		},
		// A server in the proxy's place, which is as good as one behind it.
		{name: "lost", url: "http://server.test/", config: commoncfg.HTTPClientConfig{ProxyConfig: proxied(direct(lost))}, step: StepResponse},
		{name: "not HTTP", url: "http://server.test/", config: commoncfg.HTTPClientConfig{ProxyConfig: proxied(direct(notHTTP))}, step: StepResponse, cause: ErrFraming},
		{name: "malformed", url: "http://server.test/", config: commoncfg.HTTPClientConfig{ProxyConfig: proxied(direct(malformed))}, step: StepBody, cause: ErrFraming, body: "hello"},
		{name: "short", url: "http://server.test/", config: commoncfg.HTTPClientConfig{ProxyConfig: proxied(direct(short))}, step: StepBody, cause: io.ErrUnexpectedEOF, body: "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, Options{HTTP2: tt.http2, HTTP: tt.config})
			if tt.response > 0 {
				tt.deadlines.Response = time.Now().Add(tt.response)
			}
			x, err := c.Do(t.Context(), post(t, tt.url, "{}"), tt.deadlines)
			var body string
			if err == nil {
				p := make([]byte, 100)
				for tt.idle > 0 && err == nil && len(body) < len(tt.body) {
					var n int
					n, _, err = x.ReadStamped(p)
					body += string(p[:n])
				}
				if tt.idle > 0 {
					x.SetReadDeadline(time.Now().Add(tt.idle))
				}
				var rest string
				rest, _, err = readAll(x, 100)
				body += rest
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Step != tt.step || e.Timeout != tt.timeout || tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("error = %v; want %v in step %s, timeout %t", err, tt.cause, tt.step, tt.timeout)
			}
			if body != tt.body {
				t.Errorf("body = %q; want %q", body, tt.body)
			}
			x.Close()
			x.Close()
		})
	}
}

func TestViaNetHTTPCancel(t *testing.T) {
	certs := newCertificates(t)
	secure := startTLS(t, certs, events(false))
	c := newClient(t, Options{HTTP2: true, HTTP: commoncfg.HTTPClientConfig{TLSConfig: commoncfg.TLSConfig{CAFile: certs.caFile}}})
	ctx, cancel := context.WithCancelCause(t.Context())
	x, err := c.Do(ctx, post(t, secure.URL, "{}"), Deadlines{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	why := errors.New("shutting down")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	_, _, err = readAll(x, 100)
	if e, ok := errors.AsType[*Error](err); !ok || e.Step != StepBody || e.Timeout || !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("error = %v; want %v in step body", err, why)
	}
}

// net/http sends a request without a body again when a reused connection breaks. It is not let.
func TestViaNetHTTPNoRetry(t *testing.T) {
	var requests atomic.Int64
	s, _ := counted(t, func(n int, w io.Writer) bool {
		requests.Add(1)
		if n == 2 {
			return false
		}
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	u := &url.URL{Scheme: "http", Host: s.listener.Addr().String()}
	c := newClient(t, Options{Reuse: true, HTTP: commoncfg.HTTPClientConfig{ProxyConfig: proxied(u)}})
	sent, lost := int64(0), false
	for sent < 100 && !lost { // until a connection is used again, which net/http does not promise
		req, err := http.NewRequest(http.MethodGet, "http://server.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		x, err := c.Do(t.Context(), req, Deadlines{})
		sent++
		if lost = x.Phases.Reused; !lost {
			if err != nil {
				t.Fatal(err)
			}
			readAll(x, 100)
		} else if e, ok := errors.AsType[*Error](err); !ok || e.Step != StepResponse {
			t.Errorf("Do() on a lost connection = %v; want an error in step response", err)
		}
		x.Close()
	}
	if got := requests.Load(); got != sent || !lost {
		t.Errorf("the server saw %d requests, one on a lost connection: %t; want %d", got, lost, sent)
	}
}
