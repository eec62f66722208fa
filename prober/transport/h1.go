package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	protocol    = "HTTP/"
	headerChunk = 4096 // first read of a response: most headers with the beginning of the body

	// What Close may spend to have a connection back: the end of the body follows its last event closely.
	drainBytes = 16 << 10
	drainTime  = 250 * time.Millisecond

	// How long after a failed write an answer is waited for that came before the failure.
	refusalTime = 100 * time.Millisecond
)

// h1 is an exchange in HTTP/1.1 on the caller's goroutine. It is the body of its Exchange.
type h1 struct {
	ctx    context.Context
	client *Client
	conn   *conn

	unwatch func() bool   // stops waiting for the end of ctx
	watched chan struct{} // closed when the end of ctx has been acted upon

	frame framing
	left  []byte // received behind the header, not yet decoded
	last  Stamp  // of the latest read of the connection
	keep  bool   // the server keeps the connection open
	late  bool   // what has arrived is read even past the deadline
	err   error  // what every further read returns
	over  bool   // closed
}

// newH1 takes over cn, and closes it when ctx ends: closing is what ends any read or write at once, and leaves no
// deadline to fight over.
func newH1(ctx context.Context, c *Client, cn *conn) *h1 {
	h := &h1{ctx: ctx, client: c, conn: cn, watched: make(chan struct{})}
	h.unwatch = context.AfterFunc(ctx, func() {
		defer close(h.watched)
		cn.socket.Close()
	})
	return h
}

// release ends the watch over ctx and reports whether the connection is still whole.
func (h *h1) release() bool {
	if h.over = true; h.unwatch() {
		return true
	}
	<-h.watched
	return false
}

// abandon closes the connection.
func (h *h1) abandon() {
	if h.release() {
		h.conn.drop()
	}
}

// exchange writes the request and reads the header. It returns an *Error.
func (h *h1) exchange(x *Exchange, req *http.Request, out []byte, deadline time.Time) error {
	if !deadline.IsZero() {
		if err := h.conn.SetDeadline(deadline); err != nil {
			return failure(h.ctx, StepWrite, err)
		}
	}
	x.Phases.WriteStart = time.Now()
	h.conn.recv.writing(x.Phases.WriteStart)
	_, werr := h.conn.Write(out)
	x.Phases.Wrote = time.Now()
	if werr != nil {
		x.Phases.Wrote = time.Time{}
		ferr := failure(h.ctx, StepWrite, werr)
		if ferr.Timeout || h.ctx.Err() != nil {
			return ferr
		}
		// A server that has no use for the rest of a request answers and closes. Its answer says more than our
		// broken pipe, and is still readable.
		if err := h.conn.SetReadDeadline(time.Now().Add(refusalTime)); err != nil {
			return ferr
		}
		if h.header(x, req) != nil {
			return ferr
		}
		h.keep = false
	} else if err := h.header(x, req); err != nil {
		return err
	}
	if !deadline.IsZero() || werr != nil {
		if err := h.conn.SetDeadline(time.Time{}); err != nil {
			return failure(h.ctx, StepResponse, err)
		}
	}
	return nil
}

// header reads up to the end of the response's header, past any interim response, and sets up the body.
func (h *h1) header(x *Exchange, req *http.Request) error {
	var (
		limit = h.client.opts.HeaderBytes
		buf   = make([]byte, 0, min(headerChunk, limit))
		seen  = 0 // of buf: has no end of a header
	)
	for {
		if end := headerEnd(buf, seen); end > 0 {
			resp, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(buf[:end]), end), req)
			if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
				err = errors.New("protocol switched unasked")
			}
			if err != nil {
				return &Error{Step: StepResponse, Err: fmt.Errorf("%w: %w", ErrFraming, err)}
			}
			if resp.StatusCode/100 == 1 {
				// Interim. Its bytes still count against the limit.
				limit -= end
				buf, seen = buf[end:], 0
				continue
			}
			x.Status, x.Header = resp.StatusCode, resp.Header
			x.Phases.Headers = h.last
			h.frame = framingOf(resp, h.client.opts.HeaderBytes)
			if end < len(buf) {
				h.left = buf[end:]
			}
			h.keep = !resp.Close && !req.Close
			return nil
		}
		if start := buf[:min(len(buf), len(protocol))]; string(start) != protocol[:len(start)] {
			return &Error{Step: StepResponse, Err: framingError("response begins with %q", start)}
		}
		if len(buf) >= limit {
			return &Error{Step: StepResponse, Err: fmt.Errorf("%w: over %d bytes", ErrHeaderTooLarge, h.client.opts.HeaderBytes)}
		}
		seen = max(0, len(buf)-3)
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(2*cap(buf)+1, limit)), buf...)
		}
		n, err := h.conn.readLate(buf[len(buf):cap(buf)])
		h.arrived()
		buf = buf[:len(buf)+n]
		switch {
		case n > 0: // an error comes back with the next read
		case errors.Is(err, io.EOF) && len(buf) == 0:
			return failure(h.ctx, StepResponse, fmt.Errorf("connection closed before the response: %w", io.ErrUnexpectedEOF))
		case errors.Is(err, io.EOF):
			return failure(h.ctx, StepResponse, fmt.Errorf("connection closed within the header: %w", io.ErrUnexpectedEOF))
		case err != nil:
			return failure(h.ctx, StepResponse, err)
		}
	}
}

