package gpu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	heartbeat     = 500 * time.Millisecond // between two progress messages
	xidWait       = 250 * time.Millisecond // how long one wait for XIDs may hold up the end
	shutdownGrace = 2 * time.Second        // for calls under way, once the worker is to end
)

var (
	errParentGone = errors.New("the prober has closed the worker's input")
	errCallStuck  = errors.New("a driver call did not return")
)

// RunWorker is the worker process: it reads its settings from in, samples the GPUs, and writes what it sees to out
// until ctx ends, in ends, or the driver is gone. The caller is the hidden subcommand WorkerCommand; it passes standard
// input and output, cancels ctx on SIGTERM, and ends the process as soon as RunWorker returns: calls that are stuck in
// the driver can only be left behind.
func RunWorker(ctx context.Context, in io.Reader, out io.Writer, logger *slog.Logger) error {
	nameProcess()
	return runWorker(ctx, in, out, logger, newSource)
}

// nameProcess makes "top" and "ps -e" say what this is; started from /proc/self/exe, it would be called "exe".
// It is a courtesy, so failing is fine.
func nameProcess() { _ = os.WriteFile("/proc/self/comm", []byte("llm_prober_gpu"), 0) }

func runWorker(ctx context.Context, in io.Reader, out io.Writer, logger *slog.Logger, open func(configMessage, *slog.Logger) Source) error {
	input := bufio.NewReader(in)
	first, err := readMessage(input)
	if err != nil {
		return fmt.Errorf("gpu worker: read settings: %w (this command is started by llm_prober itself)", err)
	}
	config, ok := first.(configMessage)
	if !ok {
		return fmt.Errorf("gpu worker: read settings: unexpected frame %d", first.frameKind())
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The read ends with the pipe, which is to say with the prober or with this process.
	go func() {
		_, _ = io.Copy(io.Discard, input)
		cancel(errParentGone)
	}()

	w := &sampler{source: open(config, logger), interval: time.Duration(config.Interval), out: out, log: logger}
	var beat sync.WaitGroup
	beat.Go(func() { w.beat(ctx, cancel) })

	done := make(chan error, 1)
	go func() { done <- w.run(ctx, cancel) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		grace := time.NewTimer(shutdownGrace)
		defer grace.Stop()
		select {
		case err = <-done:
		case <-grace.C:
			call, _ := w.source.InFlight()
			err = fmt.Errorf("%s on GPU %d for %s: %w", call.Call, call.GPU, call.For.Round(time.Millisecond), errCallStuck)
		}
	}
	cancel(nil)
	beat.Wait()
	if gone, ok := errors.AsType[*GoneError](err); ok {
		// Best effort: the prober also sees the exit.
		_ = w.send(goneMessage{Code: gone.Code, Detail: gone.Error()})
	}
	if err != nil {
		return fmt.Errorf("gpu worker: %w", err)
	}
	return nil
}

// sampler drives one Source.
type sampler struct {
	source   Source
	interval time.Duration
	log      *slog.Logger
	open     atomic.Bool

	mu  sync.Mutex // one frame at a time
	out io.Writer
}

func (w *sampler) send(m message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return writeMessage(w.out, m)
}

// run samples until ctx ends. It returns nil then, and an error when sampling cannot go on.
func (w *sampler) run(ctx context.Context, cancel context.CancelCauseFunc) (err error) {
	if err := w.source.Open(); err != nil {
		return err
	}
	w.open.Store(true)
	var waiter sync.WaitGroup
	waiter.Go(func() { w.waitXIDs(ctx, cancel) })
	defer func() {
		cancel(err)
		waiter.Wait() // no call may be under way while the driver is given back
		if closeErr := w.source.Close(); err == nil {
			err = closeErr
		}
	}()

	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		s, err := w.source.Sample()
		if err != nil {
			return err
		}
		s.plausible()
		if err := w.send(snapshotMessage{s}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

func (w *sampler) waitXIDs(ctx context.Context, cancel context.CancelCauseFunc) {
	for ctx.Err() == nil {
		xids := w.source.WaitXIDs(xidWait)
		if len(xids) == 0 {
			continue
		}
		if err := w.send(xidMessage{xids}); err != nil {
			cancel(err)
			return
		}
	}
}

// beat tells all the time that this process lives and what it waits for.
func (w *sampler) beat(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		m := progressMessage{Open: w.open.Load()}
		if in, ok := w.source.InFlight(); ok {
			m.InFlight = &in
		}
		if err := w.send(m); err != nil {
			cancel(err)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
