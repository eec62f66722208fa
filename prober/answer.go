package prober

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/llmprober/llm_prober/prober/transport"
)

// answer is the body of a response as wire reads it. It remembers when the last bytes arrived, holds the body to
// its limit, and keeps the deadlines.
//
// A deadline is armed at the first byte, at the first token and at the finish only. What comes in between moves it, and that is
// looked at when it fires: so an event costs no timer, and a stream is still given up on time.
//
// A deadline is missed by a server that sends nothing, and not by a prober that stood still: what has arrived by the time that it
// gets to look counts. The limit of the whole request, at which the connection is closed, knows no such mercy.
type answer struct {
	m *measurement
	x *transport.Exchange

	stamp  transport.Stamp // of the last read that gave bytes, or of the end
	failed error           // the error that ended reading; nil and io.EOF are none

	first, total time.Time
	tokens       bool      // the first token has come: from now on the idle limit counts
	finished     time.Time // when the finish came: finishGrace counts from then; zero: it has not
	last         time.Time // the last event
}

// finishGrace is how long the end of a stream is waited for once the finish reason has come. Servers send the two, and
// the usage between them, at once; some never send the end, and keep the connection.
const finishGrace = 5 * time.Second

var errBodyTooLarge = errors.New("the answer is larger than the limit")

// Read implements io.Reader: one read of the connection that gives bytes, at most.
func (a *answer) Read(p []byte) (int, error) {
	n, stamp, err := a.read(p)
	if n > 0 || err == io.EOF && !stamp.At.IsZero() {
		a.stamp = stamp
	}
	a.m.r.BodyBytes += int64(n)
	if a.m.r.BodyBytes > a.m.limits.BodyBytes {
		a.failed = errBodyTooLarge
		return 0, a.failed
	}
	if err != nil && err != io.EOF {
		a.failed = err
	}
	return n, err
}

// read reads until the deadline, as it is when it has come.
func (a *answer) read(p []byte) (int, transport.Stamp, error) {
	for {
		n, stamp, err := a.x.ReadStamped(p)
		switch {
		case n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || a.x.DeadlineEnds() || a.m.ctx.Err() != nil:
			return n, stamp, err
		case !time.Now().Before(a.deadline()):
			return a.x.ReadLate(p)
		}
		a.arm()
	}
}

// deadline is when to give up, as things stand.
func (a *answer) deadline() time.Time {
	d := a.first
	if a.tokens {
		d = a.last.Add(a.m.limits.Idle)
	}
	if grace := a.finished.Add(finishGrace); !a.finished.IsZero() && grace.Before(d) {
		d = grace
	}
	if a.total.Before(d) {
		d = a.total
	}
	return d
}

// arm sets the deadline of the connection.
func (a *answer) arm() { a.x.SetReadDeadline(a.deadline()) }
