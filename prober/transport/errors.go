package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// ErrRequest is the cause of an Error where nothing was sent because the request could not be made: it is not valid,
// a file with credentials cannot be read, or no token was to be had for it.
var ErrRequest = errors.New("cannot make the request")

// ErrHeaderTooLarge is the cause of an Error where the response's header is over Options.HeaderBytes.
var ErrHeaderTooLarge = errors.New("response header too large")

// ErrShortage is the cause of an Error where this machine had no file descriptor, port or memory for a connection or a file:
// nothing was sent, and nothing was learnt of the server.
var ErrShortage = errors.New("the prober's own machine is short of something")

// failure makes the Error of step out of what net or crypto/tls returned.
//
// The end of ctx wins, because everything else is then but its consequence; a deadline's passing satisfies
// os.ErrDeadlineExceeded whoever noticed it.
func failure(ctx context.Context, step Step, err error) *Error {
	if ctx.Err() != nil {
		return contextFailure(ctx, step)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &Error{Step: step, Timeout: true, Err: err}
	}
	if step == StepDNS || step == StepConnect {
		err = shortage(err)
	}
	// While connecting, giving up is a timeout whoever gives up: we, a name server's client, or the kernel (ETIMEDOUT).
	// Afterwards the kernel's giving up is a lost connection.
	connecting := step == StepDNS || step == StepConnect || step == StepTLS
	if timeout, ok := errors.AsType[net.Error](err); connecting && ok && timeout.Timeout() {
		return &Error{Step: step, Timeout: true, Err: &deadlineError{err}}
	}
	return &Error{Step: step, Err: err}
}

func contextFailure(ctx context.Context, step Step) *Error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause != err && !errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", err, cause)
	} else {
		err = cause
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Step: step, Timeout: true, Err: &deadlineError{err}}
	}
	return &Error{Step: step, Err: err}
}

// deadlineError is an error about a deadline that does not say so in the os package's way.
type deadlineError struct{ error }

func (e *deadlineError) Unwrap() error        { return e.error }
func (e *deadlineError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
