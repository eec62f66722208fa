package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
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

// askTimed has do read what a timedServer answers, plainly and over TLS.
func askTimed(t *testing.T, do func(t *testing.T, x *Exchange, next chan<- int, sent <-chan sending)) {
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
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			x, err := newClient(t, opts).Do(ctx, post(t, url, "{}"), Deadlines{})
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			do(t, x, next, sent)
		})
	}
}

// The stamp is the time at which the event was sent, however late it is read.
func TestKernelStamp(t *testing.T) {
	askTimed(t, func(t *testing.T, x *Exchange, next chan<- int, sent <-chan sending) {
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

// arrived waits until there is something to read.
func arrived(t *testing.T, socket net.Conn) {
	t.Helper()
	for end := time.Now().Add(time.Minute); alive(socket); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("nothing has arrived for a minute")
		}
	}
}

// A process that stood still finds its deadline passed, and what arrived before.
func TestReadLate(t *testing.T) {
	askTimed(t, func(t *testing.T, x *Exchange, next chan<- int, sent <-chan sending) {
		p := make([]byte, 4096)
		next <- 1
		<-sent
		if n, _, err := x.ReadStamped(p); n != 250 || err != nil {
			t.Fatalf("first event: %d bytes, %v", n, err)
		}
		next <- 2
		times := <-sent
		arrived(t, x.body.(*h1).conn.socket)
		deadline := time.Now()
		x.SetReadDeadline(deadline)
		if n, _, err := x.ReadStamped(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ReadStamped past the deadline = %d, %v; want %v", n, err, os.ErrDeadlineExceeded)
		}
		n, stamp, err := x.ReadLate(p)
		if n != 250 || err != nil || !strings.HasPrefix(string(p), "data: 2 ") {
			t.Errorf("ReadLate = %d, %v: %.10q; want the second event", n, err, p)
		}
		const slack = 2 * time.Duration(clockTolerance)
		if !stamp.Kernel || stamp.At.Before(times.before.Add(-slack)) || stamp.At.After(deadline.Add(slack)) || stamp.Delay < 0 {
			t.Errorf("stamp %+v; want the kernel's, from %v to %v", stamp, times.before, deadline)
		}
		if n, _, err := x.ReadLate(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ReadLate of nothing = %d, %v; want %v", n, err, os.ErrDeadlineExceeded)
		}
		x.SetReadDeadline(time.Time{})
		next <- 3
		<-sent
		if n, _, err := x.ReadStamped(p); n != 250 || err != nil || !strings.HasPrefix(string(p), "data: 3 ") {
			t.Errorf("third event: %d bytes, %v: %.10q", n, err, p)
		}
	})
}

func TestReadLateHeader(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		status     int
	}{
		{"there", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200},
		{"in part", "HTTP/1.1 200 OK\r\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(c net.Conn) {
				io.WriteString(c, tt.text)
				io.Copy(io.Discard, c)
			})
			socket, err := net.Dial("tcp", s.listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			arrived(t, socket)
			recv := newReceiver(socket)
			h := newH1(t.Context(), newClient(t, Options{}), &conn{Conn: recv, recv: recv, socket: socket})
			defer h.release()
			recv.SetDeadline(time.Now())
			x := new(Exchange)
			err = h.header(x, post(t, s.url(), "{}"))
			if e, ok := errors.AsType[*Error](err); x.Status != tt.status || tt.status == 0 && (!ok || !e.Timeout) || tt.status != 0 && err != nil {
				t.Errorf("header() = %v, status %d; want %d, or a timeout", err, x.Status, tt.status)
			}
		})
	}
}
