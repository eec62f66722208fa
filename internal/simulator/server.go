package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Server is one simulated LLM server. It answers while Run runs.
type Server struct {
	opts        Options
	clock       clock
	tokens      tokenizer
	vocabulary  *vocabulary
	fingerprint string
	engine      engine
	changes     *changes
	upAt        atomic.Int64 // the instant from which on somebody answers
	dialects    []*dialect
	pages       pages
	truth       *truth
	faults      *faults
	allowance   allowance
	log         *slog.Logger
	created     time.Time

	ran  atomic.Bool
	done chan struct{} // closed when Run ends: whatever still waits gives up

	mu   sync.Mutex
	rand *rand.Rand // of answers' seeds
}

// New makes a server. Nothing runs yet.
func New(o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, clock: newClock(), log: o.Logger, created: time.Now(), done: make(chan struct{}),
		fingerprint: fmt.Sprintf("vllm-%s-%08x", version, uint32(o.Seed*2654435761+1)),
		rand:        rand.New(rand.NewPCG(o.Seed, 0x5eed)),
	}
	if s.tokens, err = newTokenizer(o.Tokenizer); err != nil {
		return nil, err
	}
	if s.faults, err = newFaults(o.Faults, o.Seed); err != nil {
		return nil, err
	}
	s.vocabulary = newVocabulary(s.tokens)
	s.truth = newTruth(s.clock, o.TruthRequests)
	if s.dialects, err = speak(s, o.Dialect); err != nil {
		return nil, err
	}
	if s.changes, err = newChanges(slices.Clone(o.Changes), o.Compress, s.clock); err != nil {
		return nil, err
	}
	if o.fixed() {
		e := newPacer(&s.opts, &s.pages)
		e.changes = s.changes
		s.engine = e
	} else {
		e := newScheduler(&s.opts, &s.pages)
		e.changes = s.changes
		s.engine = e
	}
	s.newPage()
	return s, nil
}

// Run runs the engine until ctx ends, and then makes all answers under way end. It is called once.
func (s *Server) Run(ctx context.Context) error {
	if s.ran.Swap(true) {
		return errors.New("simulator: a server runs only once")
	}
	defer close(s.done)
	var wg sync.WaitGroup
	// On a goroutine of its own, because it may keep its thread.
	wg.Go(func() { s.engine.run(ctx, newWaiter(s.clock, s.opts.PlainTimers)) })
	wg.Go(func() { s.changes.run(ctx, s.restart) })
	wg.Wait()
	return nil
}

// Serve runs the engine and answers on l until ctx ends or l fails, and closes l. No goroutine is left behind.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 30 * time.Second,
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	var wg sync.WaitGroup
	var runErr error
	wg.Go(func() { runErr = s.Run(ctx); cancel() })
	wg.Go(func() {
		<-ctx.Done()
		// Answers end by themselves once the engine has stopped; a client that does not read its answer is cut off.
		grace, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(l)
	cancel()
	wg.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(runErr, err)
}
