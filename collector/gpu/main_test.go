package gpu

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files")

// patience is how long a test waits for something that a real process does; it is reached only when that fails. A worker that
// starts on a busy machine may be silent for long, too.
const patience = time.Minute

// proberCommand makes the test binary a small prober: it runs a Manager until it is killed.
const proberCommand = "test-prober"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case WorkerCommand:
			os.Exit(asWorker())
		case proberCommand:
			os.Exit(asProber())
		}
	}
	flag.Parse()
	// The parallel tests wait for worker processes rather than compute, so there may be more of them than processors.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// asWorker is what the hidden subcommand does.
func asWorker() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := RunWorker(ctx, os.Stdin, os.Stdout, logger); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// asProber says the worker's process id for each state on standard output.
func asProber() int {
	logger := slog.New(slog.DiscardHandler)
	m, err := NewManager(Options{Enabled: true, Library: os.Args[2]}, logger)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	m.times.silent, m.times.hang = patience, patience // it is to keep its worker, whatever the test does meanwhile
	launch := launcher(func() *exec.Cmd {
		cmd := selfCommand()
		cmd.Env = os.Environ() // where the stand-in reads what to answer
		return cmd
	}, logger)
	m.launch = func(config configMessage) (*worker, error) {
		w, err := launch(config)
		if err == nil {
			fmt.Println(StateStarting, w.pid)
		}
		return w, err
	}
	m.changes = make(chan struct{}, 1)
	go func() {
		for range m.changes {
			v := m.View()
			fmt.Println(v.State, v.PID)
		}
	}()
	if err := m.Run(context.Background()); err != nil {
		return 1
	}
	return 0
}
