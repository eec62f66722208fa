package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// poolKey is what two requests must have in common to share a connection.
type poolKey struct {
	host, port string
	tls        *tls.Config // nil: plain. Reloaded certificates are another configuration
}

// conn is a connection that can carry a request.
type conn struct {
	net.Conn          // to write and to read: the receiver, or TLS over it
	recv     receiver // tells when bytes arrived
	socket   net.Conn // as it was dialled
	key      poolKey
	idle     time.Time // since when it is unused
}

// readLate is Read, but takes what has arrived by the time that it looks even where the deadline has passed before: Read does
// not look then. A deadline is the peer's, and a process that stood still is late itself.
func (c *conn) readLate(p []byte) (int, error) {
	n, err := c.Read(p)
	if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	c.recv.hurry(true)
	defer c.recv.hurry(false)
	if n, err := c.Read(p); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	return 0, err
}

// drop closes the connection without a word. Taking leave in TLS could wait for a peer that no longer reads.
func (c *conn) drop() { c.socket.Close() }

// pool keeps unused connections. The zero value keeps none.
//
// It starts no goroutine: connections that are over their time are closed with the next get or put.
type pool struct {
	max     int
	timeout time.Duration

	mu     sync.Mutex // protects all following fields
	conns  []*conn    // longest unused first
	closed bool
}

// get returns the most recently used live connection for key, or nil.
func (p *pool) get(key poolKey) *conn {
	for {
		cn := p.take(key)
		if cn == nil || alive(cn.socket) {
			return cn
		}
		cn.drop()
	}
}

func (p *pool) take(key poolKey) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked()
	for i := len(p.conns) - 1; i >= 0; i-- {
		if cn := p.conns[i]; cn.key == key {
			p.removeLocked(i)
			return cn
		}
	}
	return nil
}

// put keeps cn for later, or closes it.
func (p *pool) put(cn *conn) {
	cn.idle = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked()
	if p.closed || p.max <= 0 {
		cn.drop()
		return
	}
	for len(p.conns) >= p.max {
		p.conns[0].drop()
		p.removeLocked(0)
	}
	p.conns = append(p.conns, cn)
}

func (p *pool) expireLocked() {
	for len(p.conns) > 0 && time.Since(p.conns[0].idle) > p.timeout {
		p.conns[0].drop()
		p.removeLocked(0)
	}
}

func (p *pool) removeLocked(i int) {
	copy(p.conns[i:], p.conns[i+1:])
	p.conns[len(p.conns)-1] = nil
	p.conns = p.conns[:len(p.conns)-1]
}

// closeIdle closes all unused connections.
func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cn := range p.conns {
		cn.drop()
	}
	p.conns = nil
}

// close closes all unused connections, and every later one at once.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.closeIdle()
}
