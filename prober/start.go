package prober

import (
	"context"
	"sync/atomic"
	"time"
)

// Start lets several requests go out at the same time:
//
//	prepared  ──┐
//	prepared  ──┼─ all are ─> the first is dispatched ─> all others are
//	prepared  ──┘
//
// What comes before a dispatch (encoding a long prompt, fetching a token) takes its time for each; so none goes before all
// can. The others go once the first one's dispatch is stamped: which one was first is known, not guessed.
type Start struct {
	first      *Request
	unprepared atomic.Int64
	prepared   chan struct{} // closed once all are
	dispatched chan struct{} // closed once the first is
}

// NewStart makes a start for requests, each of which must be handed to DoTogether once, on a goroutine of its own.
// The first of the list is the one that goes first.
func NewStart(requests []*Request) *Start {
	s := &Start{first: requests[0], prepared: make(chan struct{}), dispatched: make(chan struct{})}
	s.unprepared.Store(int64(len(requests)))
	return s
}

// wait returns when req may be dispatched, or when ctx ends, or after limit: who is lost on the way holds up nobody for ever.
func (s *Start) wait(ctx context.Context, req *Request, limit time.Duration) {
	if s == nil {
		return
	}
	patience := time.NewTimer(limit)
	defer patience.Stop()
	if s.unprepared.Add(-1) == 0 {
		close(s.prepared)
	}
	turn := s.dispatched
	if req == s.first {
		turn = s.prepared
	}
	select {
	case <-turn:
	case <-ctx.Done():
	case <-patience.C:
	}
}

// gone takes note of a dispatch.
func (s *Start) gone(req *Request) {
	if s != nil && req == s.first {
		close(s.dispatched)
	}
}
