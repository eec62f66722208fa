package transport

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// benchEvent is an event of 250 bytes in its chunk, as an LLM server sends one per token.
var benchEvent = fmt.Sprintf("fa\r\ndata: %s\n\n\r\n", strings.Repeat("x", 242))

// firehose answers each request with a header and then events for as long as somebody reads them, many to a write.
func firehose(b *testing.B) *server {
	events := []byte(strings.Repeat(benchEvent, 256))
	return serve(b, func(c net.Conn) {
		if _, _, err := readRequest(bufio.NewReader(c)); err != nil {
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
			return
		}
		for {
			if _, err := c.Write(events); err != nil {
				return
			}
		}
	})
}

// One event a read: what ReadStamped costs beside the system call that a bare connection needs, too.
func BenchmarkRead(b *testing.B) {
	p := make([]byte, len(benchEvent))
	b.Run("ReadStamped", func(b *testing.B) {
		c := newClient(b, Options{})
		x, err := c.Do(b.Context(), post(b, firehose(b).url(), "{}"), Deadlines{})
		if err != nil {
			b.Fatal(err)
		}
		defer x.Close()
		b.ReportAllocs()
		kernel := 0
		for b.Loop() {
			_, stamp, err := x.ReadStamped(p)
			if err != nil {
				b.Fatal(err)
			}
			if stamp.Kernel {
				kernel++
			}
		}
		b.ReportMetric(float64(kernel)/float64(b.N), "kernel/op")
	})
	b.Run("net.Conn", func(b *testing.B) {
		c, err := net.Dial("tcp", firehose(b).listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: server\r\nContent-Length: 0\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Read(p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The work on the bytes alone.
func BenchmarkDecode(b *testing.B) {
	f := chunked()
	p := make([]byte, len(benchEvent))
	b.ReportAllocs()
	for b.Loop() {
		copy(p, benchEvent)
		if n, _, err := f.decode(p); n != 250 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// A whole exchange on a fresh connection and on a reused one.
func BenchmarkExchange(b *testing.B) {
	for _, reuse := range []bool{false, true} {
		b.Run(map[bool]string{false: "fresh", true: "reused"}[reuse], func(b *testing.B) {
			body := bytes.Repeat([]byte("x"), 1000)
			s := serve(b, func(c net.Conn) {
				r := bufio.NewReader(c)
				for {
					if _, _, err := readRequest(r); err != nil {
						return
					}
					io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+benchEvent+"0\r\n\r\n")
					if !reuse {
						return
					}
				}
			})
			c := newClient(b, Options{Reuse: reuse})
			p := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				req, err := http.NewRequest(http.MethodPost, s.url(), bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				x, err := c.Do(b.Context(), req, Deadlines{})
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, _, err = x.ReadStamped(p)
				}
				x.Close()
			}
		})
	}
}
