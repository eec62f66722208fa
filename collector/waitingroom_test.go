package collector

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections hold nothing: what is not read is not written.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

// ask sends a request, and reads nothing.
func (l *pipes) ask(t *testing.T) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close() })
	l.conns <- there
	if _, err := io.WriteString(here, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return here
}

// answer reads what there is of an answer.
func answer(from io.Reader) (status int, body []byte, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(from), nil)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// room is a waiting room in the hands of a test.
type room struct {
	*waitingRoom
	*pipes
	open   atomic.Int64 // connections
	mu     sync.Mutex   // protects what follows
	losses []error
}

// serveRoom serves h out of a waiting room, with the time for an answer that the program has.
func serveRoom(t *testing.T, h http.Handler) *room {
	t.Helper()
	r := &room{waitingRoom: newWaitingRoom(), pipes: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}}
	server := &http.Server{
		WriteTimeout: 20 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		Handler: r.handler(h, func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.losses = append(r.losses, err)
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				r.open.Add(1)
			case http.StateClosed:
				r.open.Add(-1)
			}
		},
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(r) })
	t.Cleanup(func() {
		server.Close()
		serving.Wait()
	})
	return r
}

// accounts checks what the room says of itself: never more than there is, and all of it free when nobody is there.
func (r *room) accounts(t *testing.T) {
	t.Helper()
	r.waitingRoom.mu.Lock()
	defer r.waitingRoom.mu.Unlock()
	taken, placed := 0, 0
	for p := range r.pages {
		taken += charge(p.held, p.placed)
		if len(p.queue) > pageChunks {
			t.Errorf("a page has %d chunks queued; want %d at most", len(p.queue), pageChunks)
		}
		if p.placed {
			placed++
		}
	}
	if r.free < 0 || r.free+taken != roomChunks || r.placed > maxScrapes || placed > r.placed || r.leaving < 0 {
		t.Errorf("%d chunks are free and %d taken; %d pages are in %d places that are taken, %d leave", r.free, taken, placed, r.placed, r.leaving)
	}
	if len(r.pages) == 0 && (r.placed != 0 || r.leaving != 0 || len(r.line) != 0) {
		t.Errorf("without a page %d places are taken, %d leave, %d wait", r.placed, r.leaving, len(r.line))
	}
}

func (r *room) lost() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.losses
}

// numbered is a page of that many bytes at least, of which each line differs from the others.
func numbered(bytes int) http.HandlerFunc {
	var page []byte
	for i := 0; len(page) < bytes; i++ {
		page = fmt.Appendf(page, "llm_of_this_page{line=\"%d\"} 1\n", i)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		for part := range slices.Chunk(page, 5000) {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}
}

// whole is what a prompt reader has of h.
func whole(h http.Handler) []byte {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.Bytes()
}

// However many readers hang, a further one has the page at once, whole, and those who hang are rid of.
func TestHungReaders(t *testing.T) {
	for _, test := range []struct {
		name        string
		bytes, hung int
		lost        int           // readers, as the room has it: a page of a line is with the server, which has a deadline, too
		within      time.Duration // it is served, right after they came
	}{
		{"a line", 1, 200, 0, 0},
		{"all fit", 300 << 10, 20, 20, 0},
		{"some fit", 1200 << 10, 20, 20, 3 * patience},
		{"none fits", 14 << 20, 20, 20, 4 * patience},
		{"a crowd", 1200 << 10, 60, 60, 12 * patience},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := numbered(test.bytes)
				want := whole(h)
				r := serveRoom(t, h)
				var hung []net.Conn
				for range test.hung {
					hung = append(hung, r.ask(t))
				}
				synctest.Wait()
				if got := int(r.open.Load()); got != test.hung {
					t.Errorf("%d readers hang; want %d", got, test.hung)
				}
				r.accounts(t)
				for _, within := range []time.Duration{test.within, 0} { // right after they came, and later
					began := time.Now()
					status, body, err := answer(r.ask(t))
					if took := time.Since(began); status != http.StatusOK || !bytes.Equal(body, want) || err != nil || took > within {
						t.Fatalf("beside them a scrape has %d, %d bytes, %v after %s; want 200, %d bytes, within %s", status, len(body), err, took, len(want), within)
					}
					r.accounts(t)
					time.Sleep(patience + 5*time.Second)
				}
				time.Sleep(takenWithin)
				synctest.Wait()
				r.accounts(t)
				if got := len(r.lost()); got != test.lost {
					t.Errorf("%d readers are lost; want %d", got, test.lost)
				}
				for _, c := range hung {
					if _, body, err := answer(c); err == nil {
						t.Fatalf("a reader who hung has an answer of %d bytes; want an error", len(body))
					}
				}
				if got := r.open.Load(); got != 2 { // of those who read, and may ask again
					t.Errorf("%d connections are open; want 2", got)
				}
			})
		})
	}
}

