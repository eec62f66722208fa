package prober

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober/redaction"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// measurement is one request under way. It ends exactly once: the first call of end counts.
type measurement struct {
	req    *Request
	limits Limits
	ctx    context.Context // the caller's
	r      *Result

	ended    bool
	complete bool     // a finish reason or the protocol's end was seen
	events   bool     // at least one event was stamped
	userTime bool     // at least one event was stamped by the user's clock
	keep     int      // bytes of the answer's text that the caller wants; 0: none
	answer   gathered // filled only where the request has checks, or the caller wants the text
	hidden   redaction.Secrets
}

func (m *measurement) begin() {
	m.r.Timeline.Dispatched = time.Now()
	if m.r.Timeline.Intended.After(m.r.Timeline.Dispatched) {
		m.r.Timeline.Intended = m.r.Timeline.Dispatched // a schedule does not run early; a caller's clock may
	}
}

// end settles the outcome at a time that the caller has set in Timeline.End, or now.
func (m *measurement) end(o Outcome, err error) {
	if m.ended {
		return
	}
	m.ended = true
	m.r.Outcome, m.r.Err = o, err
	if m.r.Timeline.End.IsZero() {
		m.r.Timeline.End = time.Now()
	}
}

// exchange sends the request and reads the answer.
func (m *measurement) exchange(client *transport.Client, prepared *transport.Prepared, protocol *wire.Protocol) {
	dispatched := m.r.Timeline.Dispatched
	ctx, cancel := context.WithDeadline(m.ctx, dispatched.Add(m.limits.Total))
	defer cancel()

	a := &answer{m: m, first: dispatched.Add(m.limits.FirstToken), total: dispatched.Add(m.limits.Total)}
	if !m.req.Call.Stream {
		a.first = a.total
	}
	x, err := client.Send(ctx, prepared, transport.Deadlines{Connect: m.limits.Connect, Response: a.first})
	if x != nil {
		defer x.Close()
		m.phases(&x.Phases)
	}
	if err != nil {
		m.end(m.judgeTransport(err))
		return
	}
	a.x = x
	m.r.HTTPStatus, m.r.Header = x.Status, keepHeaders(x.Header)
	m.stamp(x.Phases.Headers)
	a.arm()

	switch {
	case x.Status < 200 || x.Status > 299:
		m.refused(a, x)
	case m.req.Call.Stream:
		m.stream(a, x, protocol)
	default:
		m.whole(a, protocol)
	}
}

func (m *measurement) phases(p *transport.Phases) {
	t := &m.r.Timeline
	t.DNSStart, t.DNSDone = p.DNSStart, p.DNSDone
	t.ConnectStart, t.ConnectDone = p.ConnectStart, p.ConnectDone
	t.TLSStart, t.TLSDone = p.TLSStart, p.TLSDone
	t.WriteStart, t.Wrote = p.WriteStart, p.Wrote
	t.Headers = p.Headers.At
	m.r.RemoteAddr, m.r.Reused = p.RemoteAddr, p.Reused
}

// stamp takes note of by whose clock an event was stamped, and how late it was read.
func (m *measurement) stamp(s transport.Stamp) {
	m.events = true
	if !s.Kernel {
		m.userTime = true
	}
	m.r.ReceiveDelay = max(m.r.ReceiveDelay, s.Delay)
}

// refused reads the body of an answer whose status says that the request failed.
func (m *measurement) refused(a *answer, x *transport.Exchange) {
	m.r.RetryAfter = retryAfter(x.Header, time.Now())
	const enough = 64 << 10
	body, err := io.ReadAll(io.LimitReader(a, enough)) // what there is of the text; the status is the verdict
	m.r.Timeline.End = a.stamp.At
	if o, cause := m.judgeRead(a, err); o == Canceled {
		m.end(o, cause)
		return
	}
	serr := wire.ErrorFrom(x.Status, body)
	err = fmt.Errorf("HTTP %d: %w", x.Status, serr)
	switch {
	case x.Status == http.StatusTooManyRequests:
		m.end(RateLimited, err)
	case x.Status == http.StatusServiceUnavailable || x.Status == 529 || serr.Overloaded:
		m.end(Overloaded, err)
	case x.Status >= 500:
		m.end(HTTP5xx, err)
	default:
		m.end(HTTP4xx, err)
	}
}

