//go:build linux && cgo

package gpu

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watchEnd returns a function that waits for the end of a process that is not a child of this one.
func watchEnd(t *testing.T, pid int) func() {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("pidfd_open(%d) = %v", pid, err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return func() {
		t.Helper()
		began := time.Now()
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
			if err == unix.EINTR {
				continue
			}
			if n != 1 || err != nil {
				t.Fatalf("process %d lives %v after its prober (poll: %d, %v)", pid, time.Since(began), n, err)
			}
			t.Logf("the worker ended %v after the prober", time.Since(began))
			return
		}
	}
}
