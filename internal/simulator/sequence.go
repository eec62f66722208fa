package simulator

import (
	"sync"
	"time"
)

// finishReason is why a sequence ended, in vLLM's words.
type finishReason string

const (
	finishStop   finishReason = "stop"   // the model ended it
	finishLength finishReason = "length" // its cap ended it
	finishAbort  finishReason = "abort"  // the client went away
	finishError  finishReason = "error"  // the server failed it
	finishDead   finishReason = "dead"   // the server died
)

// sequence is one request inside the engine, and the truth about it afterwards: it holds numbers only, no text.
//
//	arrival ──queue──> scheduled ──prefill──> first token ──decode──> last token
type sequence struct {
	// Set before it is submitted, and not changed.
	id       string
	fault    string // what was made to go wrong, as it was asked for; empty: nothing
	prompt   int    // prompt tokens
	output   int    // tokens it will make, an end-of-sequence token included
	maximum  int    // the request's cap on output
	reason   finishReason
	stream   bool     // its answer is streamed
	priority int      // lower goes first, where the engine looks at it
	prefix   []uint64 // names of the full blocks of its prompt, where the engine has a prefix cache
	endless  bool     // makes tokens until it is aborted
	watched  bool     // somebody wants to know how far its prompt has been read
	heralded bool     // somebody wants to know when that begins
	slow     float64  // factor on the steps it takes part in; 0 and 1: none
	arrival  instant  // when the request had been read
	wall     time.Time

	wake chan struct{} // has something when there is something to take

	lending sync.Mutex // held while anyone writes the answer
	lent    sender     // writes the answer on the engine's goroutine; nil: the answer's own goroutine does

	mu          sync.Mutex
	started     bool          // it left the queue
	scheduled   instant       // when it left the queue
	admitted    instant       // the same of the latest time before its first token
	cached      int           // prompt tokens that were in the cache when it left the queue
	loading     time.Duration // for how long the model was being loaded while it waited
	preempted   instant       // when it was put back last
	lost        int           // how many of its tokens had been computed then
	preemptions int
	requeued    time.Duration // how long it has waited because it was put back
	recomputed  int           // tokens that it computed for a second time
	first       instant       // when the first token was due
	last        instant       // when the latest token was due
	made        int           // tokens so far
	ended       finishReason
	pending     []instant  // due times of tokens not yet taken
	readings    []progress // not yet taken
	sends       []send
	dropped     int // tokens whose send was not kept
}

// sender writes what waits in a sequence. It returns false when the answer's own goroutine must go on from here.
type sender interface{ deliver() bool }

// send is one token on its way out.
type send struct {
	due  instant
	sent instant
	wall int64 // sent, in Unix nanoseconds as the machine's clock showed them
}

const (
	// maxBacklog bounds the tokens that wait for a client that does not read; a sequence that reaches it is aborted.
	maxBacklog = 1 << 18
	// maxSends bounds the tokens whose sends are kept for one sequence.
	maxSends = 1 << 14
)

func newSequence(id string, prompt, output int) *sequence {
	return &sequence{
		id: id, prompt: prompt, output: output, maximum: output, reason: finishLength,
		wake:  make(chan struct{}, 1),
		sends: make([]send, 0, min(output, 256)),
	}
}

// held is how many tokens of KV cache it needs at most.
func (s *sequence) held() int { return s.prompt + s.output }

// progress is how far a prompt had been read at some moment.
type progress struct {
	at     instant
	tokens int
}

// schedule notes that it left the queue, with so many tokens in the cache already. It reports whether it was the first time.
func (s *sequence) schedule(at instant, cached int) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == 0 {
		s.admitted = at
	}
	if s.started {
		s.requeued += at.sub(s.preempted)
		s.recomputed += max(s.lost-cached, 0)
		return false
	}
	s.started, s.scheduled, s.cached = true, at, cached
	return true
}

// preempt notes that it was put back into the queue, when so many of its tokens had been computed.
func (s *sequence) preempt(at instant, computed int) {
	s.mu.Lock()
	s.preempted, s.lost = at, computed
	s.preemptions++
	s.mu.Unlock()
}

