//go:build linux

package process

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// grace is how long a program may take to end in order.
const grace = 30 * time.Second

// Process is a program that runs until it is stopped or the test ends. Make it with Start.
type Process struct {
	Name string
	Log  string // the file of what it prints

	cmd    *exec.Cmd
	done   chan struct{} // closed once it has ended
	err    error         // how it ended; for after done
	stop   func()
	killed atomic.Bool // on purpose
}

// Start runs a program, whose output is added to a file of its name in dir; the end of that is shown if the
// test fails, unless Kill ended it. Env is added to the test's own environment.
func Start(t testing.TB, dir, name string, env []string, program string, args ...string) *Process {
	t.Helper()
	p := &Process{Name: name, Log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	file, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that is killed leaves nothing behind
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		defer file.Close()
		p.err = p.cmd.Wait()
	}()
	p.stop = sync.OnceFunc(func() {
		p.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(grace):
			t.Errorf("%s did not end within %s", name, grace)
			p.Signal(syscall.SIGQUIT) // a Go program says in its log what it waits for
			select {
			case <-p.done:
			case <-time.After(grace):
				_ = p.cmd.Process.Kill()
				<-p.done
			}
		}
	})
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() && !p.killed.Load() {
			fmt.Fprintf(t.Output(), "the end of %s:\n%s\n", p.Log, tail(p.Log, 40))
		}
	})
	return p
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal. One that has ended takes none.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Done is closed once the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how a program ended that is done: nil means in order.
func (p *Process) Err() error { return p.err }

// Stop ends the program and waits. More than once does no harm.
func (p *Process) Stop() { p.stop() }

// Kill ends the program as a crash does.
func (p *Process) Kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Ready waits until a page of the program answers 200.
func (p *Process) Ready(t testing.TB, url string) {
	t.Helper()
	Await(t, time.Minute, p.Name+" is ready", func() error {
		select {
		case <-p.done:
			t.Fatalf("%s ended:\n%s", p.Name, tail(p.Log, 40))
		default:
		}
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		return nil
	})
}

// tail is the last lines of a file.
func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
