package engine

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// leaving is a transport that counts how often its client was left for another one.
type leaving struct {
	*http.Transport
	left atomic.Int64
}

func (l *leaving) CloseIdleConnections() {
	l.left.Add(1)
	l.Transport.CloseIdleConnections()
}

// A reload brings a new client for each engine. The connections of the ones before are closed, whether a fetch was under way or not.
func TestReloadsLeaveNoConnections(t *testing.T) {
	closed := make(chan net.Conn, 10)
	entered, answer := make(chan struct{}, 1), make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-answer
		io.WriteString(w, "vllm:num_requests_running 1\nvllm:generation_tokens_total 1\n")
	}))
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- c
		}
	}
	server.Start()
	defer server.Close()
	s := NewEngines(slog.New(slog.DiscardHandler))
	reload := func() *leaving {
		t.Helper()
		transport := &leaving{Transport: new(http.Transport)}
		if err := s.Apply([]Options{{
			Target: "chat", MetricsURL: server.URL, Client: &http.Client{Transport: transport}, Interval: time.Minute, Timeout: time.Minute,
		}}); err != nil {
			t.Fatal(err)
		}
		return transport
	}
	reload()
	engine := s.Engine("chat")
	defer func() { engine.client.Load().CloseIdleConnections() }()

	answer <- struct{}{}
	engine.scrape(t.Context())
	<-entered
	reload()
	<-closed // the first client's

	done := make(chan struct{})
	go func() { defer close(done); engine.scrape(t.Context()) }()
	<-entered
	third := reload() // while the second one fetches
	answer <- struct{}{}
	<-done
	<-closed

	answer <- struct{}{}
	engine.scrape(t.Context())
	<-entered
	// Its connection may be closed all the same: net/http keeps none whose request was noted as written 50 ms after the answer.
	if left := third.left.Load(); s.Engine("chat") != engine || left != 0 {
		t.Errorf("it is the same engine: %t, and the third client was left %d times; want it to go on with that", s.Engine("chat") == engine, left)
	}
}