// tokens is how many tokens it has made.
func (s *sequence) tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made
}

// begin notes that its prompt begins to be read, of which so many tokens are in the cache, and reports whether anybody wants
// to know.
func (s *sequence) begin(at instant, cached int) bool {
	if s.watched || s.heralded {
		s.note(progress{at, cached})
		return true
	}
	return false
}

// read notes how far its prompt has been read, if anybody wants to know.
func (s *sequence) read(at instant, tokens int) {
	if s.watched {
		s.note(progress{at, tokens})
	}
}

func (s *sequence) note(p progress) {
	s.mu.Lock()
	s.readings = append(s.readings, p)
	s.mu.Unlock()
}

// pushed is what became of a sequence by one more token.
type pushed struct {
	made   int          // tokens there are now
	before instant      // when the one before was due; for the first, the arrival
	stop   bool         // no more are to be made
	ended  finishReason // why the sequence ended by this token; empty: it did not, or had ended before
}

// push adds one token, due at the given instant. The last one, and one with which the client is hopelessly behind, end the
// sequence in the same moment: whoever takes that token must not be able to end it otherwise.
func (s *sequence) push(due instant) pushed {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := pushed{before: s.last}
	if s.made == 0 {
		s.first = due
		p.before = s.arrival
	}
	s.last = due
	s.made++
	p.made = s.made
	s.pending = append(s.pending, due)
	why := s.reason
	switch {
	case len(s.pending) >= maxBacklog:
		why = finishAbort
	case s.endless || s.made < s.output:
		return p
	}
	p.stop = true
	if s.ended == "" {
		s.ended, p.ended = why, why
	}
	return p
}

// deliver has what was pushed written: here and now where the answer was lent, else by its own goroutine.
// An engine calls it after push, and without its lock.
func (s *sequence) deliver() {
	s.lending.Lock()
	defer s.lending.Unlock()
	if s.lent != nil {
		if s.lent.deliver() {
			return
		}
		s.lent = nil
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end notes why it ended. Only the first reason counts; it reports whether this was the first.
func (s *sequence) end(why finishReason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != "" {
		return false
	}
	s.ended = why
	return true
}

// take moves the due times of all waiting tokens to into, and says whether and why the sequence has ended.
func (s *sequence) take(into []instant) ([]instant, finishReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takePending(into)
}

func (s *sequence) takePending(into []instant) ([]instant, finishReason) {
	into = append(into[:0], s.pending...)
	s.pending = s.pending[:0]
	return into, s.ended
}

// takeNext moves what was noted of the reading of its prompt to readings, and does as take only where there is nothing of that:
// whoever is told of the reading is told of it before the tokens.
func (s *sequence) takeNext(into []instant, readings []progress) ([]instant, []progress, finishReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	readings = append(readings[:0], s.readings...)
	s.readings = s.readings[:0]
	if len(readings) > 0 {
		return into[:0], readings, ""
	}
	into, ended := s.takePending(into)
	return into, readings, ended
}

// sent notes that a token was written.
func (s *sequence) sent(t send) {
	s.mu.Lock()
	if len(s.sends) < maxSends {
		s.sends = append(s.sends, t)
	} else {
		s.dropped++
	}
	s.mu.Unlock()
}

// loaded notes that the model was being loaded from one instant to another, as far as it waited for that.
func (s *sequence) loaded(from, to instant) {
	s.mu.Lock()
	s.loading = max(to.sub(max(from, s.arrival)), 0)
	s.mu.Unlock()
}

// timeline is a sequence's timeline at one moment.
type timeline struct {
	started                          bool
	scheduled, admitted, first, last instant
	made                             int
	ended                            finishReason
	cached, preemptions, recomputed  int
	requeued, loading                time.Duration
}

func (s *sequence) timeline() timeline {
	s.mu.Lock()
	defer s.mu.Unlock()
	return timeline{s.started, s.scheduled, s.admitted, s.first, s.last, s.made, s.ended, s.cached, s.preemptions, s.recomputed, s.requeued, s.loading}
}
