package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// script is a connection on which piece i can be read i+1 seconds after the first read. Run it in a synctest bubble.
type script struct {
	net.Conn // nil: what is not overridden is not used
	pieces   []string
	begin    time.Time
	next     int
	rest     string
	closed   chan struct{}
}

func (s *script) Read(p []byte) (int, error) {
	if s.begin.IsZero() {
		s.begin = time.Now()
	}
	for s.rest == "" {
		if s.next == len(s.pieces) {
			return 0, io.EOF
		}
		select {
		case <-time.After(time.Until(s.arrival(s.next))):
		case <-s.closed:
			return 0, net.ErrClosed
		}
		s.rest = s.pieces[s.next]
		s.next++
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *script) arrival(piece int) time.Time {
	return s.begin.Add(time.Duration(piece+1) * time.Second)
}

func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                     { close(s.closed); return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

func scripted(pieces ...string) (*script, Options) {
	s := &script{pieces: pieces, closed: make(chan struct{})}
	return s, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return s, nil }}
}

// Whatever the server sends in whatever segments: the body is the same, no read waits while it could return, none
// joins two segments, and each byte has the stamp of the segment that brought it.
func TestAnyCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// raw is the whole answer, and from[i] where body byte i lies in it.
		var raw, body strings.Builder
		var from []int
		write := func(s string) {
			for i := range len(s) {
				from = append(from, raw.Len()+i)
			}
			raw.WriteString(s)
			body.WriteString(s)
		}
		texts := rapid.SliceOf(rapid.StringMatching("[a-z\r\n:0]{1,30}")).Draw(rt, "texts")
		raw.WriteString("HTTP/1.1 200 OK\r\nX-Y: z\r\n")
		switch rapid.IntRange(0, 2).Draw(rt, "framing") {
		case 0:
			raw.WriteString("Transfer-Encoding: chunked\r\n\r\n")
			for i, s := range texts {
				fmt.Fprintf(&raw, "%x%s\r\n", len(s), strings.Repeat(";e=f", i%3))
				write(s)
				raw.WriteString("\r\n")
			}
			raw.WriteString("0\r\n")
			raw.WriteString(rapid.SampledFrom([]string{"", "X-Trailer: a\r\n"}).Draw(rt, "trailer"))
			raw.WriteString("\r\n")
		case 1:
			fmt.Fprintf(&raw, "Content-Length: %d\r\n\r\n", len(strings.Join(texts, "")))
			write(strings.Join(texts, ""))
		case 2:
			raw.WriteString("Connection: close\r\n\r\n")
			write(strings.Join(texts, ""))
		}
		text := raw.String()

		cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 12).Draw(rt, "cuts")
		cuts = append(cuts, 0, len(text))
		slices.Sort(cuts)
		cuts = slices.Compact(cuts)
		var pieces []string
		piece := make([]int, len(text)) // which piece brought each byte
		for i := range len(cuts) - 1 {
			for j := cuts[i]; j < cuts[i+1]; j++ {
				piece[j] = i
			}
			pieces = append(pieces, text[cuts[i]:cuts[i+1]])
		}
		size := rapid.IntRange(1, 40).Draw(rt, "size")
		var wrong error
		synctest.Test(t, func(t *testing.T) {
			wrong = checkCut(t, pieces, piece, from, body.String(), size)
		})
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

// checkCut reads pieces with reads of size. Byte i of the answer is in pieces[piece[i]], byte j of its body is byte
// from[j] of the answer.
func checkCut(t *testing.T, pieces []string, piece, from []int, body string, size int) error {
	s, opts := scripted(pieces...)
	c := newClient(t, opts)
	x, err := c.Do(t.Context(), post(t, "http://server/", "{}"), Deadlines{})
	if err != nil {
		return err
	}
	defer x.Close()
	end := strings.Index(strings.Join(pieces, ""), "\r\n\r\n") + 3
	if want := s.arrival(piece[end]); !x.Phases.Headers.At.Equal(want) {
		return fmt.Errorf("header at %v; want %v", x.Phases.Headers.At, want)
	}
	var got strings.Builder
	p := make([]byte, size)
	for {
		n, stamp, err := x.ReadStamped(p)
		if err == io.EOF {
			if want := s.arrival(len(pieces) - 1); stamp.At.Before(want) {
				return fmt.Errorf("EOF at %v; want %v or later", stamp.At, want)
			}
			break
		}
		if err != nil || n == 0 {
			return fmt.Errorf("ReadStamped() = %d, %v", n, err)
		}
		first, last := piece[from[got.Len()]], piece[from[got.Len()+n-1]]
		if first != last {
			return fmt.Errorf("ReadStamped() = %q: bytes of segments %d to %d", p[:n], first, last)
		}
		if want := s.arrival(last); !stamp.At.Equal(want) || stamp.Kernel || stamp.Delay != 0 {
			return fmt.Errorf("ReadStamped() = %q at %+v; want %v", p[:n], stamp, want)
		}
		if now := time.Now(); now.After(stamp.At) {
			return fmt.Errorf("ReadStamped() = %q of %v returned at %v", p[:n], stamp.At, now)
		}
		got.Write(p[:n])
	}
	if diff := cmp.Diff(body, got.String()); diff != "" {
		return fmt.Errorf("body (-want +got):\n%s", diff)
	}
	return nil
}

