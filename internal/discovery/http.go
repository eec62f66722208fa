package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/transport"
)

// maxFetch bounds how long an answer may take, where the refresh interval is longer.
const maxFetch = 30 * time.Second

// contentType is what an answer must be, as Prometheus wants it.
var contentType = regexp.MustCompile(`^(?i:application/json(;\s*charset=("utf-8"|utf-8))?)$`)

// endpoint reads the list that a URL answers with.
type endpoint struct {
	place    string
	url      string
	client   *http.Client
	interval time.Duration // is told to the server
	within   time.Duration
}

// newEndpoint makes the reader of a source with a URL. It keeps no connection open, so there is nothing to close.
func newEndpoint(h *config.HTTPSD, userAgent string) (*endpoint, error) {
	interval := time.Duration(h.RefreshInterval)
	e := &endpoint{place: shown(h.URL), url: h.URL, interval: interval, within: min(interval, maxFetch)}
	// The client of OAuth 2 asks for its token without a context: only the connection can bound how long that takes.
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		end := time.Now().Add(e.within)
		conn, err := (&net.Dialer{Deadline: end}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := conn.SetDeadline(end); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
	var err error
	e.client, err = commoncfg.NewClientFromConfig(h.HTTP, "discovery",
		commoncfg.WithUserAgent(userAgent), commoncfg.WithKeepAlivesDisabled(), commoncfg.WithDialContextFunc(transport.KeepTokenOrigin(h.HTTP, h.URL, dial)))
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", h.Name, err)
	}
	transport.KeepOrigin(e.client)
	return e, nil
}

func (e *endpoint) read(ctx context.Context) ([]document, error) {
	data, err := e.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.place, err)
	}
	return []document{{place: e.place, data: data}}, nil
}

func (e *endpoint) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.within, tooSlow(e.within))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Prometheus-Refresh-Interval-Seconds", strconv.FormatFloat(e.interval.Seconds(), 'f', -1, 64))

	resp, err := e.client.Do(req)
	if err != nil {
		return nil, e.told(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	if kind := resp.Header.Get("Content-Type"); !contentType.MatchString(strings.TrimSpace(kind)) {
		return nil, fmt.Errorf("the answer's Content-Type is %.100q; it must be application/json", kind)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, e.told(ctx, err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("the answer is above %d bytes", maxDocument)
	}
	return data, nil
}

// tooSlow is the cause of a fetch that was given up.
func tooSlow(limit time.Duration) error { return fmt.Errorf("no whole answer within %s", limit) }

// told words an error of the client: without the URL, in which keys may be, and without our own port, with which the same error
// would look like another each time.
func (e *endpoint) told(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) { // the connection's, or the dial's
		return tooSlow(e.within)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		short := *e
		short.Source = nil
		return &short
	}
	return err
}
