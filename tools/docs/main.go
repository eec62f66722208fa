// Command docs does what the documentation tells its reader to do, and fails where that does not work.
//
//	go -C tools run ./docs -root "$PWD"                    README.md and all pages of docs
//	go -C tools run ./docs -root "$PWD" docs/tutorial.md   that page
//	go -C tools run ./docs -root "$PWD" -list              what would be run, and what would not
//
// Each page is followed from its beginning to its end, by one bash in an empty folder, with llm_prober on the PATH. What
// there is to follow stands in fenced blocks:
//
//	```sh        commands; each must end with 0
//	```console   commands behind a prompt `$ `, and below each what it prints: its shape must be the same (shape.go)
//	any other    is not run; JSON is parsed, and Prometheus' files are given to promtool
//
// A comment on a line of its own before a block says what is special about it:
//
//	<!-- file: NAME -->              the block is a file, written into the folder before the commands that follow
//	<!-- not run: REASON -->         it cannot be run here: it needs Docker, Kubernetes, a GPU, a paid key, root
//	<!-- background -->              its last command goes on; it is waited for until it listens where its log says, and
//	                                 ended by SIGINT at the end of the page, which must end it with 0. ` &` does the same
//	<!-- background: HOST:PORT -->   the same, where the log does not say where it listens
//	<!-- exit: 3 -->                 its last command ends with 3
//	<!-- in: the repository -->      it is run in the root of a clone; before all else on a page, the whole page is
//
// A command that stands anywhere else is an error, for a reader will try it: so is a mark that is not known.
//
// It needs Linux, bash and curl. Pages run beside one another, each in namespaces of its own where they can be had, so that
// the ports they name are free, and nothing outside of the machine is reached; pages with commands for the repository have the
// machine's network, since Go may have to fetch modules, and run one after another.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// words are a flag that may be given several times.
type words []string