// headerEnd returns the length of the header at the front of buf, its empty line included; 0: not all there.
// Bare LFs are taken, as by net/http. The first seen bytes are known to hold no end.
func headerEnd(buf []byte, seen int) int {
	for i := seen; ; {
		n := bytes.IndexByte(buf[i:], '\n')
		if n < 0 {
			return 0
		}
		i += n + 1
		switch rest := buf[i:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 2
		}
	}
}

// arrived takes the stamp of the read that has just returned.
//
// Bytes are read in the order in which they become readable, so a stamp before the one before it is wrong in one of
// two ways: the earlier one is the user's clock, and late; or this one is of a segment that overtook a lost one.
// Either way these bytes were readable no earlier than the ones before them.
func (h *h1) arrived() {
	s := h.conn.recv.arrived()
	if s.At.Before(h.last.At) {
		read := s.At.Add(s.Delay)
		s.At, s.Kernel = h.last.At, s.Kernel && h.last.Kernel
		s.Delay = 0
		if s.Kernel {
			s.Delay = max(0, read.Sub(s.At))
		}
	}
	h.last = s
}

func (h *h1) readStamped(p []byte) (int, Stamp, error) {
	if len(p) == 0 {
		return 0, h.last, nil
	}
	for {
		n, err := h.fill(p)
		if n > 0 {
			return n, h.last, nil
		}
		if err == io.EOF {
			return 0, h.last, err
		}
		if err != nil {
			return 0, Stamp{}, err
		}
	}
}

// fill takes bytes that are left behind the header, else reads once, and decodes. n may be 0 without an error, where
// there was nothing but framing.
func (h *h1) fill(p []byte) (n int, err error) {
	switch {
	case h.err != nil:
		return 0, h.err
	case h.frame.done:
		h.err = io.EOF
		return 0, h.err
	}
	var rerr error
	if len(h.left) > 0 {
		n = copy(p, h.left)
		if h.left = h.left[n:]; len(h.left) == 0 {
			h.left = nil // lets the header's buffer go
		}
	} else {
		if want := p[:h.frame.want(len(p))]; h.late {
			n, rerr = h.conn.readLate(want)
		} else {
			n, rerr = h.conn.Read(want)
		}
		if n > 0 || !errors.Is(rerr, os.ErrDeadlineExceeded) {
			h.arrived() // else nothing did, and what is read later can have arrived before
		}
	}
	body, used, err := h.frame.decode(p[:n])
	switch {
	case err != nil:
		h.err = &Error{Step: StepBody, Err: err}
	case used < n:
		h.keep = false // more than the response: what it belongs to is unknown
	case rerr == nil:
	case errors.Is(rerr, os.ErrDeadlineExceeded) && h.ctx.Err() == nil:
		if body == 0 {
			return 0, failure(h.ctx, StepBody, rerr) // may be tried again
		}
	case rerr == io.EOF:
		if h.err = h.frame.end(); h.err != io.EOF {
			h.err = failure(h.ctx, StepBody, h.err)
		}
	default:
		h.err = failure(h.ctx, StepBody, rerr)
	}
	if body == 0 {
		return 0, h.err
	}
	return body, nil
}

func (h *h1) setReadDeadline(t time.Time) error {
	if h.over {
		return nil
	}
	return h.conn.SetReadDeadline(t)
}

func (h *h1) close() {
	if h.over {
		return
	}
	whole := h.keep && h.drain()
	if !h.release() {
		h.err = contextFailure(h.ctx, StepBody)
		return
	}
	h.err = &Error{Step: StepBody, Err: os.ErrClosed}
	if whole && h.conn.SetDeadline(time.Time{}) == nil {
		h.client.pool.put(h.conn)
		return
	}
	h.conn.Close()
}

// drain reads what may be left of the body and reports whether the connection can carry another exchange.
func (h *h1) drain() bool {
	if h.err != nil && h.err != io.EOF {
		return false
	}
	if !h.frame.done {
		if h.frame.mode == framingLength && h.frame.left > drainBytes {
			return false
		}
		if h.conn.SetReadDeadline(time.Now().Add(drainTime)) != nil {
			return false
		}
		p := make([]byte, 4096)
		for total := 0; total < drainBytes && !h.frame.done; {
			n, err := h.fill(p)
			if err != nil {
				break
			}
			total += n
		}
	}
	return h.frame.done && h.keep && len(h.left) == 0
}
