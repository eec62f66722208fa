package cron

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
)

// pipeListener is a network of net.Pipes, which a testing/synctest bubble understands.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// podInBubble is pod without TLS, in a bubble: where it is about what takes too long, only what hangs takes any time.
func podInBubble(t *testing.T, api http.Handler, logger *slog.Logger) *LeaseClaims {
	t.Helper()
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: api, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) }) // until it is closed
	via := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		via.CloseIdleConnections()
		_ = server.Close()
		wg.Wait()
	})
	return &LeaseClaims{dir: account(t, nil), leases: "http://api" + leasesPath, holder: "pod", logger: logger, via: via, within: answerWithin}
}
