package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Engines follows the engines of all targets that have one. All methods may be called at the same time.
//
// As a prometheus.Collector it is unchecked (it describes nothing), for targets differ in their labels.
type Engines struct {
	log   *slog.Logger
	apply sync.Mutex // what is followed changes once at a time

	mu      sync.Mutex // protects all following fields
	ctx     context.Context
	engines map[string]*followed // by target
}

var _ prometheus.Collector = (*Engines)(nil)

// followed is an engine and its goroutine.
type followed struct {
	*Engine
	cancel  context.CancelFunc // nil until it runs
	stopped chan struct{}      // closed when its Run has returned
}

// NewEngines returns an Engines without any; Apply makes them.
func NewEngines(logger *slog.Logger) *Engines {
	return &Engines{log: logger, engines: make(map[string]*followed)}
}

// Apply makes options what is followed: new engines are started if Run runs, missing ones are stopped and their series go.
//
// An engine whose target and labels are those of one before goes on with its series, which never step back: where nothing but the
// client differs it is the same engine, with the new client from its next fetch on; otherwise one that takes the counters over.
// On an error, which names everything that is wrong, nothing changes.
func (s *Engines) Apply(options []Options) error {
	next := make(map[string]*followed, len(options))
	var errs []error
	for _, o := range options {
		e, err := New(o, s.log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if next[o.Target] != nil {
			errs = append(errs, fmt.Errorf("engine of target %q: given twice", o.Target))
		}
		next[o.Target] = &followed{Engine: e, stopped: make(chan struct{})}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}

	s.apply.Lock()
	defer s.apply.Unlock()
	var gone []*followed
	for target, old := range s.engines { // changed by Apply alone
		if e := next[target]; e != nil && e.options.same(old.options) {
			old.use(e.options.Client)
			old.secrets.Store(&e.options.Secrets)
			next[target] = old
		} else {
			gone = append(gone, old)
		}
	}
	stop(gone)
	for _, old := range gone {
		if e := next[old.Target()]; e != nil {
			e.inherit(old.Engine)
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.engines = next
	s.startLocked()
	return nil
}

// startLocked starts those that do not run yet, if Run runs. s.mu is held.
func (s *Engines) startLocked() {
	if s.ctx == nil {
		return
	}
	for _, e := range s.engines {
		if e.cancel != nil {
			continue
		}
		var ctx context.Context
		ctx, e.cancel = context.WithCancel(s.ctx)
		go func() {
			defer close(e.stopped)
			e.Run(ctx)
		}()
	}
}

// stop ends those that run, and waits for them.
func stop(engines []*followed) {
	for _, e := range engines {
		if e.cancel != nil {
			e.cancel()
			<-e.stopped
			e.client.Load().CloseIdleConnections()
		}
	}
}

// Run follows the engines until ctx ends, then waits for all fetches under way to be given up. It is called once.
func (s *Engines) Run(ctx context.Context) {
	s.apply.Lock()
	s.mu.Lock()
	s.ctx = ctx
	s.startLocked()
	s.mu.Unlock()
	s.apply.Unlock()

	<-ctx.Done()
	s.apply.Lock()
	defer s.apply.Unlock()
	s.mu.Lock()
	s.ctx = nil // nothing is started any more
	running := slices.Collect(maps.Values(s.engines))
	s.mu.Unlock()
	stop(running)
}

// Engine returns the engine behind a target; nil where there is none. A reload that changes its options makes another one.
func (s *Engines) Engine(target string) *Engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.engines[target]; e != nil {
		return e.Engine
	}
	return nil
}

// Describe implements prometheus.Collector. It describes nothing.
func (s *Engines) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. It reads memory only.
func (s *Engines) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	engines := slices.Collect(maps.Values(s.engines))
	s.mu.Unlock()
	for _, e := range engines {
		e.Collect(ch)
	}
}
