package transport

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers on a loopback listener, one goroutine a connection.
type server struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex // protects all following fields
	conns []net.Conn
}

// serve calls handle for each connection, and waits for all of them at the end of the test.
func serve(t testing.TB, handle func(net.Conn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, handle)
}

func serveOn(t testing.TB, l net.Listener, handle func(net.Conn)) *server {
	s := &server{listener: l}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

// refusing is an address that refuses connections for as long as the test runs: the near end of one, on whose port nobody else
// can come to listen.
func refusing(t testing.TB) string {
	t.Helper()
	far := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	near, err := net.Dial("tcp", far.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return near.LocalAddr().String()
}

func (s *server) url() string { return "http://" + s.listener.Addr().String() + "/v1" }

// readRequest reads one request with its body.
func readRequest(r *bufio.Reader) (*http.Request, string, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(req.Body)
	return req, string(body), err
}

// answer is a handler that reads one request and says text.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, _, err := readRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, text)
		}
	}
}

func newClient(t testing.TB, opts Options) *Client {
	t.Helper()
	c, err := New(opts)
	if err != nil {
		t.Fatalf("New(%+v) = %v; want no error", opts, err)
	}
	t.Cleanup(c.Close)
	return c
}

func post(t testing.TB, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// read is one ReadStamped.
type read struct {
	text  string
	stamp Stamp
}

// readAll reads to the end, with reads of at most size bytes.
func readAll(x *Exchange, size int) (body string, reads []read, err error) {
	var b strings.Builder
	p := make([]byte, size)
	for {
		n, stamp, err := x.ReadStamped(p)
		b.Write(p[:n])
		if n > 0 {
			reads = append(reads, read{string(p[:n]), stamp})
		}
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return b.String(), reads, err
		}
	}
}
