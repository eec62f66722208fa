//go:build linux

package chaos

import (
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/llmprober/llm_prober/e2e/process"
)

// server is a simulated LLM server: the first token after 50 ms, and one each 10 ms.
type server struct {
	*process.Process
	address string
	start   func() *process.Process
}

func (r *rig) simulate(t *testing.T, name string) *server {
	t.Helper()
	s := &server{address: process.FreeAddress(t)}
	s.start = func() *process.Process {
		return process.Start(t, r.dir, name, nil, r.program, "simulate", "--listen-address="+s.address, "--first-token=50ms", "--per-token=10ms")
	}
	s.Process = s.start()
	s.Ready(t, "http://"+s.address+"/health")
	return s
}

// fails has all requests go wrong in one way; "" is none.
func (s *server) fails(fault string) error {
	faults := []map[string]any{}
	if fault != "" {
		faults = append(faults, map[string]any{"fault": fault, "share": 1})
	}
	var now []any
	if err := process.Fetch(http.MethodPost, "http://"+s.address+"/control/faults", faults, &now); err != nil {
		return err
	}
	if len(now) != len(faults) {
		return fmt.Errorf("%s: there are %v", fault, now)
	}
	return nil
}

// states are what a server may do to requests, and what that is to be called: all of `llm_prober simulate --help`.
func (s *server) states() []state {
	fault := func(name string, want ...string) state {
		return state{name, want, func() error { return s.fails(name) }}
	}
	return []state{
		{"good server", []string{"ok"}, func() error { return s.fails("") }},
		fault("cut=3", "truncated_stream"),
		fault("close=3", "truncated_stream"),
		fault("reset=3", "truncated_stream"),
		fault("error=3", "stream_error"),
		fault("rate_limited=1", "rate_limited"),
		fault("internal_error", "http_5xx"),
		fault("overloaded", "overloaded"),
		fault("hang_before_headers", "timeout_first_token"),
		fault("hang_after_headers", "timeout_first_token"),
		fault("slow_headers=300ms", "ok"),
		fault("slow_headers=5s", "timeout_first_token"),
		fault("stall=300ms@2", "ok"),
		fault("stall=30s@2", "timeout_idle"),
		fault("endless", "timeout_total"),
		fault("giant_line=2000000", "too_large"),
		fault("invalid_utf8", "malformed_stream"),
		fault("malformed_json", "malformed_stream"),
		fault("empty", "empty_output"),
		fault("no_usage", "ok"),
		fault("no_done", "ok"),
		fault("no_finish", "ok"),
		fault("keep_alive=10ms", "ok"),
		fault("chunk=4", "ok"),
	}
}

// lives are what the process of a server may come to.
func (s *server) lives() []state {
	up := func() error {
		select {
		case <-s.Done():
			s.Process = s.start()
		default:
			s.Signal(syscall.SIGCONT)
		}
		return process.Poll(30*time.Second, func() error {
			client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := client.Get("http://" + s.address + "/health")
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
	}
	return []state{
		{"alive", []string{"ok"}, up},
		{"killed", []string{"connect"}, func() error { s.Kill(); return nil }},
		// The kernel takes the connection and the request for it.
		{"stopped", []string{"timeout_first_token"}, func() error {
			if err := up(); err != nil {
				return err
			}
			s.Signal(syscall.SIGSTOP)
			return nil
		}},
	}
}

// fullServer is the address of a server whose queue of connections is full, so that the kernel answers no further one at all.
func fullServer(t *testing.T) string {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(socket, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp", address, 2*time.Second)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatalf("%s takes connections for ever", address)
	return ""
}