// pipe is a Dial for a server at the other end of a net.Pipe.
func pipe(t *testing.T, handle func(net.Conn)) (dial func(context.Context, string, string) (net.Conn, error)) {
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	return func(context.Context, string, string) (net.Conn, error) {
		client, srv := net.Pipe()
		wg.Go(func() {
			defer srv.Close()
			handle(srv)
		})
		return client, nil
	}
}

// An event that is there is returned, although the chunk behind it is not: here ours differs from net/http.
func TestEventBeforeHalfAChunk(t *testing.T) {
	const first, second = "data: {\"n\":1}\n\n", "data: {\"n\":2}\n\n"
	handle := func(c net.Conn) {
		buf := make([]byte, 4096)
		if _, err := c.Read(buf); err != nil {
			t.Error(err)
		}
		// One segment: the header, a whole event in its chunk, and the beginning of the next chunk.
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s", len(first), first, len(second), second[:4])
		time.Sleep(10 * time.Second)
		fmt.Fprintf(c, "%s\r\n0\r\n\r\n", second[4:])
	}
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Options{Dial: pipe(t, handle)})
		begin := time.Now()
		x, err := c.Do(t.Context(), post(t, "http://server/", ""), Deadlines{})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		p := make([]byte, 4096)
		n, stamp, err := x.ReadStamped(p)
		if got, want := string(p[:n]), first+second[:4]; got != want || err != nil || time.Since(begin) != 0 || !stamp.At.Equal(begin) {
			t.Errorf("ReadStamped() = %q, %+v, %v after %v; want %q after 0s", got, stamp, err, time.Since(begin), want)
		}
		n, stamp, err = x.ReadStamped(p)
		if got, want := string(p[:n]), second[4:]; got != want || err != nil || stamp.At.Sub(begin) != 10*time.Second {
			t.Errorf("ReadStamped() = %q, %+v, %v; want %q after 10s", got, stamp, err, want)
		}
		if n, _, err := x.ReadStamped(p); n != 0 || err != io.EOF {
			t.Errorf("ReadStamped() = %d, %v; want 0, EOF", n, err)
		}
	})
	// The reason for our own: net/http keeps the event for ten seconds. Should this fail, it has learnt not to.
	synctest.Test(t, func(t *testing.T) {
		rt := &http.Transport{DialContext: pipe(t, handle)}
		defer rt.CloseIdleConnections()
		begin := time.Now()
		resp, err := rt.RoundTrip(post(t, "http://server/", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		n, err := resp.Body.Read(make([]byte, 4096))
		if n < len(first) || err != nil && err != io.EOF || time.Since(begin) != 10*time.Second {
			t.Errorf("net/http: Read() = %d, %v after %v; want the event after 10s", n, err, time.Since(begin))
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	})
}

func TestDeadlines(t *testing.T) {
	const header = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	readRequestOf := func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }
	wait := func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) } // until the client has gone
	tests := []struct {
		name      string
		handle    func(net.Conn)
		dial      func(context.Context, string, string) (net.Conn, error)
		deadlines Deadlines
		response  time.Duration
		step      Step
		after     time.Duration
		body      string // what could be read before
	}{
		{
			name: "connect",
			dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
			},
			deadlines: Deadlines{Connect: 3 * time.Second}, response: time.Minute, step: StepConnect, after: 3 * time.Second,
		},
		{
			name: "response while connecting",
			dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
			},
			deadlines: Deadlines{Connect: time.Minute}, response: 3 * time.Second, step: StepConnect, after: 3 * time.Second,
		},
		{
			name: "name",
			dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "server", IsTimeout: true}}
			},
			deadlines: Deadlines{Connect: 3 * time.Second}, response: time.Minute, step: StepDNS, after: 3 * time.Second,
		},
		{
			name: "write", handle: func(c net.Conn) { time.Sleep(20 * time.Second) },
			response: 7 * time.Second, step: StepWrite, after: 7 * time.Second,
		},
		{
			name: "no header", handle: func(c net.Conn) { readRequestOf(c); wait(c) },
			response: 7 * time.Second, step: StepResponse, after: 7 * time.Second,
		},
		{
			name: "slow header", handle: func(c net.Conn) {
				readRequestOf(c)
				for i := range header {
					if _, err := io.WriteString(c, header[i:i+1]); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			},
			response: 7 * time.Second, step: StepResponse, after: 7 * time.Second,
		},
		{
			name: "response does not bound the body", handle: func(c net.Conn) {
				readRequestOf(c)
				io.WriteString(c, header+"2\r\nhi\r\n")
				time.Sleep(10 * time.Second)
				io.WriteString(c, "2\r\nho\r\n")
				wait(c)
			},
			response: 7 * time.Second, step: StepBody, after: 10*time.Second + 30*time.Second, body: "hiho",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial := tt.dial
				if dial == nil {
					dial = pipe(t, tt.handle)
				}
				c := newClient(t, Options{Dial: dial})
				begin := time.Now()
				tt.deadlines.Response = begin.Add(tt.response)
				x, err := c.Do(t.Context(), post(t, "http://server/", "{}"), tt.deadlines)
				defer func() { x.Close() }() // never nil, whatever the error
				var body strings.Builder
				if err == nil {
					p := make([]byte, 100)
					for err == nil {
						// Only an idle deadline: it moves with each read.
						if err := x.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
							t.Fatal(err)
						}
						var n int
						n, _, err = x.ReadStamped(p)
						body.WriteString(string(p[:n]))
					}
				}
				e, ok := errors.AsType[*Error](err)
				if !ok || e.Step != tt.step || !e.Timeout || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("error = %+v; want a timeout in step %s", err, tt.step)
				}
				if got := time.Since(begin); got != tt.after || body.String() != tt.body {
					t.Errorf("read %q in %v; want %q in %v", body.String(), got, tt.body, tt.after)
				}
			})
		})
	}
}

