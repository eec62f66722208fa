package simulator

import (
	"context"
	"net"
	"time"
)

// A stream that is an ordinary one on a TCP connection is lent to the engine's goroutine, which then writes its events
// itself, the moment they are due. Waking the answer's own goroutine for each event costs more than writing it, and on a
// busy machine it comes a scheduling delay later. Lateness with fixed times at 100 streams of 100 events a second, on 2
// shared cores with the clients in the same process (BenchmarkLateness):
//
//	                  p50           p99, else idle   p99, busy machine
//	lent              21 µs         52 µs            2 to 3 ms
//	own goroutines    41 to 118 µs  153 µs           2 to 14 ms
//
// A client that does not read must not hold up the others: before each event the socket is asked for room, and where it
// has none the stream goes back to its own goroutine for good.

// connKey finds a connection in a request's context.
type connKey struct{}

// withConn is for http.Server.ConnContext: it lets answers on c be lent.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// lendable reports whether the answer can be lent: an ordinary one, on a socket that can be asked, whose events are small
// enough for the least room that a socket reports.
func (st *streaming) lendable() bool {
	if st.plan.spec != "" || !st.p.lends || st.bulky {
		return false
	}
	c, ok := st.ctx.Value(connKey{}).(*net.TCPConn)
	return ok && st.socket.open(c)
}

// lend has the engine's goroutine write the tokens until the last one, or until the client stops reading: then over is
// false, and the caller writes on.
func (st *streaming) lend() (over bool, err error) {
	seq := st.seq
	seq.lending.Lock()
	if st.deliver() {
		seq.lent = st
	}
	seq.lending.Unlock()
	for {
		seq.lending.Lock()
		lent, silent := seq.lent != nil, st.silent(st.every())
		seq.lending.Unlock()
		if !lent {
			return st.over, st.err
		}
		err := errGone
		select {
		case <-seq.wake:
			continue
		case <-silent:
			seq.lending.Lock()
			if seq.lent != nil && time.Since(st.wrote) >= st.every() && st.socket.hasRoom() {
				err = st.onSilence()
			} else {
				err = nil
			}
			seq.lending.Unlock()
			if err == nil {
				continue
			}
		case <-st.ctx.Done():
		case <-st.s.done:
		}
		seq.lending.Lock() // waits for a write under way
		seq.lent = nil
		seq.lending.Unlock()
		return true, err
	}
}

// deliver implements sender.
func (st *streaming) deliver() bool {
	var ended finishReason
	st.dues, ended = st.seq.take(st.dues)
	st.next = 0
	if ended == finishDead {
		st.over, st.err = true, errDead
		return false
	}
	for st.next < len(st.dues) {
		if !st.socket.hasRoom() {
			return false
		}
		st.next++
		if st.err = st.token(st.dues[st.next-1]); st.err != nil || st.last(st.made) {
			st.over = true
			return false
		}
	}
	return true
}
