package queuewait

import (
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// Trip is the network's round trip to a target. Behind a proxy or a load balancer it is the one to that: what lies
// behind counts as the server's.
type Trip struct {
	Known bool // false: no connection has been made yet
	Time  time.Duration
	Error time.Duration // half of what it varies by
}

// handshakes is how many of the latest connections a trip is taken from.
const handshakes = 16

// path learns the round trip from TCP handshakes, each of which takes one. The least of the latest is it: a handshake
// may take longer, where a packet was lost or an accept queue was full, but not less. The zero value knows nothing.
type path struct {
	took [handshakes]time.Duration // a ring
	n    int                       // of them that are filled
	next int
}

func (p *path) observe(r *prober.Result) {
	t := &r.Timeline
	if t.ConnectStart.IsZero() || t.ConnectDone.IsZero() {
		return
	}
	p.add(max(0, t.ConnectDone.Sub(t.ConnectStart)))
}

func (p *path) add(took time.Duration) {
	p.took[p.next] = took
	p.next = (p.next + 1) % handshakes
	p.n = min(p.n+1, handshakes)
}

func (p *path) trip() Trip {
	if p.n == 0 {
		return Trip{}
	}
	sorted := p.took // a copy
	slices.Sort(sorted[:p.n])
	return Trip{Known: true, Time: sorted[0], Error: (sorted[p.n/2] - sorted[0]) / 2}
}
