package process

import (
	"net"
	"testing"
	"time"
)

// Await asks twice a second until ok returns nil, and fails the test with its last error when patience ends.
// The programs are real and tell nobody when they are done: there is nothing to wait on but to ask.
func Await(t testing.TB, patience time.Duration, what string, ok func() error) {
	t.Helper()
	started := time.Now()
	if err := Poll(patience, ok); err != nil {
		t.Fatalf("%s: not within %s: %v", what, patience, err)
	}
	t.Logf("%s: after %s", what, time.Since(started).Round(100*time.Millisecond))
}

// Poll asks twice a second until ok returns nil, and returns its last error when patience ends.
func Poll(patience time.Duration, ok func() error) error {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}

// FreeAddress is a loopback address on which nothing listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
