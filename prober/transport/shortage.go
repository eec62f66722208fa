package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
)

// shortages are how the kernel says that a process, or the machine, has no more descriptors, buffers or memory.
func shortages() []syscall.Errno {
	return []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}
}

// IsShortage reports whether a request of another client than this package's failed for what an ErrShortage is: with net/http's it
// is told best where the client dials with what KeepTokenOrigin returns.
func IsShortage(err error) bool { return errors.Is(shortage(err), ErrShortage) }

// shortage makes an ErrShortage of an error that is this machine's own doing. Any other is returned as it is.
func shortage(err error) error {
	lookup, ok := errors.AsType[*net.DNSError](err)
	if errors.Is(err, ErrShortage) {
		return err
	}
	if short(err) || ok && lookupShort(lookup) {
		return fmt.Errorf("%w: %w", ErrShortage, err)
	}
	return err
}

// short reports whether err is a shortage, that of ports included. That one is said in the words for an address that is not
// this machine's: where there is no IPv6, so is each IPv6 address that is tried. So it is believed of IPv4 alone.
func short(err error) bool {
	if slices.ContainsFunc(shortages(), func(e syscall.Errno) bool { return errors.Is(err, e) }) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return false
	}
	to, ok := op.Addr.(*net.TCPAddr)
	return ok && to.IP.To4() != nil
}

// newDial is net.Dialer's DialContext with a resolver of its own, and tells a shortage that a lookup hides: of the two questions for
// an address, one may have had no socket, and the answer to the other is that there is none of its kind. A lookup that goes on
// at the same time, for another dial, may have been the one; its machine is as short.
func newDial(resolver *net.Resolver) func(ctx context.Context, network, addr string) (net.Conn, error) {
	ask := resolver.Dial
	if ask == nil {
		ask = new(net.Dialer).DialContext
	}
	var unasked atomic.Int64 // questions for which there was no socket
	resolver.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := ask(ctx, network, addr)
		if err != nil && short(err) {
			unasked.Add(1)
		}
		return c, err
	}
	dialer := &net.Dialer{Resolver: resolver}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		before := unasked.Load()
		c, err := dialer.DialContext(ctx, network, addr)
		if _, ok := errors.AsType[*net.DNSError](err); ok && unasked.Load() > before {
			err = fmt.Errorf("%w: %w", ErrShortage, err)
		}
		return c, err
	}
}

// lookupShort reports whether a lookup failed for a shortage. Its error has the kernel's as text alone, where a name server
// could not be asked; and calls it a name that does not exist where the files could not be read that say whom to ask. So a
// descriptor is asked for: where none is to be had now, none was to be had then.
func lookupShort(err *net.DNSError) bool {
	if slices.ContainsFunc(shortages(), func(e syscall.Errno) bool { return strings.Contains(err.Err, e.Error()) }) {
		return true
	}
	file, none := os.Open(os.DevNull)
	if none != nil {
		return short(none)
	}
	file.Close()
	return false
}
