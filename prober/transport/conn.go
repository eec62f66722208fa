package transport

import (
	"net"
	"os"
	"time"
)

// receiver is a connection that says when the bytes of its latest Read arrived.
type receiver interface {
	net.Conn

	// arrived is the stamp of the latest Read. Where that Read returned no bytes it is the time of its return.
	//
	// Under TLS it is the stamp of what tls.Conn.Read has just returned, too. tls.Conn reads only while the record it
	// works on is incomplete. So if its latest read of the receiver was for record Q, then Q's last byte and all
	// bytes after it, buffered or not, came with that read or will come with a later one, and every record returned
	// since then, Q first, was completed by exactly that read.
	arrived() Stamp

	// writing notes that a request is about to be written: what arrived earlier is no answer to it.
	writing(now time.Time)

	// hurry has Read take what has arrived already, however long ago the deadline was, and never wait: its error is
	// os.ErrDeadlineExceeded where that is nothing, or cannot be told.
	hurry(on bool)
}

// userReceiver stamps with the user's clock.
type userReceiver struct {
	net.Conn
	at       time.Time
	hurrying bool
}

func (r *userReceiver) Read(p []byte) (int, error) {
	if r.hurrying { // a net.Conn has no way to read without waiting
		return 0, os.ErrDeadlineExceeded
	}
	n, err := r.Conn.Read(p)
	r.at = time.Now()
	return n, err
}

func (r *userReceiver) arrived() Stamp    { return Stamp{At: r.at} }
func (r *userReceiver) writing(time.Time) {}
func (r *userReceiver) hurry(on bool)     { r.hurrying = on }
