package process

import (
	"fmt"
	"math/rand/v2"
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

// FreeAddress is a loopback address on which nothing listens. Its port is below those that systems give to connections, or else
// what is stopped and started again there may find that a connection has it.
func FreeAddress(t testing.TB) string {
	t.Helper()
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal(err)
	return ""
}
