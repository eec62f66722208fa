package simulator

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket asks a TCP connection whether it can be written to without waiting.
type socket struct {
	raw  syscall.RawConn
	poll [1]unix.PollFd
	ask  func(fd uintptr)
}

func (s *socket) open(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	s.raw = raw
	s.ask = func(fd uintptr) {
		s.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
		if n, err := unix.Poll(s.poll[:], 0); n < 1 || err != nil {
			s.poll[0].Revents = 0
		}
	}
	return true
}

// hasRoom reports whether a third of the socket's buffer or more is free, which is some kilobytes at least.
func (s *socket) hasRoom() bool {
	return s.raw.Control(s.ask) == nil && s.poll[0].Revents == unix.POLLOUT
}
