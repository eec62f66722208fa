package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestShortage(t *testing.T) {
	v4, v6 := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, &net.TCPAddr{IP: net.IPv6loopback, Port: 80}
	call := func(name string, errno syscall.Errno, to net.Addr) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: to, Err: os.NewSyscallError(name, errno)}
	}
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"no descriptor", call("socket", syscall.EMFILE, v4), true},
		{"no descriptor of the machine", call("socket", syscall.ENFILE, v6), true},
		{"no memory", call("connect", syscall.ENOMEM, v4), true},
		{"no buffer", call("connect", syscall.ENOBUFS, v4), true},
		{"no port", call("connect", syscall.EADDRNOTAVAIL, v4), true},
		{"no IPv6 on this machine", call("connect", syscall.EADDRNOTAVAIL, v6), false},
		{"refused", call("connect", syscall.ECONNREFUSED, v4), false},
		{"a file of credentials", fmt.Errorf("read: %w", &os.PathError{Op: "open", Path: "key", Err: syscall.EMFILE}), true},
		{"no such file", &os.PathError{Op: "open", Path: "key", Err: syscall.ENOENT}, false},
		{"a lookup without a socket", &net.DNSError{Err: "dial udp 10.0.0.1:53: socket: too many open files", Name: "llm"}, true},
		{"no such host", &net.DNSError{Err: "no such host", Name: "llm", IsNotFound: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := shortage(tt.err)
			if errors.Is(got, ErrShortage) != tt.want || !errors.Is(got, tt.err) {
				t.Errorf("shortage(%v) = %v; want a shortage: %t", tt.err, got, tt.want)
			}
			if err := (&url.Error{Op: "Get", URL: "http://llm", Err: tt.err}); IsShortage(err) != tt.want {
				t.Errorf("IsShortage(%v) = %t; want %t", err, !tt.want, tt.want)
			}
		})
	}
}

// What cannot be connected for want of a descriptor says so to whoever asked.
func TestShortageWhenDialling(t *testing.T) {
	c, err := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(t.Context(), req, Deadlines{Connect: time.Second})
	if te, ok := errors.AsType[*Error](err); !ok || te.Step != StepConnect || te.Timeout || !errors.Is(err, ErrShortage) {
		t.Errorf("Do() = %v; want a shortage when connecting", err)
	}
}

// A lookup has one question that is answered and one for which there is no socket: whichever it is, what it says is not that there is
// no such host.
func TestShortageInLookups(t *testing.T) {
	for _, unasked := range []int64{0, 1, 2} { // the question, in the order of asking; 0: all are asked
		t.Run(fmt.Sprint(unasked), func(t *testing.T) {
			var asked atomic.Int64
			resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
				if asked.Add(1) == unasked {
					return nil, &net.OpError{Op: "dial", Net: "udp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
				}
				client, server := net.Pipe()
				go denies(server)
				return client, nil
			}}
			_, err := newDial(resolver)(t.Context(), "tcp", "llm.test:80")
			if _, ok := errors.AsType[*net.DNSError](err); !ok || errors.Is(shortage(err), ErrShortage) != (unasked > 0) {
				t.Errorf("Dial() = %v; want a failed lookup, a shortage: %t", err, unasked > 0)
			}
		})
	}
}

// denies is a name server that knows no name, on a connection of one question, in the form that TCP has.
func denies(c net.Conn) {
	defer c.Close()
	length := make([]byte, 2)
	if _, err := io.ReadFull(c, length); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(length))
	if _, err := io.ReadFull(c, question); err != nil || len(question) < 12 {
		return
	}
	answer := append(length, question...)
	answer[4], answer[5] = 0x81|question[2]&1, 0x80|3 // an answer: NXDOMAIN
	for _, count := range []int{8, 10, 12} {
		answer[count], answer[count+1] = 0, 0 // no records
	}
	_, _ = c.Write(answer)
}
