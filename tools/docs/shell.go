package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// complete says whether text is a whole command, as bash reads it.
func complete(text string) (bool, error) {
	if strings.HasSuffix(text, `\`) {
		return false, nil
	}
	cmd := exec.Command("bash", "-n", "-c", text)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	said, err := cmd.CombinedOutput()
	switch {
	case strings.Contains(string(said), "unexpected end of file"), strings.Contains(string(said), "unexpected EOF"),
		strings.Contains(string(said), "delimited by end-of-file"):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("bash cannot read it: %s", strings.TrimSpace(string(said)))
	}
	return true, nil
}

// shell is one bash in which the commands of a page are run one after another, so that variables and folders last as
// they do for a reader. It is a session of its own: whatever it starts is known by that, and ends with it.
type shell struct {
	scratch string // a folder for scripts and outputs
	process *exec.Cmd
	in      *os.File
	answers chan string // a line for each command; closed when the shell ends
	n       int
	jobs    []*job
}

// job is a command in the background.
type job struct {
	step   Step
	pid    int
	output string // file
}

// newShell starts a shell in folder. Close must be called.
func newShell(ctx context.Context, scratch, folder string, environment []string) (*shell, error) {
	s := &shell{scratch: scratch, answers: make(chan string)}
	commands, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, commands.Close(), in.Close())
	}
	defer commands.Close()
	defer answers.Close()
	s.in = in
	s.process = exec.CommandContext(ctx, "bash", "--norc", "--noprofile")
	s.process.Cancel = func() error { s.kill(); return nil }
	s.process.Dir, s.process.Env, s.process.Stdin = folder, environment, commands
	s.process.ExtraFiles = []*os.File{answers}
	s.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	go func() { // ends with the shell and all that it started, which hold the other end
		defer close(s.answers)
		defer out.Close()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.answers <- lines.Text()
		}
	}()
	// Jobs have process groups of their own and take SIGINT, as at a terminal.
	_, err = fmt.Fprintln(s.in, "set -m -o pipefail")
	return s, err
}

// do has the shell run a line, and returns the line that it writes to its answers.
func (s *shell) do(line string, within time.Duration) (string, error) {
	if _, err := fmt.Fprintln(s.in, line); err != nil {
		return "", fmt.Errorf("the shell is gone: %w", err)
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case answer, ok := <-s.answers:
		if !ok {
			return "", errors.New("the shell has ended")
		}
		return answer, nil
	case <-limit.C:
		return "", fmt.Errorf("not over after %s", within)
	}
}

// run runs a step and returns how it ended and what it printed. A step in the background has code 0 once it is up.
func (s *shell) run(step Step, repository string, within time.Duration) (code int, output string, err error) {
	s.n++
	script, out := filepath.Join(s.scratch, fmt.Sprintf("%d.sh", s.n)), filepath.Join(s.scratch, fmt.Sprintf("%d.out", s.n))
	if err := os.WriteFile(script, []byte(step.Text+"\n"), 0o644); err != nil {
		return 0, "", err
	}
	line := fmt.Sprintf("source %s >%s 2>&1 </dev/null 3>&-", quoted(script), quoted(out))
	if step.InRepository {
		line = fmt.Sprintf("docs_folder=$PWD; cd %s; %s; docs_code=$?; cd \"$docs_folder\"; (exit $docs_code)", quoted(repository), line)
	}
	answer, err := s.do(line+`; echo "$? ${!:-0}" >&3`, within)
	if err == nil {
		var pid int
		if _, err = fmt.Sscan(answer, &code, &pid); err == nil && step.Background && code == 0 {
			j := &job{step: step, pid: pid, output: out}
			s.jobs = append(s.jobs, j)
			err = s.up(j)
		}
	}
	printed, readErr := os.ReadFile(out)
	return code, string(printed), errors.Join(err, readErr)
}

// listensAt is how our programs say where they listen, unless they were told to say less.
var listensAt = regexp.MustCompile(`msg="Listening on" address=\S*:(\d+)|msg="simulated LLM server" url=http://[^/\s]*:(\d+)|Look at http://localhost:(\d+)/`)

const (
	startsWithin = 2 * time.Minute // a build included
	looksEvery   = 20 * time.Millisecond
	settled      = 10 // so many looks at the same ports, where there is no word of which it will be
)

// up waits until a job listens: at the address that the page says; at the port that it says itself; or, if it says nothing,
// at ports that stay the same for a while.
func (s *shell) up(j *job) error {
	deadline := time.NewTimer(startsWithin)
	defer deadline.Stop()
	again := time.NewTicker(looksEvery)
	defer again.Stop()
	var last []string
	same := 0
	for {
		all := processes()
		own := group(all, j.pid)
		if own < 0 {
			return errors.New("it has ended, and was to run until the end of the page")
		}
		if j.step.Until != "" {
			if c, err := net.DialTimeout("tcp", j.step.Until, time.Second); err == nil {
				return c.Close()
			}
		} else {
			printed, err := os.ReadFile(j.output)
			if err != nil {
				return err
			}
			var ports []string
			for _, p := range all {
				if p.group == own {
					ports = append(ports, p.listens()...)
				}
			}
			slices.Sort(ports)
			if slices.Equal(ports, last) {
				same++
			} else {
				last, same = ports, 0
			}
			if m := listensAt.FindStringSubmatch(string(printed)); m != nil {
				if slices.Contains(ports, m[1]+m[2]+m[3]) {
					return nil
				}
			} else if len(ports) > 0 && same >= settled {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return fmt.Errorf("it does not listen after %s; <!-- background: HOST:PORT --> says where another program does", startsWithin)
		}
	}
}

// interrupt ends the jobs as Ctrl-C does, the last first, and says which did not end well.
func (s *shell) interrupt(within time.Duration) error {
	var errs []error
	for _, j := range slices.Backward(s.jobs) {
		// Ctrl-C reaches make as well, which would call that a failure of its own: those that others wait for are left out.
		all := processes()
		for _, p := range all {
			if p.group == group(all, j.pid) && !slices.ContainsFunc(all, func(c process) bool { return c.parent == p.pid && c.group == p.group }) {
				syscall.Kill(p.pid, syscall.SIGINT)
			}
		}
		answer, err := s.do(fmt.Sprintf("wait %d 2>/dev/null; echo $? >&3", j.pid), within)
		if err == nil && answer != "0" {
			err = fmt.Errorf("exit code %s; want 0", answer)
		}
		printed, readErr := os.ReadFile(j.output)
		if err == nil && j.step.Shown != nil {
			err = sameShape(string(printed), append(slices.Clip(j.step.Shown), rest))
		}
		if err = errors.Join(err, readErr); err != nil {
			errs = append(errs, &failure{j.step, fmt.Errorf("at the end of the page, when it is ended with SIGINT: %w", err), string(printed)})
		}
	}
	return errors.Join(errs...)
}

// close ends the shell and what it started, at once.
func (s *shell) close() error {
	err := s.in.Close()
	s.kill()
	s.process.Wait() // it was killed
	for range s.answers {
	}
	return err
}

// kill kills the session, those included that are born meanwhile.
func (s *shell) kill() {
	for left := true; left; {
		left = false
		for _, p := range processes() {
			if p.session == s.process.Process.Pid && syscall.Kill(p.pid, syscall.SIGKILL) == nil {
				left = true
			}
		}
	}
}

// process is one of this machine's.
type process struct{ pid, parent, group, session int }

// processes are those that run; none that only waits to be waited for.
func processes() []process {
	var all []process
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// PID (NAME) STATE PARENT GROUP SESSION ..., where NAME may hold anything
		end := strings.LastIndexByte(string(text), ')')
		fields := strings.Fields(string(text[end+1:]))
		if end < 0 || len(fields) < 4 || fields[0] == "Z" {
			continue
		}
		var p process
		p.pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(file)))
		p.parent, _ = strconv.Atoi(fields[1])
		p.group, _ = strconv.Atoi(fields[2])
		p.session, _ = strconv.Atoi(fields[3])
		all = append(all, p)
	}
	return all
}

// listens are the TCP ports at which a process listens; none of a process that may not be looked at.
func (p process) listens() []string {
	folder := fmt.Sprintf("/proc/%d/", p.pid)
	sockets := map[string]bool{}
	files, _ := filepath.Glob(folder + "fd/*") // the pattern is good
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && strings.HasPrefix(target, "socket:[") {
			sockets[strings.Trim(target, "socket:[]")] = true
		}
	}
	var ports []string
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, err := os.ReadFile(folder + table)
		if err != nil {
			continue
		}
		// NUMBER: ADDRESS:PORT ADDRESS:PORT STATE - - - - - INODE, where state 0A is listening
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != "0A" || !sockets[fields[9]] {
				continue
			}
			if port, err := strconv.ParseUint(fields[1][strings.LastIndexByte(fields[1], ':')+1:], 16, 16); err == nil {
				ports = append(ports, fmt.Sprint(port))
			}
		}
	}
	return ports
}

// group is the process group of a process; -1 if there is none.
func group(all []process, pid int) int {
	for _, p := range all {
		if p.pid == pid {
			return p.group
		}
	}
	return -1
}

// quoted is a word as the shell takes it.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
