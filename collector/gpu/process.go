package gpu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// worker is one worker process, seen from the prober.
type worker struct {
	pid       int
	messages  <-chan message  // closed when the worker's output has ended or cannot be read
	exited    <-chan struct{} // closed once the process has been reaped and its pipes are closed
	ending    func() ending   // how it ended; for after exited
	terminate func()          // closes its input and sends SIGTERM
	kill      func()          // sends SIGKILL
	abandon   func()          // stops reading what it says; for a process that does not die
}

// ending is how a worker came to its end.
type ending struct {
	Status   string // as "exit status 127" or "signal: segmentation fault"; "" when it ended in order
	Line     string // of its standard error, the one that says most about the end; may be empty
	Protocol error  // why its output could not be read; nil when it was
}

// launch starts a worker and hands it its settings.
type launch func(configMessage) (*worker, error)

// launcher returns the launch of real processes. Each runs the program that command returns, and dies with the thread
// that launched it (see childAttributes): launch from a locked thread.
func launcher(command func() *exec.Cmd, logger *slog.Logger) launch {
	return func(config configMessage) (*worker, error) {
		return spawn(command(), config, logger)
	}
}

// selfCommand runs this binary, as it was when this process started: the file may have been replaced since, so the
// kernel's own handle is better than the path.
func selfCommand() *exec.Cmd {
	path, err := os.Executable()
	if runtime.GOOS == "linux" {
		if _, statErr := os.Stat("/proc/self/exe"); statErr == nil {
			path, err = "/proc/self/exe", nil
		}
	}
	cmd := exec.Command(path, WorkerCommand)
	cmd.Err = errors.Join(cmd.Err, err)
	cmd.Args[0] = os.Args[0]
	cmd.Env = workerEnvironment(os.Environ())
	return cmd
}

func spawn(cmd *exec.Cmd, config configMessage, logger *slog.Logger) (w *worker, err error) {
	var ours, theirs []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			_ = f.Close()
		}
	}
	defer func() {
		closeAll(theirs) // the child has its own by now
		if err != nil {
			closeAll(ours)
			err = fmt.Errorf("start gpu worker: %w", err)
		}
	}()
	pipe := func(toChild bool) (our, their *os.File, err error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		our, their = r, w
		if toChild {
			our, their = w, r
		}
		ours, theirs = append(ours, our), append(theirs, their)
		return our, their, nil
	}
	stdin, childIn, err := pipe(true)
	if err != nil {
		return nil, err
	}
	stdout, childOut, err := pipe(false)
	if err != nil {
		return nil, err
	}
	stderr, childErr, err := pipe(false)
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = childIn, childOut, childErr
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// The pipe's buffer takes the settings, so this cannot block; a child that is dead already is found out below.
	_ = writeMessage(stdin, config)

	p := &process{cmd: cmd, stdin: stdin, log: logger.With("worker_pid", cmd.Process.Pid), quit: make(chan struct{})}
	messages := make(chan message)
	exited := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { p.readMessages(stdout, messages) })
	readers.Go(func() { p.readLog(stderr) })
	go func() {
		defer close(exited)
		status := ""
		if err := cmd.Wait(); err != nil {
			status = err.Error()
		}
		readers.Wait() // nobody else holds the other ends, so they end now
		closeAll(ours)
		p.mu.Lock()
		p.end.Status = status
		p.mu.Unlock()
	}()
	return &worker{
		pid:       cmd.Process.Pid,
		messages:  messages,
		exited:    exited,
		ending:    p.ending,
		terminate: p.terminate,
		kill:      func() { _ = cmd.Process.Kill() },
		abandon:   func() { p.stopReading(); closeAll(ours) },
	}, nil
}

// process is the real thing behind a worker.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	log   *slog.Logger

	quit     chan struct{} // closed: nobody wants messages any more
	quitOnce sync.Once

	mu  sync.Mutex // protects all following fields
	end ending
}

func (p *process) ending() ending {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end
}

func (p *process) stopReading() { p.quitOnce.Do(func() { close(p.quit) }) }

func (p *process) terminate() {
	p.stopReading()
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
}

// readMessages hands messages on until the output ends; what comes after the wish to end is read and dropped, so that
// the worker is never blocked in a write while it is to end.
func (p *process) readMessages(stdout io.Reader, messages chan<- message) {
	defer close(messages)
	r := bufio.NewReader(stdout)
	for {
		m, err := readMessage(r)
		if err != nil {
			// The end of the process, in or between frames, is no fault of the protocol.
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, os.ErrClosed) {
				p.mu.Lock()
				p.end.Protocol = err
				p.mu.Unlock()
			}
			break
		}
		select {
		case messages <- m:
		case <-p.quit:
		}
	}
	_, _ = io.Copy(io.Discard, r) // the rest, of whatever form
}

const (
	logLines     = 200  // of one worker's standard error; more is dropped
	logLineBytes = 1024 // of one line; the rest is cut off
)

// readLog passes on what the worker, or a library in it, writes to standard error, and keeps the line that says most
// about its end.
func (p *process) readLog(stderr io.Reader) {
	r := bufio.NewReaderSize(stderr, logLineBytes)
	for lines, foreign := 0, false; ; {
		line, more, err := r.ReadLine()
		if err != nil {
			return
		}
		text := strings.ToValidUTF8(strings.TrimSpace(string(line)), "�")
		for more && err == nil {
			_, more, err = r.ReadLine()
		}
		if text == "" {
			continue
		}
		level, ours := lineLevel(text)
		// The first line that the worker did not log is where the dynamic linker, the runtime or the driver says what
		// happened; a trace of many lines may follow. Without one, it is the last line.
		if !foreign {
			p.mu.Lock()
			p.end.Line = text
			p.mu.Unlock()
			foreign = !ours
		}
		if lines++; lines <= logLines {
			p.log.Log(context.Background(), level, "gpu worker says", "line", text)
		}
	}
}

// lineLevel finds the level that slog's handlers, or those of other formats, have written into a line. What others
// write is for debugging: a crash leaves a hundred lines.
func lineLevel(line string) (level slog.Level, ours bool) {
	line = strings.ToUpper(line)
	for _, level := range []slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug} {
		if strings.Contains(line, "LEVEL="+level.String()+" ") || strings.Contains(line, `"LEVEL":"`+level.String()+`"`) {
			return level, true
		}
	}
	return slog.LevelDebug, false
}