func (w *words) String() string     { return strings.Join(*w, ", ") }
func (w *words) Set(s string) error { *w = append(*w, s); return nil }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, errShared):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(cannotIsolate)
	case err != nil:
		if !errors.Is(err, errSaid) {
			fmt.Fprintf(os.Stderr, "docs  %v\n", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("docs", flag.ContinueOnError)
	root := flags.String("root", ".", "`folder` of the repository")
	inPlace := flags.Bool("clone", false, "the repository is a clone to be used up: what is for the repository is run in it, not in a copy")
	binary := flags.String("binary", "", "the `program` that pages call llm_prober; by default bin/llm_prober")
	promtool := flags.String("promtool", "", "a `promtool` for Prometheus' files; without it they are not looked at")
	list := flags.Bool("list", false, "say what would be run and what would not, and end")
	beside := flags.Int("p", 2, "how many pages run beside one another")
	within := flags.Duration("timeout", 10*time.Minute, "for each command")
	var skip words
	flags.Var(&skip, "skip", "a `command` that is left out wherever it stands, repeatable")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o := options{args: args, binary: *binary, promtool: *promtool, skip: skip, within: *within}
	var err error
	if o.root, err = filepath.Abs(*root); err != nil {
		return err
	}
	o.clone = o.root
	if o.binary == "" {
		o.binary = filepath.Join(o.root, "bin/llm_prober")
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	paths := flags.Args()
	if len(paths) == 0 {
		if paths, err = pagesOf(o.root); err != nil {
			return err
		}
	}
	pages, err := read(o.root, paths)
	if err != nil {
		return err
	}
	if *list {
		return say(w, pages)
	}
	if _, err := os.Stat(o.binary); err != nil {
		return fmt.Errorf("%w; cure: make build", err)
	}
	if page := os.Getenv(alone); page != "" {
		o.clone = os.Getenv(cloneOf)
		return one(ctx, o, pages[slices.IndexFunc(pages, func(p *Page) bool { return p.Path == page })], w)
	}
	if err := keepGoFolders(ctx); err != nil {
		return err
	}
	if !*inPlace && slices.ContainsFunc(pages, (*Page).needsRepository) {
		if o.clone, err = copyOf(ctx, o.root); err != nil {
			return err
		}
		defer os.RemoveAll(o.clone)
	}
	return all(ctx, o, pages, *beside, w)
}

// pagesOf are the README and the documentation, as paths relative to root.
func pagesOf(root string) ([]string, error) {
	paths := []string{"README.md"}
	err := fs.WalkDir(os.DirFS(root), "docs", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	return paths, err
}

// read reads pages. All that is wrong with them comes back at once.
func read(root string, paths []string) ([]*Page, error) {
	var pages []*Page
	var errs []error
	for _, path := range paths {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return nil, err
		}
		p, err := Parse(filepath.ToSlash(path), text, complete)
		pages, errs = append(pages, p), append(errs, err)
	}
	return pages, errors.Join(errs...)
}

// needsRepository is whether any command is for a clone's root.
func (p *Page) needsRepository() bool {
	return p.InRepository || slices.ContainsFunc(p.Steps, func(s Step) bool { return s.InRepository })
}

// say lists what pages have.
func say(w io.Writer, pages []*Page) error {
	for _, p := range pages {
		for _, s := range p.Steps {
			how := "run"
			switch {
			case s.File != "":
				how, s.Text = "file", s.File
			case s.Background:
				how = "background"
			}
			fmt.Fprintf(w, "%s:%d: %s: %s\n", p.Path, s.Line, how, s.Text)
		}
		sayNotRun(w, p)
	}
	return nil
}

// sayNotRun says what a page has that only its reader can run, a line for each reason.
func sayNotRun(w io.Writer, p *Page) {
	var reasons []string
	places := map[string][]string{}
	for _, s := range p.Skipped {
		if places[s.Reason] == nil {
			reasons = append(reasons, s.Reason)
		}
		places[s.Reason] = append(places[s.Reason], fmt.Sprint(s.Line))
	}
	for _, reason := range reasons {
		fmt.Fprintf(w, "docs  not run: %s:%s: %s\n", p.Path, strings.Join(places[reason], ","), reason)
	}
}

// one runs a page in this process.
func one(ctx context.Context, o options, p *Page, w io.Writer) error {
	if err := isolate(); err != nil {
		return fmt.Errorf("%w: %w", errShared, err)
	}
	return said(w, runPage(ctx, o, p, w))
}

// said prints an error.
func said(w io.Writer, err error) error {
	if err == nil {
		return nil
	}
	fmt.Fprintf(w, "%v\n", err)
	return errSaid
}

// all runs pages, so many beside one another, and says of each in turn how it went.
func all(ctx context.Context, o options, pages []*Page, beside int, w io.Writer) error {
	type result struct {
		text bytes.Buffer
		err  error
		over chan struct{}
	}
	results := make([]result, len(pages))
	places, network := make(chan struct{}, max(beside, 1)), sync.Mutex{}
	var running sync.WaitGroup
	defer running.Wait()
	var sharing sync.Once
	for i, p := range pages {
		r := &results[i]
		r.over = make(chan struct{})
		running.Go(func() {
			defer close(r.over)
			if needs := p.needsRepository(); needs {
				network.Lock()
				defer network.Unlock()
			}
			places <- struct{}{}
			defer func() { <-places }()
			r.err = promtoolAgrees(ctx, o, p, &r.text)
			if !slices.ContainsFunc(p.Steps, func(s Step) bool { return s.File == "" }) {
				return
			}
			err := again(ctx, o, p.Path, p.needsRepository(), &r.text)
			if errors.Is(err, errShared) {
				sharing.Do(func() {
					fmt.Fprintf(os.Stderr, "docs  pages share this machine's ports and run one after another: %v\n", err)
				})
				if !p.needsRepository() {
					network.Lock()
					defer network.Unlock()
				}
				err = said(&r.text, runPage(ctx, o, p, &r.text))
			}
			r.err = errors.Join(r.err, err)
		})
	}
	var failed []string
	skipped := 0
	for i, p := range pages {
		<-results[i].over
		if _, err := results[i].text.WriteTo(w); err != nil {
			return err
		}
		sayNotRun(w, p)
		skipped += len(p.Skipped)
		if err := results[i].err; err != nil {
			failed = append(failed, p.Path)
			if !errors.Is(err, errSaid) {
				fmt.Fprintf(w, "docs  %v\n", err)
			}
		}
	}
	fmt.Fprintf(w, "docs  %d pages, %d blocks not run\n", len(pages), skipped)
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// prometheus is how a Prometheus' own file begins, and what promtool calls it.
var prometheus = regexp.MustCompile(`(?m)^(scrape_configs|rule_files|alerting|remote_write|groups):`)

// promtoolAgrees is whether promtool takes the files of Prometheus' that a page shows.
func promtoolAgrees(ctx context.Context, o options, p *Page, w io.Writer) error {
	if o.promtool == "" {
		return nil
	}
	for _, b := range p.YAML {
		m := prometheus.FindStringSubmatch(b.Text)
		if m == nil {
			continue
		}
		args := []string{"check", "config", "--syntax-only", "/dev/stdin"}
		if m[1] == "groups" {
			args = []string{"check", "rules", "/dev/stdin"}
		}
		cmd := exec.CommandContext(ctx, o.promtool, args...)
		cmd.Stdin = strings.NewReader(b.Text)
		if output, err := cmd.CombinedOutput(); err != nil {
			return said(w, fmt.Errorf("%s:%d: promtool: %w\n%s", p.Path, b.Line, err, output))
		}
	}
	return nil
}

// keepGoFolders has Go keep its caches where they are now, although pages have a home of their own.
func keepGoFolders(ctx context.Context) error {
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		value, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			return fmt.Errorf("go env %s: %w", name, err)
		}
		if err := os.Setenv(name, strings.TrimSpace(string(value))); err != nil {
			return err
		}
	}
	return nil
}

// copyOf copies what git knows of a working tree, and what it does not ignore, to a new folder.
func copyOf(ctx context.Context, root string) (string, error) {
	folder, err := os.MkdirTemp("", "docs-repository")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c",
		`git -C "$1" ls-files -z --cached --others --exclude-standard | tar -C "$1" --null --files-from=- --ignore-failed-read -cf - 2>/dev/null | tar -C "$2" -xf -`, "bash", root, folder)
	if output, err := cmd.CombinedOutput(); err != nil {
		os.RemoveAll(folder)
		return "", fmt.Errorf("copying the repository: %w: %s", err, output)
	}
	return folder, nil
}