// stream reads an answer token by token.
func (m *measurement) stream(a *answer, x *transport.Exchange, protocol *wire.Protocol) {
	if kind, ok := unstreamed(x.Header, protocol.Framing); ok {
		body, _ := io.ReadAll(io.LimitReader(a, 64<<10))
		m.r.Timeline.End = a.stamp.At
		serr := wire.ErrorFrom(0, body)
		if kind == "application/json" && json.Valid(body) && serr.Message != strings.TrimSpace(string(body)) {
			m.end(serverOutcome(serr), serr)
			return
		}
		m.end(MalformedStream, fmt.Errorf("%w: asked for a stream, got %s: %.120q", wire.ErrMalformed, kind, body))
		return
	}
	t := &m.r.Timeline
	scanner, decoder := wire.NewScanner(a, protocol.Framing, m.limits.EventBytes), protocol.NewDecoder()
	m.r.Chunks = make([]Chunk, 0, min(m.req.Call.MaxOutputTokens+1, 1024))
	var ev wire.Event
	for {
		f, err := scanner.Next()
		if err != nil {
			t.End = a.stamp.At
			if a.stamp.At.IsZero() || a.failed != nil {
				t.End = time.Now()
			}
			m.streamEnded(a, err)
			return
		}
		at := a.stamp
		if a.last = at.At; a.x.DeadlineEnds() {
			a.arm()
		}
		m.stamp(at)
		if t.FirstEvent.IsZero() {
			t.FirstEvent = at.At
		}
		if err := decoder.Decode(f, &ev); err != nil {
			t.End = at.At
			if f.Unterminated {
				m.streamEnded(a, io.EOF) // half an event is no mistake of the server's: the stream was cut off
				return
			}
			m.end(MalformedStream, err)
			return
		}
		if ev.Generated() {
			m.token(a, &ev, at)
		}
		m.note(&ev)
		if m.complete && a.finished.IsZero() {
			a.finished = at.At
			a.arm() // what may still come is the usage and the end
		}
		if ev.Err != nil {
			t.End = at.At
			m.end(serverOutcome(ev.Err), ev.Err)
			return
		}
		if ev.Done {
			t.End = at.At
			m.finish()
			return
		}
	}
}

// token files one content-bearing event.
func (m *measurement) token(a *answer, ev *wire.Event, at transport.Stamp) {
	t := &m.r.Timeline
	if t.FirstToken.IsZero() {
		t.FirstToken = at.At
		a.tokens = true
		a.arm() // from the wait for the first token to the wait between events
	}
	if t.FirstOutput.IsZero() && ev.Output() {
		t.FirstOutput = at.At
	}
	t.LastToken = at.At
	m.r.ToolCalled = m.r.ToolCalled || ev.ToolCall
	m.r.ReasoningShown = m.r.ReasoningShown || len(ev.Reasoning) > 0
	m.gather(ev)
	m.r.Chunks = append(m.r.Chunks, Chunk{At: at.At.Sub(t.Dispatched), Delay: at.Delay, Tokens: int32(ev.Tokens)})
}

// gather keeps what an event says, as far as somebody wants to know.
func (m *measurement) gather(ev *wire.Event) {
	if m.req.Checks.any() || len(m.answer.text) < m.keep {
		m.answer.add(ev)
	}
}

// What is believed of a server: no answer has more tokens than this, and no finish reason is longer.
const (
	maxUsage        = 1 << 30
	maxFinishReason = 64
)