// A read deadline that has passed leaves the exchange as it was.
func TestReadDeadlineMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Options{Dial: pipe(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
			time.Sleep(time.Minute)
			io.WriteString(c, "cd")
		})})
		begin := time.Now()
		x, err := c.Do(t.Context(), post(t, "http://server/", ""), Deadlines{})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		p := make([]byte, 10)
		if n, _, err := x.ReadStamped(p); string(p[:n]) != "ab" || err != nil {
			t.Fatalf("ReadStamped() = %q, %v; want ab", p[:n], err)
		}
		for i := range 3 {
			x.SetReadDeadline(time.Now().Add(time.Second))
			n, _, err := x.ReadStamped(p)
			if !errors.Is(err, os.ErrDeadlineExceeded) || n != 0 || time.Since(begin) != time.Duration(i+1)*time.Second {
				t.Fatalf("ReadStamped() = %d, %v after %v; want a timeout after %ds", n, err, time.Since(begin), i+1)
			}
		}
		x.SetReadDeadline(time.Time{})
		n, stamp, err := x.ReadStamped(p)
		if string(p[:n]) != "cd" || err != nil || stamp.At.Sub(begin) != time.Minute {
			t.Errorf("ReadStamped() = %q, %+v, %v; want cd after 1m", p[:n], stamp, err)
		}
	})
}

