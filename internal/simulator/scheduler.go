package simulator

import (
	"math"
	"slices"
	"sync"
	"time"
)

// scheduler is the model of a continuous-batching engine: a queue, a batch, a cache, and steps.
// It keeps no clock and starts nothing: whoever drives it calls begin and then finish, step by step, with instants.
//
//	submit ──> waiting ──begin: while there are slots, tokens of the budget and blocks──> running ──finish──> ended
//	              ↑                                                                          │
//	              └────────────────begin: the cache is full (Options.Preempt)────────────────┘
//
// A step begins where the one before ended, or at the first arrival if there was nothing to do, and admits what has arrived
// by then: never a request from its own future, however late the driver is.
//
// In a step each running sequence computes what it has not computed yet, as far as the step's budget of tokens goes: the
// last token that it made, or a piece of its prompt. Those that have then computed all of theirs make a token. A sequence
// that was put back computes its prompt anew, and what it had made.
type scheduler struct {
	opts *Options
	obs  observer

	wake chan struct{} // has something when a request came

	changes *changes // nil: none

	mu       sync.Mutex
	set      settings
	initial  settings
	idle     instant     // since when there has been nothing to do
	warm     bool        // the model is loaded
	loads    step        // the loading under way, or the latest; its end is 0 where there was none
	waiting  []*sequence // in the order in which they will be admitted
	running  []*member   // by admission
	cache    *kvCache
	reserved int         // blocks that the running sequences may need at most
	now      step        // under way
	watching []*sequence // those admitted in it whose clients want to know
	pushed   []*sequence // of the step that ended last
}

// member is a sequence's part in the batch.
type member struct {
	*sequence
	holding
	computed int  // tokens of its prompt, and of those it made, that are in the cache
	reading  bool // its prompt is still being computed
	share    int  // tokens that it computes in the step under way; 0: the budget was gone
}

func newScheduler(opts *Options, obs observer) *scheduler {
	return &scheduler{
		opts: opts, obs: obs, wake: make(chan struct{}, 1), set: opts.settings(), initial: opts.settings(),
		cache: newKVCache(opts.KVTokens, opts.BlockTokens, opts.PrefixCache),
	}
}

func (e *scheduler) submit(s *sequence) error {
	e.mu.Lock()
	e.change(s.arrival)
	if e.set.maxQueued > 0 && len(e.waiting)+len(e.running) >= e.set.maxQueued {
		e.mu.Unlock()
		return errOverloaded
	}
	e.enqueue(s)
	e.obs.asked(s)
	e.mu.Unlock()

	select {
	case e.wake <- struct{}{}:
	default:
	}
	return nil
}

// enqueue puts s where it belongs: handlers race, so an earlier arrival may come second, and one that was put back is older
// than those that never ran.
func (e *scheduler) enqueue(s *sequence) {
	i := len(e.waiting)
	for i > 0 && e.before(s, e.waiting[i-1]) {
		i--
	}
	e.waiting = slices.Insert(e.waiting, i, s)
}

// before reports whether a goes before b.
func (e *scheduler) before(a, b *sequence) bool {
	if e.opts.Priority && a.priority != b.priority {
		return a.priority < b.priority
	}
	return a.arrival < b.arrival
}

func (e *scheduler) abort(s *sequence, why finishReason) {
	if !s.end(why) {
		return
	}
	e.mu.Lock()
	if i := slices.Index(e.waiting, s); i >= 0 {
		e.waiting = slices.Delete(e.waiting, i, i+1)
	} else if i := slices.IndexFunc(e.running, func(m *member) bool { return m.sequence == s }); i >= 0 {
		e.release(e.running[i])
		e.running = slices.Delete(e.running, i, i+1)
	}
	e.mu.Unlock()
	e.obs.finished(s, why)
}

func (e *scheduler) restart(at instant) {
	e.mu.Lock()
	dead := slices.Clone(e.waiting)
	for _, m := range e.running {
		dead = append(dead, m.sequence)
	}
	e.waiting, e.running, e.reserved = nil, nil, 0
	e.cache = newKVCache(e.opts.KVTokens, e.opts.BlockTokens, e.opts.PrefixCache)
	e.now = step{}
	e.set.leaksFrom, e.warm = at, false
	e.mu.Unlock()
	bury(dead)
}

func (e *scheduler) load() load {
	e.mu.Lock()
	defer e.mu.Unlock()
	return load{running: len(e.running), waiting: len(e.waiting), held: e.cache.held * e.cache.size}
}

// begin starts a step at the given instant, or at the first arrival after it if nothing runs, and returns when it ends.
// It returns false when there is nothing to do.
func (e *scheduler) begin(at instant) (end instant, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.running) == 0 {
		if len(e.waiting) == 0 {
			return 0, false
		}
		first := e.waiting[0].arrival
		for _, s := range e.waiting {
			first = min(first, s.arrival)
		}
		at = max(at, first)
	}
	e.change(at)
	e.now = step{begin: at}
	e.watching = e.watching[:0]
	if len(e.running) == 0 && e.cold(at) {
		e.now.end = at.add(e.set.load)
		e.loads, e.warm = e.now, true
		return e.now.end, true
	}
	budget := e.set.maxBatchedTokens
	if budget == 0 {
		budget = math.MaxInt
	}
	budget, full := e.continueRunning(at, budget)
	if !full {
		e.admit(at, budget)
	}

	slow := 1.0
	for _, m := range e.running {
		if m.share == 0 {
			continue
		}
		e.now.running++
		if m.reading {
			e.now.prefilled += m.share
		}
		if m.slow > 0 {
			slow = max(slow, m.slow)
		}
	}
	cost := e.set.stepBase + time.Duration(e.now.running)*e.set.stepPerSequence + time.Duration(e.now.prefilled)*e.set.prefillPerToken
	e.now.end = at.add(e.set.slowed(cost, at, slow))
	return e.now.end, true
}