// note keeps what an event says beside its content.
func (m *measurement) note(ev *wire.Event) {
	if u := ev.Usage; u.Known && max(u.PromptTokens, u.CachedTokens, u.OutputTokens, u.ReasoningTokens) <= maxUsage {
		m.r.Usage = u
	}
	if ev.Timing.Known {
		m.r.Timing = ev.Timing
	}
	if len(ev.FinishReason) > 0 && m.r.FinishReason == "" {
		m.r.FinishReason = string(wire.AppendUnquoted(nil, ev.FinishReason[:min(len(ev.FinishReason), maxFinishReason)]))
	}
	m.complete = m.complete || ev.Done || len(ev.FinishReason) > 0
}

// streamEnded judges a stream that ended other than by the protocol's own end.
func (m *measurement) streamEnded(a *answer, err error) {
	switch {
	case errors.Is(err, wire.ErrFrameTooLarge):
		m.end(TooLarge, fmt.Errorf("%w (%d bytes)", err, m.eventLimit()))
	case err == io.EOF && m.complete:
		m.finish()
	case err == io.EOF:
		m.end(TruncatedStream, fmt.Errorf("the stream ended without a finish after %d content events", len(m.r.Chunks)))
	default:
		o, cause := m.judgeRead(a, err)
		if m.complete && o != Canceled && o != TooLarge && o != MalformedStream {
			m.r.Timeline.End = a.last // the answer was all there, and only its end was not: lost, or never sent
			m.finish()
			return
		}
		m.end(o, cause)
	}
}

func (m *measurement) eventLimit() int {
	if m.limits.EventBytes > 0 {
		return m.limits.EventBytes
	}
	return wire.DefaultFrameBytes
}

// whole reads an answer that comes in one piece.
func (m *measurement) whole(a *answer, protocol *wire.Protocol) {
	body, err := io.ReadAll(a)
	m.r.Timeline.End = a.stamp.At
	if a.stamp.At.IsZero() || err != nil {
		m.r.Timeline.End = time.Now()
	}
	if err != nil {
		m.end(m.judgeRead(a, err))
		return
	}
	m.stamp(a.stamp)
	var ev wire.Event
	if err := protocol.NewDecoder().DecodeWhole(body, &ev); err != nil {
		m.end(MalformedStream, err)
		return
	}
	m.note(&ev)
	m.r.ToolCalled = ev.ToolCall
	m.gather(&ev)
	switch {
	case ev.Err != nil:
		m.end(serverOutcome(ev.Err), ev.Err)
	case !ev.Generated():
		m.end(EmptyOutput, errEmpty)
	default:
		m.finish()
	}
}

var errEmpty = errors.New("the answer finished, but nothing was generated")

// finish judges an answer that came to its end in order.
func (m *measurement) finish() {
	if m.req.Call.Stream && m.r.Timeline.FirstToken.IsZero() {
		m.end(EmptyOutput, errEmpty)
		return
	}
	if err := m.req.Checks.judge(&m.answer, m.req.Private); err != nil {
		m.end(ContentMismatch, err)
		return
	}
	m.end(OK, nil)
}

// serverOutcome files what the server said inside a 200.
func serverOutcome(err *wire.ServerError) Outcome {
	switch {
	case err.Code == http.StatusTooManyRequests:
		return RateLimited
	case err.Overloaded:
		return Overloaded
	}
	return StreamError
}

// unstreamed reports a content type that cannot be the stream that was asked for.
func unstreamed(h http.Header, framing wire.Framing) (kind string, ok bool) {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return "", false // absent or unreadable: the body decides
	}
	switch kind {
	case "text/html":
		return kind, true
	case "application/json":
		return kind, framing == wire.SSE
	}
	return kind, false
}

// callerLeft files that the caller waits no longer; "": it does. That its time is up is a time limit like the request's own, and no
// cancellation, which would not count as a failure.
func (m *measurement) callerLeft() (Outcome, error) {
	switch cause := context.Cause(m.ctx); {
	case cause == nil:
		return "", nil
	case errors.Is(cause, context.DeadlineExceeded):
		return TimeoutTotal, fmt.Errorf("no end when the caller's time was up, after %d content events: %w", len(m.r.Chunks), cause)
	default:
		return Canceled, cause
	}
}

