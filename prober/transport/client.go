package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	commoncfg "github.com/prometheus/common/config"
	"golang.org/x/net/http/httpguts"
)

// Options configure a Client.
type Options struct {
	// HTTP is Prometheus' client configuration: TLS, credentials, proxy, further headers. Of its fields EnableHTTP2 is
	// not looked at (see HTTP2), and FollowRedirects neither: a redirect is an answer like any other, because following
	// it would time two servers as one. Secrets and certificates in files are read again for each request.
	HTTP commoncfg.HTTPClientConfig

	// Reuse keeps connections open for later requests. Without it each request has its own connection and says
	// "Connection: close".
	Reuse bool

	// HTTP2 offers HTTP/2 to https servers. Such requests, and those that go through a proxy, are carried by net/http:
	// their stamps are the user's clock, and a reader may be kept waiting for more than the event it could have had.
	HTTP2 bool

	UserAgent string // empty: net/http's own

	HeaderBytes int           // limit of a response's header, and of a trailer; default 64 KiB
	MaxIdle     int           // unused connections kept with Reuse; default 64
	IdleTimeout time.Duration // how long an unused connection is kept with Reuse; default 90s

	// Dial makes connections; default net.Dialer's DialContext. A connection that is no *net.TCPConn is stamped with
	// the user's clock.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Deadlines bound the way to a response.
type Deadlines struct {
	Connect  time.Duration // name, TCP and TLS together; 0: no bound
	Response time.Time     // the header must have come by then, whatever it was waited for; zero: no bound
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	opts        Options
	credentials *credentials
	pool        pool
	buffers     sync.Pool // of *bytes.Buffer: requests on their way out
	stamping    *stampSwitch
	viaNetHTTP  *viaNetHTTP // nil where neither HTTP/2 nor a proxy is configured
}

// New makes a Client. Files named in opts.HTTP must be readable.
func New(opts Options) (*Client, error) {
	if opts.HeaderBytes == 0 {
		opts.HeaderBytes = 64 << 10
	}
	if opts.MaxIdle == 0 {
		opts.MaxIdle = 64
	}
	if opts.IdleTimeout == 0 {
		opts.IdleTimeout = 90 * time.Second
	}
	if opts.Dial == nil {
		opts.Dial = newDial(new(net.Resolver))
	}
	c := &Client{opts: opts}
	c.buffers.New = func() any { return new(bytes.Buffer) }
	if opts.Reuse {
		c.pool.max, c.pool.timeout = opts.MaxIdle, opts.IdleTimeout
	}
	var err error
	if c.credentials, err = newCredentials(opts.HTTP, opts.UserAgent, c.pool.closeIdle); err != nil {
		return nil, err
	}
	if c.viaNetHTTP, err = newViaNetHTTP(opts); err != nil {
		c.credentials.close()
		return nil, err
	}
	c.stamping = newStampSwitch()
	return c, nil
}

// Close closes idle connections. Exchanges under way end with their contexts, and close their connections then.
func (c *Client) Close() {
	c.credentials.close()
	c.pool.close()
	if c.viaNetHTTP != nil {
		c.viaNetHTTP.close()
	}
	c.stamping.close()
}

// Prepared is a request that needs nothing more but a connection: credentials have been read, tokens fetched.
type Prepared struct {
	req *http.Request
	tls *tls.Config // nil: plain HTTP, or carried by net/http
}

// Header is what will be sent, secrets included. It is not to be changed.
func (p *Prepared) Header() http.Header { return p.req.Header }

// Prepare gets all that is needed to send req, whose URL must be absolute: it may read files, and fetch a token from an
// OAuth 2.0 server, so that none of this is timed as a part of the exchange. It ends with ctx. Its error is an *Error.
func (c *Client) Prepare(ctx context.Context, req *http.Request) (*Prepared, error) {
	req, err := c.prepare(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, contextFailure(ctx, StepWrite)
		}
		return nil, &Error{Step: StepWrite, Err: fmt.Errorf("%w: %w", ErrRequest, shortage(err))}
	}
	p := &Prepared{req: req}
	if c.viaNetHTTP != nil && c.viaNetHTTP.wants(req) {
		return p, nil
	}
	if p.tls, err = c.credentials.tls(req); err != nil {
		return nil, &Error{Step: StepTLS, Err: fmt.Errorf("%w: %w", ErrRequest, shortage(err))}
	}
	return p, nil
}

