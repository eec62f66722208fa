package engine

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

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
	reload := func() {
		t.Helper()
		if err := s.Apply([]Options{{Target: "chat", MetricsURL: server.URL, Client: &http.Client{Transport: new(http.Transport)}}}); err != nil {
			t.Fatal(err)
		}
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
	reload() // while the second one fetches
	answer <- struct{}{}
	<-done
	<-closed

	answer <- struct{}{}
	engine.scrape(t.Context())
	<-entered
	if s.Engine("chat") != engine || len(closed) != 0 {
		t.Errorf("it is the same engine: %t, and %d more connections were closed; want it to go on with the third", s.Engine("chat") == engine, len(closed))
	}
}
