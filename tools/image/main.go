//go:build linux

// Command image carries out a Dockerfile without Docker and without a registry, and tests the image that comes of it.
//
// What it carries out is the file as BuildKit's own parser reads it: its stages, arguments, RUN and COPY, then its
// ENV, USER, WORKDIR, VOLUME, HEALTHCHECK, ENTRYPOINT and CMD. Nothing about the image is said here a second time. One thing is
// not what the file says: the image of the build stage cannot be had, and this machine stands in for it, under an overlay
// that takes the writes. It should be the same Debian with the same Go; a difference is printed.
//
//	        this machine          namespace of mounts             and of the network
//	parent ────────────────> build: RUN over an overlay ────────> test: ENTRYPOINT in the image's
//	                                COPY into a bare folder             files, as USER, read-only
//
// It must be root, for mounts. It changes nothing but Go's caches, which it shares with the machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// args are repeated flags NAME=VALUE.
type args []string

func (a *args) String() string     { return strings.Join(*a, " ") }
func (a *args) Set(s string) error { *a = append(*a, s); return nil }

const phaseVariable = "LLM_PROBER_IMAGE_PHASE" // set in the processes that this program starts of itself

func main() {
	var buildArgs args
	flag.Var(&buildArgs, "build-arg", "`NAME=VALUE` of the Dockerfile's ARG, repeatable")
	limit := flag.Int64("limit", 60_000_000, "size that the image must stay under, in `bytes`")
	flag.Parse()
	context := flag.Arg(0)
	runtime.LockOSThread() // what is set for a thread is to hold for all that it starts, and they are to end with it
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: image [-build-arg NAME=VALUE] [-limit BYTES] CONTEXT")
		os.Exit(2)
	}
	if err := run(os.Getenv(phaseVariable), context, buildArgs, *limit); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintf(os.Stderr, "image: %v\n", err)
		}
		os.Exit(1)
	}
}

func run(phase, context string, buildArgs args, limit int64) error {
	switch phase {
	case "":
		if os.Geteuid() != 0 {
			return errors.New("only root can carry out a Dockerfile here; sudo, or docker build, does it")
		}
		return again("build", syscall.CLONE_NEWNS|syscall.CLONE_NEWPID)
	case "build":
		return buildAndTest(context, buildArgs, limit)
	default:
		return testImage(phase)
	}
}

// errSaid is the failure of a child, which has said why.
var errSaid = errors.New("failed")

// again runs this program once more, in namespaces of its own.
func again(phase string, namespaces uintptr) error {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), phaseVariable+"="+phase)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return errSaid
	}
	return err
}

// buildAndTest has the mounts to itself.
func buildAndTest(context string, buildArgs args, limit int64) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	scratch, err := os.MkdirTemp("", "llm_prober-image-")
	if err != nil {
		return err
	}
	defer os.Remove(scratch)
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, "mode=0755"); err != nil { // overlays cannot write on overlays
		return fmt.Errorf("mount: %w", err)
	}
	defer unix.Unmount(scratch, unix.MNT_DETACH)

	b := &builder{context: context, scratch: scratch, buildArgs: buildArgs}
	image, err := b.build(filepath.Join(context, "Dockerfile"))
	if err != nil {
		return err
	}
	if err := image.inspect(limit); err != nil {
		return err
	}
	file := filepath.Join(scratch, "image.json")
	if err := image.save(file); err != nil {
		return err
	}
	return again(file, syscall.CLONE_NEWNET|syscall.CLONE_NEWPID|syscall.CLONE_NEWNS)
}
