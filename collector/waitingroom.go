package collector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// waitingRoom has pages rendered and sent, so that readers who are slow, or hang, keep nobody else from /metrics.
//
//	scrape ──> place ──> rendered, a chunk at a time ──> queue of the page ──> written, as its reader takes it
//	           5 of them, given up once all is queued    8 chunks in its place; more of the room, which all pages share
//
// A page whose reader is prompt is sent while it is rendered, and hardly anything of it is ever queued. One whose reader is not
// is rendered into its queue, and gives up its place; where there is no room for it, it is rendered as fast as its reader takes
// it, in its place. So there is never more in memory than the room, and what as many pages take as there are places.
//
// A reader who takes nothing for takenWithin is cut off. If a scrape finds all places taken, and a page waits in one for its
// reader, it need not wait for that: the reader is cut off who hangs for longest, of all. One who is slow but steady is
// left alone: see overdue.
type waitingRoom struct {
	chunks sync.Pool

	mu      sync.Mutex      // protects what follows, and what pages say of themselves
	changed sync.Cond       // there is more room, or a reader was cut off, or a scrape waits for a place
	placed  int             // pages that have a place
	line    []chan struct{} // scrapes that wait for a place, which is theirs when the channel is closed
	leaving int             // pages that were cut off, and are about to give up their place
	free    int             // chunks
	pages   map[*waitingPage]struct{}
}

const (
	// maxScrapes is how many pages are rendered at once. Two Prometheus servers and a curious human are three; each page of many
	// targets takes tens of milliseconds of a processor, and megabytes.
	maxScrapes = 5

	// placeWithin is how long a scrape waits for a place. Then it gets 503, in time for a scraper that waits for ten seconds.
	placeWithin = 5 * time.Second

	chunkBytes  = 16 << 10             // sent at once: as much as TLS has in a record
	aheadChunks = 8                    // that a page may have waiting in its place, whoever else waits
	pageChunks  = 2 << 20 / chunkBytes // that one page may have waiting: 800 probes, by gzip and protobuf
	roomChunks  = 8 << 20 / chunkBytes // that all pages may have waiting: six of 500 probes

	// takenWithin is how long a reader may take for a chunk. The kernel asks for more when a third of its buffer is free, which may
	// have 4 MiB: of a slow reader one hears each few seconds.
	takenWithin = 20 * time.Second

	// patience is how much longer than ever before a reader may take for a chunk, while others wait for a place.
	patience = 250 * time.Millisecond

	// steadyWithin is the longest time for a chunk that a reader is given credit for.
	steadyWithin = 2 * time.Second
)

// errHung is what becomes of a page whose reader others did not wait for.
var errHung = errors.New("cut off: its reader hangs, and others wait")

// errBrokenOff is what becomes of a page that is not rendered to its end.
var errBrokenOff = errors.New("broken off")

func newWaitingRoom() *waitingRoom {
	r := &waitingRoom{free: roomChunks, pages: map[*waitingPage]struct{}{}}
	r.changed.L = &r.mu
	r.chunks.New = func() any { return new(chunk) }
	return r
}

// handler has h render each page. lost is told of each that its reader did not get, or not whole.
func (r *waitingRoom) handler(h http.Handler, lost func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.enter(req.Context()) {
			http.Error(w, fmt.Sprintf("Limit of concurrent requests reached (%d), try again later.", maxScrapes), http.StatusServiceUnavailable)
			return
		}
		p := r.newPage(w)
		defer func() {
			if err := p.sent(); err != nil {
				lost(err)
			}
		}()
		defer r.leave(p)
		defer p.breakOff() // of a panic
		h.ServeHTTP(p, req)
		p.finish()
	})
}

// enter waits for a place, in the order of coming, until ctx ends or it has waited for too long. It reports whether there is one.
func (r *waitingRoom) enter(ctx context.Context) bool {
	r.mu.Lock()
	if r.placed < maxScrapes {
		r.placed++
		r.mu.Unlock()
		return true
	}
	place := make(chan struct{})
	r.line = append(r.line, place)
	r.changed.Broadcast()
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, placeWithin)
	defer cancel()
	select {
	case <-place:
		return true
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.line, place); i >= 0 {
		r.line = slices.Delete(r.line, i, i+1)
		return false
	}
	return true // it came at the last moment
}

// leave gives up the place of p, to the first who waits for one.
func (r *waitingRoom) leave(p *waitingPage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold(p, p.held, false)
	if p.leaving {
		r.leaving--
	}
	if len(r.line) == 0 {
		r.placed--
		return
	}
	close(r.line[0])
	r.line = slices.Delete(r.line, 0, 1)
}

// charge is how many chunks of the room a page takes that holds so many, in a place or not.
func charge(held int, placed bool) int {
	if placed {
		return max(0, held-aheadChunks)
	}
	return held
}

// fits reports whether there is room for p to hold so many chunks, in its place or no longer. The caller holds r.mu.
func (r *waitingRoom) fits(p *waitingPage, held int, placed bool) bool {
	return charge(held, placed)-charge(p.held, p.placed) <= r.free
}

// hold has p hold so many chunks. The caller holds r.mu.
func (r *waitingRoom) hold(p *waitingPage, held int, placed bool) {
	r.free += charge(p.held, p.placed) - charge(held, placed)
	p.held, p.placed = held, placed
	r.changed.Broadcast()
}

// wait waits until something has changed for a page that waits for its reader in its place. If others wait for a place, it sees
// to it that it does: the reader who hangs for longest is cut off. The caller holds r.mu.
func (r *waitingRoom) wait() {
	if len(r.line) > r.leaving {
		slowest, longest := r.slowest(time.Now())
		if longest >= 0 {
			slowest.cut()
			return
		}
		timer := time.AfterFunc(-longest, func() {
			r.mu.Lock() // not before this one waits
			defer r.mu.Unlock()
			r.changed.Broadcast()
		})
		defer timer.Stop()
	}
	r.changed.Wait()
}

// slowest is the page whose reader is overdue for longest. There is one: that which asks. The caller holds r.mu.
func (r *waitingRoom) slowest(now time.Time) (slowest *waitingPage, longest time.Duration) {
	for p := range r.pages {
		if p.held == 0 {
			continue
		}
		if overdue := p.overdue(now); slowest == nil || overdue > longest {
			slowest, longest = p, overdue
		}
	}
	return slowest, longest
}
