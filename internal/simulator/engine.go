package simulator

import (
	"context"
	"errors"
)

// engine makes the tokens of sequences, each at its time.
type engine interface {
	// submit takes a sequence in; its arrival says when it came. The error is errOverloaded when it takes no more.
	submit(*sequence) error
	// abort ends a sequence that may still be running and frees what it held. It may be called at any time.
	abort(*sequence, finishReason)
	// load is what the engine has to do at this moment.
	load() load
	// restart ends all sequences and forgets everything, at that instant.
	restart(at instant)
	// run makes tokens until ctx ends, and leaves no goroutine behind.
	run(ctx context.Context, w *waiter)
}

// errOverloaded says that the engine takes no more requests for now.
var errOverloaded = errors.New("the engine's queue is full")

// load is what an engine has to do.
type load struct {
	running, waiting int // sequences
	held             int // tokens in the KV cache
}

// step is one step of an engine.
type step struct {
	begin, end instant
	running    int // sequences that took part
	admitted   int // of them, those that had just left the queue
	prefilled  int // prompt tokens that were computed
	made       int // tokens that were made
}

// observer is told what happens in an engine. Calls come from the engine's goroutine and from those that submit and abort.
type observer interface {
	// asked: a sequence was taken in.
	asked(s *sequence)
	// refused: a request was refused with that status.
	refused(status int)
	// scheduled: a sequence left the queue.
	scheduled(s *sequence, at instant)
	// preempted: a sequence was put back into the queue.
	preempted(s *sequence)
	// step: a step ended.
	step(step)
	// token: a sequence's n-th token, counted from 1; before is when the one before was due, and the arrival for the first.
	token(s *sequence, n int, before, due instant)
	// finished: a sequence ended.
	finished(s *sequence, why finishReason)
}

// bury ends sequences that die with their engine.
func bury(dead []*sequence) {
	for _, s := range dead {
		if s.end(finishDead) {
			s.deliver()
		}
	}
}

// nobody is an observer that looks away. Others embed it for what they do not look at.
type nobody struct{}

func (nobody) asked(*sequence)                        {}
func (nobody) refused(int)                            {}
func (nobody) scheduled(*sequence, instant)           {}
func (nobody) preempted(*sequence)                    {}
func (nobody) step(step)                              {}
func (nobody) token(*sequence, int, instant, instant) {}
func (nobody) finished(*sequence, finishReason)       {}
