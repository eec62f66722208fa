package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	commoncfg "github.com/prometheus/common/config"
)

// errResent ends an exchange that net/http would have begun again. Its cause is the connection's loss.
var errResent = errors.New("connection lost before the response, and net/http wanted to send the request again")

// viaNetHTTP carries what h1 does not speak: HTTP/2, and proxies. Stamps are the user's clock.
type viaNetHTTP struct {
	rt     http.RoundTripper
	http2  bool
	reuse  bool
	header int                                   // bytes
	proxy  func(*http.Request) (*url.URL, error) // nil: none
}

// newViaNetHTTP returns nil where the configuration has no use for it.
func newViaNetHTTP(opts Options) (*viaNetHTTP, error) {
	cfg := opts.HTTP
	if cfg.Proxy() == nil && !opts.HTTP2 {
		return nil, nil
	}
	// The request comes with its credentials.
	cfg.Authorization, cfg.BasicAuth, cfg.OAuth2, cfg.HTTPHeaders = nil, nil, nil, nil
	cfg.BearerToken, cfg.BearerTokenFile = "", ""
	cfg.EnableHTTP2 = opts.HTTP2
	options := []commoncfg.HTTPClientOption{
		commoncfg.WithDialContextFunc(opts.Dial),
		commoncfg.WithIdleConnTimeout(opts.IdleTimeout),
	}
	if !opts.Reuse {
		options = append(options, commoncfg.WithKeepAlivesDisabled())
	}
	// The name is a label in the default registry, so it must not depend on the target.
	rt, err := commoncfg.NewRoundTripperFromConfigWithContext(context.Background(), cfg, "llm_prober", options...)
	if err != nil {
		return nil, fmt.Errorf("http configuration: %w", err)
	}
	return &viaNetHTTP{rt: rt, http2: opts.HTTP2, reuse: opts.Reuse, header: opts.HeaderBytes, proxy: cfg.Proxy()}, nil
}

// sizeOf is how many bytes a header has, about: net/http takes ten megabytes, and does not let us choose.
func sizeOf(h http.Header) int {
	size := 0
	for name, values := range h {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	return size
}

// wants reports whether req must go this way.
func (v *viaNetHTTP) wants(req *http.Request) bool {
	if v.http2 && req.URL.Scheme == "https" {
		return true
	}
	if v.proxy == nil {
		return false
	}
	to, err := v.proxy(req)
	return err != nil || to != nil // net/http reports the error again
}

func (v *viaNetHTTP) close() {
	if c, ok := v.rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// do sends req and reads the header. It returns an *Error.
func (v *viaNetHTTP) do(ctx context.Context, x *Exchange, req *http.Request, d Deadlines) error {
	b := &netHTTPBody{parent: ctx, reuse: v.reuse}
	b.ctx, b.cancel = context.WithCancelCause(ctx)
	t := &netHTTPTrace{cancel: b.cancel}
	if d.Connect > 0 {
		t.connecting = time.AfterFunc(d.Connect, func() {
			b.cancel(fmt.Errorf("connecting: %w", os.ErrDeadlineExceeded))
		})
		defer t.connecting.Stop()
	}
	b.setReadDeadline(d.Response)
	req = req.WithContext(httptrace.WithClientTrace(b.ctx, t.hooks()))
	req.GetBody = nil // without it a body cannot be sent twice
	if req.Body == nil && !v.http2 {
		// By itself net/http sends what has no body again. A GET with this is written like one without; HTTP/2 would make a frame of it.
		req.Body = io.NopCloser(strings.NewReader(""))
	}

	resp, err := v.rt.RoundTrip(req)
	now := time.Now()
	step := t.fill(&x.Phases)
	if err != nil {
		var ferr *Error
		switch {
		case step != "":
			ferr = b.failure(step, err)
		case b.ctx.Err() != nil:
			ferr = b.failure(StepConnect, err)
		default: // it did not even look for a connection
			ferr = &Error{Step: StepWrite, Err: fmt.Errorf("%w: %w", ErrRequest, err)}
		}
		b.close()
		return ferr
	}
	b.resp = resp.Body
	if size := sizeOf(resp.Header); size > v.header {
		b.close()
		return &Error{Step: StepResponse, Err: fmt.Errorf("%w: %d bytes, over %d", ErrHeaderTooLarge, size, v.header)}
	}
	b.setReadDeadline(time.Time{})
	x.Status, x.Header, x.body = resp.StatusCode, resp.Header, b
	x.Phases.Headers = Stamp{At: now}
	if x.Phases.Wrote.IsZero() { // the answer overtook net/http's note of the write's end
		x.Phases.Wrote = now
	}
	x.Phases.HTTP2 = resp.ProtoMajor == 2
	return nil
}

// netHTTPTrace notes when net/http does what. Its hooks run on net/http's goroutines, some after RoundTrip returned.
type netHTTPTrace struct {
	cancel     context.CancelCauseFunc
	connecting *time.Timer // nil: no bound

	mu      sync.Mutex // protects all following fields
	phases  Phases
	dnsErr  error
	tlsErr  error
	begun   bool // it looked for a connection
	gotConn bool
	sent    bool // a header went out
}

func (t *netHTTPTrace) hooks() *httptrace.ClientTrace {
	locked := func(f func(now time.Time)) {
		t.mu.Lock()
		defer t.mu.Unlock()
		f(time.Now())
	}
	first := func(at *time.Time, now time.Time) {
		if at.IsZero() {
			*at = now
		}
	}
	return &httptrace.ClientTrace{
		GetConn:  func(string) { locked(func(time.Time) { t.begun = true }) },
		DNSStart: func(httptrace.DNSStartInfo) { locked(func(now time.Time) { first(&t.phases.DNSStart, now) }) },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			locked(func(now time.Time) { t.phases.DNSDone, t.dnsErr = now, i.Err })
		},
		ConnectStart: func(string, string) { locked(func(now time.Time) { first(&t.phases.ConnectStart, now) }) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				locked(func(now time.Time) { first(&t.phases.ConnectDone, now) })
			}
		},
		TLSHandshakeStart: func() { locked(func(now time.Time) { first(&t.phases.TLSStart, now) }) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			locked(func(now time.Time) { t.phases.TLSDone, t.tlsErr = now, err })
		},
		GotConn: func(i httptrace.GotConnInfo) {
			if t.connecting != nil {
				t.connecting.Stop()
			}
			locked(func(now time.Time) {
				if t.sent {
					t.cancel(errResent)
				}
				t.gotConn = true
				t.phases.WriteStart = now
				t.phases.Reused = i.Reused
				t.phases.RemoteAddr = i.Conn.RemoteAddr().String()
			})
		},
		WroteHeaders: func() { locked(func(time.Time) { t.sent = true }) },
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				locked(func(now time.Time) { first(&t.phases.Wrote, now) })
			}
		},
	}
}

