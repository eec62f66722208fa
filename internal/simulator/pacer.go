package simulator

import (
	"container/heap"
	"context"
	"sync"
)

// pacer is the engine with fixed times: the first token FirstToken after the arrival, each further one PerToken later,
// without queue, batch or bound. One goroutine serves all sequences from a heap of due times.
type pacer struct {
	opts *Options
	obs  observer

	wake chan struct{} // has something when the earliest due time may have changed

	changes *changes // nil: none

	mu      sync.Mutex
	set     settings
	initial settings
	idle    instant // when the latest token was due
	warm    bool    // the model is loaded
	loads   step    // the latest loading
	due     dueHeap
	held    int // KV tokens
}

// paced is a sequence with the due time of its next token.
type paced struct {
	*sequence
	due   instant
	slow  float64
	begun bool // the first token was made
	index int  // in the heap; -1 outside
}

func newPacer(opts *Options, obs observer) *pacer {
	return &pacer{opts: opts, obs: obs, wake: make(chan struct{}, 1), set: opts.settings(), initial: opts.settings()}
}

func (e *pacer) submit(s *sequence) error {
	e.mu.Lock()
	e.change(s.arrival)
	start := s.arrival
	if e.set.load > 0 {
		if len(e.due) == 0 && start >= e.loads.end && (!e.warm || start.sub(e.idle) >= e.set.loadAfter) {
			e.loads, e.warm = step{begin: start, end: start.add(e.set.load)}, true
		}
		start = max(start, e.loads.end)
		s.loaded(e.loads.begin, start)
	}
	p := &paced{sequence: s, slow: max(s.slow, 1)}
	p.due = start.add(e.set.slowed(e.set.firstToken, start, p.slow))
	e.obs.asked(s)
	s.schedule(start, 0)
	s.begin(start, 0)
	e.obs.scheduled(s, start)
	heap.Push(&e.due, p)
	e.held += s.prompt
	first := p.index == 0
	e.mu.Unlock()
	if first {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// change makes the changes that are due.
func (e *pacer) change(at instant) {
	if e.changes != nil {
		e.changes.until(at, &e.set, &e.initial)
	}
}

func (e *pacer) restart(at instant) {
	e.mu.Lock()
	var dead []*sequence
	for _, p := range e.due {
		dead = append(dead, p.sequence)
	}
	e.due, e.held = nil, 0
	e.set.leaksFrom, e.warm = at, false
	e.mu.Unlock()
	bury(dead)
}

func (e *pacer) abort(s *sequence, why finishReason) {
	if !s.end(why) {
		return
	}
	e.mu.Lock()
	for _, p := range e.due {
		if p.sequence == s {
			heap.Remove(&e.due, p.index)
			e.held -= s.prompt + s.timeline().made
			break
		}
	}
	e.mu.Unlock()
	e.obs.finished(s, why)
}

func (e *pacer) load() load {
	e.mu.Lock()
	defer e.mu.Unlock()
	return load{running: len(e.due), held: e.held}
}

func (e *pacer) run(ctx context.Context, w *waiter) {
	var pushed []*sequence
	for ctx.Err() == nil {
		var next instant
		var ok bool
		pushed, next, ok = e.emit(w.clock.now(), pushed[:0])
		for _, s := range pushed {
			s.deliver()
		}
		if ok {
			w.until(ctx, next, e.wake)
			continue
		}
		select {
		case <-e.wake:
		case <-ctx.Done():
		}
	}
}

// emit makes every token that is due by now, appends the sequences that got one to pushed, to be delivered in that order,
// and returns when the next token is due; false: there is none.
func (e *pacer) emit(now instant, pushed []*sequence) (_ []*sequence, next instant, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.due) > 0 {
		p := e.due[0]
		if p.due > now {
			return pushed, p.due, true
		}
		e.change(p.due)
		e.idle, e.warm = p.due, true
		if !p.begun {
			p.begun = true
			p.read(p.due, p.prompt)
		}
		token := p.push(p.due)
		e.held++
		pushed = append(pushed, p.sequence)
		e.obs.token(p.sequence, token.made, token.before, p.due)
		if !token.stop {
			p.due = p.due.add(e.set.slowed(e.set.perToken, p.due, p.slow))
			heap.Fix(&e.due, 0)
			continue
		}
		heap.Pop(&e.due)
		e.held -= p.prompt + token.made
		if token.ended != "" {
			e.obs.finished(p.sequence, token.ended)
		}
	}
	return pushed, 0, false
}

// dueHeap has the earliest due time first.
type dueHeap []*paced

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	p := x.(*paced)
	p.index = len(*h)
	*h = append(*h, p)
}

func (h *dueHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	p.index = -1
	return p
}
