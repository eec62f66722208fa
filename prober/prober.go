package prober

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// Options say where a Prober asks and how it judges itself.
type Options struct {
	URL      *url.URL          // the target's base URL, as SDKs of the protocol are given it
	Protocol *wire.Protocol    // how it is spoken to
	Client   *transport.Client // how bytes travel; the caller closes it
	Header   http.Header       // further headers for each request; nil: none

	// DegradedAfter is how late the prober itself may be, at dispatch or at reading an event, before a result is
	// marked as degraded. 0 means 10ms.
	DegradedAfter time.Duration
}

// Prober asks one endpoint. It is safe for concurrent use.
type Prober struct {
	opts Options
}

// New returns a Prober.
func New(opts Options) *Prober {
	if opts.DegradedAfter <= 0 {
		opts.DegradedAfter = DefaultDegradedAfter
	}
	return &Prober{opts}
}

// Do asks req's question and measures the answer. It returns within req's limits, or soon after ctx ends;
// then the outcome is Canceled. It always returns a complete Result.
func (p *Prober) Do(ctx context.Context, req *Request) *Result { return p.do(ctx, req, 0, nil).r }

// DoText is Do, and returns the text of the answer as well, reasoning not included: its first limit bytes, cut before the
// first character that has no room, and without the request's credentials. It is beside the Result, and not in it, because Results are kept.
func (p *Prober) DoText(ctx context.Context, req *Request, limit int) (*Result, string) {
	m := p.do(ctx, req, limit, nil)
	return m.r, m.hidden.Text(m.answer.head(limit))
}

// DoTogether is Do for a request that goes out at the same time as others: see Start.
func (p *Prober) DoTogether(ctx context.Context, req *Request, s *Start) *Result {
	return p.do(ctx, req, 0, s).r
}

// do keeps at least keep bytes of the answer's text, as far as there is one, and waits for the common start once all is
// prepared. A nil start is now.
func (p *Prober) do(ctx context.Context, req *Request, keep int, start *Start) *measurement {
	m := &measurement{
		keep:   keep,
		req:    req,
		limits: req.Limits.withDefaults(),
		ctx:    ctx,
		r:      &Result{Request: req, Clock: ClockUser, OutputSource: TokensNone},
	}
	m.r.Timeline.Intended = req.Intended
	if req.Intended.IsZero() {
		m.r.Timeline.Intended = time.Now()
	}
	prepared, err := p.prepare(ctx, req, m.limits.Total)
	start.wait(ctx, req, m.limits.Total)
	m.begin()
	start.gone(req)
	if ctx.Err() != nil {
		m.end(Canceled, context.Cause(ctx))
	} else if errors.Is(err, transport.ErrShortage) {
		m.end(Unsent, err)
	} else if err != nil {
		m.end(Connect, err) // never sent
		m.hidden = m.r.redact(p.opts.Header, p.opts.Client.Secrets)
	} else {
		m.exchange(p.opts.Client, prepared, p.opts.Protocol)
		m.hidden = m.r.redact(prepared.Header(), p.opts.Client.Secrets)
	}
	m.close(p.opts.DegradedAfter)
	return m
}

// prepare makes the request up to what can be sent: encoding it, reading credentials and fetching tokens is our time
// and not the server's, so it comes before the dispatch, bounded by the limit of a whole request.
func (p *Prober) prepare(ctx context.Context, req *Request, limit time.Duration) (*transport.Prepared, error) {
	encoded, err := p.encode(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return p.opts.Client.Prepare(ctx, encoded)
}

// encode makes the HTTP request. Its context comes later, with the deadlines, which start at dispatch.
func (p *Prober) encode(req *Request) (*http.Request, error) {
	enc, err := p.opts.Protocol.Encode(p.opts.URL, &req.Call)
	if err != nil {
		return nil, err
	}
	hr, err := http.NewRequest(http.MethodPost, enc.URL.String(), bytes.NewReader(enc.Body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	maps.Copy(hr.Header, enc.Header)
	for name, values := range p.opts.Header { // the user's win: anthropic-version is one that they may want to set
		hr.Header[http.CanonicalHeaderKey(name)] = values
	}
	hr.Header.Set("X-Request-Id", req.ID)
	if parent := traceparent(req.ID); parent != "" {
		hr.Header.Set("Traceparent", parent)
	}
	return hr, nil
}
