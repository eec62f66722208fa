package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

const hasEpoll = true

// readBareEpoll is one thread that waits for any stream and reads what is there: as little as the kernel lets it be.
func readBareEpoll(ctx context.Context, r *reading) error {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	defer unix.Close(poll)
	sockets := make([]int, r.streams)
	for i := range sockets {
		sockets[i] = -1
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range sockets {
			if !sleepUntil(ctx, r.begin(i)) {
				return
			}
			var err error
			if sockets[i], err = r.openPolled(poll, i); err != nil {
				cancel(err)
				return
			}
		}
	})
	if err := r.pollAll(ctx, poll); err != nil {
		cancel(err)
	}
	wg.Wait()
	for _, fd := range sockets {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return context.Cause(ctx)
}

// openPolled sends the request of stream i and has its socket watched. The descriptor is returned with an error, too.
func (r *reading) openPolled(poll, i int) (fd int, err error) {
	to, err := netip.ParseAddrPort(r.target.url.Host)
	if err != nil {
		return -1, err
	}
	if !to.Addr().Is4() {
		return -1, fmt.Errorf("%s: not an IPv4 address", to)
	}
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return fd, fmt.Errorf("connect: %w", err)
	}
	if n, err := unix.Write(fd, r.request); err != nil || n < len(r.request) {
		return fd, fmt.Errorf("write: %d of %d bytes: %w", n, len(r.request), err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fd, err
	}
	// Pad carries the stream's number: Fd and Pad are the 64 bits that epoll_wait hands back.
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd), Pad: int32(i)}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fd, fmt.Errorf("epoll_ctl: %w", err)
	}
	return fd, nil
}

// pollAll reads until every stream has ended.
func (r *reading) pollAll(ctx context.Context, poll int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := make([]unix.EpollEvent, 128)
	buf := make([]byte, 4096)
	for left := r.streams; left > 0; {
		const patience = 100 // ms: how long ctx may go unheard
		n, err := unix.EpollWait(poll, events, patience)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		if ctx.Err() != nil {
			return nil
		}
		for _, ev := range events[:max(n, 0)] {
			n, err := unix.Read(int(ev.Fd), buf)
			switch {
			case n > 0:
				r.bytes[ev.Pad].n.Add(int64(n))
			case err == unix.EAGAIN || err == unix.EINTR:
			case err != nil:
				return fmt.Errorf("read: %w", err)
			default:
				if err := unix.EpollCtl(poll, unix.EPOLL_CTL_DEL, int(ev.Fd), nil); err != nil {
					return fmt.Errorf("epoll_ctl: %w", err)
				}
				if err := r.ended(); err != nil {
					return err
				}
				left--
			}
		}
	}
	return nil
}