// The end of the context ends whatever is under way, at that very moment, and says why.
func TestCancel(t *testing.T) {
	why := errors.New("shutting down")
	const header = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	readRequestOf := func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }
	wait := func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }
	tests := []struct {
		name   string
		handle func(net.Conn)
		dial   func(context.Context, string, string) (net.Conn, error)
		step   Step
	}{
		{name: "connecting", step: StepConnect, dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
		}},
		{name: "writing", step: StepWrite, handle: func(net.Conn) { time.Sleep(time.Minute) }},
		{name: "waiting", step: StepResponse, handle: func(c net.Conn) { readRequestOf(c); wait(c) }},
		{name: "reading", step: StepBody, handle: func(c net.Conn) { readRequestOf(c); io.WriteString(c, header+"2\r\nhi\r\n"); wait(c) }},
	}
	for _, tt := range tests {
		for _, deadline := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deadline %t", tt.name, deadline), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dial := tt.dial
					if dial == nil {
						dial = pipe(t, tt.handle)
					}
					c := newClient(t, Options{Dial: dial, Reuse: true})
					begin := time.Now()
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					wantErr := context.Canceled
					if deadline {
						var stop context.CancelFunc
						ctx, stop = context.WithTimeoutCause(t.Context(), 5*time.Second, why)
						defer stop()
						wantErr = context.DeadlineExceeded
					} else {
						time.AfterFunc(5*time.Second, func() { cancel(why) })
					}
					x, err := c.Do(ctx, post(t, "http://server/", "{}"), Deadlines{Connect: time.Minute, Response: begin.Add(time.Minute)})
					if err == nil {
						_, _, err = readAll(x, 100)
					}
					e, ok := errors.AsType[*Error](err)
					if !ok || e.Step != tt.step || e.Timeout != deadline || !errors.Is(err, wantErr) || !errors.Is(err, why) ||
						errors.Is(err, os.ErrDeadlineExceeded) != deadline {
						t.Errorf("error = %v; want %v and %v in step %s", err, wantErr, why, tt.step)
					}
					if got := time.Since(begin); got != 5*time.Second {
						t.Errorf("ended after %v; want 5s", got)
					}
					if err := x.SetReadDeadline(time.Now().Add(time.Hour)); tt.step != StepBody && err != nil {
						t.Errorf("SetReadDeadline after the end = %v; want nil", err)
					}
					if _, _, again := x.ReadStamped(make([]byte, 1)); again == nil || again == io.EOF {
						t.Errorf("ReadStamped after the end = %v; want an error", again)
					}
					x.Close()
					x.Close()
				})
			})
		}
	}
}

// said is a connection on which everything has been said already, in pieces.
type said struct {
	script
	pieces [][]byte
}

func (s *said) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 && len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	s.pieces[0] = s.pieces[0][n:]
	return n, nil
}

func (s *said) Close() error { return nil }

// Whatever a server says: what is an answer to net/http is the same answer here, and everything ends.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), uint8(4), uint8(3))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), uint8(100), uint8(100))
	f.Add([]byte("HTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\nhello"), uint8(1), uint8(1))
	f.Add([]byte("HTTP/1.1 204 No Content\n\n"), uint8(9), uint8(9))
	f.Fuzz(func(t *testing.T, in []byte, piece, size uint8) {
		s := &said{}
		for rest := slices.Clone(in); len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			s.pieces = append(s.pieces, rest[:n])
			rest = rest[n:]
		}
		c := newClient(t, Options{Reuse: true, Dial: func(context.Context, string, string) (net.Conn, error) { return s, nil }})
		x, err := c.Do(t.Context(), post(t, "http://server/", "{}"), Deadlines{})
		var body string
		if err == nil {
			body, _, err = readAll(x, int(size)+1)
		}
		x.Close()
		if _, ok := errors.AsType[*Error](err); err != nil && !ok {
			t.Fatalf("error = %#v; want an *Error", err)
		}

		r := bufio.NewReader(bytes.NewReader(in))
		req := post(t, "http://server/", "{}")
		resp, wantErr := http.ReadResponse(r, req)
		for wantErr == nil && resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols {
			resp, wantErr = http.ReadResponse(r, req)
		}
		if wantErr != nil || resp.StatusCode == http.StatusSwitchingProtocols {
			return
		}
		want, wantErr := io.ReadAll(resp.Body)
		if wantErr != nil || len(resp.Trailer) > 0 {
			return
		}
		if !bytes.HasPrefix(in, []byte("HTTP/")) {
			return
		}
		if x.Status != resp.StatusCode || body != string(want) {
			t.Errorf("answer %q in pieces of %d: status %d, body %q, %v; want %d, %q", in, piece, x.Status, body, err, resp.StatusCode, want)
		}
	})
}
