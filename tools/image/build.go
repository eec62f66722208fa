//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"golang.org/x/sys/unix"
)

// image is what a Dockerfile makes: files, and how they are run.
type image struct {
	Root        string
	Env         []string
	User        string
	Dir         string
	Volumes     []string
	Ports       []string
	Labels      map[string]string
	Healthcheck []string // after CMD
	Timeout     time.Duration
	Entrypoint  []string
	Cmd         []string
}

func (i *image) save(file string) error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// builder carries out the stages of a Dockerfile.
type builder struct {
	context   string
	scratch   string
	buildArgs []string
	stages    map[string]*image
}

func (b *builder) build(file string) (*image, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	tree, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	stages, metaArgs, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var global []string
	for _, arg := range metaArgs {
		global = b.declare(global, arg)
	}
	b.stages = map[string]*image{}
	var last *image
	for n, s := range stages {
		if last, err = b.stage(n, s, global); err != nil {
			return nil, fmt.Errorf("%s: stage %d: %w", file, n, err)
		}
		b.stages[s.Name], b.stages[strconv.Itoa(n)] = last, last
	}
	return last, nil
}

// declare adds the values of an ARG to an environment.
func (b *builder) declare(env []string, cmd instructions.ArgCommand) []string {
	for _, arg := range cmd.Args {
		value := arg.Value
		for _, given := range b.buildArgs {
			if name, v, ok := strings.Cut(given, "="); ok && name == arg.Key {
				value = &v
			}
		}
		if value != nil {
			env = set(env, arg.Key, *value)
		}
	}
	return env
}

func set(env []string, name, value string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(e string) bool { return strings.HasPrefix(e, name+"=") })
	return append(env, name+"="+value)
}

// stage carries out one stage. Instructions that it does not know are errors: none is passed over.
func (b *builder) stage(n int, s instructions.Stage, global []string) (*image, error) {
	lex := shell.NewLex('\\')
	base, _, err := lex.ProcessWord(s.BaseName, shell.EnvsFromSlice(global))
	if err != nil {
		return nil, err
	}
	im := &image{Root: filepath.Join(b.scratch, "stage"+strconv.Itoa(n)), Dir: "/", Labels: map[string]string{}}
	if base == "scratch" {
		err = os.Mkdir(im.Root, 0o755)
	} else {
		err = b.standIn(im, base)
	}
	if err != nil {
		return nil, fmt.Errorf("FROM %s: %w", base, err)
	}
	var declared []string // by ARG: seen by the instructions, not by the image
	for _, command := range s.Commands {
		env := shell.EnvsFromSlice(append(slices.Clone(declared), im.Env...))
		if e, ok := command.(instructions.SupportsSingleWordExpansion); ok {
			err := e.Expand(func(word string) (string, error) {
				word, _, err := lex.ProcessWord(word, env)
				return word, err
			})
			if err != nil {
				return nil, err
			}
		}
		switch c := command.(type) {
		case *instructions.ArgCommand:
			declared = b.declare(declared, *c)
		case *instructions.EnvCommand:
			for _, pair := range c.Env {
				im.Env = set(im.Env, pair.Key, pair.Value)
			}
		case *instructions.LabelCommand:
			for _, pair := range c.Labels {
				im.Labels[pair.Key] = pair.Value
			}
		case *instructions.WorkdirCommand:
			im.Dir = path.Join("/", im.Dir, c.Path)
			if path.IsAbs(c.Path) {
				im.Dir = c.Path
			}
			err = os.MkdirAll(filepath.Join(im.Root, im.Dir), 0o755)
		case *instructions.CopyCommand:
			err = b.copy(im, c)
		case *instructions.RunCommand:
			err = runIn(im, declared, c)
		case *instructions.UserCommand:
			im.User = c.User
		case *instructions.VolumeCommand:
			im.Volumes = append(im.Volumes, c.Volumes...)
		case *instructions.ExposeCommand:
			im.Ports = append(im.Ports, c.Ports...)
		case *instructions.HealthCheckCommand:
			if len(c.Health.Test) < 2 || c.Health.Test[0] != "CMD" {
				return nil, fmt.Errorf("HEALTHCHECK %v needs a shell", c.Health.Test)
			}
			im.Healthcheck, im.Timeout = c.Health.Test[1:], c.Health.Timeout
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				return nil, fmt.Errorf("ENTRYPOINT %v needs a shell", c.CmdLine)
			}
			im.Entrypoint = c.CmdLine
		case *instructions.CmdCommand:
			if c.PrependShell {
				return nil, fmt.Errorf("CMD %v needs a shell", c.CmdLine)
			}
			im.Cmd = c.CmdLine
		default:
			return nil, fmt.Errorf("%s: not known here", command.Name())
		}
		if err != nil {
			return nil, fmt.Errorf("%v: %w", command, err)
		}
	}
	return im, nil
}

