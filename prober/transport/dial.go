package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"time"
)

// dial resolves, connects and shakes hands, and fills these phases. It returns an *Error.
func dial(ctx context.Context, do DialFunc, ph *Phases, key poolKey, d Deadlines) (*conn, error) {
	parent, start := ctx, time.Now()
	deadline := d.Response
	if by := start.Add(d.Connect); d.Connect > 0 && (deadline.IsZero() || by.Before(deadline)) {
		deadline = by
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}

	var t dialTrace
	socket, err := do(httptrace.WithClientTrace(ctx, t.hooks()), "tcp", net.JoinHostPort(key.host, key.port))
	end := time.Now()
	t.fill(ph)
	if err != nil {
		if _, ok := errors.AsType[*net.DNSError](err); ok {
			ph.ConnectStart, ph.ConnectDone = time.Time{}, time.Time{}
			return nil, failure(parent, StepDNS, err)
		}
		return nil, failure(parent, StepConnect, err)
	}
	if ph.ConnectStart.IsZero() { // a dialler that does not trace
		ph.ConnectStart = start
	}
	if ph.ConnectDone.IsZero() {
		ph.ConnectDone = end
	}
	if addr := socket.RemoteAddr(); addr != nil {
		ph.RemoteAddr = addr.String()
	}
	cn := &conn{recv: newReceiver(socket), socket: socket, key: key}
	cn.Conn = cn.recv
	if key.tls == nil {
		return cn, nil
	}

	conf := key.tls.Clone()
	if conf.ServerName == "" {
		conf.ServerName = key.host
	}
	conf.NextProtos = []string{"http/1.1"}
	secure := tls.Client(cn.recv, conf)
	ph.TLSStart = time.Now()
	if err := secure.HandshakeContext(ctx); err != nil {
		socket.Close()
		return nil, failure(parent, StepTLS, err)
	}
	ph.TLSDone = time.Now()
	cn.Conn = secure
	return cn, nil
}

// dialTrace notes when net.Dialer resolves and connects. Its hooks run on other goroutines, when addresses race, and
// may run after the dial has returned, for the address that lost.
type dialTrace struct {
	mu     sync.Mutex // protects all following fields
	phases Phases
}

func (t *dialTrace) hooks() *httptrace.ClientTrace {
	note := func(at func(*Phases) *time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if p := at(&t.phases); p.IsZero() {
			*p = time.Now()
		}
	}
	return &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { note(func(ph *Phases) *time.Time { return &ph.DNSStart }) },
		DNSDone:      func(httptrace.DNSDoneInfo) { note(func(ph *Phases) *time.Time { return &ph.DNSDone }) },
		ConnectStart: func(string, string) { note(func(ph *Phases) *time.Time { return &ph.ConnectStart }) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				note(func(ph *Phases) *time.Time { return &ph.ConnectDone })
			}
		},
	}
}

// fill copies what has been noted so far: the first address tried, and the first one connected.
func (t *dialTrace) fill(ph *Phases) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ph.DNSStart, ph.DNSDone = t.phases.DNSStart, t.phases.DNSDone
	ph.ConnectStart, ph.ConnectDone = t.phases.ConnectStart, t.phases.ConnectDone
}