// One who reads slowly, but reads, has the whole page, though it takes far longer than any deadline, and though others hang who
// come all the time.
func TestSteadyReader(t *testing.T) {
	for _, crowded := range []bool{false, true} {
		t.Run(fmt.Sprintf("crowded=%t", crowded), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := numbered(3 << 20) // more than may be queued
				r := serveRoom(t, h)
				reader := r.ask(t)
				ctx, cancel := context.WithCancel(t.Context())
				var coming sync.WaitGroup
				if crowded {
					coming.Go(func() {
						for ctx.Err() == nil {
							r.ask(t)
							time.Sleep(time.Second)
						}
					})
				}
				began := time.Now()
				status, body, err := answer(slow{reader, 4096, 100 * time.Millisecond})
				took := time.Since(began)
				cancel()
				coming.Wait()
				if want := whole(h); status != http.StatusOK || err != nil || !bytes.Equal(body, want) {
					t.Errorf("a slow reader has %d, %d bytes, %v after %s; want 200, %d bytes", status, len(body), err, took, len(want))
				}
				if took < time.Minute {
					t.Errorf("it took %s, which is not slow", took)
				}
				if lost := len(r.lost()); crowded != (lost > 0) {
					t.Errorf("%d readers are lost", lost)
				}
				r.accounts(t)
				time.Sleep(2 * takenWithin)
				r.accounts(t)
			})
		})
	}
}

// slow reads some bytes at a time, after a while.
type slow struct {
	io.Reader
	bytes int
	after time.Duration
}

func (s slow) Read(b []byte) (int, error) {
	time.Sleep(s.after)
	return s.Reader.Read(b[:min(len(b), s.bytes)])
}

// What is left of a page that was cut off is never taken for a whole one, wherever the reader stopped, and whyever it ends.
func TestCutOffIsNotWhole(t *testing.T) {
	for _, read := range []int{1, 1000, 5000, 100_000, 1 << 20} {
		for _, others := range []bool{false, true} {
			t.Run(fmt.Sprintf("read=%d/others=%t", read, others), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := serveRoom(t, numbered(3<<20))
					reader := r.ask(t)
					var got bytes.Buffer
					if _, err := io.CopyN(&got, reader, int64(read)); err != nil {
						t.Fatal(err)
					}
					want := os.ErrDeadlineExceeded
					after := takenWithin
					if others {
						want, after = errHung, patience
						time.Sleep(time.Millisecond)
						for range maxScrapes {
							r.ask(t)
						}
					}
					time.Sleep(after + time.Millisecond)
					synctest.Wait()
					if lost := r.lost(); len(lost) == 0 || !errors.Is(lost[0], want) {
						t.Fatalf("after %s lost = %v; want %v", after, lost, want)
					}
					if _, body, err := answer(io.MultiReader(&got, reader)); err == nil {
						t.Errorf("the reader has %d bytes, and no error", len(body))
					}
				})
			})
		}
	}
}

// Where all places are taken by what takes its time to render, scrapes wait in the order of coming, and not for ever.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rendered atomic.Int64
		goOn := make(chan struct{})
		r := newWaitingRoom()
		h := r.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			<-goOn
			fmt.Fprintf(w, "%d", rendered.Add(1))
		}), func(err error) { t.Error(err) })
		ask := func(ctx context.Context) func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			done := make(chan struct{})
			go func() {
				defer close(done)
				h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
			}()
			synctest.Wait()
			return func() *httptest.ResponseRecorder { <-done; return w }
		}
		var first []func() *httptest.ResponseRecorder
		for range maxScrapes {
			first = append(first, ask(t.Context()))
		}
		began := time.Now()
		if w := ask(t.Context())(); w.Code != http.StatusServiceUnavailable || time.Since(began) != placeWithin {
			t.Errorf("without a place it is %d after %s; want 503 after %s", w.Code, time.Since(began), placeWithin)
		}
		gone, leave := context.WithCancel(t.Context())
		left := ask(gone)
		next, last := ask(t.Context()), ask(t.Context())
		leave()
		left()
		for range maxScrapes + 2 {
			goOn <- struct{}{}
			synctest.Wait() // the longest that waits was woken, and has rendered
		}
		for i, w := range append(first, next, last) {
			if w := w(); w.Code != http.StatusOK || w.Body.String() != strconv.Itoa(i+1) {
				t.Errorf("scrape %d is %d, the page %s; want 200, the page %d", i+1, w.Code, w.Body, i+1)
			}
		}
		if r.placed != 0 || r.free != roomChunks || len(r.line) != 0 || len(r.pages) != 0 {
			t.Errorf("at the end %d places are taken, %d chunks are free, %d wait, %d pages are there", r.placed, r.free, len(r.line), len(r.pages))
		}
	})
}

