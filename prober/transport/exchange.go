package transport

import (
	"net/http"
	"time"
)

// Exchange is a request and its response. It belongs to one goroutine.
type Exchange struct {
	Status int         // 0: no response
	Header http.Header // of the response; nil: no response
	Phases Phases

	body body
}

// body is what follows a header.
type body interface {
	readStamped(p []byte) (int, Stamp, error)
	setReadDeadline(t time.Time) error
	close()
}

// ReadStamped reads bytes of the body, without their framing, and says when the last of them arrived.
//
// It returns what one read of the connection brought, or less where p is small: never bytes of two reads. It waits
// only while it holds no byte at all. Times of successive stamps do not decrease. The framing goes through p too, so p
// should have room for an event with its chunk around it: 4 KiB read most streams with one system call an event.
//
// The error is io.EOF at the framed end of the body, with the stamp of the read that brought that end. Any other
// error is an *Error: its cause is io.ErrUnexpectedEOF where the connection ended before the body did, ErrFraming
// where the bytes cannot be read, os.ErrDeadlineExceeded where a deadline passed.
func (x *Exchange) ReadStamped(p []byte) (int, Stamp, error) { return x.body.readStamped(p) }

// ReadLate is ReadStamped, but takes what has arrived by the time that it looks even where the read deadline has passed before:
// ReadStamped does not look then. Where that cannot be done, as with what net/http carries, it is ReadStamped.
func (x *Exchange) ReadLate(p []byte) (int, Stamp, error) {
	h, ok := x.body.(*h1)
	if !ok {
		return x.body.readStamped(p)
	}
	h.late = true
	defer func() { h.late = false }()
	return h.readStamped(p)
}

// SetReadDeadline bounds all reads from now on; zero: no bound. Setting it costs more than letting it be, so move a
// deadline when it has passed, not with each event. Where net/http carries the exchange (see Options.HTTP2), a
// deadline that has passed ends it.
func (x *Exchange) SetReadDeadline(t time.Time) error { return x.body.setReadDeadline(t) }

// DeadlineEnds reports whether a read deadline that has passed ends the exchange: then it has to be moved before it passes.
func (x *Exchange) DeadlineEnds() bool {
	_, is := x.body.(*netHTTPBody)
	return is
}

// Close ends the exchange. With Options.Reuse the connection is kept for another one where the body was read to its
// end, or its end is there already; it is closed else. Closing again does nothing.
func (x *Exchange) Close() { x.body.close() }

// failedBody is the body of an exchange that has no response.
type failedBody struct{ err error }

func (b failedBody) readStamped([]byte) (int, Stamp, error) { return 0, Stamp{}, b.err }
func (b failedBody) setReadDeadline(time.Time) error        { return nil }
func (failedBody) close()                                   {}