// judgeTransport files an error from before the response's body.
func (m *measurement) judgeTransport(err error) (Outcome, error) {
	if o, cause := m.callerLeft(); o != "" {
		return o, cause
	}
	if errors.Is(err, transport.ErrShortage) {
		return Unsent, err
	}
	te, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return Connect, err
	}
	if te.Timeout {
		switch now := time.Now(); {
		case !now.Before(m.r.Timeline.Dispatched.Add(m.limits.Total)):
			return TimeoutTotal, fmt.Errorf("no answer within %v: %w", m.limits.Total, err)
		case te.Step == transport.StepDNS || te.Step == transport.StepConnect || te.Step == transport.StepTLS:
			return TimeoutConnect, fmt.Errorf("no connection within %v: %w", min(m.limits.Connect, m.limits.FirstToken), err)
		default:
			return TimeoutFirstToken, fmt.Errorf("no token within %v: %w", m.limits.FirstToken, err)
		}
	}
	switch te.Step {
	case transport.StepDNS:
		return DNS, err
	case transport.StepTLS:
		return TLS, err
	case transport.StepConnect, transport.StepWrite:
		return Connect, err
	}
	if errors.Is(err, transport.ErrFraming) {
		return MalformedStream, err
	}
	if errors.Is(err, transport.ErrHeaderTooLarge) {
		return TooLarge, err
	}
	return Connect, err
}

// judgeRead files an error from reading the body. A nil error is none.
func (m *measurement) judgeRead(a *answer, err error) (Outcome, error) {
	ended, cause := m.callerLeft()
	switch {
	case err == nil:
		return OK, nil
	case ended != "":
		return ended, cause
	case errors.Is(err, errBodyTooLarge):
		return TooLarge, fmt.Errorf("%w (%d bytes)", err, m.limits.BodyBytes)
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		switch {
		case !time.Now().Before(a.total):
			return TimeoutTotal, fmt.Errorf("not finished within %v, after %d content events", m.limits.Total, len(m.r.Chunks))
		case a.tokens:
			return TimeoutIdle, fmt.Errorf("no event for %v, after %d content events", m.limits.Idle, len(m.r.Chunks))
		}
		return TimeoutFirstToken, fmt.Errorf("no token within %v; header came with HTTP %d", m.limits.FirstToken, m.r.HTTPStatus)
	case errors.Is(err, transport.ErrFraming):
		return MalformedStream, fmt.Errorf("%w: %w", wire.ErrMalformed, err)
	}
	return TruncatedStream, fmt.Errorf("the connection was lost after %d content events: %w", len(m.r.Chunks), err)
}

// close completes the result once the outcome stands.
func (m *measurement) close(degradedAfter time.Duration) {
	r := m.r
	if m.events && !m.userTime {
		r.Clock = ClockKernel
	}
	r.Degraded = r.DispatchDelay() > degradedAfter || r.ReceiveDelay > degradedAfter
	m.countTokens()
}

// countTokens settles the number of output tokens, by the best source there is.
func (m *measurement) countTokens() {
	r := m.r
	sum, exact := 0, len(r.Chunks) > 0
	for _, c := range r.Chunks {
		exact = exact && c.Tokens > 0
		sum += int(c.Tokens)
	}
	switch {
	case m.complete && r.Usage.Known && (r.Usage.OutputTokens > 0 || len(r.Chunks) == 0):
		r.OutputTokens, r.OutputSource = r.Usage.OutputTokens, TokensUsage
	case exact:
		r.OutputTokens, r.OutputSource = sum, TokensChunks
	case len(r.Chunks) > 0:
		r.OutputTokens, r.OutputSource = len(r.Chunks), TokensEvents
	}
}
