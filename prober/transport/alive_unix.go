//go:build unix

package transport

import (
	"errors"
	"net"
	"syscall"
)

// alive reports whether an idle connection can carry a request: it is open, and the peer has sent nothing unasked.
// A connection that is no socket is taken to be alive.
func alive(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, perr := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(perr, syscall.EAGAIN) // 0 bytes: closed; 1 byte: unasked; any other error: broken
		return true
	})
	return err == nil && quiet
}
