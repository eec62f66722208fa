package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// stamped skips the test where the kernel does not stamp at all (gVisor).
func stamped(t testing.TB) {
	t.Helper()
	s := serve(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	c := newClient(t, Options{})
	for range 1000 { // stamping is switched on a little after it was asked for
		x, err := c.Do(t.Context(), post(t, s.url(), ""), Deadlines{})
		if err != nil {
			t.Fatal(err)
		}
		x.Close()
		if x.Phases.Headers.Kernel {
			return
		}
	}
	t.Skip("this kernel does not stamp arrivals")
}

// sending is when one event was given to the kernel.
type sending struct{ before, after time.Time }

// timedServer answers one request with events, the next one whenever next has a value, and says when it sent each.
func timedServer(t testing.TB, listen func(net.Listener) net.Listener) (url string, next chan<- int, sent <-chan sending) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if listen != nil {
		l = listen(l)
	}
	nextc, sentc := make(chan int, 1), make(chan sending, 1)
	s := serveOn(t, l, func(c net.Conn) {
		if _, _, err := readRequest(bufio.NewReader(c)); err != nil {
			t.Error(err)
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := range nextc {
			event := fmt.Appendf(nil, "fa\r\ndata: %-242d\n\n\r\n", i)
			before := time.Now()
			if _, err := c.Write(event); err != nil {
				return
			}
			sentc <- sending{before, time.Now()}
		}
	})
	t.Cleanup(func() { close(nextc) })
	return s.url(), nextc, sentc
}

// The stamp is the time at which the event was sent, however late it is read.
func TestKernelStamp(t *testing.T) {
	stamped(t)
	certs := newCertificates(t)
	for _, tt := range []struct {
		name   string
		listen func(net.Listener) net.Listener
	}{
		{"plain", nil},
		{"TLS", certs.listener},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, next, sent := timedServer(t, tt.listen)
			opts := Options{}
			if tt.listen != nil {
				url = strings.Replace(url, "http:", "https:", 1)
				opts.HTTP.TLSConfig.CAFile = certs.caFile
			}
			c := newClient(t, opts)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			x, err := c.Do(ctx, post(t, url, "{}"), Deadlines{})
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()

			// On the loopback interface an arrival is stamped within the write. The processor may be lost after it.
			const slack = 2 * time.Duration(clockTolerance)
			p := make([]byte, 4096)
			var last time.Time
			for i := range 60 {
				late := i%3 == 0 // the reader is busy when the event arrives
				next <- i
				var w sending
				if late {
					w = <-sent
					busy := time.Now()
					for time.Since(busy) < 3*time.Millisecond {
					}
				}
				n, stamp, err := x.ReadStamped(p)
				now := time.Now()
				if err != nil || n != 250 {
					t.Fatalf("ReadStamped() = %d, %v; want 250", n, err)
				}
				if !late {
					w = <-sent
				}
				if !stamp.Kernel || stamp.Delay < 0 {
					t.Errorf("event %d: stamp = %+v; want the kernel's", i, stamp)
				}
				if stamp.At.Before(w.before.Add(-slack)) || stamp.At.After(w.after.Add(slack)) {
					t.Errorf("event %d: sent between %v and %v, stamped %v", i, w.before, w.after, stamp.At)
				}
				if read := stamp.At.Add(stamp.Delay); read.After(now) || late && stamp.Delay < 3*time.Millisecond-slack {
					t.Errorf("event %d: %v after its arrival, late %t, at %v", i, stamp.Delay, late, now)
				}
				if stamp.At.Before(last) {
					t.Errorf("event %d: arrived %v before the one before it", i, last.Sub(stamp.At))
				}
				last = stamp.At
			}
		})
	}
}

// On a reused connection the stamps go on, and every request has its own.
func TestKernelStampReused(t *testing.T) {
	stamped(t)
	s, _ := counted(t, func(_ int, w io.Writer) bool {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		return true
	})
	c := newClient(t, Options{Reuse: true})
	for i := range 5 {
		x, err := c.Do(t.Context(), post(t, s.url(), "{}"), Deadlines{})
		if err != nil {
			t.Fatal(err)
		}
		if h := x.Phases.Headers; !h.Kernel || h.At.Before(x.Phases.WriteStart) || x.Phases.Reused != (i > 0) {
			t.Errorf("request %d: header %+v, written %v, reused %t", i, h, x.Phases.WriteStart, x.Phases.Reused)
		}
		if _, reads, err := readAll(x, 100); err != nil || len(reads) != 1 || reads[0].stamp != x.Phases.Headers {
			t.Errorf("request %d: body = %+v, %v; want it with the header's stamp", i, reads, err)
		}
		x.Close()
	}
}

// Two records that one read of the socket brought both have its stamp, and a record that needed a second read has the
// second's.
func TestKernelStampBufferedByTLS(t *testing.T) {
	stamped(t)
	certs := newCertificates(t)
	url, next, sent := timedServer(t, certs.listener)
	opts := Options{}
	opts.HTTP.TLSConfig.CAFile = certs.caFile
	c := newClient(t, opts)
	x, err := c.Do(t.Context(), post(t, strings.Replace(url, "http:", "https:", 1), "{}"), Deadlines{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var w [5]sending
	for i := range w {
		next <- i
		w[i] = <-sent
	}
	p := make([]byte, 4096)
	var got []Stamp
	for i := range w {
		n, stamp, err := x.ReadStamped(p)
		if n != 250 || err != nil {
			t.Fatalf("ReadStamped() = %d, %v; want 250", n, err)
		}
		const slack = 2 * time.Duration(clockTolerance)
		// Never before it was sent; at the latest with the last one, which the same read may have brought.
		if !stamp.Kernel || stamp.At.Before(w[i].before.Add(-slack)) || stamp.At.After(w[len(w)-1].after.Add(slack)) {
			t.Errorf("event %d: sent %v, stamped %+v", i, w[i], stamp)
		}
		got = append(got, stamp)
	}
	if last := got[len(got)-1]; last.At.Before(w[len(w)-1].before.Add(-2 * time.Duration(clockTolerance))) {
		t.Errorf("the last event: sent %v, stamped %v", w[len(w)-1].before, last.At)
	}
}

// Reading allocates nothing.
func TestReadAllocates(t *testing.T) {
	url, next, sent := timedServer(t, nil)
	c := newClient(t, Options{})
	x, err := c.Do(t.Context(), post(t, url, "{}"), Deadlines{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	const events = 100
	for i := range events + 1 {
		next <- i
		<-sent
	}
	p := make([]byte, 256) // one event a read
	if got := testing.AllocsPerRun(events, func() {
		if n, _, err := x.ReadStamped(p); n != 250 || err != nil {
			t.Errorf("ReadStamped() = %d, %v; want 250", n, err)
		}
	}); got != 0 {
		t.Errorf("ReadStamped allocates %v times; want 0", got)
	}
}
