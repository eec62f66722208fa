package simulator

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkLateness shows how late events are written, at 100 events a second on each stream, with the clients in the same
// process: the server's own error, which stamped events and the ground truth tell apart from a client's.
//
//	go test ./internal/simulator -run '^$' -bench Lateness -benchtime 1x
func BenchmarkLateness(b *testing.B) {
	for _, streams := range []int{1, 100, 300} {
		for _, mode := range []struct {
			name string
			opts Options
			lend bool
		}{
			{"fixed", Options{FirstToken: 100 * ms, PerToken: 10 * ms}, true},
			{"fixed,own goroutines", Options{FirstToken: 100 * ms, PerToken: 10 * ms}, false},
			{"engine", Options{MaxRunning: 1000, StepBase: 10 * ms, StepPerSequence: 1, PrefillPerToken: 1}, true},
		} {
			b.Run(fmt.Sprintf("%s/streams=%d", mode.name, streams), func(b *testing.B) {
				for b.Loop() {
					measureLateness(b, mode.opts, mode.lend, streams, 300)
				}
			})
		}
	}
}

func measureLateness(b *testing.B, o Options, lend bool, streams, tokens int) {
	s, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var server, clients sync.WaitGroup
	if lend {
		server.Go(func() { s.Serve(ctx, l) })
	} else {
		srv := &http.Server{Handler: s.Handler()}
		server.Go(func() { s.Run(ctx); srv.Close() })
		server.Go(func() { srv.Serve(l) })
	}
	transport := &http.Transport{DisableCompression: true}
	client := &http.Client{Transport: transport}
	for i := range streams {
		clients.Go(func() {
			time.Sleep(time.Duration(i) * 10 * time.Millisecond / time.Duration(streams)) // evenly over a gap
			body := fmt.Sprintf(`{"stream":true,"max_tokens":%d,"messages":[{"role":"user","content":"go"}]}`, tokens)
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.Addr().String()+"/v1/chat/completions", strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("X-Request-Id", fmt.Sprint(i))
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				b.Error(err)
			}
		})
	}
	clients.Wait()
	transport.CloseIdleConnections()
	cancel()
	server.Wait()

	var late []int64
	for i := range streams {
		t, ok := s.Truth(fmt.Sprint(i))
		if !ok || len(t.Tokens) != tokens {
			b.Fatalf("stream %d has the truth of %d tokens; want %d", i, len(t.Tokens), tokens)
		}
		for _, x := range t.Tokens {
			late = append(late, x.Sent-x.Due)
		}
	}
	slices.Sort(late)
	at := func(q float64) float64 { return float64(late[int(q*float64(len(late)-1))]) / 1e3 }
	b.ReportMetric(at(.5), "p50-µs")
	b.ReportMetric(at(.99), "p99-µs")
	b.ReportMetric(at(.999), "p99.9-µs")
	b.ReportMetric(0, "ns/op")
}
