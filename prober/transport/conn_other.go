//go:build !linux

package transport

import "net"

func newReceiver(c net.Conn) receiver { return &userReceiver{Conn: c} }

// stampSwitch has nothing to switch where the kernel's stamps are not used.
type stampSwitch struct{}

func newStampSwitch() *stampSwitch { return &stampSwitch{} }
func (*stampSwitch) close()        {}