// fill copies what has been noted so far and returns the step that it has come to; empty: none.
func (t *netHTTPTrace) fill(ph *Phases) Step {
	t.mu.Lock()
	defer t.mu.Unlock()
	*ph = t.phases
	if t.phases.Reused { // a dial that was begun beside the reuse is not part of this exchange
		*ph = Phases{WriteStart: ph.WriteStart, Wrote: ph.Wrote, Reused: true, RemoteAddr: ph.RemoteAddr}
	}
	switch {
	case t.gotConn && !ph.Wrote.IsZero():
		return StepResponse
	case t.gotConn:
		return StepWrite
	case !ph.TLSStart.IsZero() && (ph.TLSDone.IsZero() || t.tlsErr != nil):
		ph.TLSDone = time.Time{}
		return StepTLS
	case !ph.DNSStart.IsZero() && (ph.DNSDone.IsZero() || t.dnsErr != nil):
		return StepDNS
	case t.begun:
		return StepConnect
	}
	return ""
}

// netHTTPBody is the body of an exchange that net/http carries.
type netHTTPBody struct {
	parent context.Context // the caller's
	ctx    context.Context // the request's
	cancel context.CancelCauseFunc
	timer  *time.Timer // ends ctx at the read deadline; nil: there was none yet

	resp  io.ReadCloser // nil: no response
	reuse bool
	last  Stamp // of the latest read
	err   error // what every further read returns
	over  bool  // closed
}

func (b *netHTTPBody) readStamped(p []byte) (int, Stamp, error) {
	if len(p) == 0 {
		return 0, b.last, nil
	}
	for b.err == nil {
		n, err := b.resp.Read(p)
		b.last = Stamp{At: time.Now()}
		if err == io.EOF {
			b.err = err
		} else if err != nil {
			b.err = b.failure(StepBody, err)
		}
		if n > 0 {
			return n, b.last, nil // an error comes back with the next read
		}
	}
	if b.err == io.EOF {
		return 0, b.last, b.err
	}
	return 0, Stamp{}, b.err
}

func (b *netHTTPBody) setReadDeadline(t time.Time) error {
	switch {
	case b.over:
	case t.IsZero():
		if b.timer != nil {
			b.timer.Stop()
		}
	case b.timer == nil:
		b.timer = time.AfterFunc(time.Until(t), func() {
			b.cancel(fmt.Errorf("exchange ended: %w", os.ErrDeadlineExceeded))
		})
	default:
		b.timer.Reset(time.Until(t))
	}
	return nil
}

func (b *netHTTPBody) close() {
	if b.over {
		return
	}
	if b.resp != nil {
		if b.reuse && b.err == nil { // net/http keeps a connection whose body was read to its end
			b.setReadDeadline(time.Now().Add(drainTime))
			_, _ = io.CopyN(io.Discard, b.resp, drainBytes)
		}
		b.resp.Close()
	}
	b.setReadDeadline(time.Time{})
	b.cancel(context.Canceled)
	b.over = true
	b.err = &Error{Step: StepBody, Err: os.ErrClosed}
}

// failure makes an Error out of what net/http returned. Why ctx ended says more than how net/http took it.
func (b *netHTTPBody) failure(step Step, err error) *Error {
	if b.parent.Err() == nil {
		if cause := context.Cause(b.ctx); errors.Is(cause, os.ErrDeadlineExceeded) {
			return &Error{Step: step, Timeout: true, Err: cause}
		} else if cause != nil {
			return &Error{Step: step, Err: cause}
		}
	}
	if _, ok := errors.AsType[net.Error](err); !ok && malformed(err) {
		err = fmt.Errorf("%w: %w", ErrFraming, err)
	}
	return failure(b.parent, step, err)
}

// malformed reports whether net/http could not read what it was sent. It has no error values for this.
func malformed(err error) bool {
	text := err.Error()
	for _, s := range []string{
		"malformed", "chunk", // net/http/internal/chunked.go, net/http/response.go
		"transfer encoding", "Content-Length", // net/http/transfer.go
	} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
