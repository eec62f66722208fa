package collector

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// page is a page on its way to its reader: what renders it writes it, and finds it written. Whoever serves HTTP sees no more of a
// page that was cut off than a connection, or a stream, that broke: it is never taken for a whole one.
type waitingPage struct {
	http.ResponseWriter // to the reader
	control             *http.ResponseController
	room                *waitingRoom

	// Of the goroutine that renders.
	filling *chunk         // nil: none
	started bool           // to send what is queued, while more is rendered
	sending sync.WaitGroup // the goroutine that does

	// Protected by room.mu.
	queued   sync.Cond // there is something to be sent, or nothing more will be
	queue    []*chunk
	held     int           // chunks that are queued or being written
	placed   bool          // it is being rendered
	rendered bool          // all of it is queued
	leaving  bool          // it was cut off in its place
	taken    time.Time     // when its reader last took a chunk, or had one to take after there was none
	gap      time.Duration // the longest that its reader ever took for a chunk
	err      error         // why no more is sent
}

// chunk is a piece of a page.
type chunk struct {
	bytes [chunkBytes]byte
	n     int
}

// newPage is a page that has a place, and an answer to its reader.
func (r *waitingRoom) newPage(w http.ResponseWriter) *waitingPage {
	p := &waitingPage{ResponseWriter: w, control: http.NewResponseController(w), room: r, placed: true}
	p.queued.L = &r.mu
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages[p] = struct{}{}
	return p
}

// Write implements http.ResponseWriter.
func (p *waitingPage) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		if p.filling == nil {
			p.filling = p.room.chunks.Get().(*chunk)
			p.filling.n = 0
		}
		m := copy(p.filling.bytes[p.filling.n:], b)
		p.filling.n += m
		b, n = b[m:], n+m
		if p.filling.n < chunkBytes {
			break
		}
		if err := p.push(); err != nil {
			return n, err
		}
		if !p.started {
			p.started = true
			p.sending.Go(p.send)
		}
	}
	return n, nil
}

// push queues the chunk that is being filled, as soon as it may.
func (p *waitingPage) push() error {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	for p.err == nil && (p.held == pageChunks || !p.room.fits(p, p.held+1, true)) {
		p.room.wait()
	}
	c := p.filling
	p.filling = nil
	if p.err != nil {
		p.room.chunks.Put(c)
		return p.err
	}
	if p.held == 0 {
		p.taken = time.Now()
	}
	p.queue = append(p.queue, c)
	p.room.hold(p, p.held+1, true)
	p.queued.Signal()
	return nil
}

// finish queues what is left, and returns as soon as the page needs its place no more.
func (p *waitingPage) finish() {
	if p.filling != nil {
		_ = p.push() // sent knows
	}
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	p.rendered = true
	p.queued.Signal()
	for p.err == nil && !p.room.fits(p, p.held, false) {
		p.room.wait()
	}
	p.room.hold(p, p.held, false)
}

// breakOff ends a page that is not finished.
func (p *waitingPage) breakOff() {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	if !p.rendered {
		p.fail(errBrokenOff)
	}
}

// sent waits until all that was queued is taken, and returns why it was not.
func (p *waitingPage) sent() error {
	if !p.started {
		p.send() // there was no need for another goroutine
	}
	p.sending.Wait()
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	delete(p.room.pages, p)
	return p.err
}

// send writes what is queued, until there is nothing more or the reader is lost.
func (p *waitingPage) send() {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	for {
		for p.err == nil && !p.rendered && len(p.queue) == 0 {
			p.queued.Wait()
		}
		if p.err != nil || len(p.queue) == 0 {
			return
		}
		c := p.queue[0]
		p.queue = slices.Delete(p.queue, 0, 1)
		// While nobody else can cut the reader off, for this would put that off. Where it cannot be, the server's own limit holds.
		_ = p.control.SetWriteDeadline(time.Now().Add(takenWithin))
		err := p.write(c)
		if err != nil {
			p.fail(err)
		} else if p.err == nil {
			now := time.Now()
			p.gap, p.taken = max(p.gap, now.Sub(p.taken)), now
			p.room.hold(p, p.held-1, p.placed)
		}
	}
}

// write writes a chunk. The caller holds room.mu, which is free meanwhile.
func (p *waitingPage) write(c *chunk) error {
	p.room.mu.Unlock()
	defer p.room.mu.Lock()
	_, err := p.ResponseWriter.Write(c.bytes[:c.n])
	p.room.chunks.Put(c)
	return err
}

// overdue is how much longer its reader has taken than it may while others wait: patience, and what it took at times before, for
// the chunks of one who is slow but steady come to be taken at such times. Negative: it may take so much longer. The caller
// holds room.mu.
func (p *waitingPage) overdue(now time.Time) time.Duration {
	return now.Sub(p.taken) - min(p.gap, steadyWithin) - patience
}

// cut ends a page whose reader others do not wait for. The caller holds room.mu.
func (p *waitingPage) cut() {
	if p.placed {
		p.leaving = true
		p.room.leaving++
	}
	p.fail(errHung)
}

// fail ends a page. What is queued of it goes, and what is being written is given up. The caller holds room.mu.
func (p *waitingPage) fail(err error) {
	if p.err != nil {
		return
	}
	p.err = err
	for _, c := range p.queue {
		p.room.chunks.Put(c)
	}
	p.queue = nil
	p.room.hold(p, 0, p.placed)
	p.queued.Signal()
	// The end of the answer, which the server would write, must not come through either.
	_ = p.control.SetWriteDeadline(time.Now().Add(-time.Second))
}
