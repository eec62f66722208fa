package collector

import (
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// spread puts the requests of a burst together again. A burst is over when all its requests have ended; one of which
// requests went missing, because a reload ended them, is dropped when the next one begins.
type spread struct {
	histogram *histogram

	mu                sync.Mutex // protects what follows
	group             string     // of the burst's requests
	begun             time.Time  // the latest time at which one of them was intended
	ended, ok         int
	shortest, longest time.Duration
}

func (s *spread) observe(r *prober.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := r.Request.Intended // of a retried one, later than that of its burst
	if group := r.Request.Group(); group != s.group {
		if at.Before(s.begun) {
			return // of a burst that was given up
		}
		s.group, s.ended, s.ok = group, 0, 0
	}
	s.begun = at
	s.ended++
	if d, ok := r.TTFT(); ok {
		if s.ok == 0 {
			s.shortest, s.longest = d, d
		}
		s.ok++
		s.shortest, s.longest = min(s.shortest, d), max(s.longest, d)
	}
	if s.ended == r.Request.Burst && s.ok > 1 {
		s.histogram.Observe(seconds(s.longest - s.shortest))
	}
}
