//go:build !linux

package simulator

import "net"

// socket cannot be asked for room here: no answer is lent.
type socket struct{}

func (s *socket) open(*net.TCPConn) bool { return false }

func (s *socket) hasRoom() bool { return false }