// What panics while it renders gives its place up, and its reader does not take what came for a page.
func TestRenderingPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serveRoom(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			numbered(100_000)(w, req)
			panic("a collector")
		}))
		for range 2 * maxScrapes {
			if status, body, err := answer(r.ask(t)); err == nil {
				t.Fatalf("it is %d with %d bytes; want an error", status, len(body))
			}
		}
		synctest.Wait()
		r.accounts(t)
		if lost := r.lost(); len(lost) != 2*maxScrapes || !errors.Is(lost[0], errBrokenOff) {
			t.Errorf("lost = %v; want %d times %v", lost, 2*maxScrapes, errBrokenOff)
		}
	})
}

// still reports whether all pages that have a place wait for their readers. The caller holds r.mu.
func (r *waitingRoom) still() bool {
	placed := 0
	for p := range r.pages {
		if p.err != nil {
			return false // it is about to leave
		}
		if !p.placed {
			continue
		}
		placed++
		waits := p.held == pageChunks || !r.fits(p, p.held+1, true)
		if p.rendered {
			waits = !r.fits(p, p.held, false)
		}
		if !waits {
			return false
		}
	}
	return placed == r.placed
}

// waitUntil looks again and again until ok, or for so long that it will never be.
func waitUntil(ok func() bool) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(time.Minute); !ok() && time.Now().Before(end); {
		<-look.C
	}
}

// narrow is a listener whose connections have buffers as small as they may be, as on a path across a network.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(4096)
	}
	return c, err
}

// The same with real pages on real connections: what hangs takes a bounded part of memory, and no other's page.
func TestHungScrapers(t *testing.T) {
	const hung = 20
	reg := newRegistry(t, filledProbes(t, 30))
	for _, encoding := range []string{"identity", "gzip"} {
		t.Run(encoding, func(t *testing.T) {
			room := newWaitingRoom()
			h := handlerIn(room, reg, slog.New(slog.DiscardHandler))
			var asked atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				h.ServeHTTP(w, r)
			}))
			server.Listener = narrow{server.Listener}
			server.Start()
			defer server.Close()
			began := time.Now()
			page := len(scrape(t, h, "").Body.Bytes())
			alone := time.Since(began)
			before := heap()
			for range hung {
				c, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
					t.Fatal(err)
				}
				if _, err := fmt.Fprintf(c, "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n", encoding); err != nil {
					t.Fatal(err)
				}
			}
			waitUntil(func() bool { // all have come, each had a place or has waited for one for too long, and nothing more is rendered
				room.mu.Lock()
				defer room.mu.Unlock()
				return asked.Load() == hung && len(room.line) == 0 && room.still()
			})
			began = time.Now()
			resp, err := server.Client().Get(server.URL) // by gzip
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			n, err := io.Copy(io.Discard, resp.Body)                        // which is an error if the end of the gzip is missing
			if err != nil || resp.StatusCode != 200 || int(n) < page-1000 { // some values have become shorter
				t.Errorf("a scrape beside %d that hang has %s, %d bytes, %v; want 200, %d bytes", hung, resp.Status, n, err, page)
			}
			took := time.Since(began)
			grown, bound := heap()-before, float64(roomChunks*chunkBytes+maxScrapes*(aheadChunks*chunkBytes+3<<20))
			t.Logf("a page of %.1f MB beside %d that hang took %s, and %s without them; %.1f MB of heap more", float64(page)/1e6, hung, took, alone, grown/1e6)
			if took > 10*time.Second+5*alone { // all of it where the machine is as quick as it should be
				t.Errorf("it took %s, and %s without them, for which Prometheus does not wait", took, alone)
			}
			if grown > bound {
				t.Errorf("the heap has grown by %.1f MB; want %.1f MB at most", grown/1e6, bound/1e6)
			}
		})
	}
}

// heap is what is alive of it, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what was in pools is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// Where many pages share a connection, one that is not read is cut off by itself.
func TestHungStreams(t *testing.T) {
	h := numbered(4 << 20)
	want := whole(h)
	r := newWaitingRoom()
	var losses atomic.Int64
	server := httptest.NewUnstartedServer(r.handler(h, func(error) { losses.Add(1) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	transport := client.Transport.(*http.Transport)
	transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}
	transport.DisableCompression = true
	var hung []*http.Response
	for i := range 20 {
		resp, err := client.Get(server.URL + "?" + strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		if resp.ProtoMajor != 2 {
			t.Fatalf("it is %s; want HTTP/2", resp.Proto)
		}
		hung = append(hung, resp)
	}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
		t.Errorf("a page beside %d that hang is %s, %d bytes, %v; want 200, %d bytes", len(hung), resp.Status, len(body), err, len(want))
	}
	resp.Body.Close()
	least := int64(len(hung) - maxScrapes + 1)
	waitUntil(func() bool { return losses.Load() >= least }) // who is cut off leaves the place before that is told
	if got := losses.Load(); got < least || got > int64(len(hung)) {
		t.Errorf("%d streams were cut off; want that there is a place", got)
	}
	for i, resp := range hung {
		if body, err := io.ReadAll(resp.Body); err == nil && len(body) < len(want) {
			t.Errorf("stream %d has %d of %d bytes, and no error", i, len(body), len(want))
		}
		resp.Body.Close()
	}
}
