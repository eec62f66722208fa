package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// options are how pages are run.
type options struct {
	args     []string      // of the command itself
	root     string        // where the pages are
	binary   string        // the program that they call llm_prober
	clone    string        // where commands for the repository are run
	promtool string        // empty: Prometheus' files are not looked at
	skip     []string      // commands to be left out
	within   time.Duration // for each command
}

// failure is a command that did not do what the page says.
type failure struct {
	step   Step
	err    error
	output string
}

// Error implements error. Of the output it has the end.
func (f *failure) Error() string {
	const most = 40
	lines := strings.Split(strings.TrimRight(f.output, "\n"), "\n")
	if len(lines) > most {
		lines = append([]string{"..."}, lines[len(lines)-most:]...)
	}
	return fmt.Sprintf("%s\n    %v\n      | %s", f.step.Text, f.err, strings.Join(lines, "\n      | "))
}

// runPage does what a page says, from its beginning to its end or to the first thing that fails.
func runPage(ctx context.Context, o options, p *Page, w io.Writer) (err error) {
	begun := time.Now()
	scratch, err := os.MkdirTemp("", "docs")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	folder := filepath.Join(scratch, "page")
	for _, f := range []string{folder, scratch + "/home", scratch + "/bin", scratch + "/tmp", scratch + "/shell"} {
		if err := os.Mkdir(f, 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink(o.binary, scratch+"/bin/llm_prober"); err != nil {
		return err
	}
	if err := os.WriteFile(scratch+"/bin/curl", []byte(strictCurl), 0o755); err != nil {
		return err
	}
	if p.InRepository {
		folder = o.clone
	}
	var commands, files, left int
	defer func() {
		verdict := "ok"
		if err != nil {
			verdict = "FAIL"
		}
		fmt.Fprintf(w, "docs  %-28s %-4s  %3d commands  %2d files  %3ds\n", p.Path, verdict, commands, files, int(time.Since(begun).Seconds()))
	}()
	s, err := newShell(ctx, scratch+"/shell", folder, environment(scratch))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, step := range p.Steps {
		if step.File != "" {
			file := filepath.Join(folder, step.File)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(step.Text), 0o644)); err != nil {
				return fmt.Errorf("%s:%d: %w", p.Path, step.Line, err)
			}
			files++
			continue
		}
		if plain, _, _ := strings.Cut(step.Text, " #"); slices.Contains(o.skip, strings.TrimSpace(plain)) {
			fmt.Fprintf(w, "docs  LEFT OUT, as was asked for: %s:%d: %s\n", p.Path, step.Line, strings.TrimSpace(plain))
			left++
			continue
		}
		commands++
		step.InRepository = step.InRepository && !p.InRepository // the shell is there already
		code, output, err := s.run(step, o.clone, o.within)
		switch {
		case err != nil:
		case code != step.Exit:
			err = fmt.Errorf("exit code %d; want %d", code, step.Exit)
		case step.Shown != nil && !step.Background:
			err = sameShape(output, step.Shown)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", p.Path, step.Line, &failure{step, err, output})
		}
	}
	if err := s.interrupt(time.Minute); err != nil {
		return fmt.Errorf("%s: %w", p.Path, err)
	}
	return nil
}

// strictCurl is a curl to which it is a failure that a server refuses, unless the page has a say in that.
const strictCurl = `#!/usr/bin/env bash
PATH=${PATH#*:}
for word in "$@"; do
	[[ $word != --fail* && ! $word =~ ^-[a-zA-Z]*f ]] || exec curl --show-error "$@"
done
exec curl --silent --show-error --fail-with-body "$@"
`

// environment is a page's: nothing of the user's but where programs are and how Go was set up.
func environment(scratch string) []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case strings.HasPrefix(name, "GO"), strings.HasPrefix(name, "CGO_"), name == "CC", strings.HasPrefix(strings.ToLower(name), "ssl_cert_"),
			strings.HasSuffix(strings.ToLower(name), "_proxy"):
			env = append(env, e)
		}
	}
	return append(env, "HOME="+scratch+"/home", "TMPDIR="+scratch+"/tmp", "PATH="+scratch+"/bin:"+os.Getenv("PATH"), "LANG=C.UTF-8", "TERM=dumb")
}
