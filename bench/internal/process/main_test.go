package process

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// role is the environment variable that makes the test binary a process to look at.
const role = "PROCESS_TEST_ROLE"

// TestMain is the process that tests start, where one has started it.
func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		goleak.VerifyTestMain(m)
	case "burn": // half a second of processor first
		for burnt() < 500*time.Millisecond {
		}
		serve()
	case "serve":
		fmt.Fprintln(os.Stderr, "level=warn something is odd")
		serve()
	case "fail":
		fmt.Fprintln(os.Stderr, "level=error there is no port left")
		os.Exit(3)
	}
}

// burnt is the processor time of this process.
func burnt() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serve is a server that ends by SIGTERM.
func serve() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	fmt.Fprintln(os.Stderr, "serving at 127.0.0.1:99")
	<-ended
}
