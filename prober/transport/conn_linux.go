package transport

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const timestamping = unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE

// newReceiver returns c with kernel stamps where c is a TCP connection and the kernel gives them.
func newReceiver(c net.Conn) receiver {
	if tcp, ok := c.(*net.TCPConn); ok {
		if k := newKernelReceiver(tcp); k != nil {
			return k
		}
	}
	return &userReceiver{Conn: c}
}

// kernelReceiver reads with recvmsg, which hands over the arrival time of the last segment that it copied from; of
// segments that the kernel has merged, the last one's. (Linux: tcp_update_recv_tstamps, tcp_try_coalesce.)
//
// The message header, the buffers and the callback live here and not on a stack, so a Read allocates nothing.
// Reading waits in the runtime's poller, so deadlines and Close work as for any net.Conn.
type kernelReceiver struct {
	*net.TCPConn
	raw  syscall.RawConn
	recv func(fd uintptr) bool // k.recvmsg, bound once

	base     time.Time
	clock    arrivalClock
	stamp    Stamp
	hurrying bool

	msg     unix.Msghdr
	iov     unix.Iovec
	control [16]uint64 // aligned for cmsghdr; one SCM_TIMESTAMPING takes 8 words
	n       int
	errno   syscall.Errno
}

// newKernelReceiver returns nil where the kernel refuses.
func newKernelReceiver(tcp *net.TCPConn) *kernelReceiver {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING, timestamping)
	})
	if err != nil || serr != nil {
		return nil
	}
	k := &kernelReceiver{TCPConn: tcp, raw: raw, base: time.Now()}
	k.clock = newArrivalClock(func() reading { return readingOf(time.Now(), k.base) })
	k.recv = k.recvmsg
	k.msg.Iov = &k.iov
	k.msg.SetIovlen(1)
	return k
}

func (k *kernelReceiver) arrived() Stamp        { return k.stamp }
func (k *kernelReceiver) writing(now time.Time) { k.clock.wrote(readingOf(now, k.base)) }
func (k *kernelReceiver) hurry(on bool)         { k.hurrying = on }

// recvmsg tries to read once and reports whether it is done; false waits until the socket is readable.
func (k *kernelReceiver) recvmsg(fd uintptr) bool {
	for {
		k.msg.Control = (*byte)(unsafe.Pointer(&k.control))
		k.msg.SetControllen(int(unsafe.Sizeof(k.control)))
		k.msg.Flags = 0
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&k.msg)), 0)
		switch errno {
		case 0:
			k.n, k.errno = int(n), 0
			return true
		case unix.EAGAIN:
			k.clock.sawEmpty()
			return false
		case unix.EINTR:
		default:
			k.n, k.errno = 0, errno
			return true
		}
	}
}

// wait receives once the socket is readable or, in a hurry, if it is.
func (k *kernelReceiver) wait() error {
	if !k.hurrying {
		return k.raw.Read(k.recv)
	}
	some := false
	err := k.raw.Control(func(fd uintptr) { some = k.recvmsg(fd) }) // which no deadline keeps from it
	if err == nil && !some {
		err = &net.OpError{Op: "read", Net: "tcp", Source: k.LocalAddr(), Addr: k.RemoteAddr(), Err: os.ErrDeadlineExceeded}
	}
	return err
}

// Read implements net.Conn.
func (k *kernelReceiver) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	k.iov.Base = &p[0]
	k.iov.SetLen(len(p))
	err := k.wait()
	k.iov.Base = nil
	now := time.Now()
	k.stamp = Stamp{At: now}
	switch {
	case err != nil:
		if op, ok := err.(*net.OpError); ok {
			op.Op = "read" // not "raw-read"
		}
		return 0, err
	case k.errno != 0:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: k.LocalAddr(), Addr: k.RemoteAddr(), Err: os.NewSyscallError("recvmsg", k.errno)}
	case k.n == 0:
		return 0, io.EOF
	}
	wall, stamped := k.kernelTime()
	if delay, ok := k.clock.place(wall, readingOf(now, k.base)); ok && stamped {
		k.stamp = Stamp{At: now.Add(-delay), Delay: delay, Kernel: true}
	}
	return k.n, nil
}

// kernelTime finds the software stamp in the control message of the latest recvmsg.
func (k *kernelReceiver) kernelTime() (wall int64, ok bool) {
	if k.msg.Flags&unix.MSG_CTRUNC != 0 {
		return 0, false
	}
	control := unsafe.Slice((*byte)(unsafe.Pointer(&k.control)), unsafe.Sizeof(k.control))
	control = control[:min(uintptr(k.msg.Controllen), uintptr(len(control)))]
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		size := uintptr(h.Len)
		if size < unix.SizeofCmsghdr || size > uintptr(len(control)) {
			return 0, false
		}
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPING {
			data := control[unix.CmsgLen(0):size]
			if len(data) < int(unsafe.Sizeof(unix.ScmTimestamping{})) {
				return 0, false
			}
			software := (*unix.ScmTimestamping)(unsafe.Pointer(&data[0])).Ts[0]
			wall = software.Nano()
			return wall, wall != 0
		}
		next := uintptr(unix.CmsgSpace(int(size) - unix.CmsgLen(0)))
		if next >= uintptr(len(control)) {
			break
		}
		control = control[next:]
	}
	return 0, false
}

// stampSwitch keeps the kernel's stamping of arrivals switched on while it is open.
//
// The kernel stamps packets only while some socket wants it, and switches stamping on a little after the first
// setsockopt. Probing on fresh connections would do so over and over, and lose the stamps of a quick answer.
type stampSwitch struct{ fd int }

func newStampSwitch() *stampSwitch {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, timestamping) == nil {
			return &stampSwitch{fd: fd}
		}
		unix.Close(fd)
	}
	return &stampSwitch{fd: -1}
}

func (s *stampSwitch) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}
