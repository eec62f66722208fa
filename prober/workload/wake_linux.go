package workload

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sleepUntil reads from a timer's file descriptor: the runtime waits for it as for a socket, with no timeout that could
// be rounded, no thread blocked, and an end as soon as the context ends.
func sleepUntil(ctx context.Context, t time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d := time.Until(t)
	if d <= 0 {
		return nil
	}
	timer, err := newTimerFile(d)
	if err != nil {
		return SleepUntilTimer(ctx, t) // out of file descriptors, say: rather late than not at all
	}
	defer timer.Close()
	stop := context.AfterFunc(ctx, func() { _ = timer.SetReadDeadline(time.Unix(0, 1)) })
	defer stop()
	var expirations [8]byte
	_, err = timer.Read(expirations[:])
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return SleepUntilTimer(ctx, t)
	}
	return nil
}

// newTimerFile returns a file that can be read from once d, which is positive, has passed.
func newTimerFile(d time.Duration) (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}
	if err := unix.TimerfdSettime(fd, 0, &spec, nil); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "timer"), nil
}
