package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// Process is a program that runs, or ran. End it by Stop.
type Process struct {
	Address string    // where it serves, as its log said
	Began   time.Time // just before it was started
	Log     *Log      // what it says on standard error

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of its end; set before done is closed
}

// Start runs a program until Stop or the end of ctx, and returns once a line of its log matches serving, whose first group is
// the address.
func Start(ctx context.Context, serving *regexp.Regexp, path string, args ...string) (*Process, error) {
	p := &Process{Log: newLog(serving), cmd: exec.CommandContext(ctx, path, args...), done: make(chan struct{})}
	p.cmd.Stderr = p.Log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = patience
	p.Began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() { // Stop waits for it
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	tooLong := time.NewTimer(slowStart)
	defer tooLong.Stop()
	select {
	case p.Address = <-p.Log.found:
		return p, nil
	case <-tooLong.C:
		return nil, errors.Join(fmt.Errorf("start %s: after %v its log does not say where it serves", path, slowStart), p.Stop())
	case <-p.done:
		return nil, fmt.Errorf("start %s: it ended before it served: %w\n%s", path, cmpErr(p.err), p.Log.Tail())
	case <-ctx.Done():
		<-p.done
		return nil, context.Cause(ctx)
	}
}

// slowStart is how long a process may take until it serves.
const slowStart = time.Minute

// patience is how long a process may take to end, from SIGTERM to SIGKILL.
const patience = 20 * time.Second

// cmpErr names the end of a process that ended well, but too early.
func cmpErr(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// PID is its number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends it by SIGTERM, or SIGKILL where that takes too long, and waits for it. An exit code other than 0 is an error.
func (p *Process) Stop() error {
	_ = p.Signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.Signal(syscall.SIGKILL)
		<-p.done
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.cmd.Path, p.err, p.Log.Tail())
	}
	return nil
}