// standIn puts this machine under the stage in place of the image base.
func (b *builder) standIn(im *image, base string) error {
	if !strings.HasPrefix(base, "golang:") {
		return errors.New("only golang:VERSION-DEBIAN can be stood in for")
	}
	if _, err := exec.LookPath("dpkg"); err != nil {
		return fmt.Errorf("this machine is no Debian: %w", err)
	}
	version, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	release, _ := os.ReadFile("/etc/os-release")
	_, codename, _ := strings.Cut(string(release), "VERSION_CODENAME=")
	codename, _, _ = strings.Cut(codename, "\n")
	here := "golang:" + strings.TrimPrefix(strings.TrimSpace(string(version)), "go") + "-" + codename
	note := "the same Go and Debian"
	if here != base {
		note = "DIFFERENT: this is " + here
	}
	fmt.Printf("image  FROM %s: this machine stands in for it, %s\n", base, note)

	upper, work := im.Root+".upper", im.Root+".work"
	for _, dir := range []string{im.Root, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", im.Root, "overlay", 0, "lowerdir=/,upperdir="+upper+",workdir="+work); err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	for _, dir := range []string{"/dev", "/proc"} {
		if err := unix.Mount(dir, im.Root+dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := os.Mkdir(im.Root+"/tmp/.", 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	// What the official image has, and this machine's way to the modules.
	im.Env = []string{"PATH=/go/bin:" + strings.TrimSpace(string(root)) + "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOPATH=/go", "GOTOOLCHAIN=local", "HOME=/root"}
	for _, name := range []string{"GOPROXY", "GONOSUMDB", "GOSUMDB", "GOFLAGS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "GOMAXPROCS"} {
		if value, ok := os.LookupEnv(name); ok {
			im.Env = append(im.Env, name+"="+value)
		}
	}
	return nil
}

// caches are the folders of this machine that serve RUN --mount=type=cache.
func caches() (map[string]string, error) {
	found := map[string]string{}
	for target, name := range map[string]string{"/go/pkg/mod": "GOMODCACHE", "/go/build": "GOCACHE"} {
		dir, err := exec.Command("go", "env", name).Output()
		if err != nil {
			return nil, fmt.Errorf("go env: %w", err)
		}
		found[target] = strings.TrimSpace(string(dir))
	}
	return found, nil
}

func runIn(im *image, declared []string, c *instructions.RunCommand) error {
	known, err := caches()
	if err != nil {
		return err
	}
	for _, m := range instructions.GetMounts(c) {
		dir, ok := known[m.Target]
		if !ok || m.Type != instructions.MountTypeCache {
			return fmt.Errorf("--mount=type=%s,target=%s: not known here", m.Type, m.Target)
		}
		target := im.Root + m.Target
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(target, 0o755)); err != nil {
			return err
		}
		if err := unix.Mount(dir, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", target, err)
		}
		defer unix.Unmount(target, unix.MNT_DETACH)
	}
	if !c.PrependShell || len(c.Files) > 0 {
		return errors.New("only RUN with a command line is known here")
	}
	start := time.Now()
	cmd := exec.Command("/bin/sh", "-c", strings.Join(c.CmdLine, " "))
	cmd.Env = append(slices.Clone(declared), im.Env...)
	cmd.Dir = im.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: im.Root}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	fmt.Printf("image  RUN  %3.0fs  %.90s\n", time.Since(start).Seconds(), strings.Join(strings.Fields(strings.Join(c.CmdLine, " ")), " "))
	return nil
}

// copy carries out COPY: what is copied belongs to root, or to whom --chown names.
func (b *builder) copy(im *image, c *instructions.CopyCommand) error {
	from, ignored := b.context, (*patternmatcher.PatternMatcher)(nil)
	if c.From != "" {
		stage := b.stages[c.From]
		if stage == nil {
			return fmt.Errorf("no stage %s", c.From)
		}
		from = stage.Root
	} else {
		var patterns []string
		if file, err := os.Open(filepath.Join(b.context, ".dockerignore")); err == nil {
			patterns, err = ignorefile.ReadAll(file)
			file.Close()
			if err != nil {
				return err
			}
		}
		var err error
		if ignored, err = patternmatcher.New(patterns); err != nil {
			return err
		}
	}
	uid, gid := 0, 0
	if c.Chown != "" {
		if _, err := fmt.Sscanf(c.Chown, "%d:%d", &uid, &gid); err != nil {
			return fmt.Errorf("--chown=%s: want numbers", c.Chown)
		}
	}
	dest := c.DestPath
	if !path.IsAbs(dest) {
		slash := strings.HasSuffix(dest, "/") || dest == "."
		if dest = path.Join(im.Dir, dest); slash {
			dest += "/"
		}
	}
	for _, source := range c.SourcePaths {
		top := filepath.Join(from, source)
		info, err := os.Stat(top)
		if err != nil {
			return err
		}
		target := filepath.Join(im.Root, dest)
		if !info.IsDir() && strings.HasSuffix(dest, "/") {
			target = filepath.Join(target, filepath.Base(source))
		}
		err = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			inside, err := filepath.Rel(top, name)
			if err != nil {
				return err
			}
			if ignored != nil && inside != "." {
				whole, err := filepath.Rel(from, name)
				if err != nil {
					return err
				}
				skip, err := ignored.MatchesOrParentMatches(whole)
				if err != nil {
					return err
				}
				if skip && d.IsDir() && !ignored.Exclusions() {
					return filepath.SkipDir
				}
				if skip {
					return nil
				}
			}
			return copyOne(name, filepath.Join(target, inside), d, uid, gid)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func copyOne(source, target string, d fs.DirEntry, uid, gid int) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		if err := os.Mkdir(target, mode.Perm()); errors.Is(err, fs.ErrExist) {
			return nil // it keeps its owner
		} else if err != nil {
			return err
		}
	case mode&fs.ModeSymlink != 0:
		link, err := os.Readlink(source)
		if err != nil {
			return err
		}
		if err := os.Symlink(link, target); err != nil {
			return err
		}
		return os.Lchown(target, uid, gid)
	case mode.IsRegular():
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, text, mode.Perm()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s is no file, folder or link", source)
	}
	if err := os.Chown(target, uid, gid); err != nil {
		return err
	}
	// Beyond the umask, sticky bits included.
	bits := uint32(info.Mode().Perm())
	if info.Mode()&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	if info.Mode()&fs.ModeSetuid != 0 {
		bits |= unix.S_ISUID
	}
	if info.Mode()&fs.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if err := unix.Chmod(target, bits); err != nil {
		return err
	}
	return os.Chtimes(target, info.ModTime(), info.ModTime())
}