// change makes the changes that are due.
func (e *scheduler) change(at instant) {
	if e.changes != nil {
		e.changes.until(at, &e.set, &e.initial)
	}
}

// cold reports whether the model must be loaded first.
func (e *scheduler) cold(at instant) bool {
	return e.set.load > 0 && (!e.warm || at.sub(e.idle) >= e.set.loadAfter)
}

// continueRunning gives the running sequences their share of the step, in order, and what is left of the budget. Where the
// cache is full it puts sequences back, and says so: then nobody new may come.
func (e *scheduler) continueRunning(at instant, budget int) (left int, full bool) {
	for _, m := range e.running {
		m.share = 0
	}
	for i := 0; i < len(e.running); i++ {
		m := e.running[i]
		n := min(m.left(), budget)
		for n > 0 && !e.cache.take(&m.holding, e.need(m, n)) {
			full = true
			v := e.victim()
			budget += e.running[v].share
			gone := e.running[v] == m
			e.putBack(v, at)
			if v <= i {
				i--
			}
			if gone {
				n = 0
			}
		}
		m.share = n
		budget -= n
	}
	return budget, full
}

// left is how many tokens it has to compute before it makes the next one.
func (m *member) left() int { return m.prompt + m.tokens() - m.computed }

// need is how many blocks it lacks to compute n more tokens. An endless sequence uses its last block again and again.
func (e *scheduler) need(m *member, n int) int {
	return e.cache.blocks(min(m.computed+n, m.sequence.held())) - m.blocks()
}

// victim is the running sequence that is put back first: the one that came last, or matters least.
func (e *scheduler) victim() int {
	v := 0
	for i, m := range e.running {
		if !e.before(m.sequence, e.running[v].sequence) {
			v = i
		}
	}
	return v
}

// putBack takes a running sequence out of the batch, and makes it wait and compute everything anew.
func (e *scheduler) putBack(i int, at instant) {
	m := e.running[i]
	e.release(m)
	e.running = slices.Delete(e.running, i, i+1)
	m.preempt(at, m.computed)
	e.enqueue(m.sequence)
	e.obs.preempted(m.sequence)
}

// admit lets waiting sequences into the batch, as far as slots, budget and blocks go. The first that does not fit stops
// those behind it.
func (e *scheduler) admit(at instant, budget int) {
	for i := 0; i < len(e.waiting) && budget > 0 && len(e.running) < e.set.maxRunning; {
		s := e.waiting[i]
		if s.arrival > at {
			i++ // it is not there yet; only those that matter less can be behind it and have come
			continue
		}
		m := &member{sequence: s, reading: true}
		hits, idle := e.cache.lookup(s.prefix)
		m.computed = hits * e.cache.size
		n := min(m.left(), budget)
		// There must be room for all that it has to read, not only for its first piece: else it would be put back again.
		if !e.opts.Preempt && e.reserved+e.cache.blocks(s.held()) > e.cache.total ||
			e.cache.held+idle+e.need(m, m.left())-hits > e.cache.total {
			return
		}
		e.cache.share(&m.holding, s.prefix, hits)
		e.cache.take(&m.holding, e.need(m, n))
		m.share = n
		budget -= n
		e.waiting = slices.Delete(e.waiting, i, i+1)
		e.running = append(e.running, m)
		e.reserved += e.cache.blocks(s.held())
		e.now.admitted++
		first := s.schedule(at, m.computed)
		if first && e.loads.end > s.arrival {
			s.loaded(e.loads.begin, min(e.loads.end, at))
		}
		if s.begin(at, min(m.computed, s.prompt)) {
			e.watching = append(e.watching, s)
		}
		if first {
			e.obs.scheduled(s, at)
		}
	}
}

// finish ends the step that begin started: each sequence that has computed all of its own makes a token, and those that are
// complete leave. It returns the sequences that have something to say, to be delivered; the slice is valid until the next call.
func (e *scheduler) finish(end instant) []*sequence {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pushed = e.pushed[:0]
	e.idle = end
	if e.now.running == 0 {
		return nil // the model was loaded, or died
	}
	e.warm = true
	e.running = slices.DeleteFunc(e.running, func(m *member) bool {
		if m.share == 0 {
			return false
		}
		m.computed += m.share
		e.cache.remember(&m.holding, m.prefix, m.computed)
		if m.reading && m.watched {
			m.read(end, min(m.computed, m.prompt))
			if m.left() > 0 {
				e.pushed = append(e.pushed, m.sequence)
			}
		}
		if m.left() > 0 {
			return false
		}
		m.reading = false
		token := m.push(end)
		e.now.made++
		e.pushed = append(e.pushed, m.sequence)
		e.obs.token(m.sequence, token.made, token.before, end)
		if !token.stop {
			return false
		}
		e.release(m)
		if token.ended != "" {
			e.obs.finished(m.sequence, token.ended)
		}
		return true
	})
	e.obs.step(e.now)
	return e.pushed
}

// release takes back what a running sequence holds.
func (e *scheduler) release(m *member) {
	e.cache.release(&m.holding)
	e.reserved -= e.cache.blocks(m.sequence.held())
}