// Do is Prepare and Send.
func (c *Client) Do(ctx context.Context, req *http.Request, d Deadlines) (*Exchange, error) {
	p, err := c.Prepare(ctx, req)
	if err != nil {
		return &Exchange{body: failedBody{err}}, err
	}
	return c.Send(ctx, p, d)
}

// Send sends what Prepare returned, once, whatever happens, and reads the response's header.
//
// The end of ctx ends the exchange at any time, its body included. The Exchange is never nil: after an error, which
// is always an *Error, it is closed and tells in Phases how far it came.
func (c *Client) Send(ctx context.Context, p *Prepared, d Deadlines) (*Exchange, error) {
	x := &Exchange{}
	if err := c.send(ctx, x, p, d); err != nil {
		x.body = failedBody{err}
		return x, err
	}
	return x, nil
}

// headRoom is for a request's line and header: most are shorter, and a longer one is no error.
const headRoom = 1 << 10

// send returns an *Error, or nil as an untyped nil.
func (c *Client) send(ctx context.Context, x *Exchange, p *Prepared, d Deadlines) error {
	req, conf := p.req.WithContext(ctx), p.tls
	if ctx.Err() != nil {
		return contextFailure(ctx, StepWrite)
	}
	if c.viaNetHTTP != nil && c.viaNetHTTP.wants(req) {
		return c.viaNetHTTP.do(ctx, x, req, d)
	}

	// The whole request is made before the connection, so that nothing of its making is timed.
	out := c.buffers.Get().(*bytes.Buffer)
	defer c.buffers.Put(out)
	out.Reset()
	out.Grow(headRoom + int(max(0, req.ContentLength)))
	if err := req.Write(out); err != nil {
		return &Error{Step: StepWrite, Err: fmt.Errorf("%w: %w", ErrRequest, err)}
	}
	cn, ferr := c.connect(ctx, &x.Phases, req, conf, d)
	if ferr != nil {
		return ferr
	}
	h := newH1(ctx, c, cn)
	if ferr := h.exchange(x, req, out.Bytes(), d.Response); ferr != nil {
		h.abandon()
		return ferr
	}
	x.body = h
	return nil
}

// prepare checks req and adds what the configuration wants to be sent with it.
func (c *Client) prepare(ctx context.Context, req *http.Request) (*http.Request, error) {
	switch {
	case req.URL == nil || req.URL.Host == "":
		return nil, errors.New("URL has no host")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return nil, fmt.Errorf("URL %q is neither http nor https", req.URL.Redacted())
	}
	req, err := c.credentials.authorize(ctx, req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	req.Close = req.Close || !c.opts.Reuse
	return req, nil
}

// connect takes an idle connection or makes one, and fills the phases up to the write.
func (c *Client) connect(ctx context.Context, ph *Phases, req *http.Request, conf *tls.Config, d Deadlines) (*conn, error) {
	key, err := newPoolKey(req, conf)
	if err != nil {
		return nil, &Error{Step: StepDNS, Err: fmt.Errorf("%w: %w", ErrRequest, err)}
	}
	if cn := c.pool.get(key); cn != nil {
		ph.Reused = true
		ph.RemoteAddr = cn.socket.RemoteAddr().String()
		return cn, nil
	}
	return dial(ctx, c.opts.Dial, ph, key, d)
}

// newPoolKey says where req goes.
func newPoolKey(req *http.Request, conf *tls.Config) (poolKey, error) {
	host, err := httpguts.PunycodeHostPort(req.URL.Hostname())
	if err != nil {
		return poolKey{}, err
	}
	key := poolKey{host: host, port: req.URL.Port()}
	switch req.URL.Scheme {
	case "https":
		key.tls = conf
		if key.port == "" {
			key.port = "443"
		}
	default:
		if key.port == "" {
			key.port = "80"
		}
	}
	return key, nil
}
